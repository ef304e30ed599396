// Tokens of the monit control language, over included files as if they stood where they are named.
//
// Noise words (is, as, with, within, and …) are skipped here, as monit does. A quote that is not
// closed ends with its line and is noted. Lazy: a token is read when it is asked for, so that
// include() and skip_braces() act directly behind the last token that was taken.
#pragma once

#include "supervisor/import/source_text.h"

#include <memory>
#include <string>
#include <vector>

namespace keepwell::importer {

enum class TokenKind { Word, String, Symbol, End };

struct Token {
    TokenKind kind = TokenKind::End;
    std::string text;
    std::string small; // of a word: in small letters, else ""
    Place place;
    bool first = false; // of its line
};

class MonitLexer {
  public:
    MonitLexer(std::string path, std::string text, config::FileSource&, Notes&);

    const Token& peek();
    Token next();
    // A { … } with whatever is between, when one is next.
    void skip_braces();
    // The files of a pattern, which is relative to the file that is being read, come next.
    void include(const std::string& pattern, const Place&);

  private:
    struct File {
        std::string path, text;
        std::size_t at = 0;
        std::uint32_t line = 1;
        bool fresh = true; // nothing on this line yet
    };

    Token read();
    void skip_space(File&);
    Token quoted(File&);
    Token word(File&);
    Place here(const File& file) const { return {file.path, file.line}; }

    std::vector<File> files_; // the innermost last
    config::FileSource& source_;
    Notes& notes_;
    std::unique_ptr<Token> ahead_;
    std::size_t included_ = 0;
};

} // namespace keepwell::importer
