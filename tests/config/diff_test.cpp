#include "config_fixture.h"

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ConfigDiffs = ConfigTest;

TEST_F(ConfigDiffs, OnlyWhatAProcessCannotTakeOverNeedsARestart) {
    const Configuration before =
        good(unit_text("same") + unit_text("gone") + unit_text("env") + unit_text("checks") +
             unit_text("policy") + unit_text("size") + unit_text("mode") + unit_text("stderr") +
             unit_text("name"));
    const Configuration after = good(
        "# moved\n\n" + unit_text("new") + unit_text("same") +
        unit_text("env", "environment.A = '1'\n") +
        unit_text("checks", "check.tcp = { port = 1 }\n") + unit_text("policy", "failures = 9\n") +
        unit_text("size", "log.max_size = '1M'\n") + unit_text("mode", "log.mode = 'file'\n") +
        unit_text("stderr", "log.stderr = 'separate'\n") + unit_text("name", "name = 'x'\n"));
    const ConfigDiff got = diff(before, after);
    EXPECT_THAT(got.added, ElementsAre("new"));
    EXPECT_THAT(got.removed, ElementsAre("gone"));
    EXPECT_THAT(got.restarted, ElementsAre("env", "mode", "stderr"));
    EXPECT_THAT(got.updated, ElementsAre("checks", "policy", "size", "name"));
    EXPECT_THAT(got.unchanged, ElementsAre("same"));
    EXPECT_FALSE(got.supervisor_changed);
    EXPECT_THAT(got.changed.at("env"), ElementsAre("environment"));
    EXPECT_THAT(got.changed.at("checks"), ElementsAre("check.tcp (new)"));
    EXPECT_THAT(got.changed.at("policy"), ElementsAre("failures"));
    EXPECT_THAT(got.changed.at("mode"), ElementsAre("log"));
    EXPECT_THAT(got.changed.at("name"), ElementsAre("name"));
    EXPECT_FALSE(got.changed.contains("same"));
}

TEST_F(ConfigDiffs, ReloadingTheSameFileChangesNothing) {
    const std::string text =
        unit_text("a") + unit_text("b", "requires = ['a']\ncheck.http = { url = 'http://a' }\n");
    const ConfigDiff got = diff(good(text), good(text));
    EXPECT_THAT(got.unchanged, ElementsAre("a", "b"));
    EXPECT_THAT(got.updated, IsEmpty());
    EXPECT_THAT(got.restarted, IsEmpty());
}

TEST_F(ConfigDiffs, ANotifySocketComesAndGoesWithAStart) {
    const std::string beat = "check.heartbeat = { within = '30s' }\n";
    const Configuration with = good(unit_text("a", beat));
    EXPECT_THAT(diff(good(unit_text("a")), with).restarted, ElementsAre("a"));
    EXPECT_THAT(diff(with, good(unit_text("a"))).restarted, ElementsAre("a"));
    EXPECT_THAT(
        diff(with, good(unit_text("a", "check.heartbeat = { within = '20s' }\n"))).restarted,
        ElementsAre("a"))
        << "WATCHDOG_USEC";
    EXPECT_THAT(diff(with, good(unit_text("a", beat + "ready = 'notify'\n"))).updated,
                ElementsAre("a"));
}

TEST_F(ConfigDiffs, SettingsThatNeedAFullRestartAreNamed) {
    const Configuration before = good("");
    const ConfigDiff got = diff(
        before,
        good("[supervisor]\nruntime_dir = '/run/other'\nlog_dir = '/l'\nlog_level = 'debug'\n"));
    EXPECT_TRUE(got.supervisor_changed);
    EXPECT_THAT(got.frozen, ElementsAre("runtime_dir", "log_dir", "status_file"));
    const ConfigDiff live = diff(before, good("[supervisor]\nlog_level = 'debug'\n"));
    EXPECT_TRUE(live.supervisor_changed);
    EXPECT_THAT(live.frozen, IsEmpty());
}

} // namespace
} // namespace keepwell
