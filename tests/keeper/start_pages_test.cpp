#include "supervisor/keeper/start_pages.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <regex>
#include <stdexcept>
#include <string>

namespace keepwell {
namespace {

// Of this process's resident memory, what is mapped from files.
long from_files_kib() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        if (word != "RssFile:") {
            status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
            continue;
        }
        long kib = 0;
        status >> kib;
        return kib;
    }
    return -1;
}

TEST(StartPages, GoBackToTheSystem) {
    const long before = from_files_kib();
    ASSERT_GT(before, 0);
    forget_start_pages();
    EXPECT_LT(from_files_kib(), before * 3 / 4);
}

// Tables of functions, constants that the loader relocated, unwinding, a library's locales: a page
// lost that was not the file's would end the process.
TEST(StartPages, TheProgramGoesOnWithEverythingItHad) {
    static std::string changed = "before";
    changed = "after";
    forget_start_pages();
    EXPECT_EQ(changed, "after");
    EXPECT_TRUE(std::regex_match("keepwell", std::regex("k[a-z]+l")));
    EXPECT_THROW(throw std::runtime_error("caught"), std::runtime_error);
    EXPECT_THROW((void)std::stoi("none"), std::invalid_argument);
}

} // namespace
} // namespace keepwell
