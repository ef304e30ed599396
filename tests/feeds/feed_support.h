// Log files for the tests of feeds: a folder of their own, units that write and rotate.
#pragma once

#include "supervisor/feeds/log_page.h"
#include "supervisor/logs/log_names.h"
#include "supervisor/logs/log_reader.h"
#include "supervisor/logs/packed_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace keepwell::feeds::test {

class LogFolder {
  public:
    LogFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "kwf-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~LogFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    LogFolder(const LogFolder&) = delete;
    LogFolder& operator=(const LogFolder&) = delete;
    const std::string& path() const { return path_; }

    void write(const std::string& key, const std::string& text) const {
        std::ofstream(log_path(path_, key), std::ios::app) << text;
    }
    void lines(const std::string& key, int from, int to, const std::string& text = "line") const {
        std::string all;
        for (int i = from; i < to; ++i) all += text + " " + std::to_string(i) + "\n";
        write(key, all);
    }
    void rotate(const std::string& key) const {
        const auto all = rotated_sequences(path_, key);
        std::filesystem::rename(log_path(path_, key),
                                rotated_path(path_, key, all.empty() ? 1 : all.back() + 1));
    }
    void pack(const std::string& key, std::uint64_t sequence) const {
        const std::string plain = rotated_path(path_, key, sequence);
        const std::atomic<bool> stop = false;
        ASSERT_TRUE(pack_log(plain, packed_path(path_, key, sequence), stop));
        std::filesystem::remove(plain);
    }
    void remove(const std::string& key, std::uint64_t sequence) const {
        std::filesystem::remove(rotated_path(path_, key, sequence));
        std::filesystem::remove(packed_path(path_, key, sequence));
    }
    LogPlaces places(const std::vector<std::string>& keys) const {
        LogPlaces places{path_, {}, {}};
        for (const auto& key : keys)
            places.sources.push_back({FeedSource::Kind::File, key, key, "stdout", {}});
        return places;
    }

  private:
    std::string path_;
};

inline std::vector<std::string> texts(const LogPage& page) {
    std::vector<std::string> all;
    for (const auto& line : page.lines) all.push_back(line.text);
    return all;
}

inline std::vector<std::string> numbered(int from, int to, const std::string& text = "line") {
    std::vector<std::string> all;
    for (int i = from; i < to; ++i) all.push_back(text + " " + std::to_string(i));
    return all;
}

} // namespace keepwell::feeds::test
