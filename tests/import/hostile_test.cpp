// What nobody would write: every importer ends, in time and memory that fit the input, with a text
// that is TOML or with an error.
#include "import_support.h"

#include <chrono>
#include <random>

namespace keepwell::importer {
namespace {

using testing::HasSubstr;

constexpr Format kAll[] = {Format::Monitor, Format::Supervisord, Format::Monit, Format::Procfile};

// Whatever came out must be TOML that says nothing unknown. Users and variables may be missing.
void expect_harmless(Format format, const std::string& text) {
    const auto began = std::chrono::steady_clock::now();
    const auto imported = import_text(format, text);
    // A generous bound: the sanitized build on a busy machine; what is quadratic takes minutes.
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
    if (!imported) {
        EXPECT_THAT(imported.error().message, HasSubstr("cannot"));
        return;
    }
    const std::string errors = errors_in(imported->toml);
    for (const char* bad : {"unknown key", "cannot parse", "is not a duration", "is not a size",
                            "expected", "a unit name"})
        EXPECT_THAT(errors, testing::Not(HasSubstr(bad))) << errors.substr(0, 300);
}

TEST(Hostile, BinaryNoiseEndsAsTomlOrAnError) {
    std::mt19937 random(7);
    for (const Format format : kAll) {
        for (int round = 0; round < 40; ++round) {
            std::string noise(2000, '\0');
            for (char& c : noise) c = static_cast<char>(random());
            expect_harmless(format, noise);
        }
    }
}

TEST(Hostile, NoiseOfWordsEndsAsTomlOrAnError) {
    const std::vector<std::string> words = {"check",
                                            "process",
                                            "if",
                                            "failed",
                                            "then",
                                            "restart",
                                            "port",
                                            "80",
                                            "\n",
                                            "\"",
                                            "'",
                                            "{",
                                            "}",
                                            "[",
                                            "]",
                                            "=",
                                            ">",
                                            "%",
                                            "[program:x]\n",
                                            "command=",
                                            "numprocs=3\n",
                                            "%(process_num)02d",
                                            "- key: x\n",
                                            "  url: http://a/\n",
                                            "&a",
                                            "*a",
                                            ":",
                                            "include",
                                            "*",
                                            "depends",
                                            "on",
                                            "x",
                                            "group",
                                            "start",
                                            "program",
                                            "set",
                                            "daemon",
                                            "5",
                                            "cycles",
                                            "timeout",
                                            "within",
                                            "cpu",
                                            "memory",
                                            "web: run\n",
                                            "$PORT",
                                            "${X}",
                                            "\\",
                                            "#",
                                            ";",
                                            "pidfile",
                                            "/run/x",
                                            "with",
                                            "matching"};
    std::mt19937 random(11);
    for (const Format format : kAll) {
        for (int round = 0; round < 100; ++round) {
            std::string text;
            for (int i = 0; i < 200; ++i) {
                text += words[random() % words.size()];
                if (random() % 4 != 0) text += ' ';
            }
            expect_harmless(format, text);
        }
    }
}

TEST(Hostile, LinesOfAMegabyteAreReadInTime) {
    const std::string mega(1U << 20U, 'a');
    const std::string quotes(1U << 20U, '"');
    for (const std::string& long_text : {mega, quotes}) {
        expect_harmless(Format::Procfile, "web: " + long_text + "\nok: run\n");
        expect_harmless(Format::Supervisord, "[program:x]\ncommand=/bin/" + long_text +
                                                 "\nenvironment=A=\"" + long_text + "\n");
        expect_harmless(Format::Monit, "check process " + long_text + " pidfile /run/" + long_text +
                                           "\n start program = \"" + long_text + "\"\n");
        expect_harmless(Format::Monitor, "- key: x\n  url: http://a/" + long_text + "\n");
    }
}

TEST(Hostile, ACommandThatNoProgramCanBeGivenIsNotedAndLeftOut) {
    const std::string mega(1U << 20U, 'a');
    const auto procfile = import_text(Format::Procfile, "web: " + mega + "\nok: run\n");
    ASSERT_TRUE(procfile);
    EXPECT_EQ(procfile->units, 1U);
    EXPECT_EQ(errors_in(procfile->toml), "");
    EXPECT_THAT(lines_of_notes(*procfile), HasSubstr("source:1: cannot import web: its command is "
                                                     "longer than a program may be given"));
}

TEST(Hostile, FilesOverFourMebibytesAreRefused) {
    const std::string large(5U << 20U, '\n');
    for (const Format format : kAll) {
        const auto imported = import_text(format, large);
        ASSERT_FALSE(imported);
        EXPECT_THAT(imported.error().message,
                    HasSubstr("/etc/source: cannot import it: it has 5242880 bytes and 4 MiB"));
    }
}

TEST(Hostile, ManySectionsOptionsAndTestsAreNotQuadratic) {
    std::string sections, options = "[program:x]\ncommand=/bin/x\n", tests, services, pairs;
    for (int i = 0; i < 30'000; ++i) {
        const std::string n = std::to_string(i);
        sections += "[s" + n + "]\n";
        options += "o" + n + "=1\n";
        pairs += "A" + n + "=b,";
    }
    tests = "check process x pidfile /run/x\n";
    for (int i = 0; i < 6'000; ++i) tests += "if failed port 80 then restart\n";
    for (int i = 0; i < 6'000; ++i) services += "check process - pidfile /run/x\n";
    expect_harmless(Format::Supervisord, sections);
    expect_harmless(Format::Supervisord, options);
    expect_harmless(Format::Supervisord, "[program:x]\ncommand=/bin/x\nenvironment=" + pairs);
    expect_harmless(Format::Monit, tests);
    expect_harmless(Format::Monit, services);
}

TEST(Hostile, AFileThatIncludesItselfEnds) {
    config::BundleSource source({{"/etc/monitrc", "include /etc/m*\ncheck process a pidfile /a\n"},
                                 {"/etc/more", "include /etc/m*\ninclude /etc/more\n"}});
    const auto imported = import_file(Format::Monit, "/etc/monitrc", source);
    ASSERT_TRUE(imported) << imported.error().message;
    EXPECT_THAT(lines_of_notes(*imported), HasSubstr("files include each other too deeply"));
    EXPECT_EQ(errors_in(imported->toml), "");
}

TEST(Hostile, UnterminatedQuotesAndBracesAreNotedWithTheirLine) {
    const auto monit = import_text(Format::Monit, "check process a pidfile /run/a\n"
                                                  "  start program = \"/bin/a\n"
                                                  "  stop program = \"/bin/b\"\n");
    ASSERT_TRUE(monit);
    // The first quote ends at the next one, two lines on; so the tail is what is left over.
    EXPECT_EQ(errors_in(monit->toml), "");
    EXPECT_FALSE(monit->notes.empty());
    const auto braces = import_text(Format::Monit, "check process a pidfile /run/a\n"
                                                   "set mail-format { never closed\n");
    ASSERT_TRUE(braces);
    EXPECT_THAT(lines_of_notes(*braces), HasSubstr("source:2: cannot import what follows"));
}

} // namespace
} // namespace keepwell::importer
