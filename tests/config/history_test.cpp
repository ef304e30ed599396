// [supervisor.history]: what is remembered, how long, and how much room it may take.
#include "config_fixture.h"

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ConfigHistory = ConfigTest;

TEST_F(ConfigHistory, DefaultsAreThoseOfTheManual) {
    const HistorySpec h = good("[unit.a]\ncommand = ['/bin/sleep', '1']\n").supervisor.history;
    EXPECT_TRUE(h.enabled);
    EXPECT_EQ(h.minute, 24h);
    EXPECT_EQ(h.hour, 90 * 24h);
    EXPECT_EQ(h.max_size, 256ULL << 20);
}

TEST_F(ConfigHistory, EveryKeyIsRead) {
    const HistorySpec h =
        good(
            "[supervisor.history]\nenabled = false\nminute = '2h'\nhour = '30d'\nmax_size = '8M'\n")
            .supervisor.history;
    EXPECT_FALSE(h.enabled);
    EXPECT_EQ(h.minute, 2h);
    EXPECT_EQ(h.hour, 30 * 24h);
    EXPECT_EQ(h.max_size, 8ULL << 20);
}

TEST_F(ConfigHistory, EachMistakeIsToldWithItsPlace) {
    EXPECT_THAT(errors_of("[supervisor.history]\nminute = '5m'\nhour = '1h'\nmax_size = '10K'\n"
                          "max_sise = '1G'\n"),
                ElementsAre(HasSubstr("site.toml:2:10: cannot read supervisor.history.minute"),
                            HasSubstr("site.toml:3:8: cannot read supervisor.history.hour"),
                            HasSubstr("site.toml:4:12: cannot read supervisor.history.max_size"),
                            HasSubstr("site.toml:5:1: ")));
    EXPECT_THAT(
        errors_of("[supervisor.history]\nminute = '48h'\nhour = '24h'\n"),
        ElementsAre(HasSubstr("site.toml:3:8: cannot read supervisor.history.hour: hour is shorter "
                              "than minute (raise hour)")));
}

} // namespace
} // namespace keepwell
