#include "config_fixture.h"

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ConfigDependencies = ConfigTest;

TEST_F(ConfigDependencies, UnitsComeAfterWhatTheyNeedAndElseInTheOrderOfTheFile) {
    EXPECT_THAT(keys(good(unit_text("web", "requires = ['api']\n") + unit_text("z") +
                          unit_text("api", "after = ['db']\n") + unit_text("db") + unit_text("a"))),
                ElementsAre("db", "api", "web", "z", "a"));
}

TEST_F(ConfigDependencies, AFamilyNameMeansAllInstances) {
    const Configuration config =
        good(unit_text("web", "requires = ['worker', 'worker@2']\n") +
             unit_text("one", "after = ['worker@3']\n") + unit_text("worker", "instances = 3\n"));
    EXPECT_THAT(unit(config, "web").requires_units,
                ElementsAre("worker@1", "worker@2", "worker@3"));
    EXPECT_THAT(unit(config, "one").after, ElementsAre("worker@3"));
}

TEST_F(ConfigDependencies, ACircleIsRefusedOnceWithTheWholePath) {
    EXPECT_THAT(errors_of(unit_text("web", "requires = ['api']\n") +
                          unit_text("api", "after = ['db']\n") +
                          unit_text("db", "requires = ['web']\n") +
                          unit_text("other", "requires = ['web']\n")),
                ElementsAre("site.toml:9:12: cannot resolve unit.db.requires: the units wait for "
                            "each other in a circle: "
                            "web -> api -> db -> web (remove one of these)"));
}

TEST_F(ConfigDependencies, UnknownNamesAreReportedAtTheName) {
    EXPECT_THAT(
        errors_of(unit_text("web", "requires = ['wbe', 'zzz']\n")),
        ElementsAre("site.toml:3:13: cannot resolve unit.web.requires: no unit named \"wbe\" (did "
                    "you mean web?)",
                    "site.toml:3:20: cannot resolve unit.web.requires: no unit named \"zzz\""));
}

TEST_F(ConfigDependencies, AStepOfASharedPolicyMayNameAUnit) {
    EXPECT_THAT(errors_of("[policy.p]\nladder = [{ restart = 'gone' }]\n" +
                          unit_text("web", "policy = 'p'\n")),
                ElementsAre(HasSubstr("no unit named \"gone\"")));
}

TEST_F(ConfigDependencies, AChainAsLongAsTheFleetIsNoProblem) {
    std::string text;
    for (int i = 0; i < 3000; ++i) {
        text += unit_text("u" + std::to_string(i),
                          i < 2999 ? "requires = ['u" + std::to_string(i + 1) + "']\n" : "");
    }
    const Configuration config = good(text);
    ASSERT_EQ(config.units.size(), 3000U);
    EXPECT_EQ(config.units.front().key, "u2999");
}

} // namespace
} // namespace keepwell
