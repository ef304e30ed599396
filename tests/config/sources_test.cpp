#include "config_fixture.h"

#include <sys/stat.h>

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ConfigSources = ConfigTest;

TEST_F(ConfigSources, AMissingFileSaysWhatToDo) {
    EXPECT_THAT(texts(load_files({"nowhere.toml"}).errors),
                ElementsAre("cannot read nowhere.toml: No such file or directory (create it, or "
                            "correct the name)"));
}

TEST_F(ConfigSources, WithoutAnyConfigurationTheDefaultPlaceIsNamed) {
    ::setenv("XDG_CONFIG_HOME", folder_.c_str(), 1);
    LoadOptions options;
    options.user_run = true;
    EXPECT_THAT(texts(load_configuration(options).errors),
                ElementsAre("cannot find a configuration: there is no " + folder_.string() +
                            "/keepwell/keepwell.toml (create it, name one with -c FILE, or set "
                            "KEEPWELL_CONFIG)"));
    write("mine.toml", "[unit.a]\n" + kSleep);
    ::setenv("KEEPWELL_CONFIG", "mine.toml", 1);
    EXPECT_EQ(load_configuration(options).config.units.size(), 1U);
    ::unsetenv("KEEPWELL_CONFIG");
}

TEST_F(ConfigSources, WhatIsNotARegularFileIsRefusedWithoutWaiting) {
    std::filesystem::create_directory("folder.toml");
    EXPECT_THAT(texts(load_files({"folder.toml"}).errors),
                ElementsAre("cannot read folder.toml: Is a directory (name a file in it)"));
    ASSERT_EQ(::mkfifo("pipe.toml", 0600), 0);
    EXPECT_THAT(texts(load_files({"pipe.toml"}).errors),
                ElementsAre("cannot read pipe.toml: it is not a regular file (name a file)"));
}

TEST_F(ConfigSources, AFileAboveSixteenMebibytesIsRefused) {
    write("big.toml", "");
    std::filesystem::resize_file("big.toml", (16U << 20) + 1);
    EXPECT_THAT(
        texts(load_files({"big.toml"}).errors),
        ElementsAre(
            "cannot read big.toml: it is larger than 16 MiB (split it, or correct the name)"));
}

TEST_F(ConfigSources, AnUnreadableFileSaysWhoNeedsToReadIt) {
    write("closed.toml", "");
    ASSERT_EQ(::chmod("closed.toml", 0), 0);
    ASSERT_EQ(::chmod(".", 0755), 0);
    // Root reads everything, so root is not asked.
    const bool root = ::geteuid() == 0;
    if (root) {
        ASSERT_EQ(::seteuid(65534), 0);
    }
    EXPECT_THAT(
        texts(load_files({"closed.toml"}).errors),
        ElementsAre(StartsWith("cannot read closed.toml: Permission denied (let user id ")));
    if (root) {
        ASSERT_EQ(::seteuid(0), 0); // the folder is still to be removed
    }
}

TEST_F(ConfigSources, AHalfWrittenFileGivesItsPlaceAndOtherFilesAreStillChecked) {
    write("site.toml", "include = ['half.toml', 'other.toml']\n[unit.web]\n" + kSleep +
                           "requires = ['perhaps-in-the-broken-file']\n");
    write("half.toml", "[unit.db]\ncommand = [\"/bin/sleep\",");
    write("other.toml", "[unit.x]\nnice = 'low'\n" + kSleep);
    EXPECT_THAT(
        texts(load_files({"site.toml"}).errors),
        ElementsAre(
            StartsWith("half.toml:2:25: cannot read TOML: "),
            "other.toml:2:8: cannot read unit.x.nice: expected an integer, found a string"));
}

TEST_F(ConfigSources, EveryTruncationOfAFileIsAnsweredWithoutACrash) {
    const std::string whole =
        "[policy.p]\nbackoff = { max = '30s' }\n[unit.\"a.b\"]\ncommand = ['/bin/sleep', "
        "'60']\npolicy = 'p'\ncheck.http = { url = \"http://a/\" }\nenvironment = { A = "
        "\"\"\"x\ny\"\"\" }\n";
    for (std::size_t size = 0; size < whole.size(); ++size) {
        static_cast<void>(load(whole.substr(0, size)));
    }
    EXPECT_THAT(errors_of(whole), IsEmpty());
}

TEST_F(ConfigSources, EndlessNestingIsAnErrorAndNotAStackOverflow) {
    std::string dots;
    for (int i = 0; i < 1'000'000; ++i) dots += "a.";
    EXPECT_THAT(errors_of(dots + "a = 1\n"), ElementsAre(HasSubstr("more than 1000 dots")));
    EXPECT_THAT(errors_of("a = " + std::string(1'000'000, '[')),
                ElementsAre(HasSubstr("cannot read TOML")));
}

TEST_F(ConfigSources, IncludesAreRelativeToTheNamingFileAndSorted) {
    write("etc/site.toml", "include = ['conf.d/*.toml']\n[unit.main]\n" + kSleep);
    write("etc/conf.d/20-b.toml", "[unit.b]\n" + kSleep);
    write("etc/conf.d/10-a.toml", "include = 'sub/c.toml'\n[unit.a]\n" + kSleep);
    write("etc/conf.d/sub/c.toml", "[unit.c]\n" + kSleep);
    write("etc/conf.d/.hidden.toml", "broken");
    const LoadResult result = load_files({"etc/site.toml"});
    EXPECT_THAT(texts(result.errors), IsEmpty());
    EXPECT_THAT(result.files, ElementsAre("etc/site.toml", "etc/conf.d/10-a.toml",
                                          "etc/conf.d/sub/c.toml", "etc/conf.d/20-b.toml"));
    EXPECT_EQ(result.texts.size(), 4U);
    EXPECT_EQ(result.config.units.size(), 4U);
}

TEST_F(ConfigSources, APatternMayMatchNothingButANameMayNot) {
    EXPECT_THAT(errors_of("include = ['no/*.toml']\n"), IsEmpty());
    EXPECT_THAT(errors_of("include = ['no.toml']\n"),
                ElementsAre("site.toml:1:12: cannot read no.toml: No such file or directory "
                            "(create it, or correct the "
                            "name)"));
    EXPECT_THAT(errors_of("include = 3\n"),
                ElementsAre(HasSubstr("site.toml:1:11: cannot read include: expected an array")));
    EXPECT_THAT(errors_of("include = [3]\n"),
                ElementsAre(HasSubstr("cannot read include[0]: expected a string")));
}

TEST_F(ConfigSources, AnIncludeLoopIsRefusedByNamingTheChain) {
    write("a.toml", "include = ['b.toml']\n");
    write("b.toml", "include = ['c.toml']\n");
    write("c.toml", "include = ['a.toml']\n[unit.c]\n" + kSleep);
    EXPECT_THAT(
        texts(load_files({"a.toml"}).errors),
        ElementsAre(
            "c.toml:1:12: cannot include a.toml: it includes itself (a.toml -> b.toml -> c.toml -> "
            "a.toml); remove one of these includes"));
}

TEST_F(ConfigSources, TheSameNameTwiceWithinOneTreeIsAnError) {
    write("more.toml",
          "[unit.web]\n" + kSleep + "[supervisor]\nlog_level = 'debug'\nstatus_interval = '1s'\n");
    EXPECT_THAT(errors_of("include = ['more.toml']\n[unit.web]\n" + kSleep +
                          "[supervisor]\nlog_level = 'info'\n"),
                ElementsAre("more.toml:1:7: cannot read unit.web: already set at site.toml:2:7 "
                            "(remove one of the two)",
                            "more.toml:4:1: cannot read supervisor.log_level: already set at "
                            "site.toml:5:1 (remove one "
                            "of the two)"));
    EXPECT_THAT(errors_of("[unit.web]\n" + kSleep + "[unit.web]\n" + kSleep),
                ElementsAre(StartsWith("site.toml:3:")));
}

TEST_F(ConfigSources, ALaterFileIsMergedOverAnEarlierOne) {
    write("base.toml", "[unit.web]\n" + kSleep +
                           "tags = ['a', 'b']\nenvironment = { A = '1', B = '2' }\ncheck.tcp = { "
                           "port = 80, timeout = '1s' }\n");
    write("host.toml", "[unit.web]\ntags = ['c']\nenvironment = { B = '3' }\ncheck.tcp = { port = "
                       "81 }\n[unit.more]\nshell = 'true'\n");
    const LoadResult result = load_files({"base.toml", "host.toml"});
    EXPECT_THAT(texts(result.errors), IsEmpty());
    const UnitSpec& web = unit(result.config, "web");
    EXPECT_THAT(web.tags, ElementsAre("c"));
    EXPECT_THAT(web.process.environment, ::testing::IsSupersetOf({"A=1", "B=3"}));
    EXPECT_EQ(std::get<TcpCheckSpec>(web.checks.at(0).probe).port, 81);
    EXPECT_EQ(web.checks.at(0).timeout, 1s);
    EXPECT_EQ(web.where.positions.at("check.tcp.port").file, "host.toml");
    EXPECT_EQ(web.where.positions.at("check.tcp.timeout").file, "base.toml");
    EXPECT_EQ(result.config.units.size(), 2U);
}

TEST_F(ConfigSources, ALaterShellReplacesAnEarlierCommand) {
    write("base.toml", "[unit.web]\n" + kSleep);
    write("host.toml", "[unit.web]\nshell = 'exec true'\n");
    const LoadResult result = load_files({"base.toml", "host.toml"});
    EXPECT_THAT(texts(result.errors), IsEmpty());
    EXPECT_THAT(unit(result.config, "web").process.command,
                ElementsAre("/bin/sh", "-c", "exec true"));
}

} // namespace
} // namespace keepwell
