// Units that others may start and stop too: their keys, and what does not go together.
#include "tests/config/config_fixture.h"

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ConfigKinds : public ConfigTest {
  protected:
    UnitSpec only(const std::string& text) {
        const LoadResult r = load(text);
        for (const auto& e : r.errors) ADD_FAILURE() << to_string(e);
        if (r.config.units.size() != 1) ADD_FAILURE() << r.config.units.size() << " units";
        return r.config.units.empty() ? UnitSpec{} : r.config.units.front();
    }
};

TEST_F(ConfigKinds, APidFileUnitHasItsCommands) {
    const UnitSpec u = only("[unit.proxy]\npidfile = '/run/haproxy.pid'\n"
                            "start_command = ['/usr/sbin/haproxy', '-D']\n");
    EXPECT_EQ(u.kind, UnitKind::PidFile);
    EXPECT_EQ(u.pidfile, "/run/haproxy.pid");
    EXPECT_THAT(u.process.start_command, ElementsAre("/usr/sbin/haproxy", "-D"));
    EXPECT_TRUE(u.heal);
}

TEST_F(ConfigKinds, ASystemdUnitIsAServiceUnlessItsNameSaysOtherwise) {
    UnitSpec u = only("[unit.db]\nsystemd = 'postgresql@15-main'\nbus = 'user'\n");
    EXPECT_EQ(u.kind, UnitKind::Systemd);
    EXPECT_EQ(u.systemd.unit, "postgresql@15-main.service");
    EXPECT_EQ(u.systemd.bus, "user");
    EXPECT_EQ(u.policy.stop.kill, KillScope::Never);
    u = only("[unit.tick]\nsystemd = 'backup.timer'\n");
    EXPECT_EQ(u.systemd.unit, "backup.timer");
}

TEST_F(ConfigKinds, AMatchUnitWithoutAStartCommandIsOnlyWatched) {
    UnitSpec u = only("[unit.runner]\nmatch = ['ghost-runner.js']\nexclude = 'grep'\nmax = 2\n");
    EXPECT_EQ(u.kind, UnitKind::Match);
    EXPECT_THAT(u.match.match, ElementsAre("ghost-runner.js"));
    EXPECT_THAT(u.match.exclude, ElementsAre("grep"));
    EXPECT_EQ(u.match.max, 2U);
    EXPECT_FALSE(u.heal);
    u = only("[unit.runner]\nmatch = 'x'\nstart_command = ['/bin/x']\n");
    EXPECT_TRUE(u.heal);
}

TEST_F(ConfigKinds, AUnitIsOfOneKind) {
    EXPECT_THAT(errors_of("[unit.a]\npidfile = '/run/a'\nsystemd = 'a.service'\n"),
                ElementsAre(HasSubstr("3:1: cannot read unit.a.systemd: the unit has pidfile")));
}

TEST_F(ConfigKinds, KeysOfAnotherKindAreErrors) {
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/a']\nstart_command = ['/bin/b']\n"),
                ElementsAre(HasSubstr("belongs to pidfile and match units")));
    EXPECT_THAT(errors_of("[unit.a]\nsystemd = 'a'\nstart_command = ['/bin/b']\n"),
                ElementsAre(HasSubstr("belongs to pidfile and match units")));
    EXPECT_THAT(errors_of("[unit.a]\npidfile = '/run/a'\nbus = 'user'\n"),
                ElementsAre(HasSubstr("belongs to systemd units")));
    EXPECT_THAT(errors_of("[unit.a]\nsystemd = 'a'\nready = 'notify'\n"),
                ElementsAre(HasSubstr("belongs to units with a command")));
}

TEST_F(ConfigKinds, MoreThanMaxIsToldByACheckThatNeverHeals) {
    const UnitSpec u = only("[unit.a]\nmatch = 'ghost'\nexclude = 'grep'\nmax = 2\n");
    ASSERT_EQ(u.checks.size(), 1U);
    EXPECT_EQ(u.checks[0].id, "max");
    EXPECT_EQ(u.checks[0].effect, CheckEffect::Degraded);
    EXPECT_FALSE(u.checks[0].heals);
    EXPECT_EQ(std::get<ProcessCheckSpec>(u.checks[0].probe),
              (ProcessCheckSpec{{"ghost"}, {"grep"}, 0, 2U}));
    const UnitSpec own = only("[unit.a]\nmatch = 'ghost'\nmax = 2\n"
                              "check.max = { type = 'process', match = 'other' }\n");
    EXPECT_EQ(own.checks.size(), 1U);
}

TEST_F(ConfigKinds, FewerThanMinIsACheckThatHealsWhereSomethingCanStartIt) {
    UnitSpec u = only("[unit.a]\nmatch = 'ghost'\nmin = 3\nmax = 4\nfailures = 2\n"
                      "start_command = ['/bin/ghosts']\n");
    ASSERT_EQ(u.checks.size(), 2U);
    EXPECT_EQ(u.checks[0].id, "min");
    EXPECT_EQ(u.checks[0].effect, CheckEffect::Down);
    EXPECT_EQ(u.checks[0].failures, 2U);
    EXPECT_TRUE(u.checks[0].heals);
    EXPECT_EQ(std::get<ProcessCheckSpec>(u.checks[0].probe),
              (ProcessCheckSpec{{"ghost"}, {}, 3, std::nullopt}));
    EXPECT_EQ(u.checks[1].id, "max");
    EXPECT_TRUE(only("[unit.a]\nmatch = 'ghost'\n").checks.empty()) << "one is seen by its end";
}

TEST_F(ConfigKinds, AServiceMayBeNamedForADaemon) {
    UnitSpec u = only("[unit.db]\npidfile = '/run/db.pid'\nservice = 'db'\n");
    EXPECT_EQ(u.service, "db.service");
    u = only("[unit.db]\nmatch = 'ghost'\nservice = 'db.service'\n");
    EXPECT_EQ(u.service, "db.service");
    EXPECT_TRUE(u.heal) << "its service can be started";
    EXPECT_THAT(warnings_of("[unit.a]\npidfile = '/run/a'\nservice = 'a'\n"), testing::IsEmpty());
    EXPECT_THAT(warnings_of("[unit.a]\npidfile = '/run/a'\nservice = 'a'\n"
                            "stop_command = ['/bin/b']\n"),
                ElementsAre(HasSubstr("a.service of systemd starts and stops it")));
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/a']\nservice = 'a'\n"),
                ElementsAre(HasSubstr("belongs to pidfile and match units")));
    EXPECT_THAT(errors_of("[unit.a]\npidfile = '/run/a'\nservice = 'a'\n"
                          "start_command = ['/bin/b']\n"),
                ElementsAre(HasSubstr("the unit has a service too")));
    for (const char* name : {"a.timer", "a@*.service"})
        EXPECT_THAT(
            errors_of("[unit.a]\npidfile = '/run/a'\nservice = '" + std::string(name) + "'\n"),
            ElementsAre(HasSubstr("is not the name of one service")));
    EXPECT_THAT(errors_of("[unit.a]\npidfile = '/run/a'\nservice = '../a b'\n"),
                ElementsAre(HasSubstr("site.toml:3:11")));
}

TEST_F(ConfigKinds, LogFilesAreMadeAbsolute) {
    const UnitSpec u = only("[unit.a]\npidfile = '/run/a'\nlog_files = ['/var/log/a', 'b.log']\n");
    ASSERT_EQ(u.log_files.size(), 2U);
    EXPECT_EQ(u.log_files[0], "/var/log/a");
    EXPECT_THAT(u.log_files[1], testing::EndsWith("/b.log"));
    EXPECT_EQ(u.log_files[1].front(), '/');
    EXPECT_THAT(errors_of("[unit.a]\npidfile = '/run/a'\nlog_files = ['']\n"),
                ElementsAre(HasSubstr("an empty name is no file")));
}

TEST_F(ConfigKinds, HostileNamesAreRefusedWithTheirPlace) {
    EXPECT_THAT(errors_of("[unit.a]\nsystemd = '../a b.service'\n"),
                ElementsAre(HasSubstr("site.toml:2:11")));
    EXPECT_THAT(errors_of("[unit.a]\nsystemd = '" + std::string(300, 'a') + "'\n"),
                ElementsAre(HasSubstr("255")));
    EXPECT_THAT(errors_of("[unit.a]\nsystemd = 'a'\nbus = 'nowhere'\n"),
                ElementsAre(HasSubstr("unix:path=")));
    EXPECT_THAT(errors_of("[unit.a]\nmatch = []\n"), ElementsAre(HasSubstr("matches nothing")));
    EXPECT_THAT(errors_of("[unit.a]\nmatch = ['']\n"), ElementsAre(HasSubstr("every process")));
}

TEST_F(ConfigKinds, WhatSystemdDecidesItselfIsSaid) {
    EXPECT_THAT(warnings_of("[unit.a]\nsystemd = 'a'\nnice = 3\n"),
                ElementsAre(HasSubstr("has no effect")));
    EXPECT_THAT(warnings_of("[unit.a]\npidfile = '/run/a'\n"),
                ElementsAre(HasSubstr("only if it belongs to a systemd unit")));
}

} // namespace
} // namespace keepwell
