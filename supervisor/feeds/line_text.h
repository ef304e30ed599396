// What of a log line may leave the machine: redacted, valid UTF-8, and with nothing in it that a
// terminal or a page would obey: control characters become their pictures (␛), those that turn the
// direction of text become U+FFFD. Tabs and the newlines of a journal entry stay. Pure.
#pragma once

#include "supervisor/feeds/feed_source.h"
#include "supervisor/logs/pattern.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::feeds {

std::string shown_text(std::string_view raw);

// A text to look for, in any case of ASCII letters. A search takes time linear in the text that is
// searched, whatever is looked for: clients choose both.
class Literal {
  public:
    Literal() = default; // is in everything
    explicit Literal(std::string_view text);
    bool found_in(std::string_view) const;

  private:
    std::string text_;                 // in small letters
    std::vector<std::size_t> borders_; // of its first n + 1 bytes: how many begin and end them
};

// The lines that are asked for; on what is shown, so that nobody can guess at what is redacted.
struct LineFilter {
    std::optional<LogLevel> level; // that and worse
    Literal literal;
    std::optional<Pattern> pattern;
    bool wants(std::optional<LogLevel> level_of_line, std::string_view shown) const;
};

// {"timestamp","message","type":"log","level","daemon","stream"}, and "error":true of a bad one.
void append_line_json(std::string& to, const FeedSource&, std::optional<std::int64_t> time_ms,
                      std::optional<LogLevel>, std::string_view shown);

} // namespace keepwell::feeds
