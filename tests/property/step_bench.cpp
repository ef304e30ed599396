// Prints how many steps a second one core makes: a healthy check result, and a whole crash and
// restart. Not a test.
#include "tests/units/unit_driver.h"

#include <chrono>
#include <cstdio>

namespace {

using namespace keepwell;

template <class F>
void measure(const char* what, int steps_each, F&& once) {
    constexpr int kRounds = 300'000;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kRounds; ++i) once();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%-28s %10.0f steps/s\n", what, kRounds * steps_each / took.count());
}

void apply(const UnitSpec& spec, UnitRecord& record, const Event& event, Instant now) {
    record = step(spec, std::move(record), event, now, 0.5).record;
}

} // namespace

int main() {
    UnitSpec spec = testing::checked_web(3);
    spec.policy.budget.restarts = 1'000'000;
    spec.policy.budget.within = 1s;
    testing::UnitDriver unit(spec);
    unit.bring_up();
    UnitRecord record = unit.record;
    Instant now = unit.now;
    const event::CheckResult pass = unit.result(CheckOutcome::Pass, 200);
    measure("passing check", 1, [&] {
        now += 1s;
        apply(spec, record, pass, now);
    });
    measure("crash and restart", 4, [&] {
        ExitStatus status;
        status.known = true;
        status.code = 1;
        apply(spec, record, event::Exited{record.generation, status}, now);
        apply(spec, record, event::TreeEmpty{record.generation}, now);
        now = *record.deadline(TimerKind::Retry);
        apply(spec, record, event::Timer{TimerKind::Retry}, now);
        apply(spec, record, event::Spawned{record.generation, 100}, now);
    });
    return record.generation > 1 ? 0 : 1;
}
