// [supervisor.metrics]: how often figures are taken and from where on they are a worry.
#include "config_fixture.h"

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ConfigMetrics = ConfigTest;

TEST_F(ConfigMetrics, DefaultsAreThoseOfTheManual) {
    const MetricsSpec m = good("[unit.a]\ncommand = ['/bin/sleep', '1']\n").supervisor.metrics;
    EXPECT_EQ(m.interval, 30s);
    EXPECT_EQ(m.per_unit, 10s);
    EXPECT_EQ(m.cpu, (Threshold<double>{70, 90}));
    EXPECT_EQ(m.memory, (Threshold<double>{80, 95}));
    EXPECT_EQ(m.disk, (Threshold<double>{85, 95}));
    EXPECT_EQ(m.response, (Threshold<Duration>{1s, 5s}));
    EXPECT_THAT(m.paths, ElementsAre("/"));
}

TEST_F(ConfigMetrics, EveryKeyIsReadAndWhatIsLeftOutKeepsItsDefault) {
    const MetricsSpec m = good("[supervisor.metrics]\ninterval = '5s'\nper_unit = '2s'\n"
                               "cpu = { warning = 50 }\nmemory = { critical = 99.5 }\n"
                               "disk = { warning = 1, critical = 2 }\n"
                               "response = { warning = '200ms', critical = '2s' }\n"
                               "paths = ['/', '/srv']\n")
                              .supervisor.metrics;
    EXPECT_EQ(m.interval, 5s);
    EXPECT_EQ(m.per_unit, 2s);
    EXPECT_EQ(m.cpu, (Threshold<double>{50, 90}));
    EXPECT_EQ(m.memory, (Threshold<double>{80, 99.5}));
    EXPECT_EQ(m.disk, (Threshold<double>{1, 2}));
    EXPECT_EQ(m.response, (Threshold<Duration>{200ms, 2s}));
    EXPECT_THAT(m.paths, ElementsAre("/", "/srv"));
}

TEST_F(ConfigMetrics, EachMistakeIsToldWithItsPlace) {
    EXPECT_THAT(
        errors_of("[supervisor.metrics]\n"
                  "interval = '10ms'\n"
                  "per_unit = 10\n"
                  "cpu = { warning = 90, critical = 80 }\n"
                  "memory = { warning = 80, critical = 101 }\n"
                  "disk = 95\n"
                  "response = { warning = '6s' }\n"
                  "paths = ['/', 'srv']\n"
                  "interwal = '3s'\n"),
        ElementsAre(
            "site.toml:2:12: cannot read supervisor.metrics.interval: \"10ms\" is too short (at "
            "least 100ms)",
            "site.toml:3:12: cannot read supervisor.metrics.per_unit: expected a string like "
            "\"10s\", found an integer",
            "site.toml:4:7: cannot read supervisor.metrics.cpu: critical is below warning "
            "(raise critical)",
            "site.toml:5:37: cannot read supervisor.metrics.memory.critical: 101 is not between 0 "
            "and 100",
            "site.toml:6:8: cannot read supervisor.metrics.disk: expected a table, found an "
            "integer",
            "site.toml:7:12: cannot read supervisor.metrics.response: critical is shorter than "
            "warning (raise critical)",
            "site.toml:8:15: cannot read supervisor.metrics.paths[1]: \"srv\" is relative (write "
            "the whole path)",
            "site.toml:9:1: cannot read supervisor.metrics.interwal: unknown key (did you mean "
            "interval?)"));
}

TEST_F(ConfigMetrics, AChangeIsAppliedByReload) {
    const Configuration before = good("[supervisor]\nruntime_dir = '/run/x'\n");
    Configuration after = before;
    after.supervisor.metrics.cpu.warning = 5;
    const ConfigDiff d = diff(before, after);
    EXPECT_TRUE(d.supervisor_changed);
    EXPECT_THAT(d.frozen, ::testing::IsEmpty());
    EXPECT_THAT(d.changed.at(""), ElementsAre("metrics"));
}

} // namespace
} // namespace keepwell
