#include "supervisor/cli/completion.h"
#include "supervisor/cli/help.h"
#include "tests/cli/support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

class Completing : public testing::Test {
  protected:
    std::vector<std::string> offers(const std::vector<std::string>& words) {
        const auto completion = complete(tree, words, [&] {
            ++asked;
            return known;
        });
        files = completion.files;
        std::vector<std::string> out;
        for (const auto& candidate : completion.candidates) out.push_back(candidate.value);
        return out;
    }
    CommandTree tree = command_tree();
    KnownNames known{
        {{"web", "Web front", "site"}, {"worker@1", "worker@1", ""}}, {"web/http"}, {"deploy"}};
    bool files = false;
    int asked = 0;
};

TEST_F(Completing, EveryVerbAndEveryOptionOfTheParserIsOffered) {
    ASSERT_GT(tree.verbs.size(), 20U);
    for (const auto& verb : tree.verbs) {
        EXPECT_THAT(offers({""}), Contains(verb.name));
        for (const auto& alias : verb.aliases)
            EXPECT_THAT(offers({alias.substr(0, 1)}), Contains(alias));
        for (const auto& option : verb.options) {
            for (const auto& name : option.spellings)
                EXPECT_THAT(offers({verb.name, "-"}), Contains(name)) << verb.name;
        }
        for (const auto& option : tree.options) {
            for (const auto& name : option.spellings)
                EXPECT_THAT(offers({verb.name, "-"}), Contains(name)) << verb.name;
        }
    }
    EXPECT_EQ(asked, 0) << "verbs and options need no supervisor";
}

TEST_F(Completing, HiddenVerbsAreNotOffered) {
    EXPECT_THAT(offers({"su"}), ElementsAre("summary"));
}

TEST_F(Completing, NamesGroupsAndAllWhereNamesStand) {
    EXPECT_THAT(offers({"restart", ""}), UnorderedElementsAre("web", "worker@1", "site:*", "all"));
    EXPECT_THAT(offers({"restart", "web", ""}), UnorderedElementsAre("worker@1", "site:*"));
    EXPECT_THAT(offers({"--socket", "/x", "why", "wo"}), ElementsAre("worker@1"));
    EXPECT_THAT(offers({"check", "web"}), ElementsAre("web", "web/http"));
    EXPECT_THAT(offers({"check", "--disable", ""}), ElementsAre("web/http"));
    EXPECT_THAT(offers({"check", "--disable=w"}), ElementsAre("--disable=web/http"));
    EXPECT_THAT(offers({"signal", "HUP", "we"}), ElementsAre("web"));
}

TEST_F(Completing, ValuesThatAreNoNames) {
    EXPECT_THAT(offers({"signal", "H"}), ElementsAre("HUP"));
    EXPECT_THAT(offers({"completion", ""}), ElementsAre("bash", "zsh", "fish"));
    EXPECT_THAT(offers({"help", "res"}), UnorderedElementsAre("restart", "resume", "reset"));
    EXPECT_THAT(offers({"history", "web", "--range", ""}), ElementsAre("1h", "24h", "7d", "90d"));
    EXPECT_THAT(offers({"logs", "--level", ""}), ElementsAre("error", "warn", "info", "debug"));
    EXPECT_THAT(offers({"token", ""}), ElementsAre("add", "list", "revoke"));
    EXPECT_THAT(offers({"token", "add", ""}), IsEmpty());
    EXPECT_EQ(asked, 0);
    EXPECT_THAT(offers({"token", "revoke", ""}), ElementsAre("deploy"));
    EXPECT_THAT(offers({"token", "revoke", "deploy", ""}), IsEmpty());
    EXPECT_THAT(offers({"run", "-c", ""}), IsEmpty());
    EXPECT_TRUE(files);
}

TEST_F(Completing, AnOptionIsNotOfferedTwiceAndNothingBehindAnUnknownVerb) {
    EXPECT_THAT(offers({"logs", "-f", "-"}), Not(Contains("--follow")));
    EXPECT_THAT(offers({"run", "-c", "a", "-"}), Contains("-c"));
    EXPECT_THAT(offers({"frobnicate", ""}), IsEmpty());
    EXPECT_THAT(offers({"version", ""}), IsEmpty());
}

TEST(Completion, ALineOfBashAsWords) {
    EXPECT_THAT(split_line("keepwell restart 'a b' c\\ d \"e"),
                ElementsAre("keepwell", "restart", "a b", "c d", "e"));
    EXPECT_THAT(split_line("keepwell restart "), ElementsAre("keepwell", "restart", ""));
}

TEST(Completion, WithoutASupervisorItIsSilent) {
    const Ran ran = run({"__complete", "zsh", "restart", ""}, {},
                        {{"KEEPWELL_SOCKET", "/nonexistent/control.sock"}});
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.out + ran.err, "");
}

TEST(Help, EveryExampleIsUnderstood) {
    for (const auto& example : examples()) {
        auto words = split_line("keepwell " + std::string(example.line));
        const auto end = std::find_if(words.begin(), words.end(),
                                      [](const auto& w) { return w == "||" || w == "|"; });
        words.erase(end, words.end());
        std::vector<const char*> argv;
        argv.reserve(words.size());
        for (const auto& word : words) argv.push_back(word.c_str());
        const auto parsed = parse_options(static_cast<int>(argv.size()), argv.data());
        EXPECT_TRUE(parsed.options) << example.line << ": " << parsed.text;
    }
}

TEST(Help, EveryVerbHasAPageThatFits80Columns) {
    const CommandTree tree = command_tree();
    for (const auto& verb : tree.verbs) {
        const Ran ran = run({"help", verb.name});
        EXPECT_EQ(ran.code, 0);
        EXPECT_EQ(run({verb.name, "--help"}).out, ran.out);
        std::istringstream lines(ran.out + whole_help(tree) + short_help());
        for (std::string line; std::getline(lines, line);)
            EXPECT_LE(display_width(line), 80) << line;
        for (const auto& option : verb.options)
            EXPECT_THAT(ran.out, HasSubstr(option.spellings.back()));
    }
}

} // namespace
} // namespace keepwell::cli
