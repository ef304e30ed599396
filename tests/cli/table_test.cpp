#include "supervisor/cli/table.h"

#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

Table sample() {
    Table table({{"NAME"}, {"KIND", 1}, {"REASON"}});
    table.add({{"web", Colour::None, "●"},
               {"child", Colour::None, {}},
               {"the quick brown fox jumps over the dog", Colour::None, {}}});
    return table;
}

Style width(int columns) {
    Style style;
    style.terminal = true;
    style.width = columns;
    return style;
}

TEST(Table, InAPipeNothingIsCutOrLeftOut) {
    Style style;
    style.width = 10;
    EXPECT_EQ(sample().render(style, true),
              "NAME   KIND   REASON\n"
              "● web  child  the quick brown fox jumps over the dog\n");
}

TEST(Table, OnATerminalOnlyTheLastColumnIsCutFirst) {
    EXPECT_EQ(sample().render(width(44), true), "NAME   KIND   REASON\n"
                                                "● web  child  the quick brown fox jumps ove…\n");
}

TEST(Table, ColumnsGiveWayWhenTheReasonHasNoRoom) {
    EXPECT_EQ(sample().render(width(36), true), "NAME   REASON\n"
                                                "● web  the quick brown fox jumps ov…\n");
}

TEST(Table, NeverWiderThanTheTerminal) {
    for (int columns = 20; columns < 80; ++columns) {
        const std::string text = sample().render(width(columns), true);
        std::size_t from = 0;
        for (std::size_t end = text.find('\n'); end != std::string::npos;
             from = end + 1, end = text.find('\n', from)) {
            EXPECT_LE(display_width(text.substr(from, end - from)), columns);
        }
    }
}

} // namespace
} // namespace keepwell::cli
