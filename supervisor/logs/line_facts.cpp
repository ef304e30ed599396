#include "supervisor/logs/line_facts.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <string>
#include <utility>

namespace keepwell {
namespace {

constexpr std::size_t kLookedAt = 400;
constexpr int kTokens = 8;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_upper(std::string_view word) {
    return std::ranges::none_of(word, [](char c) { return c >= 'a' && c <= 'z'; });
}

// Takes text from its start as long as it is what is asked for.
class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text) {}
    bool number(std::size_t digits, int low, int high, int& to) {
        if (text_.size() < digits) return false;
        const std::string_view part = text_.substr(0, digits);
        if (!std::ranges::all_of(part, is_digit)) return false;
        std::from_chars(part.data(), part.data() + digits, to);
        if (to < low || to > high) return false;
        text_.remove_prefix(digits);
        return true;
    }
    bool one_of(std::string_view characters) {
        if (text_.empty() || characters.find(text_.front()) == std::string_view::npos) return false;
        text_.remove_prefix(1);
        return true;
    }
    std::size_t digits() const {
        const auto end = std::ranges::find_if_not(text_, is_digit);
        return static_cast<std::size_t>(end - text_.begin());
    }
    std::string_view rest() const { return text_; }
    void skip(std::size_t n) { text_.remove_prefix(n); }

  private:
    std::string_view text_;
};

int milliseconds(Scanner& s) { // of ".123456", as far as there are digits
    const std::size_t digits = s.digits();
    int ms = 0;
    for (std::size_t i = 0; i < 3; ++i) ms = ms * 10 + (i < digits ? s.rest()[i] - '0' : 0);
    s.skip(digits);
    return ms;
}

bool date(Scanner& s, std::tm& to) {
    int year = 0;
    int month = 0;
    if (!s.number(4, 1970, 2200, year) || !s.one_of("-/") || !s.number(2, 1, 12, month) ||
        !s.one_of("-/") || !s.number(2, 1, 31, to.tm_mday)) {
        return false;
    }
    to.tm_year = year - 1900;
    to.tm_mon = month - 1;
    return true;
}

// Minutes east of Greenwich; nullopt: there is no zone.
std::optional<int> zone(Scanner& s) {
    if (s.one_of("Zz")) return 0;
    Scanner ahead = s;
    const bool west = !s.rest().empty() && s.rest().front() == '-';
    int hours = 0;
    int minutes = 0;
    if (!ahead.one_of("+-") || !ahead.number(2, 0, 14, hours)) return std::nullopt;
    ahead.one_of(":");
    if (!ahead.number(2, 0, 59, minutes)) return std::nullopt;
    s = ahead;
    return (hours * 60 + minutes) * (west ? -1 : 1);
}

std::int64_t unix_ms(std::tm broken_down, int ms, std::optional<int> east) {
    broken_down.tm_isdst = -1;
    const std::time_t seconds = east ? ::timegm(&broken_down) - *east * 60 : ::mktime(&broken_down);
    return std::int64_t{seconds} * 1000 + ms;
}

std::optional<std::int64_t> date_and_time(Scanner& s, bool partial) {
    std::tm t{};
    if (!date(s, t)) return std::nullopt;
    if (partial && s.rest().empty()) return unix_ms(t, 0, std::nullopt);
    if (!s.one_of("T ") || !s.number(2, 0, 23, t.tm_hour) || !s.one_of(":") ||
        !s.number(2, 0, 59, t.tm_min)) {
        return std::nullopt;
    }
    if (partial && s.rest().empty()) return unix_ms(t, 0, std::nullopt);
    if (!s.one_of(":") || !s.number(2, 0, 60, t.tm_sec)) return std::nullopt;
    const int ms = s.one_of(".,") ? milliseconds(s) : 0;
    Scanner behind_space = s; // "2026-11-22 12:30:00 +0100"
    if (behind_space.one_of(" ")) {
        if (const auto east = zone(behind_space)) {
            s = behind_space;
            return unix_ms(t, ms, east);
        }
    }
    return unix_ms(t, ms, zone(s));
}

std::optional<std::int64_t> since_1970(Scanner s) {
    const std::size_t digits = s.digits();
    if ((digits != 10 && digits != 13) || s.rest().front() == '0') return std::nullopt;
    std::int64_t value = 0;
    std::from_chars(s.rest().data(), s.rest().data() + digits, value);
    s.skip(digits);
    constexpr std::int64_t kNoLongerATime = 4'102'444'800; // 2100
    std::int64_t ms = digits == 13 ? value : value * 1000;
    if (ms >= kNoLongerATime * 1000) return std::nullopt;
    if (digits == 10 && s.one_of(".")) ms += milliseconds(s);
    const bool ends = s.rest().empty() || s.one_of(" ]\t");
    return ends ? std::optional(ms) : std::nullopt;
}

struct Priority { // "<3>"
    std::optional<LogLevel> level;
    std::size_t size = 0;
};
Priority priority(std::string_view line) {
    if (line.size() < 3 || line[0] != '<') return {};
    unsigned value = 0;
    const char* const end = line.data() + std::min<std::size_t>(line.size(), 5);
    const auto [stop, error] = std::from_chars(line.data() + 1, end, value);
    if (error != std::errc{} || stop == end || *stop != '>' || value > 191) return {};
    constexpr LogLevel kLevels[] = {LogLevel::Error, LogLevel::Error, LogLevel::Error,
                                    LogLevel::Error, LogLevel::Warn,  LogLevel::Info,
                                    LogLevel::Info,  LogLevel::Debug};
    return {kLevels[value % 8], static_cast<std::size_t>(stop - line.data()) + 1};
}

LogLevel level_of_number(int n) { // pino and bunyan, Python; below ten: syslog
    if (n < 10)
        return n <= 3   ? LogLevel::Error
               : n == 4 ? LogLevel::Warn
               : n <= 6 ? LogLevel::Info
                        : LogLevel::Debug;
    return n >= 50   ? LogLevel::Error
           : n >= 40 ? LogLevel::Warn
           : n >= 30 ? LogLevel::Info
                     : LogLevel::Debug;
}

std::string_view leading_word(std::string_view text) {
    const auto end = std::ranges::find_if_not(text, is_alpha);
    return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

// The value behind KEY, as JSON ("level":"warn", "level": 40) and logfmt (level=warn) write it.
std::optional<LogLevel> level_of_field(std::string_view text, bool json) {
    for (const std::string_view key : {"level", "severity", "lvl", "levelname", "log.level"}) {
        const std::string wanted = json ? "\"" + std::string(key) + "\"" : std::string(key) + "=";
        const auto at = text.find(wanted);
        if (at == std::string_view::npos) continue;
        if (!json && at > 0 && text[at - 1] != ' ' && text[at - 1] != '\t') continue;
        std::string_view value = text.substr(at + wanted.size());
        value.remove_prefix(std::min(value.find_first_not_of(json ? " :\"" : "\""), value.size()));
        int number = 0;
        const auto [stop, error] =
            std::from_chars(value.data(), value.data() + value.size(), number);
        if (error == std::errc{}) return level_of_number(number);
        if (const auto level = level_of_word(leading_word(value))) return level;
    }
    return std::nullopt;
}

std::optional<LogLevel> level_of_klog(std::string_view line) { // E1122 12:30:00.000000
    constexpr std::pair<char, LogLevel> kLetters[] = {{'I', LogLevel::Info},
                                                      {'W', LogLevel::Warn},
                                                      {'E', LogLevel::Error},
                                                      {'F', LogLevel::Error}};
    if (line.size() < 8 || !std::ranges::all_of(line.substr(1, 4), is_digit) || line[5] != ' ' ||
        !is_digit(line[6])) {
        return std::nullopt;
    }
    for (const auto& [letter, level] : kLetters) {
        if (line[0] == letter) return level;
    }
    return std::nullopt;
}

// A word counts when it stands out: ERROR, [error], error:, |info|. "no error found" says nothing.
std::optional<LogLevel> level_of_tokens(std::string_view line) {
    std::size_t at = 0;
    for (int token = 0; token < kTokens && at < line.size(); ++token) {
        while (at < line.size() && !is_alpha(line[at])) ++at;
        const std::string_view word = leading_word(line.substr(at));
        const char before = at > 0 ? line[at - 1] : ' ';
        const std::size_t end = at + word.size();
        const char after = end < line.size() ? line[end] : ' ';
        const bool marked = before == '[' || before == '|' || before == '(' || after == ':' ||
                            after == ']' || after == '|';
        const bool alone = !is_digit(before) && !is_digit(after) && after != '_' && before != '_';
        if (word.size() > 2 && alone && (marked || is_upper(word))) {
            if (const auto level = level_of_word(word)) return level;
        }
        at = end;
        // The rest of a longer thing: "stdout.error.log", "/var/log/error".
        while (at < line.size() && line[at] != ' ' && line[at] != '[' && line[at] != ':' &&
               line[at] != '|' && line[at] != ']') {
            ++at;
        }
    }
    return std::nullopt;
}

} // namespace

std::string_view to_string(LogLevel level) noexcept {
    switch (level) {
    case LogLevel::Error: return "error";
    case LogLevel::Warn: return "warn";
    case LogLevel::Info: return "info";
    case LogLevel::Debug: return "debug";
    }
    return "";
}

std::optional<LogLevel> level_of_word(std::string_view word) noexcept {
    static constexpr std::pair<std::string_view, LogLevel> kWords[] = {
        {"error", LogLevel::Error},     {"err", LogLevel::Error},
        {"fatal", LogLevel::Error},     {"critical", LogLevel::Error},
        {"crit", LogLevel::Error},      {"alert", LogLevel::Error},
        {"emerg", LogLevel::Error},     {"panic", LogLevel::Error},
        {"severe", LogLevel::Error},    {"emergency", LogLevel::Error},
        {"traceback", LogLevel::Error}, {"warn", LogLevel::Warn},
        {"warning", LogLevel::Warn},    {"info", LogLevel::Info},
        {"notice", LogLevel::Info},     {"information", LogLevel::Info},
        {"debug", LogLevel::Debug},     {"trace", LogLevel::Debug},
        {"verbose", LogLevel::Debug},   {"fine", LogLevel::Debug},
    };
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    for (const auto& [known, level] : kWords) {
        if (std::ranges::equal(word, known, {}, lower)) return level;
    }
    return std::nullopt;
}

std::optional<std::int64_t> own_time(std::string_view line) {
    line = line.substr(priority(line).size, 64);
    if (line.starts_with('[')) line.remove_prefix(1);
    if (line.empty() || !is_digit(line.front())) return std::nullopt;
    Scanner s(line);
    if (const auto time = date_and_time(s, false)) return time;
    return since_1970(Scanner(line));
}

std::optional<std::int64_t> parse_date(std::string_view text) {
    Scanner s(text);
    const auto time = date_and_time(s, true);
    return time && s.rest().empty() ? time : std::nullopt;
}

bool continues_a_line(std::string_view line) noexcept {
    return line.starts_with(' ') || line.starts_with('\t');
}

std::optional<LogLevel> own_level(std::string_view line) {
    const Priority syslog = priority(line);
    if (syslog.level) return syslog.level;
    line = line.substr(0, kLookedAt);
    if (line.starts_with('{')) return level_of_field(line, true);
    if (const auto level = level_of_klog(line)) return level;
    if (line.starts_with("Traceback (most recent")) return LogLevel::Error;
    if (const auto level = level_of_tokens(line)) return level;
    return level_of_field(line, false);
}

} // namespace keepwell
