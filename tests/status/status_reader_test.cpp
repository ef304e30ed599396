#include "status_support.h"
#include "supervisor/status/status_writer.h"
#include "supervisor/uv/loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

struct Reader { // reads as fast as a page that polls at 1 kHz, on a thread of its own
    explicit Reader(std::string p) : path(std::move(p)), thread([this] { run(); }) {}
    ~Reader() { stop(); }
    void stop() {
        stopping = true;
        if (thread.joinable()) thread.join();
    }
    void run() {
        std::int64_t last = 0;
        while (!stopping) {
            const std::string text = read_file(path);
            const json doc = json::parse(text, nullptr, false);
            const bool whole = doc.is_object() && doc.value("sequence", 0LL) >= last &&
                               doc["services"].size() == doc["total"];
            if (!whole)
                ++broken;
            else
                last = doc["sequence"].get<std::int64_t>();
            if (++reads % 100 == 1) samples.push_back(text);
            std::this_thread::sleep_for(1ms);
        }
    }
    std::string path;
    std::atomic<bool> stopping{false};
    std::atomic<int> broken{0}, reads{0};
    std::vector<std::string> samples;
    std::thread thread;
};

TEST(StatusReader, SeesOnlyWholeValidDocumentsDuringAThousandChanges) {
    constexpr std::uint64_t kChanges = 1000;
    constexpr int kReads = 100; // a sanitized reader is slow
    const TempFolder folder;
    const std::string path = folder / "status.json";
    uv::Loop loop;
    uv::MonotonicClock clock;
    StatusDocument document;
    for (int i = 0; i < 20; ++i) document.update(running_unit("u" + std::to_string(i)));
    std::uint64_t sequence = 0;
    std::vector<std::string> reports;
    {
        uv::LoopTimers timers(loop, clock);
        StatusWriter writer(
            clock, timers, StatusWriter::pool_of(loop), {path, 30s, 0s},
            [&] {
                SupervisorSnapshot s = supervisor_at(kNoon);
                s.sequence = ++sequence;
                return StatusWriter::Documents{document.render(s), std::nullopt};
            },
            [&](const std::string& line) { reports.push_back(line); });
        writer.start();
        while (writer.last_written().ms == 0) loop.run_once();
        Reader reader(path);
        uv::Timer change(loop, [&] {
            UnitSnapshot u = running_unit("u" + std::to_string(sequence % 20));
            u.health = sequence % 3 == 0 ? Verdict::Down : Verdict::Healthy;
            u.reason = std::string(sequence % 400, 'r');
            document.update(u);
            writer.changed();
        });
        change.start(1, 1);
        while (sequence < kChanges || reader.reads < kReads) loop.run_once();
        change.stop();
        ASSERT_TRUE(writer.finish());
        reader.stop();
        EXPECT_EQ(reader.broken, 0);
        EXPECT_EQ(schema_errors(reader.samples), "");
    }
    EXPECT_TRUE(reports.empty());
    EXPECT_EQ(json::parse(read_file(path))["sequence"], sequence);
}

} // namespace
