// Configurations in a temporary folder that is also the working directory, so that messages name
// files as the tests wrote them ("site.toml:1:1: …").
#pragma once

#include "supervisor/config/config.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace keepwell {

inline const std::string kSleep = "command = [\"/bin/sleep\", \"60\"]\n";

inline std::string unit_text(const std::string& key, const std::string& more = "") {
    return "[unit.\"" + key + "\"]\nshell = 'sleep 60'\n" + more;
}

inline std::vector<std::string> keys(const Configuration& config) {
    std::vector<std::string> out;
    for (const UnitSpec& unit : config.units) out.push_back(unit.key);
    return out;
}

class ConfigTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "config-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        std::filesystem::current_path(folder_);
        for (const char* variable : {"KEEPWELL_CONFIG", "KEEPWELL_STATUS_FILE",
                                     "CREDENTIALS_DIRECTORY", "XDG_RUNTIME_DIR"}) {
            ::unsetenv(variable);
        }
    }
    void TearDown() override {
        std::filesystem::current_path("/");
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    void write(const std::string& name, const std::string& text) const {
        const std::filesystem::path path = folder_ / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
    }
    LoadResult load_files(std::vector<std::string> files) const {
        LoadOptions options;
        options.files = std::move(files);
        return load_configuration(options);
    }
    LoadResult load(const std::string& text) const {
        write("site.toml", text);
        return load_files({"site.toml"});
    }
    static std::vector<std::string> texts(const std::vector<ConfigMessage>& messages) {
        std::vector<std::string> out;
        for (const ConfigMessage& message : messages) out.push_back(to_string(message));
        return out;
    }
    std::vector<std::string> errors_of(const std::string& text) const {
        return texts(load(text).errors);
    }
    std::vector<std::string> warnings_of(const std::string& text) const {
        const LoadResult result = load(text);
        EXPECT_THAT(texts(result.errors), ::testing::IsEmpty());
        return texts(result.warnings);
    }
    // Of a text that loads without an error.
    Configuration good(const std::string& text) const {
        const LoadResult result = load(text);
        EXPECT_THAT(texts(result.errors), ::testing::IsEmpty());
        return result.config;
    }
    static const UnitSpec& unit(const Configuration& config, const std::string& key) {
        for (const UnitSpec& one : config.units) {
            if (one.key == key) return one;
        }
        ADD_FAILURE() << "no unit " << key;
        static const UnitSpec none;
        return none;
    }
    static const CheckSpec& check(const UnitSpec& unit, const std::string& id) {
        for (const CheckSpec& one : unit.checks) {
            if (one.id == id) return one;
        }
        ADD_FAILURE() << "no check " << id;
        static const CheckSpec none;
        return none;
    }

    std::filesystem::path folder_;
};

} // namespace keepwell
