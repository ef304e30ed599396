#include "supervisor/cli/table.h"

#include <algorithm>

namespace keepwell::cli {

namespace {

constexpr int kGap = 2;
constexpr int kLeastLast = 28; // the last column says why; below this, others give way

int cell_width(const Cell& cell) {
    return display_width(cell.text) + (cell.mark.empty() ? 0 : display_width(cell.mark) + 1);
}

std::string draw(const Cell& cell, int width, const Style& style) {
    std::string out;
    if (!cell.mark.empty()) {
        out = paint(cell.mark, cell.colour, style) + " ";
        width -= display_width(cell.mark) + 1;
        return out + pad(style.terminal ? fit(cell.text, width, style) : cell.text, width);
    }
    const std::string text = style.terminal ? fit(cell.text, width, style) : cell.text;
    out = paint(text, cell.colour, style);
    const int missing = width - display_width(text);
    if (missing > 0) out.append(static_cast<std::size_t>(missing), ' ');
    return out;
}

} // namespace

std::vector<int> Table::widths(const Style& style, bool heading) const {
    std::vector<int> out;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
        int width = heading ? display_width(columns_[c].title) : 0;
        for (const auto& row : rows_) width = std::max(width, cell_width(row[c]));
        if (style.terminal && columns_[c].limit > 0) width = std::min(width, columns_[c].limit);
        out.push_back(width);
    }
    return out;
}

std::vector<bool> Table::visible(const std::vector<int>& widths, const Style& style) const {
    std::vector<bool> shown(columns_.size(), true);
    if (!style.terminal) return shown;
    const int last = std::min(widths.back(), kLeastLast);
    for (;;) {
        int used = last;
        std::size_t next = columns_.size();
        for (std::size_t c = 0; c + 1 < columns_.size(); ++c) {
            if (!shown[c]) continue;
            used += widths[c] + kGap;
            const bool first = next == columns_.size() || columns_[c].drop < columns_[next].drop;
            if (columns_[c].drop > 0 && first) next = c;
        }
        if (used <= style.width || next == columns_.size()) return shown;
        shown[next] = false;
    }
}

std::string Table::render(const Style& style, bool heading) const {
    std::vector<int> width = widths(style, heading);
    const std::vector<bool> shown = visible(width, style);
    if (style.terminal) {
        int used = 0;
        for (std::size_t c = 0; c + 1 < width.size(); ++c) used += shown[c] ? width[c] + kGap : 0;
        width.back() = std::max(1, std::min(width.back(), style.width - used));
    }
    std::string out;
    const auto line = [&](const std::vector<Cell>& cells) {
        std::string text;
        for (std::size_t c = 0; c < cells.size(); ++c) {
            if (!shown[c]) continue;
            if (!text.empty()) text.append(kGap, ' ');
            text += draw(cells[c], width[c], style);
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + "\n";
    };
    if (heading) {
        std::vector<Cell> titles;
        for (const auto& column : columns_) titles.push_back({column.title, Colour::Bold, {}});
        line(titles);
    }
    for (const auto& row : rows_) line(row);
    return out;
}

} // namespace keepwell::cli
