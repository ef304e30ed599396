#include "supervisor/app/manager_notice.h"

#include <array>
#include <fmt/format.h>

namespace keepwell {

namespace {

constexpr std::uint64_t kGapMs = 1000;

// The words and the order of `keepwell status`.
constexpr std::array<const char*, 7> kStateWords = {"healthy", "degraded",  "down",   "waiting",
                                                    "unknown", "completed", "stopped"};

std::size_t word_of(const UnitRecord& r) {
    if (r.state == State::Completed) return 5;
    if (r.desired == Desired::Stopped) return 6;
    if (r.state == State::Waiting) return 3;
    if (r.health == Verdict::Down || r.state == State::Failed) return 2;
    if (r.health == Verdict::Degraded) return 1;
    return r.health == Verdict::Healthy ? 0 : 4;
}

} // namespace

std::string units_line(const Engine& engine) {
    std::array<std::size_t, kStateWords.size()> counts{};
    std::size_t total = 0;
    for (const UnitIndex i : engine.all()) {
        if (engine.retiring(i)) continue;
        ++total;
        ++counts[word_of(engine.record(i))];
    }
    std::string out = fmt::format("{} unit{}", total, total == 1 ? "" : "s");
    const char* separator = ": ";
    for (std::size_t i = 0; i < kStateWords.size(); ++i) {
        if (counts[i] == 0) continue;
        out += fmt::format("{}{} {}", separator, counts[i], kStateWords[i]);
        separator = ", ";
    }
    return out;
}

ManagerNotice::ManagerNotice(Ports ports)
    : p_(std::move(ports)), gap_(p_.loop, [this] {
          waiting_ = false;
          say_status();
      }) {}

void ManagerNotice::ready() {
    if (!p_.wanted() || stopping_) return;
    ready_ = true;
    last_ = units_line(p_.engine);
    p_.send("READY=1\nSTATUS=" + last_);
}

void ManagerNotice::reloading() {
    if (!p_.wanted() || stopping_) return;
    ready_ = false;
    const auto now =
        std::chrono::duration_cast<std::chrono::microseconds>(p_.clock.now().time_since_epoch());
    p_.send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=reloading", now.count()));
}

void ManagerNotice::stopping() {
    if (!p_.wanted() || stopping_) return;
    stopping_ = true;
    p_.send("STOPPING=1\nSTATUS=stopping every unit");
}

void ManagerNotice::changed() {
    if (!waiting_) say_status();
}

// Every line said opens a gap, also the one said at the end of a gap: else two could follow each
// other at once.
void ManagerNotice::say_status() {
    if (!ready_ || stopping_) return;
    std::string line = units_line(p_.engine);
    if (line == last_) return;
    last_ = std::move(line);
    p_.send("STATUS=" + last_);
    waiting_ = true;
    gap_.start(kGapMs);
}

} // namespace keepwell
