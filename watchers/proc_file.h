// Reading small files of /proc in one go, and taking numbers from them. Never throws but bad_alloc.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace keepwell {

// The whole file, at most `limit` bytes; nullopt when it cannot be opened or read (gone, no right).
std::optional<std::string> read_proc_file(const std::string& path, std::size_t limit = 64U << 10);

// The next word, taken off the front of `text` with the blanks before it; empty at the end.
inline std::string_view take_word(std::string_view& text) noexcept {
    const auto start = text.find_first_not_of(" \t\n");
    if (start == std::string_view::npos) return text = {};
    const auto end = std::min(text.find_first_of(" \t\n", start), text.size());
    const auto word = text.substr(start, end - start);
    text.remove_prefix(end);
    return word;
}

template <class T>
std::optional<T> to_number(std::string_view word) noexcept {
    T value{};
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
    return value;
}

} // namespace keepwell
