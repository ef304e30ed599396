// monitor.yml: forms, aliases, errors with their place.
#include "import_support.h"

namespace keepwell::importer {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Imported from_monitor(const std::string& text) {
    auto imported = import_text(Format::Monitor, text);
    EXPECT_TRUE(imported) << imported.error().message;
    if (!imported) return {};
    EXPECT_EQ(errors_in(imported->toml), "");
    return *imported;
}

TEST(Monitor, AListAMappingAndServicesMeanTheSame) {
    const std::string bare = from_monitor("- key: web\n  url: http://a/\n").toml;
    EXPECT_THAT(bare, HasSubstr("[unit.web]\npolicy = \"monitor\"\ncheck.http = { url = "
                                "\"http://a/\" }\n"));
    for (const char* same : {"services:\n  - key: web\n    url: http://a/\n",
                             "services:\n  web:\n    url: http://a/\n", "web:\n  url: http://a/\n",
                             "{\"services\": [{\"key\": \"web\", \"url\": \"http://a/\"}]}"})
        EXPECT_EQ(from_monitor(same).toml, bare) << same;
}

TEST(Monitor, HealsAfterTwoFailuresThirtySecondsApart) {
    const auto loaded = load_toml(from_monitor("- {key: web, url: 'http://a/'}").toml);
    ASSERT_EQ(loaded.config.units.size(), 1U);
    const UnitSpec& unit = loaded.config.units[0];
    EXPECT_EQ(unit.policy.failures, 2U);
    ASSERT_EQ(unit.checks.size(), 1U);
    EXPECT_EQ(unit.checks[0].interval, std::chrono::seconds(30));
    EXPECT_EQ(unit.checks[0].retry_interval, std::chrono::seconds(30));
    EXPECT_EQ(unit.checks[0].failures, 2U);
}

TEST(Monitor, ErrorsOfYamlHaveLineAndColumn) {
    const auto broken = import_text(Format::Monitor, "services:\n  - key: [a\n");
    ASSERT_FALSE(broken);
    EXPECT_THAT(broken.error().message, StartsWith("/etc/source:3:1: cannot read it as YAML: "));
    const auto tab = import_text(Format::Monitor, "a:\n\tb: 1\n");
    ASSERT_FALSE(tab);
    EXPECT_THAT(tab.error().message, StartsWith("/etc/source:2:3: cannot read it as YAML: "));
}

TEST(Monitor, AliasesCostNoMoreThanTheFileIsLong) {
    std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
    for (char c = 'b'; c <= 'p'; ++c) {
        const std::string before(1, static_cast<char>(c - 1));
        bomb += std::string(1, c) + ": &" + c + " [";
        for (int i = 0; i < 9; ++i) bomb += (i > 0 ? ", *" : "*") + before;
        bomb += "]\n";
    }
    bomb += "services:\n  - key: web\n    url: http://a/\n    process_match: *p\n";
    const Imported imported = from_monitor(bomb);
    EXPECT_LT(imported.toml.size(), 4096U);
    EXPECT_THAT(lines_of_notes(imported), HasSubstr("cannot import process_match of web"));
}

TEST(Monitor, CirclesAndDeepNestingEnd) {
    const auto circle = import_text(Format::Monitor, "&a\nservices: *a\nweb: {url: 'http://a/'}\n");
    if (!circle) {
        EXPECT_THAT(circle.error().message, HasSubstr("cannot"));
    }
    const auto merged =
        import_text(Format::Monitor, "- &a\n  key: web\n  <<: *a\n  url: http://a/\n");
    if (merged) {
        EXPECT_EQ(errors_in(merged->toml), "");
    }
    for (const char* open : {"[", "{a: ", "- "}) {
        std::string deep;
        for (int i = 0; i < 100'000; ++i) deep += open;
        const auto imported = import_text(Format::Monitor, deep);
        if (!imported) {
            EXPECT_THAT(imported.error().message, HasSubstr("cannot"));
        }
    }
}

TEST(Monitor, TheMergedMappingFillsWhatTheServiceLeavesOut) {
    const Imported imported = from_monitor(
        "base: &b {host: 10.0.0.1, port: 80}\nservices:\n  - {<<: *b, key: x, port: 81}\n");
    EXPECT_THAT(imported.toml, HasSubstr("check.tcp = { host = \"10.0.0.1\", port = 81, effect = "
                                         "\"down\" }"));
}

TEST(Monitor, WhatIsNoNameOfASystemdUnitIsNoted) {
    const auto imported = from_monitor("- {key: web, systemd: 'we b', url: 'http://a/'}\n"
                                       "- {key: cron, systemd: cron}\n"
                                       "- {key: none, systemd: 'x=y'}\n");
    EXPECT_EQ(imported.units, 2U);
    EXPECT_THAT(imported.toml, Not(HasSubstr("we b")));
    EXPECT_THAT(imported.toml, HasSubstr("systemd = \"cron.service\""));
    ASSERT_GE(imported.notes.size(), 2U);
    EXPECT_THAT(to_string(imported.notes[0]),
                HasSubstr(":1: cannot import systemd of web: \"we b\" is no name of a systemd"));
}

TEST(Monitor, TextThatIsNoPlainValueIsNoted) {
    const Imported imported = from_monitor("- key: web\n  url: http://a/\n  name: [1]\n");
    EXPECT_THAT(lines_of_notes(imported),
                HasSubstr("source:3: cannot import name of web: it is no plain value"));
    EXPECT_THAT(from_monitor("- {key: a, systemd: my.app}").toml,
                HasSubstr("systemd = \"my.app.service\""));
    EXPECT_THAT(from_monitor("- {key: a, systemd: a.timer}").toml,
                HasSubstr("systemd = \"a.timer\""));
    EXPECT_THAT(from_monitor("- {key: 'Ä/ö!', port: 1}").toml, HasSubstr("name = \"Ä/ö!\""));
    EXPECT_THAT(from_monitor("- {key: web, port: ~, url: 'http://a/'}").toml,
                Not(HasSubstr("tcp")));
}

} // namespace
} // namespace keepwell::importer
