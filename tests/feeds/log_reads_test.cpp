#include "supervisor/feeds/log_reads.h"

#include "feed_support.h"
#include "tests/support/fake_ports.h"

#include <cerrno>
#include <optional>

namespace keepwell::feeds {
namespace {

struct Reads : testing::Test {
    void ask() {
        reads->read(std::make_shared<const LogPlaces>(folder.places({"web"})), {},
                    [this](const Result<LogPage>& page) {
                        if (page)
                            EXPECT_EQ(test::texts(page.value()), test::numbered(0, 2));
                        else
                            error = page.error();
                        ++done;
                    });
    }
    test::LogFolder folder;
    keepwell::test::FakeOffload offload;
    std::optional<LogReads> reads{std::in_place, offload};
    std::optional<Error> error;
    int done = 0;
};

TEST_F(Reads, AreDoneInALaneOfTheirOwn) {
    folder.lines("web", 0, 2);
    ask();
    ASSERT_EQ(offload.jobs.size(), 1U);
    EXPECT_EQ(offload.jobs[0].lane, Offload::Lane::Logs);
    EXPECT_EQ(done, 0);
    offload.finish();
    EXPECT_EQ(done, 1);
    EXPECT_FALSE(error);
}

TEST_F(Reads, ThatAreTooManyAreRefusedUntilOneIsDone) {
    folder.lines("web", 0, 2);
    for (std::size_t i = 0; i < LogReads::kMost; ++i) ask();
    EXPECT_EQ(done, 0);
    ask();
    EXPECT_EQ(done, 1);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, EAGAIN);
    EXPECT_EQ(offload.jobs.size(), LogReads::kMost);
    offload.finish();
    ask();
    EXPECT_EQ(done, 2);
    EXPECT_EQ(offload.jobs.size(), LogReads::kMost);
}

TEST_F(Reads, TellNobodyAfterTheirEnd) {
    for (int i = 0; i < 3; ++i) ask();
    offload.jobs[0].begun = true;
    reads.reset();
    EXPECT_EQ(offload.cancelled, 3U);
    EXPECT_EQ(offload.jobs.size(), 1U);
    EXPECT_FALSE(offload.jobs[0].done);
}

} // namespace
} // namespace keepwell::feeds
