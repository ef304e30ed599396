// Table: rows of cells laid out in columns for a terminal or a pipe.
//
// On a terminal the table fits its width: columns with a drop order are left out (lowest first)
// until the last column has room, then the last column is cut with …. In a pipe nothing is left out
// and nothing is cut. Cells must already be safe for a terminal.
#pragma once

#include "supervisor/cli/text.h"

#include <string>
#include <vector>

namespace keepwell::cli {

struct Cell {
    std::string text;
    Colour colour = Colour::None;
    std::string mark; // a symbol before the text, with a space
};

struct Column {
    std::string title;
    int drop = 0;  // 0 = always shown; lower goes first
    int limit = 0; // widest on a terminal; 0 = any
};

class Table {
  public:
    explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
    void add(std::vector<Cell> row) { rows_.push_back(std::move(row)); }
    // One line for each row, and the heading before them if asked for.
    std::string render(const Style&, bool heading) const;

  private:
    std::vector<bool> visible(const std::vector<int>& widths, const Style&) const;
    std::vector<int> widths(const Style&, bool heading) const;

    std::vector<Column> columns_;
    std::vector<std::vector<Cell>> rows_;
};

} // namespace keepwell::cli
