#include "supervisor/metrics/exposition.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

using namespace keepwell::metrics;

namespace {

constexpr std::array<double, 3> kBounds = {0.5, 1, 2.5};

struct Written {
    std::string text;
    Exposition e{text};
};

TEST(Exposition, HelpAndTypeComeOnceAndBeforeTheFirstSample) {
    Written w;
    w.e.metric("things_total", Type::Counter, "Things.");
    w.e.sample({"a=\"1\""}, std::uint64_t{1});
    w.e.sample({"a=\"2\""}, std::uint64_t{18'446'744'073'709'551'615U});
    EXPECT_EQ(w.text, "# HELP things_total Things.\n# TYPE things_total counter\n"
                      "things_total{a=\"1\"} 1\nthings_total{a=\"2\"} 18446744073709551615\n");
}

TEST(Exposition, AMetricWithoutSamplesLeavesNothing) {
    Written w;
    w.e.metric("absent", Type::Gauge, "Nobody.");
    w.e.metric("present", Type::Gauge, "Somebody.");
    w.e.sample({}, 0.5);
    EXPECT_EQ(w.text, "# HELP present Somebody.\n# TYPE present gauge\npresent 0.5\n");
}

TEST(Exposition, LabelsAreEscaped) {
    EXPECT_EQ(label("path", "a\\b\"c\nd"), R"(path="a\\b\"c\nd")");
    EXPECT_EQ(label("path", "Größe {}, ="), "path=\"Größe {}, =\"");
    EXPECT_EQ(label("path", "a\xff"), "path=\"a\xEF\xBF\xBD\"");
    EXPECT_EQ(label("empty", ""), "empty=\"\"");
}

TEST(Exposition, LabelsAreJoinedAndEmptyOnesLeftOut) {
    Written w;
    w.e.metric("m", Type::Gauge, "M.");
    w.e.sample({label("a", "x"), "", label("b", "y")}, std::uint64_t{3});
    w.e.sample({"", ""}, std::uint64_t{4});
    EXPECT_NE(w.text.find("m{a=\"x\",b=\"y\"} 3\nm 4\n"), std::string::npos) << w.text;
}

TEST(Exposition, NumbersKeepTheirPrecisionAndNoneIsWrittenTheCWay) {
    Written w;
    w.e.metric("m", Type::Gauge, "M.");
    for (const double v :
         {1.0, 1'796'053'926.566, 0.1, 1e-9, -2.0, std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
        w.e.sample({}, v);
    EXPECT_NE(w.text.find("m 1\nm 1796053926.566\nm 0.1\nm 1e-09\nm -2\nm +Inf\nm -Inf\nm NaN\n"),
              std::string::npos)
        << w.text;
}

TEST(Exposition, AStateSetHasOneOneAndZeroesElsewhere) {
    Written w;
    constexpr std::array<std::string_view, 3> all = {"s=\"a\"", "s=\"b\"", "s=\"c\""};
    w.e.metric("m", Type::Gauge, "M.");
    w.e.states("service=\"web\"", all, 1);
    EXPECT_NE(w.text.find("m{service=\"web\",s=\"a\"} 0\nm{service=\"web\",s=\"b\"} 1\n"
                          "m{service=\"web\",s=\"c\"} 0\n"),
              std::string::npos)
        << w.text;
}

TEST(Exposition, BucketsOfAHistogramAreSumsAndItsEndIsTheCount) {
    Written w;
    Histogram h(kBounds);
    for (const double v : {0.1, 0.5, 0.75, 2.0, 99.0}) h.observe(v);
    w.e.metric("m_seconds", Type::Histogram, "M.");
    w.e.histogram({"x=\"1\""}, h);
    EXPECT_EQ(w.text, "# HELP m_seconds M.\n# TYPE m_seconds histogram\n"
                      "m_seconds_bucket{x=\"1\",le=\"0.5\"} 2\n"
                      "m_seconds_bucket{x=\"1\",le=\"1\"} 3\n"
                      "m_seconds_bucket{x=\"1\",le=\"2.5\"} 4\n"
                      "m_seconds_bucket{x=\"1\",le=\"+Inf\"} 5\n"
                      "m_seconds_sum{x=\"1\"} 102.35\n"
                      "m_seconds_count{x=\"1\"} 5\n");
}

TEST(Exposition, AHistogramThatSawNothingIsAllZeroes) {
    Written w;
    w.e.metric("m", Type::Histogram, "M.");
    w.e.histogram({}, Histogram(kBounds));
    EXPECT_NE(w.text.find("m_bucket{le=\"2.5\"} 0\nm_bucket{le=\"+Inf\"} 0\nm_sum 0\nm_count 0\n"),
              std::string::npos)
        << w.text;
}

} // namespace
