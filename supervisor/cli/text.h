// Text for people: what may be sent to a terminal, how wide it is there, times, sizes and colours.
//
// Pure functions. Foreign text (reasons, check output, names) goes through safe_text() before it
// reaches any output, so that no control character of it is ever obeyed by a terminal. Widths are
// terminal columns, not bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell::cli {

struct Style {
    bool terminal = false; // symbols, lines cut to the width
    bool colour = false;
    bool utf8 = true;
    int width = 80;
    int height = 24;
};

enum class Colour { None, Green, Yellow, Red, Cyan, Blue, Dim, Bold };

// Control characters, bidirectional overrides and broken UTF-8 become visible escapes like \x1b.
// Tabs become a space each when `line` is set (one line of a table), else they stay.
std::string safe_text(std::string_view raw, bool line = true);
// A log line for a terminal: colour sequences are dropped, everything else as safe_text().
std::string safe_log_line(std::string_view raw);

int display_width(std::string_view utf8);
std::string fit(std::string_view utf8, int width, const Style&); // cut with … when too wide
std::string pad(std::string text, int width);                    // with spaces on the right
// Broken at spaces, so that it goes on below itself `indent` columns from the left.
std::string wrap(std::string_view text, int indent, int width);
std::string paint(std::string_view text, Colour, const Style&);      // plain without colour
std::string symbol(std::string_view utf8, char ascii, const Style&); // "" when not on a terminal

std::string human_age(double seconds);     // "6d 4h", "3h 2m", "44s", "0s"
std::string human_seconds(double seconds); // "0.5 s", "39 s", "2.5 m", "5 m", "1 h"
std::string human_bytes(double bytes);     // "96M", "1.2G"
std::string human_ms(double milliseconds); // "0.2 ms", "45 ms", "1.8 s"
// What could not be done and why. Most errors begin with what could not be done: they say it alone.
std::string failure_text(const std::string& what, const std::string& why);
std::string plural(std::uint64_t n, std::string_view one); // "1 unit", "3 units"

// "30m" as the API takes it, a number and one of ms s m h d; nullopt for what is none.
std::optional<std::int64_t> duration_ms(std::string_view text);
// RFC 3339 to milliseconds since 1970; nullopt for what is none.
std::optional<std::int64_t> parse_time(std::string_view rfc3339);
// Local time of day, "11:58:02" or "11:57:32.104"; local date "2026-11-22".
std::string clock_text(std::int64_t ms, bool with_milliseconds);
std::string date_text(std::int64_t ms);

} // namespace keepwell::cli
