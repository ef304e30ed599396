#include "supervisor/import/monit_pattern.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace keepwell::importer {

namespace {

constexpr std::size_t kShortest = 3; // letters; less would find anything
constexpr std::size_t kMostPatterns = 50;

bool is_one_of(char c, std::string_view all) { return all.find(c) != std::string_view::npos; }

// Behind the character at `i`; the text is UTF-8.
std::size_t behind_character(std::string_view text, std::size_t i) {
    do ++i;
    while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U);
    return i;
}

// Behind the bracket expression or group that begins at `i`.
std::size_t behind_brackets(std::string_view regex, std::size_t i) {
    if (regex[i] == '[') {
        // A ] that stands first is a member.
        const std::size_t from = i + (i + 1 < regex.size() && regex[i + 1] == '^' ? 3 : 2);
        const std::size_t end = regex.find(']', from);
        return end == std::string_view::npos ? regex.size() : end + 1;
    }
    std::size_t depth = 0;
    while (i < regex.size()) {
        if (regex[i] == '\\') {
            i += 2;
            continue;
        }
        if (regex[i] == '[') {
            i = behind_brackets(regex, i);
            continue;
        }
        if (regex[i] == '(') ++depth;
        if (regex[i] == ')' && --depth == 0) return i + 1;
        ++i;
    }
    return regex.size();
}

// One alternative as a glob.
class Alternative {
  public:
    explicit Alternative(std::string_view regex) {
        if (regex.starts_with('^')) {
            begins_ = true;
            regex.remove_prefix(1);
        }
        if (regex.ends_with('$') && !regex.ends_with("\\$")) {
            ends_ = true;
            regex.remove_suffix(1);
        }
        for (std::size_t i = 0; i < regex.size();) i = atom(regex, i);
    }

    // "" when there is too little to look for.
    std::string pattern() const {
        if (letters_ < kShortest) return "";
        if (!wild_ && !begins_ && !ends_) return glob_;
        const bool open = !begins_ && !glob_.starts_with('*');
        const bool open_end = !ends_ && !glob_.ends_with('*');
        return (open ? "*" : "") + glob_ + (open_end ? "*" : "");
    }
    bool exact() const { return exact_; }

  private:
    // Takes one atom with its quantifier; gives the place behind it.
    std::size_t atom(std::string_view regex, std::size_t i) {
        const char c = regex[i];
        std::size_t next = behind_character(regex, i);
        std::string_view letter = regex.substr(i, next - i);
        bool plain = !is_one_of(c, "\\.[](){}+?*^$|");
        if (c == '\\' && next < regex.size()) {
            i = std::exchange(next, behind_character(regex, next));
            letter = regex.substr(i, next - i);
            plain = letter.size() > 1 || std::ispunct(static_cast<unsigned char>(letter[0])) != 0;
        } else if (c == '[' || c == '(') {
            next = behind_brackets(regex, i);
        }
        const std::size_t behind = quantifier(regex, next);
        const std::string_view often = regex.substr(next, behind - next);
        if (plain && often.empty()) {
            literal(letter);
        } else if (c == '.' && (often.empty() || often == "*" || often == "+")) {
            wildcard(often.empty() ? "?" : often == "+" ? "?*" : "*");
        } else {
            exact_ = false;
            wildcard("*");
        }
        return behind;
    }
    static std::size_t quantifier(std::string_view regex, std::size_t i) {
        while (i < regex.size() && is_one_of(regex[i], "*+?{")) {
            if (regex[i] == '{') i = std::min(regex.find('}', i), regex.size() - 1);
            ++i;
        }
        return std::min(i, regex.size());
    }
    void literal(std::string_view letter) {
        // A real star would be a glob's.
        if (letter == "*" || letter == "?") {
            wildcard("?");
            return;
        }
        glob_ += letter;
        letters_ += letter == " " ? 0 : 1;
    }
    void wildcard(std::string_view glob) {
        wild_ = true;
        if (glob != "*" || !glob_.ends_with('*')) glob_ += glob;
    }

    std::string glob_;
    std::size_t letters_ = 0;
    bool begins_ = false, ends_ = false, wild_ = false, exact_ = true;
};

// The next | outside of brackets.
std::size_t bar_in(std::string_view regex) {
    std::size_t i = 0;
    while (i < regex.size() && regex[i] != '|') {
        if (is_one_of(regex[i], "[(")) {
            i = behind_brackets(regex, i);
        } else {
            i += regex[i] == '\\' ? 2 : 1;
        }
    }
    return i < regex.size() ? i : std::string_view::npos;
}

} // namespace

ProcessPatterns process_patterns(std::string_view regex) {
    ProcessPatterns result;
    while (true) {
        const std::size_t bar = bar_in(regex);
        const Alternative one(regex.substr(0, bar));
        const std::string pattern = one.pattern();
        if (pattern.empty() || result.patterns.size() == kMostPatterns) return {{}, false};
        result.exact = result.exact && one.exact();
        result.patterns.push_back(pattern);
        if (bar == std::string_view::npos) return result;
        regex.remove_prefix(bar + 1);
    }
}

} // namespace keepwell::importer
