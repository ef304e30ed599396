#include "supervisor/feeds/line_text.h"

#include "supervisor/status/json_writer.h"

#include <algorithm>

namespace keepwell::feeds {
namespace {

bool is_plain(unsigned char c) { return (c >= 0x20 && c < 0x7F) || c == '\t' || c == '\n'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// C1 controls, and marks that turn the direction of the text around them.
bool is_obeyed(std::string_view sequence) {
    if (sequence.size() == 2)
        return sequence[0] == '\xC2' && static_cast<unsigned char>(sequence[1]) < 0xA0;
    if (sequence.size() != 3 || !sequence.starts_with('\xE2')) return false;
    const auto b = static_cast<unsigned char>(sequence[1]);
    const auto c = static_cast<unsigned char>(sequence[2]);
    const bool separators = b == 0x80 && (c == 0xA8 || c == 0xA9);
    const bool embeddings = b == 0x80 && (c == 0x8E || c == 0x8F || (c >= 0xAA && c <= 0xAE));
    const bool isolates = b == 0x81 && c >= 0xA6 && c <= 0xA9;
    return separators || embeddings || isolates;
}

std::string picture(unsigned char c) { // U+2400 and so on
    const unsigned char low = c == 0x7F ? 0x21 : c;
    return {'\xE2', '\x90', static_cast<char>(0x80 + low)};
}

} // namespace

std::string shown_text(std::string_view raw) {
    if (raw.ends_with('\r')) raw.remove_suffix(1);
    const auto odd = std::ranges::find_if_not(
        raw, [](char c) { return is_plain(static_cast<unsigned char>(c)); });
    std::string out(raw.begin(), odd);
    raw.remove_prefix(out.size());
    while (!raw.empty()) {
        const std::size_t n = utf8_sequence(raw);
        const auto c = static_cast<unsigned char>(raw.front());
        if (n == 1 && is_plain(c))
            out += raw.front();
        else if (n == 1)
            out += picture(c);
        else if (n == 0 || is_obeyed(raw.substr(0, n)))
            out += kReplacementCharacter;
        else
            out += raw.substr(0, n);
        raw.remove_prefix(std::max<std::size_t>(n, 1));
    }
    return out;
}

Literal::Literal(std::string_view text) : text_(text), borders_(text.size()) {
    std::ranges::transform(text_, text_.begin(), lower);
    for (std::size_t i = 1, n = 0; i < text_.size(); ++i) {
        while (n > 0 && text_[i] != text_[n]) n = borders_[n - 1];
        if (text_[i] == text_[n]) ++n;
        borders_[i] = n;
    }
}

bool Literal::found_in(std::string_view text) const { // Knuth, Morris and Pratt
    if (text_.empty()) return true;
    std::size_t n = 0; // so much of it ends here
    for (const char raw : text) {
        const char c = lower(raw);
        while (n > 0 && c != text_[n]) n = borders_[n - 1];
        if (c == text_[n] && ++n == text_.size()) return true;
    }
    return false;
}

bool LineFilter::wants(std::optional<LogLevel> of_line, std::string_view shown) const {
    if (level && (!of_line || *of_line > *level)) return false;
    if (!literal.found_in(shown)) return false;
    return !pattern || pattern->found_in(shown);
}

void append_line_json(std::string& to, const FeedSource& source,
                      std::optional<std::int64_t> time_ms, std::optional<LogLevel> level,
                      std::string_view shown) {
    JsonWriter w(to);
    w.begin_object().member("timestamp", WallTime{time_ms.value_or(0)}).member("message", shown);
    w.member("type", "log").key("level");
    if (level)
        w.value(to_string(*level));
    else
        w.null();
    w.member("daemon", source.unit).member("stream", source.stream);
    if (level == LogLevel::Error) w.member("error", true);
    w.end_object();
}

} // namespace keepwell::feeds
