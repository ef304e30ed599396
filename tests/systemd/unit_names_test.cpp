// Which names reach the bus, and as which object.
#include "supervisor/systemd/unit_names.h"

#include <gtest/gtest.h>

#include <random>

namespace keepwell::systemd {
namespace {

TEST(UnitNames, AreTakenWithTheirTypeOnly) {
    for (const char* name : {"nginx.service", "a.b.service", "worker@3.service", "-.slice",
                             "dev-disk-by\\x2duuid.device", "x:y_z.socket", "a@b@c.service"})
        EXPECT_TRUE(valid_unit_name(name)) << name;
    for (const char* name :
         {"", "nginx", ".service", "nginx.", "nginx.servic", "worker@.service", "@1.service",
          "a b.service", "a/b.service", "../x.service", "a*.service", "a\n.service", "ä.service"})
        EXPECT_FALSE(valid_unit_name(name)) << name;
    EXPECT_FALSE(valid_unit_name(std::string("a\0.service", 10)));
    EXPECT_TRUE(valid_unit_name(std::string(247, 'a') + ".service"));
    EXPECT_FALSE(valid_unit_name(std::string(248, 'a') + ".service"));
}

TEST(UnitNames, PatternsMatchAsSystemdsDo) {
    EXPECT_TRUE(valid_unit_glob("worker@*.service"));
    EXPECT_TRUE(valid_unit_glob("web-[!ab]?.service"));
    EXPECT_FALSE(valid_unit_glob("nginx.service"));
    EXPECT_FALSE(valid_unit_glob("a *.service"));
    EXPECT_FALSE(valid_unit_glob(""));
    EXPECT_TRUE(matches("worker@*.service", "worker@a.b.service"));
    EXPECT_FALSE(matches("worker@*.service", "worker.service"));
    EXPECT_TRUE(matches("a\\x2d*", "a\\x2db.service")); // a backslash is a letter of names
}

TEST(UnitNames, BecomeObjectPathsAsSystemdWritesThem) {
    EXPECT_EQ(unit_object_path("nginx.service"), "/org/freedesktop/systemd1/unit/nginx_2eservice");
    EXPECT_EQ(unit_object_path("1a@2.service"),
              "/org/freedesktop/systemd1/unit/_31a_402_2eservice");
    EXPECT_EQ(unit_object_path("-.slice"), "/org/freedesktop/systemd1/unit/_2d_2eslice");
    EXPECT_EQ(unit_object_path(""), "/org/freedesktop/systemd1/unit/_");
}

TEST(UnitNames, AnyBytesGiveAPathThatTheBusTakes) {
    std::mt19937 random(7);
    for (int i = 0; i < 20'000; ++i) {
        std::string name;
        for (auto n = random() % 40; n > 0; --n) name += static_cast<char>(random());
        const std::string path = unit_object_path(name);
        ASSERT_EQ(path.rfind(kUnitPaths, 0), 0U);
        ASSERT_GT(path.size(), kUnitPaths.size());
        for (const char c : path.substr(kUnitPaths.size()))
            ASSERT_TRUE((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_');
        ASSERT_FALSE(valid_unit_name(name) && name.find('/') != std::string::npos);
    }
}

} // namespace
} // namespace keepwell::systemd
