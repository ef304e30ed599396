#include "supervisor/cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

ParsedOptions parse(std::vector<std::string> words) {
    words.insert(words.begin(), "keepwell");
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    return parse_options(static_cast<int>(argv.size()), argv.data());
}

Options good(const std::vector<std::string>& words) {
    const auto parsed = parse(words);
    EXPECT_TRUE(parsed.options) << parsed.text;
    return parsed.options.value_or(Options{});
}

void expect_usage(const std::vector<std::string>& words, const std::string& says) {
    const auto parsed = parse(words);
    EXPECT_FALSE(parsed.options);
    EXPECT_EQ(parsed.code, 2);
    EXPECT_THAT(parsed.text, StartsWith("keepwell: "));
    EXPECT_THAT(parsed.text, HasSubstr(says));
    EXPECT_EQ(parsed.text.find('\n'), parsed.text.size() - 1) << "one line: " << parsed.text;
}

TEST(Options, EveryVerbOfTheIssueIsThere) {
    for (const char* verb : {"run", "status", "list", "ls", "summary", "health", "check", "checks",
                             "logs", "events", "validate", "reload", "shutdown", "version"}) {
        EXPECT_TRUE(parse({verb}).options) << verb;
    }
    for (const char* verb : {"show", "start", "stop", "restart", "why", "explain", "history",
                             "pause", "resume", "unmonitor", "monitor", "reset", "beat"}) {
        EXPECT_TRUE(parse({verb, "web"}).options) << verb;
        expect_usage({verb}, "name");
    }
    EXPECT_TRUE(parse({"signal", "HUP", "web"}).options);
    const Options import = good({"import", "monit", "monitrc", "-o", "keepwell.toml"});
    EXPECT_EQ(import.command, Command::Import);
    EXPECT_EQ(import.format + " " + import.source + " " + import.output,
              "monit monitrc keepwell.toml");
    expect_usage({"import", "teleport", "x"}, "teleport");
    expect_usage({"import", "monit"}, "file");
    const Options token = good({"token", "add", "deploy", "--scope", "read,control"});
    EXPECT_EQ(token.command, Command::Token);
    EXPECT_THAT(token.names, ElementsAre("deploy"));
    EXPECT_EQ(token.token_action + " " + token.scope, "add read,control");
    EXPECT_TRUE(good({"token", "list", "--json"}).json);
    expect_usage({"token", "add"}, "token add takes one name");
    expect_usage({"token", "list", "x"}, "token list takes no name");
    expect_usage({"token", "revoke", "x", "--scope", "read"}, "--scope goes with token add");
    EXPECT_TRUE(parse({"supervise", "-c", "x", "--keeper-fd", "3"}).options);
}

TEST(Options, AliasesMeanTheSameVerb) {
    EXPECT_EQ(good({"ls"}).command, Command::Status);
    EXPECT_EQ(good({"summary"}).command, Command::Status);
    EXPECT_EQ(good({"unmonitor", "web"}).command, Command::Pause);
    EXPECT_EQ(good({"monitor", "web"}).command, Command::Resume);
}

TEST(Options, GlobalOptionsStandBeforeOrAfterTheVerb) {
    EXPECT_EQ(good({"--socket", "/x", "status"}).socket, "/x");
    EXPECT_EQ(good({"status", "web", "--socket", "/x"}).socket, "/x");
    EXPECT_THAT(good({"run", "-c", "a", "-c", "b"}).config, ElementsAre("a", "b"));
    const Options o = good({"status", "-c", "a", "web"});
    EXPECT_THAT(o.config, ElementsAre("a"));
    EXPECT_THAT(o.names, ElementsAre("web"));
}

TEST(Options, ASignalAndThenNames) {
    const Options o = good({"signal", "SIGHUP", "web", "worker"});
    EXPECT_EQ(o.signal, "SIGHUP");
    EXPECT_THAT(o.names, ElementsAre("web", "worker"));
    expect_usage({"signal", "BOO", "web"}, "\"BOO\" is not a signal");
}

TEST(Options, NumbersAndDurations) {
    EXPECT_EQ(good({"logs", "-f", "-n", "5", "web"}).count, 5U);
    EXPECT_TRUE(good({"logs", "-f"}).follow);
    EXPECT_EQ(good({"pause", "web", "--for", "30m"}).pause_for, "30m");
    expect_usage({"pause", "web", "--for", "10 parsecs"}, "is not a duration (like 30m)");
    expect_usage({"logs", "-n", "many"}, "many");
    expect_usage({"logs", "-n", "-1"}, "-1");
}

TEST(Options, ChecksAreSwitchedByNameAndId) {
    EXPECT_EQ(good({"check", "--enable", "web/http"}).enable, "web/http");
    EXPECT_EQ(good({"check", "--disable", "web/http"}).disable, "web/http");
    expect_usage({"check", "--disable", "web"}, "NAME/ID");
    expect_usage({"check", "--disable", "a/b", "--enable", "a/b"}, "excludes");
}

TEST(Options, AnUnknownVerbIsUsageWithAGuess) {
    expect_usage({"satus"}, "unknown verb \"satus\" (did you mean status?)");
    expect_usage({"frobnicate"}, "see keepwell help");
    expect_usage({"help", "frobnicate"}, "unknown verb");
}

TEST(Options, AnUnknownOptionIsUsageAndNamesTheHelp) {
    expect_usage({"status", "--colour-of-the-sky"}, "--colour-of-the-sky");
    expect_usage({"status", "--colour-of-the-sky"}, "see keepwell help status");
}

TEST(Options, NoVerbShowsTheHelpAndIsUsage) {
    const auto parsed = parse({});
    EXPECT_EQ(parsed.code, 2);
    EXPECT_THAT(parsed.text, HasSubstr("restart"));
}

TEST(Options, HelpIsForStandardOutputAndHidesTheInternalVerb) {
    for (const auto& words : std::vector<std::vector<std::string>>{{"help"}, {"--help"}, {"-h"}}) {
        const auto parsed = parse(words);
        EXPECT_EQ(parsed.code, 0);
        EXPECT_THAT(parsed.text, HasSubstr("why"));
        EXPECT_THAT(parsed.text, testing::Not(HasSubstr("keeper-fd")));
        EXPECT_THAT(parsed.text, testing::Not(HasSubstr("supervise ")));
    }
    for (const auto& words :
         std::vector<std::vector<std::string>>{{"help", "logs"}, {"logs", "--help"}}) {
        const auto parsed = parse(words);
        EXPECT_EQ(parsed.code, 0);
        EXPECT_THAT(parsed.text, HasSubstr("--follow"));
    }
}

TEST(Options, VersionByVerbAndByFlag) {
    EXPECT_EQ(good({"version"}).command, Command::Version);
    EXPECT_THAT(parse({"--version"}).text, StartsWith("keepwell "));
    EXPECT_EQ(parse({"--version"}).code, 0);
}

} // namespace
} // namespace keepwell::cli
