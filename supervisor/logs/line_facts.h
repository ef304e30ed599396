// What a log line says about itself: when it was written, and how bad it is. Pure; looks at the
// first few hundred bytes only; never throws but for want of memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace keepwell {

enum class LogLevel { Error, Warn, Info, Debug }; // from worst to least

std::string_view to_string(LogLevel) noexcept;
std::optional<LogLevel> level_of_word(std::string_view word) noexcept; // "warning", in any case

// unix, ms. At the line's start, also after "[" or "<3>": 2026-11-22T12:30:00.123Z,
// 2026-11-22 12:30:00,123, 2026/11/22 12:30:00 (local time without a zone), or seconds or
// milliseconds since 1970 (10 or 13 digits).
std::optional<std::int64_t> own_time(std::string_view line);
// A date alone, or with hours and minutes, too: the whole text, nothing behind it.
std::optional<std::int64_t> parse_date(std::string_view text);

// From "<3>" of syslog, "level" or "severity" of JSON, level=… , E1122 of klog, or a word such as
// ERROR, [warn] or info: near the line's start.
std::optional<LogLevel> own_level(std::string_view line);

// Does it go on with the line before it? It begins with a blank then, and has that one's level.
bool continues_a_line(std::string_view line) noexcept;

} // namespace keepwell
