#include "config_fixture.h"

namespace keepwell {
namespace {

TEST(Examples, EachLoadsWithoutAnErrorOrAWarning) {
    int seen = 0;
    for (const auto& entry : std::filesystem::directory_iterator(KEEPWELL_EXAMPLES)) {
        if (entry.path().extension() != ".toml") continue;
        ++seen;
        LoadOptions options;
        options.files = {entry.path().string()};
        const LoadResult result = load_configuration(options);
        for (const ConfigMessage& message : result.errors) ADD_FAILURE() << to_string(message);
        // Only root can start programs as another user, and the load says so.
        if (::geteuid() == 0) {
            EXPECT_TRUE(result.warnings.empty()) << entry.path();
        }
        EXPECT_FALSE(result.config.units.empty()) << entry.path();
    }
    EXPECT_GE(seen, 5);
}

} // namespace
} // namespace keepwell
