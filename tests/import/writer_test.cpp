// The TOML writer and what all importers share: whatever goes in, the loader reads back.
#include "import_support.h"
#include "supervisor/import/source_text.h"
#include "supervisor/import/toml_writer.h"

#include <cstdlib>
#include <random>

namespace keepwell::importer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The description of a unit after a round through writer and loader.
std::string round_trip(const std::string& text) {
    TomlDocument document;
    TomlTable unit;
    unit.set("command", toml::texts({"/bin/true", text}));
    document.table("unit.x", unit);
    const LoadResult loaded = load_toml(document.text());
    for (const ConfigMessage& error : loaded.errors) ADD_FAILURE() << to_string(error);
    if (loaded.config.units.empty()) return "?";
    return loaded.config.units[0].process.command.at(1);
}

TEST(TomlWriter, TextComesBackAsItWas) {
    ::setenv("A", "expanded", 1);
    for (const std::string text :
         {"", "plain", "\"quoted\" 'too'", "back\\slash \\u0041", "tab\tline\nend\r",
          "\x01\x1f\x7f", "$A ${A} $${A} $$A $", "$${A}$$", "${", "$$", "ünï © 漢字 🙂",
          "# no comment", "[x]", "a = b", "{ }", "\"\"\"", "'''"})
        EXPECT_EQ(round_trip(text), text);
    std::mt19937 random(3);
    const std::string letters = "$${}A\"\\'\n\t #=";
    for (int round = 0; round < 300; ++round) {
        std::string text;
        for (int i = 0; i < 12; ++i) text += letters[random() % letters.size()];
        EXPECT_EQ(round_trip(text), text);
    }
    ::unsetenv("A");
}

TEST(TomlWriter, KeysAreBareOnlyWhereTomlAllowsIt) {
    EXPECT_EQ(toml::key("web-1_X"), "web-1_X");
    EXPECT_EQ(toml::key("shop:production"), "\"shop:production\"");
    EXPECT_EQ(toml::key("a.b"), "\"a.b\"");
    EXPECT_EQ(toml::key(""), "\"\"");
}

TEST(TomlWriter, ACommentCannotEndEarly) {
    TomlDocument document;
    document.comment("one\n[unit.evil]\ncommand = [\"/bin/false\"]\x7f");
    EXPECT_EQ(errors_in(document.text()), "");
    EXPECT_TRUE(load_toml(document.text()).config.units.empty());
}

TEST(UnitNames, BecomeKeysThatTheLoaderTakes) {
    UnitNames names;
    EXPECT_EQ(names.add("web"), "web");
    EXPECT_EQ(names.add("Web"), "web-2");
    EXPECT_EQ(names.add("web-2"), "web-2-2");
    EXPECT_EQ(names.add("Shout It!"), "shout-it");
    EXPECT_EQ(names.add("a@1"), "a-1");
    EXPECT_EQ(names.add("..x"), "x");
    EXPECT_EQ(names.add("all"), "unit");
    EXPECT_EQ(names.add("漢字"), "unit-2");
    const std::string longest = names.add(std::string(200, 'y'));
    EXPECT_EQ(longest.size(), 63U);
    EXPECT_EQ(names.add(std::string(201, 'y')).size(), 63U);
    ASSERT_NE(names.find("Shout It!"), nullptr);
    EXPECT_EQ(*names.find("Shout It!"), "shout-it");
    EXPECT_EQ(names.find("nobody"), nullptr);
}

TEST(Words, AreSplitAsAShellDoes) {
    const auto words = [](const char* text) { return split_words(text).value(); };
    EXPECT_THAT(words("a 'b c' \"d\\\"e\" f\\ g \"\" h'i'j"),
                ElementsAre("a", "b c", "d\"e", "f g", "", "hij"));
    EXPECT_THAT(words("  \t\n "), ElementsAre());
    EXPECT_THAT(words("\"keep \\n\""), ElementsAre("keep \\n"));
    EXPECT_FALSE(split_words("open 'quote"));
    EXPECT_FALSE(split_words("open \"quote"));
}

TEST(Sizes, AreThoseOfTheLoader) {
    EXPECT_EQ(size_text("50MB"), "50M");
    EXPECT_EQ(size_text("300.0 mb"), "300.0M");
    EXPECT_EQ(size_text("4096"), "4096");
    EXPECT_EQ(size_text("1GB"), "1G");
    EXPECT_EQ(size_text("80%"), std::nullopt);
    EXPECT_EQ(size_text("MB"), std::nullopt);
    EXPECT_EQ(size_text("1.2.3M"), std::nullopt);
}

TEST(SourceText, WhatIsNoUtf8IsReplacedAndNoted) {
    const auto imported = import_text(
        Format::Procfile, std::string("# caf\xE9\nweb: run \xFF\xC0\x80") + '\0' + "\n");
    ASSERT_TRUE(imported) << imported.error().message;
    EXPECT_THAT(lines_of_notes(*imported),
                HasSubstr("/etc/source:1: cannot import some bytes: they are no UTF-8 text\n"));
    EXPECT_EQ(errors_in(imported->toml), "");
}

} // namespace
} // namespace keepwell::importer
