#include "supervisor/import/monit_lexer.h"

#include <algorithm>
#include <set>

namespace keepwell::importer {

namespace {

constexpr std::size_t kDeepest = 16;
constexpr std::size_t kMostFiles = 1000;
constexpr std::string_view kOperators = "=!<>";
constexpr std::string_view kBrackets = "{}()[],;";

bool is_noise(const std::string& small) {
    static const std::set<std::string> words = {"is",     "as",  "are",  "on",   "only",  "with",
                                                "within", "and", "has",  "have", "using", "use",
                                                "the",    "to",  "than", "by",   "of"};
    return words.contains(small);
}

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

} // namespace

MonitLexer::MonitLexer(std::string path, std::string text, config::FileSource& source, Notes& notes)
    : source_(source), notes_(notes) {
    files_.push_back({std::move(path), std::move(text)});
}

const Token& MonitLexer::peek() {
    while (!ahead_) {
        Token token = read();
        if (token.kind != TokenKind::Word || !is_noise(token.small))
            ahead_ = std::make_unique<Token>(std::move(token));
    }
    return *ahead_;
}

Token MonitLexer::next() {
    static_cast<void>(peek());
    return std::move(*std::exchange(ahead_, nullptr));
}

void MonitLexer::skip_space(File& file) {
    bool comment = false;
    for (; file.at < file.text.size(); ++file.at) {
        const char c = file.text[file.at];
        if (c == '\n') {
            ++file.line;
            file.fresh = true;
            comment = false;
        } else if (!comment && c == '#') {
            comment = true;
        } else if (!comment && !is_space(c)) {
            return;
        }
    }
}

Token MonitLexer::quoted(File& file) {
    Token token{TokenKind::String, "", "", here(file), file.fresh};
    const char quote = file.text[file.at];
    std::size_t end = file.text.find(quote, file.at + 1);
    // \" does not end a string.
    while (end != std::string::npos && file.text[end - 1] == '\\')
        end = file.text.find(quote, end + 1);
    if (end == std::string::npos) {
        end = std::min(file.text.find('\n', file.at), file.text.size());
        notes_.cannot(token.place, shortened(file.text.substr(file.at, end - file.at)),
                      std::string("the quote ") + quote + " is not closed");
        token.text = file.text.substr(file.at + 1, end - file.at - 1);
        file.at = end;
        return token;
    }
    token.text = file.text.substr(file.at + 1, end - file.at - 1);
    file.line += static_cast<std::uint32_t>(std::ranges::count(token.text, '\n'));
    file.at = end + 1;
    const std::string escaped = std::string("\\") + quote;
    for (std::size_t at = token.text.find(escaped); at != std::string::npos;
         at = token.text.find(escaped, at + 1))
        token.text.erase(at, 1);
    return token;
}

Token MonitLexer::word(File& file) {
    Token token{TokenKind::Word, "", "", here(file), file.fresh};
    const std::size_t begin = file.at;
    bool path = file.text[begin] == '/';
    for (; file.at < file.text.size(); ++file.at) {
        const char c = file.text[file.at];
        if (is_space(c) || c == '"' || c == '#' || kBrackets.find(c) != std::string_view::npos)
            break;
        if (!path && kOperators.find(c) != std::string_view::npos) break;
        path = path || (c == '/' && file.at > begin && file.text[file.at - 1] == '/');
    }
    token.text = file.text.substr(begin, file.at - begin);
    token.small = lower(token.text);
    return token;
}

Token MonitLexer::read() {
    while (true) {
        File& file = files_.back();
        skip_space(file);
        if (file.at < file.text.size()) break;
        if (files_.size() == 1) return {TokenKind::End, "", "", here(file), true};
        files_.pop_back();
        files_.back().fresh = true;
    }
    File& file = files_.back();
    const char c = file.text[file.at];
    Token token;
    if (c == '"' || c == '\'') {
        token = quoted(file);
    } else if (kBrackets.find(c) != std::string_view::npos) {
        token = {TokenKind::Symbol, std::string(1, c), "", here(file), file.fresh};
        ++file.at;
    } else if (kOperators.find(c) != std::string_view::npos) {
        const std::size_t end =
            std::min(file.text.find_first_not_of(kOperators, file.at), file.text.size());
        token = {TokenKind::Symbol, file.text.substr(file.at, end - file.at), "", here(file),
                 file.fresh};
        file.at = end;
    } else {
        token = word(file);
    }
    file.fresh = false;
    return token;
}

void MonitLexer::skip_braces() {
    if (peek().text != "{" || peek().kind != TokenKind::Symbol) return;
    const Place place = peek().place;
    ahead_.reset();
    File& file = files_.back();
    std::size_t end = file.text.find('}', file.at);
    if (end == std::string::npos) {
        notes_.cannot(place, "what follows", "the { is not closed");
        end = file.text.size() - 1;
    }
    for (; file.at <= end && file.at < file.text.size(); ++file.at) {
        if (file.text[file.at] == '\n') ++file.line;
    }
}

void MonitLexer::include(const std::string& pattern, const Place& place) {
    auto files = source_.match(below(folder_of(place.file), pattern));
    if (files.empty() && pattern.find_first_of("*?[") == std::string::npos)
        notes_.cannot(place, "include " + shortened(pattern), "there is no such file");
    if (files_.size() > kDeepest) {
        notes_.cannot(place, "include " + shortened(pattern),
                      "files include each other too deeply");
        return;
    }
    std::ranges::reverse(files); // the first one is read first, so it is put there last
    for (const std::string& file : files) {
        if (++included_ > kMostFiles) {
            notes_.cannot(place, "include " + shortened(pattern), "1000 files are the most");
            return;
        }
        auto text = read_source(file, source_, notes_);
        if (text) {
            files_.push_back({file, std::move(*text)});
        } else {
            notes_.cannot(place, "include " + shortened(pattern), text.error().message);
        }
    }
}

} // namespace keepwell::importer
