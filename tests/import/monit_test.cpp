// monitrc: tokens, statements and what single tests become.
#include "import_support.h"
#include "supervisor/import/monit_lexer.h"
#include "supervisor/import/monit_pattern.h"

namespace keepwell::importer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Imported from_monit(const std::string& text) {
    auto imported = import_text(Format::Monit, text);
    EXPECT_TRUE(imported) << imported.error().message;
    if (!imported) return {};
    EXPECT_EQ(errors_in(imported->toml), "");
    return *imported;
}

std::string with_test(const std::string& test) {
    return from_monit("set daemon 60\ncheck process x with pidfile /run/x.pid\n" + test + "\n")
        .toml;
}

std::vector<std::string> tokens_of(const std::string& text) {
    config::BundleSource none({});
    Notes notes;
    MonitLexer lexer("/etc/m", text, none, notes);
    std::vector<std::string> all;
    while (lexer.peek().kind != TokenKind::End) all.push_back(lexer.next().text);
    return all;
}

TEST(MonitLexer, SplitsAtOperatorsButNotInsideOfPaths) {
    EXPECT_THAT(
        tokens_of("start program=\"/bin/a b\" # comment\n if cpu>60%{x}"),
        ElementsAre("start", "program", "=", "/bin/a b", "if", "cpu", ">", "60%", "{", "x", "}"));
    EXPECT_THAT(tokens_of("request /a?b=c \"say \\\"x\\\"\" 'it'"),
                ElementsAre("request", "/a?b=c", "say \"x\"", "it"));
    EXPECT_THAT(tokens_of("IF failed with the PORT than 80 is"),
                ElementsAre("IF", "failed", "PORT", "80"));
}

TEST(Monit, FailuresAreCountedInCycles) {
    const std::string toml = with_test("if failed port 80 for 3 cycles then restart");
    EXPECT_THAT(toml, HasSubstr("check.tcp = { port = 80, failures = 3 }"));
    const auto loaded = load_toml(with_test("") + "[unit.y]\ncommand = [\"/bin/y\"]\n"
                                                  "check.tcp = { port = 1 }\n");
    const CheckSpec& check = loaded.config.units.at(1).checks.at(0);
    EXPECT_EQ(check.interval, std::chrono::seconds(60));
    EXPECT_EQ(check.retry_interval, std::chrono::seconds(60));
    EXPECT_EQ(check.failures, 1U);
    EXPECT_THAT(with_test("if failed port 80 for 3 times within 5 cycles then restart"),
                HasSubstr("window = { failures = 3, of = 5 }\n"));
    EXPECT_THAT(with_test("if failed port 80 3 cycles then restart"), HasSubstr("failures = 3"));
}

TEST(Monit, AnAlertTellsAndDoesNotRestart) {
    EXPECT_THAT(with_test("if failed port 80 then alert"),
                HasSubstr("check.tcp = { port = 80, heals = false, effect = \"degraded\" }"));
    EXPECT_THAT(with_test("if failed port 80 then restart"),
                HasSubstr("check.tcp = { port = 80 }\n"));
}

TEST(Monit, ABudgetOfRestartsGivesUp) {
    EXPECT_THAT(with_test("if 5 restarts within 10 cycles then unmonitor"),
                HasSubstr("budget = { restarts = 5, within = \"10m\", then = \"stop\" }"));
    EXPECT_THAT(with_test("if 5 restarts within 10 cycles then alert"), Not(HasSubstr("budget")));
}

TEST(Monit, ThenMayStandOnItsOwnLine) {
    EXPECT_THAT(with_test("if failed\n  port 80\n  protocol ssh\nthen\n  restart\n"
                          "if failed port 81 then restart"),
                HasSubstr("check.tcp = { port = 80, expect = \"SSH-\" }\n"
                          "check.tcp-2 = { type = \"tcp\", port = 81 }\n"));
}

TEST(Monit, WhatIsNotUnderstoodIsNamedAndTheRestIsRead) {
    const Imported imported = from_monit("check process x pidfile /run/x.pid\n"
                                         "  if failed permission 644 then alert\n"
                                         "  frobnicate the daemon\n"
                                         "  start program = \"/bin/x\"\n");
    EXPECT_EQ(
        lines_of_notes(imported),
        "/etc/source:2: cannot import \"if failed permission 644 then alert\": keepwell has no "
        "such check\n"
        "/etc/source:3: cannot import \"frobnicate daemon\": keepwell does not understand it\n");
    EXPECT_THAT(imported.toml, HasSubstr("start_command = [\"/bin/x\"]"));
}

TEST(Monit, PasswordsOfSetAreNotRepeated) {
    const Imported imported = from_monit("set httpd port 2812 allow admin:sesame\n"
                                         "check process x pidfile /run/x\n");
    EXPECT_THAT(lines_of_notes(imported), HasSubstr("cannot import \"set httpd\""));
    EXPECT_THAT(lines_of_notes(imported) + imported.toml, Not(HasSubstr("sesame")));
}

TEST(Monit, UsersOfTheProgramsAreThoseOfTheUnit) {
    const Imported imported =
        from_monit("check process x pidfile /run/x\n"
                   "start \"/bin/x\" as uid nobody and gid nogroup\nstop \"/bin/y\" as uid root\n");
    EXPECT_THAT(imported.toml, HasSubstr("user = \"nobody:nogroup\""));
    EXPECT_THAT(lines_of_notes(imported),
                HasSubstr("source:3: cannot import the user of the stop"));
}

TEST(MonitPattern, PlainTextAndStarsAreExact) {
    const auto patterns = [](const char* regex) { return process_patterns(regex).patterns; };
    EXPECT_THAT(patterns("postgres: writer"), ElementsAre("postgres: writer"));
    EXPECT_THAT(patterns("app\\.js"), ElementsAre("app.js"));
    EXPECT_THAT(patterns("java .*-jar app"), ElementsAre("*java *-jar app*"));
    EXPECT_THAT(patterns("^/usr/bin/java"), ElementsAre("/usr/bin/java*"));
    EXPECT_THAT(patterns("alpha|beta"), ElementsAre("alpha", "beta"));
    EXPECT_THAT(patterns("a.bc"), ElementsAre("*a?bc*"));
    EXPECT_TRUE(process_patterns("a.bc").exact);
}

TEST(MonitPattern, WhatCannotBeSaidBecomesAStar) {
    const auto patterns = [](const char* regex) {
        const ProcessPatterns found = process_patterns(regex);
        EXPECT_FALSE(found.exact) << regex;
        return found.patterns;
    };
    EXPECT_THAT(patterns("^/usr/bin/java (-x|-y)? ?-jar app[0-9]+\\.jar$"),
                ElementsAre("/usr/bin/java *-jar app*.jar"));
    EXPECT_THAT(patterns("(alpha|beta) worker"), ElementsAre("* worker*"));
    EXPECT_THAT(patterns("work{1,3}er"), ElementsAre("*wor*er*"));
    EXPECT_THAT(patterns("name[]|^x]end|other\\d"), ElementsAre("*name*end*", "*other*"));
    EXPECT_THAT(patterns("open(never"), ElementsAre("*open*"));
}

TEST(MonitPattern, TooLittleTextFindsNobody) {
    for (const char* nothing :
         {"", ".*", "[a-z]+", "a+", "x[yz]", "|", "^$", "aaa|.*", "x", "  ab", "\\"})
        EXPECT_THAT(process_patterns(nothing).patterns, ElementsAre()) << nothing;
}

TEST(MonitPattern, ACharacterOfSeveralBytesStaysWhole) {
    EXPECT_THAT(process_patterns("web\\é.jar").patterns, ElementsAre("*webé?jar*"));
    EXPECT_THAT(process_patterns("caché*.jar").patterns, ElementsAre("*cach*?jar*"));
}

} // namespace
} // namespace keepwell::importer
