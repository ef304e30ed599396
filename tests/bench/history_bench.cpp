// Measures the history: what a minute of many units costs the loop and the history's thread, how
// large 90 days of them become, and how long questions take then.
//
// usage: history_bench [units] [days] [folder]. Defaults: 1,000 units, 90 days, a temporary folder,
// which is removed. The hours of the past are written as the roll-ups they would be, the last day
// minute by minute as keepwell does it.
#include "supervisor/history/history_file.h"
#include "supervisor/history/history_json.h"

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

using namespace keepwell;
using namespace keepwell::history;

namespace {

constexpr std::int64_t kNowS = 1'769'860'800;

double cpu_ms() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    const auto ms = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
    };
    return ms(usage.ru_utime) + ms(usage.ru_stime);
}

double ms_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
        .count();
}

class BenchClock final : public Clock {
  public:
    Instant now() const noexcept override { return at; }
    WallTime wall() const noexcept override {
        return WallTime{
            std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count()};
    }
    Instant at{std::chrono::seconds(kNowS - 86'400)};
};

void must(const Status& s) {
    if (s) return;
    std::fprintf(stderr, "%s\n", s.error().message.c_str());
    std::exit(1);
}

RollUp hour_of(int unit) {
    RollUp r;
    r.in(Spent::Ok) = 3'600'000 - unit % 7 * 1000;
    r.in(Spent::Down) = unit % 7 * 1000;
    r.checks = 360;
    r.latency_us = {360, 1200 + unit, 90'000 + unit, 2'000'000 + unit};
    r.cpu_hundredths = {360, 0, 1250, 40'000};
    r.memory_kib = {360, 20'000 + unit, 30'000 + unit, 9'000'000 + unit};
    return r;
}

std::string key(int unit) { return "service-" + std::to_string(unit); }

// Minutes are not kept that long: a batch of hours is a batch of minutes of which only the hour is.
void fill_hours(HistoryFile& file, int units, int days) {
    for (std::int64_t h = kNowS / 3600 - days * 24; h < kNowS / 3600 - 24; ++h) {
        Batch b;
        b.now = WallTime{h * 3'600'000};
        for (int u = 0; u < units; ++u) b.minutes.push_back({key(u), h * 60, hour_of(u)});
        must(file.write(b));
        if (h % 24 == 0) must(file.trim(WallTime{(h * 3600 + 7 * 86'400) * 1000}, Limits{}));
        must(file.checkpoint());
    }
    Limits limits;
    limits.max_size = 1ULL << 40;
    for (int i = 0; i < days * 48; ++i) must(file.trim(WallTime{kNowS * 1000}, limits));
}

// Six checks and six samples a minute, as with the default intervals.
double a_minute(Recorder& recorder, BenchClock& clock, int units) {
    const double begin = cpu_ms();
    for (int round = 0; round < 6; ++round) {
        for (int u = 0; u < units; ++u) {
            const auto i = static_cast<UnitIndex>(u);
            recorder.checked(i, false, std::chrono::microseconds(1200 + u));
            recorder.figures(i, 0.25, 30ULL << 20);
        }
        clock.at += std::chrono::seconds(10);
    }
    return cpu_ms() - begin;
}

void question(HistoryFile& file, Range range) {
    std::vector<double> took;
    for (int i = 0; i < 20; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        auto story = file.story(key(i * 37 % 900), range, WallTime{kNowS * 1000 - 1});
        if (!story) must(story.error());
        (void)story_json(*story);
        took.push_back(ms_since(begin));
    }
    std::sort(took.begin(), took.end());
    std::printf("question %-4s                     %8.1f ms median, %.1f ms worst of 20\n",
                std::string(cut_of(range).name).c_str(), took[10], took.back());
}

} // namespace

int main(int argc, char** argv) {
    const int units = argc > 1 ? std::atoi(argv[1]) : 1000;
    const int days = argc > 2 ? std::atoi(argv[2]) : 90;
    std::string folder = argc > 3 ? argv[3] : "";
    if (folder.empty()) {
        std::string pattern = (std::filesystem::temp_directory_path() / "kwhb-XXXXXX").string();
        folder = mkdtemp(pattern.data());
    }
    std::vector<std::string> notes;
    auto opened = HistoryFile::open(folder + "/history.db", notes);
    if (!opened) must(opened.error());
    HistoryFile& file = **opened;
    fill_hours(file, units, days);
    const auto hours_size = static_cast<double>(*file.size());

    BenchClock clock;
    Recorder recorder(clock);
    for (int u = 0; u < units; ++u) recorder.begin(static_cast<UnitIndex>(u), key(u), Spent::Ok);
    double told = 0, taken = 0, written = 0, worst = 0;
    for (int minute = 0; minute < 1440; ++minute) {
        told += a_minute(recorder, clock, units);
        double begin = cpu_ms();
        Batch b;
        b.minutes = recorder.take();
        taken += cpu_ms() - begin;
        b.now = clock.wall();
        begin = cpu_ms();
        const auto wall = std::chrono::steady_clock::now();
        must(file.write(b));
        must(file.trim(b.now, Limits{}));
        must(file.checkpoint());
        written += cpu_ms() - begin;
        worst = std::max(worst, ms_since(wall));
    }
    const auto size = static_cast<double>(*file.size());
    std::printf("%d units, %d days of hours, one day of minutes\n", units, days);
    std::printf("loop: a minute's checks and samples  %8.3f ms (%.0f ns each)\n", told / 1440,
                told / 1440 * 1e6 / (units * 12.0));
    std::printf("loop: the end of a minute            %8.3f ms\n", taken / 1440);
    std::printf("thread: a minute written and trimmed %8.1f ms CPU, worst %.0f ms\n",
                written / 1440, worst);
    std::printf("thread: a day                        %8.1f s CPU, %.2f %% of a core\n",
                written / 1000, written / 864'000);
    std::printf("a unit's day: CPU                    %8.1f ms\n",
                (written + told + taken) / units);
    std::printf("a unit's day: minutes and hours      %8.1f KiB\n",
                (size - hours_size) / 1024 / units);
    std::printf("the whole file                       %8.1f MiB\n", size / (1 << 20));
    for (const Range r : {Range::Hour, Range::Day, Range::Week, Range::Quarter}) question(file, r);
    const auto begin = std::chrono::steady_clock::now();
    (void)file.uptimes(WallTime{kNowS * 1000 - 1}, false);
    std::printf("uptime ratios of all, once an hour   %8.1f ms\n", ms_since(begin));
    if (argc <= 3) std::filesystem::remove_all(folder);
    return 0;
}
