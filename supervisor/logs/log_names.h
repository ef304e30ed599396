// The names of a unit's log files: DIR/KEY.log, and DIR/KEY.log.SEQ once rotated,
// DIR/KEY.log.SEQ.gz once compressed.
//
// A name that begins with '/' stands where a key does for a file that a daemon writes itself
// (log_files): it is that file's path, and whoever rotates it names the old ones, so it has none.
//
// Sequences grow by one and are never taken from a clock. Nothing throws; a directory that cannot
// be read has no files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

std::string log_path(const std::string& dir, const std::string& key);
bool is_daemons_own(std::string_view name); // such a path
// What stands for a unit's key where its stderr has a file of its own: "web.err".
std::string errors_key(const std::string& key);
std::optional<std::string> unit_of_errors_key(std::string_view); // nullopt: it is none
std::string rotated_path(const std::string& dir, const std::string& key, std::uint64_t sequence);
std::string packed_path(const std::string& dir, const std::string& key, std::uint64_t sequence);

// 7 for "web.log.7" (and "web.log.7.gz") of key web; nullopt for everything else.
std::optional<std::uint64_t> rotated_sequence(std::string_view file_name, std::string_view key);

// The rotated files of key, ascending, each once.
std::vector<std::uint64_t> rotated_sequences(const std::string& dir, const std::string& key);

// May key name a file in a directory? No separators, no dot at the start, at most
// kLongestLogKey bytes.
inline constexpr std::size_t kLongestLogKey = 79;
bool is_log_key(std::string_view key);

} // namespace keepwell
