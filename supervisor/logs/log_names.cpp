#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <charconv>
#include <dirent.h>
#include <memory>

namespace keepwell {

namespace {

constexpr std::string_view kErrors = ".err";

} // namespace

bool is_daemons_own(std::string_view name) { return name.starts_with('/'); }

std::string log_path(const std::string& dir, const std::string& key) {
    if (is_daemons_own(key)) return key;
    return dir + "/" + key + ".log";
}

std::string errors_key(const std::string& key) { return key + std::string(kErrors); }

std::optional<std::string> unit_of_errors_key(std::string_view key) {
    if (!key.ends_with(kErrors)) return std::nullopt;
    return std::string(key.substr(0, key.size() - kErrors.size()));
}

std::string rotated_path(const std::string& dir, const std::string& key, std::uint64_t sequence) {
    return log_path(dir, key) + "." + std::to_string(sequence);
}

std::string packed_path(const std::string& dir, const std::string& key, std::uint64_t sequence) {
    return rotated_path(dir, key, sequence) + ".gz";
}

std::optional<std::uint64_t> rotated_sequence(std::string_view file_name, std::string_view key) {
    constexpr std::string_view kMiddle = ".log.";
    constexpr std::string_view kGzip = ".gz";
    if (!file_name.starts_with(key)) return std::nullopt;
    file_name.remove_prefix(key.size());
    if (!file_name.starts_with(kMiddle)) return std::nullopt;
    file_name.remove_prefix(kMiddle.size());
    if (file_name.ends_with(kGzip)) file_name.remove_suffix(kGzip.size());
    std::uint64_t sequence = 0;
    const char* const end = file_name.data() + file_name.size();
    const auto [stop, error] = std::from_chars(file_name.data(), end, sequence);
    if (error != std::errc{} || stop != end || sequence == 0) return std::nullopt;
    return sequence;
}

std::vector<std::uint64_t> rotated_sequences(const std::string& dir, const std::string& key) {
    std::vector<std::uint64_t> found;
    if (is_daemons_own(key)) return found;
    const auto close_dir = [](DIR* d) { ::closedir(d); };
    const std::unique_ptr<DIR, decltype(close_dir)> handle(::opendir(dir.c_str()), close_dir);
    if (!handle) return found;
    while (const dirent* entry = ::readdir(handle.get())) {
        if (const auto sequence = rotated_sequence(entry->d_name, key)) found.push_back(*sequence);
    }
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
}

bool is_log_key(std::string_view key) {
    return !key.empty() && key.size() <= kLongestLogKey && key.front() != '.' &&
           key.find('/') == std::string_view::npos && key.find('\0') == std::string_view::npos;
}

} // namespace keepwell
