#include "supervisor/status/json_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <iterator>

namespace keepwell {

namespace {

bool is_continuation(unsigned char c) { return (c & 0xC0U) == 0x80U; }

bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

void append_escaped(std::string& out, unsigned char c) {
    switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
}

} // namespace

// Unicode table 3-7: overlong forms, surrogates and values beyond U+10FFFF are not well-formed.
std::size_t utf8_sequence(std::string_view s) {
    const auto at = [&](std::size_t i) {
        return i < s.size() ? static_cast<unsigned char>(s[i]) : static_cast<unsigned char>(0);
    };
    const unsigned char a = at(0);
    const unsigned char b = at(1);
    if (a < 0x80) return 1;
    if (a >= 0xC2 && a <= 0xDF) return is_continuation(b) ? 2 : 0;
    if (a >= 0xE0 && a <= 0xEF) {
        if (!is_continuation(b) || !is_continuation(at(2))) return 0;
        if ((a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F)) return 0;
        return 3;
    }
    if (a >= 0xF0 && a <= 0xF4) {
        if (!is_continuation(b) || !is_continuation(at(2)) || !is_continuation(at(3))) return 0;
        if ((a == 0xF0 && b < 0x90) || (a == 0xF4 && b > 0x8F)) return 0;
        return 4;
    }
    return 0;
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        const auto special = std::find_if_not(text.begin(), text.end(), [](char c) {
            return is_plain(static_cast<unsigned char>(c));
        });
        const auto plain = static_cast<std::size_t>(special - text.begin());
        out.append(text.substr(0, plain));
        text.remove_prefix(plain);
        if (text.empty()) break;
        const auto c = static_cast<unsigned char>(text.front());
        const std::size_t n = utf8_sequence(text);
        if (c < 0x80)
            append_escaped(out, c);
        else
            out.append(n > 0 ? text.substr(0, n) : kReplacementCharacter);
        text.remove_prefix(std::max<std::size_t>(n, 1));
    }
    out += '"';
}

std::string json_quote(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

std::string rfc3339(WallTime time) {
    constexpr std::int64_t kFirst = -62'167'219'200'000; // 0000-01-01
    constexpr std::int64_t kLast = 253'402'300'799'999;  // 9999-12-31T23:59:59.999
    const auto ms = std::chrono::milliseconds(std::clamp(time.ms, kFirst, kLast));
    const auto days = std::chrono::floor<std::chrono::days>(ms);
    const std::chrono::year_month_day date{std::chrono::sys_days(days)};
    const auto rest = (ms - days).count();
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       rest / 3'600'000, rest / 60'000 % 60, rest / 1000 % 60, rest % 1000);
}

void JsonWriter::before_value() {
    if (comma_) out_ += ',';
    comma_ = true;
}

JsonWriter& JsonWriter::open(char bracket) {
    before_value();
    out_ += bracket;
    comma_ = false;
    ++depth_;
    return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
    assert(depth_ > 0);
    --depth_;
    out_ += bracket;
    comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    before_value();
    append_json_string(out_, name);
    out_ += ':';
    comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    before_value();
    out_.append(json);
    return *this;
}

JsonWriter& JsonWriter::null() { return raw("null"); }
JsonWriter& JsonWriter::value(bool b) { return raw(b ? "true" : "false"); }

JsonWriter& JsonWriter::value(double number) {
    if (!std::isfinite(number)) return null();
    before_value();
    // Whole numbers without exponent or fraction, as people and JavaScript write them.
    if (number == std::trunc(number) && std::abs(number) < 1e15)
        fmt::format_to(std::back_inserter(out_), "{}", static_cast<std::int64_t>(number));
    else
        fmt::format_to(std::back_inserter(out_), "{}", number);
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
    before_value();
    append_json_string(out_, text);
    return *this;
}

JsonWriter& JsonWriter::value(WallTime time) {
    if (time.ms == 0) return null();
    before_value();
    out_ += '"';
    out_ += rfc3339(time);
    out_ += '"';
    return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t number) {
    before_value();
    out_ += fmt::format_int(number).c_str();
    return *this;
}

JsonWriter& JsonWriter::unsigned_integer(std::uint64_t number) {
    before_value();
    out_ += fmt::format_int(number).c_str();
    return *this;
}

} // namespace keepwell
