// "if … then …" of monit, and what reading any statement needs.
//
// Part of the parser: everything here consumes tokens and never fails; what is not understood
// becomes a note and nullopt.
#pragma once

#include "supervisor/import/monit_parser.h"

namespace keepwell::importer {

// The tokens, with the text of the present statement for notes.
class MonitReader {
  public:
    explicit MonitReader(MonitLexer& lexer) : lexer_(lexer) {}

    void begin_statement() { statement_.clear(); }
    std::string statement() const { return shortened(statement_); }
    const Token& peek() { return lexer_.peek(); }
    Token next();
    bool at_end() { return peek().kind == TokenKind::End; }
    bool at_statement(); // the next token begins one
    bool accept(std::string_view word_or_symbol);
    void skip_braces() { lexer_.skip_braces(); }
    void include(); // behind the word itself

    // Nullopt, and nothing consumed, when no number is next.
    std::optional<std::uint64_t> number();
    std::uint64_t seconds(); // "30 seconds", "2 minutes"; 0 when there is none
    MonitAmount amount();    // "> 300 MB", "greater than 60%"

  private:
    MonitLexer& lexer_;
    std::string statement_;
};

class MonitRuleParser {
  public:
    MonitRuleParser(MonitReader& reader, Notes& notes) : in_(reader), notes_(notes) {}
    std::optional<MonitRule> parse(const Place& place); // behind the word if

  private:
    bool condition(MonitRule&);
    bool failed(MonitRule&);
    bool connection_word(MonitConnection&, const Token&);
    bool resource(MonitRule&, const std::string& first);
    void rate(MonitRate&);
    bool action(MonitRule&);
    void rest_of_rule(bool acted);
    std::string text() { return in_.at_end() ? "" : in_.next().text; }

    MonitReader& in_;
    Notes& notes_;
};

} // namespace keepwell::importer
