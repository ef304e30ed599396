#include "supervisor/cli/select.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keepwell::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<NamedUnit> kUnits = {{"web", "Web front", "site"},
                                       {"worker@1", "worker@1", "site"},
                                       {"worker@2", "worker@2", "site"},
                                       {"shop:prod", "worker@2", "shop"}};

std::vector<std::string> pick(const std::vector<std::string>& wanted) {
    return select_units(kUnits, wanted).value();
}

TEST(SelectUnits, NoNameIsEveryUnitAndSoIsAll) {
    EXPECT_EQ(pick({}).size(), 4U);
    EXPECT_EQ(pick({"all"}).size(), 4U);
}

TEST(SelectUnits, KeysInstancesGroupsGlobsAndDisplayNames) {
    EXPECT_THAT(pick({"web"}), ElementsAre("web"));
    EXPECT_THAT(pick({"Web front"}), ElementsAre("web"));
    EXPECT_THAT(pick({"worker"}), ElementsAre("worker@1", "worker@2"));
    EXPECT_THAT(pick({"shop:*"}), ElementsAre("shop:prod"));
    EXPECT_THAT(pick({"w*"}), ElementsAre("web", "worker@1", "worker@2"));
}

TEST(SelectUnits, AKeyBeatsADisplayName) {
    EXPECT_THAT(pick({"worker@2"}), ElementsAre("worker@2"));
}

TEST(SelectUnits, OrderIsKeptAndNothingComesTwice) {
    EXPECT_THAT(pick({"worker@2", "web", "w*"}), ElementsAre("web", "worker@1", "worker@2"));
}

TEST(SelectUnits, ANameThatMatchesNothingIsAnErrorWithAGuess) {
    const auto chosen = select_units(kUnits, {"web", "wbe"});
    ASSERT_FALSE(chosen);
    EXPECT_EQ(chosen.error().message, "no unit named \"wbe\" (did you mean web?)");
    EXPECT_THAT(no_such_unit("zzz", kUnits), HasSubstr("keepwell status lists them"));
}

TEST(SelectUnits, AForeignNameIsNeverPrintedRaw) {
    EXPECT_THAT(no_such_unit("\x1b[2J", kUnits), HasSubstr("\\x1b[2J"));
}

TEST(DidYouMean, OnlyNearNamesAreOffered) {
    EXPECT_EQ(did_you_mean("satus", {"start", "status", "stop"}), "status");
    EXPECT_EQ(did_you_mean("frobnicate", {"start", "status"}), "");
    EXPECT_EQ(did_you_mean("x", {"y"}), "");
}

} // namespace
} // namespace keepwell::cli
