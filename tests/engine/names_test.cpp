#include "supervisor/engine/names.h"

#include <gtest/gtest.h>

using namespace keepwell;
using Keys = std::vector<std::string>;

namespace {

UnitSpec unit(const char* key, const char* name, const char* group,
              std::optional<std::uint32_t> instance = {}) {
    UnitSpec u;
    u.key = key;
    u.name = name;
    u.group = group;
    u.instance = instance;
    return u;
}

struct Names : testing::Test {
    std::vector<UnitSpec> specs{unit("web", "Web front", "front"), unit("worker@1", "w", "back", 1),
                                unit("worker@2", "w", "back", 2), unit("db", "web", "back")};
    Result<Keys> resolve(const Keys& names) {
        std::vector<const UnitSpec*> p;
        for (const auto& s : specs) p.push_back(&s);
        return resolve_names(p, names);
    }
};

} // namespace

TEST_F(Names, AKeyBeatsADisplayName) { EXPECT_EQ(*resolve({"web"}), Keys{"web"}); }
TEST_F(Names, ADisplayNameIsTaken) { EXPECT_EQ(*resolve({"Web front"}), Keys{"web"}); }
TEST_F(Names, ABaseNameMeansAllItsInstances) {
    EXPECT_EQ(*resolve({"worker"}), (Keys{"worker@1", "worker@2"}));
}
TEST_F(Names, AGroupMeansItsUnits) {
    EXPECT_EQ(*resolve({"back:*"}), (Keys{"worker@1", "worker@2", "db"}));
}
TEST_F(Names, AllMeansAll) { EXPECT_EQ(resolve({"all"})->size(), 4U); }
TEST_F(Names, AGlobMatchesKeys) {
    EXPECT_EQ(*resolve({"w*"}), (Keys{"web", "worker@1", "worker@2"}));
}
TEST_F(Names, EachUnitComesOnceInTheOrderOfTheConfiguration) {
    EXPECT_EQ(*resolve({"db", "web", "d*"}), (Keys{"web", "db"}));
}
TEST_F(Names, WhatMatchesNothingIsAnErrorWithTheNearestName) {
    const auto r = resolve({"wbe"});
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().message, "cannot find a unit named \"wbe\" (did you mean web?)");
}
