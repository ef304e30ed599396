// Runs every golden trace. KEEPWELL_WRITE_TRACES=1 writes the answers anew: read the difference
// before it is committed.
#include "tests/units/trace_runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace keepwell::testing {
namespace {

std::vector<std::filesystem::path> traces() {
    std::vector<std::filesystem::path> all;
    for (const auto& entry : std::filesystem::directory_iterator(TRACE_FOLDER)) {
        if (entry.path().extension() == ".txt") all.push_back(entry.path());
    }
    std::ranges::sort(all);
    return all;
}

class Trace : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(Trace, KeepsItsPromise) {
    std::stringstream golden;
    golden << std::ifstream(GetParam()).rdbuf();
    const std::string actual = run_trace(golden.str());
    if (std::getenv("KEEPWELL_WRITE_TRACES") != nullptr) {
        std::ofstream(GetParam()) << actual;
        return;
    }
    EXPECT_EQ(actual, golden.str());
}

INSTANTIATE_TEST_SUITE_P(Golden, Trace, ::testing::ValuesIn(traces()), [](const auto& test) {
    std::string name = test.param.stem().string();
    std::ranges::replace(name, '-', '_');
    return name;
});

} // namespace
} // namespace keepwell::testing
