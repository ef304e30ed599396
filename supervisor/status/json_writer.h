// JsonWriter: appends JSON to a string, one token after another, commas and nesting included.
//
// The result is always valid JSON text as long as the calls nest (checked by assert): strings are
// escaped, control characters become \u00XX, bytes that are not UTF-8 become U+FFFD, NaN and
// infinities become null, and a WallTime of 0 becomes null. Times are RFC 3339 UTC with
// milliseconds and `Z`. The writer does not own the string; nothing here throws but bad_alloc.
#pragma once

#include "units/time.h"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

// "2025-10-27T12:00:00.000Z"; the years 0 to 9999, what lies outside is clamped.
std::string rfc3339(WallTime);
// Appends "text" with its quotes, escaped.
void append_json_string(std::string& out, std::string_view text);
std::string json_quote(std::string_view text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD"; // U+FFFD
// Length of the well-formed UTF-8 sequence at the front of the text, 0 when there is none.
std::size_t utf8_sequence(std::string_view text);

class JsonWriter {
  public:
    explicit JsonWriter(std::string& out) : out_(out) {}
    JsonWriter(const JsonWriter&) = delete;
    JsonWriter& operator=(const JsonWriter&) = delete;

    JsonWriter& begin_object() { return open('{'); }
    JsonWriter& end_object() { return close('}'); }
    JsonWriter& begin_array() { return open('['); }
    JsonWriter& end_array() { return close(']'); }
    JsonWriter& key(std::string_view name);

    JsonWriter& null();
    JsonWriter& value(bool);
    JsonWriter& value(double); // shortest text that reads back as the same number
    JsonWriter& value(std::string_view);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
    JsonWriter& value(WallTime);
    template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>) JsonWriter& value(T number) {
        if constexpr (std::is_signed_v<T>)
            return integer(static_cast<std::int64_t>(number));
        else
            return unsigned_integer(static_cast<std::uint64_t>(number));
    }
    template <class T>
    JsonWriter& value(const std::optional<T>& maybe) {
        return maybe ? value(*maybe) : null();
    }
    template <class T>
    JsonWriter& value(const std::vector<T>& items) {
        begin_array();
        for (const auto& item : items) value(item);
        return end_array();
    }
    // A complete JSON value made elsewhere, copied as it is.
    JsonWriter& raw(std::string_view json);

    template <class T>
    JsonWriter& member(std::string_view name, const T& v) {
        key(name);
        return value(v);
    }
    JsonWriter& null_member(std::string_view name) { return key(name).null(); }
    JsonWriter& raw_member(std::string_view name, std::string_view json) {
        return key(name).raw(json);
    }

  private:
    JsonWriter& open(char);
    JsonWriter& close(char);
    JsonWriter& integer(std::int64_t);
    JsonWriter& unsigned_integer(std::uint64_t);
    void before_value();

    std::string& out_;
    std::size_t depth_ = 0;
    bool comma_ = false; // a value stands before this place in the same object or array
};

} // namespace keepwell
