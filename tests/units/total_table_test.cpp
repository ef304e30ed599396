// Every state × event × wish has an answer, and every answer is a transition that the table below,
// written by hand from docs/state-machine.md, allows. Every row and every cell of it is reached.
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace keepwell {
namespace {

using S = State;

// Staying is always allowed. Only units that others may start too enter Unknown.
const std::map<State, std::set<State>> kAllowed = {
    {S::Stopped, {S::Waiting, S::Starting, S::Running, S::Stopping, S::Unknown}},
    {S::Waiting, {S::Stopped, S::Starting, S::Running, S::Stopping, S::Unknown}},
    {S::Starting,
     {S::Stopped, S::Waiting, S::Running, S::Stopping, S::Backoff, S::Cooldown, S::Completed,
      S::Failed, S::Unknown}},
    {S::Running,
     {S::Stopped, S::Waiting, S::Starting, S::Stopping, S::Backoff, S::Cooldown, S::Completed,
      S::Failed, S::Unknown}},
    {S::Stopping,
     {S::Stopped, S::Waiting, S::Starting, S::Running, S::Backoff, S::Cooldown, S::Completed,
      S::Failed, S::Unknown}},
    {S::Backoff,
     {S::Stopped, S::Waiting, S::Starting, S::Running, S::Stopping, S::Cooldown, S::Completed,
      S::Failed, S::Unknown}},
    {S::Cooldown, {S::Stopped, S::Waiting, S::Starting, S::Running, S::Stopping, S::Unknown}},
    {S::Completed, {S::Stopped, S::Waiting, S::Starting, S::Running, S::Stopping}},
    {S::Failed, {S::Stopped, S::Waiting, S::Starting, S::Running, S::Stopping}},
    {S::Unknown,
     {S::Stopped, S::Waiting, S::Starting, S::Running, S::Stopping, S::Backoff, S::Cooldown,
      S::Completed, S::Failed}},
};

const Instant kNow = Instant{} + 10h;

std::vector<UnitSpec> specs() {
    std::vector<UnitSpec> all;
    for (const auto mode : {RestartMode::Always, RestartMode::OnFailure, RestartMode::Never}) {
        for (const auto then : {BudgetThen::Cooldown, BudgetThen::Stop}) {
            for (const std::uint32_t budget : {0U, 5U}) {
                UnitSpec spec = testing::checked_web(1);
                spec.policy.restart = mode;
                spec.policy.budget.then = then;
                spec.policy.budget.restarts = budget;
                all.push_back(spec);
                spec.ready.kind = ReadyKind::Check;
                all.push_back(spec);
            }
        }
    }
    UnitSpec external = testing::checked_web(1);
    external.kind = UnitKind::External;
    all.push_back(external);
    UnitSpec dry = testing::checked_web(1);
    dry.dry_run = true;
    all.push_back(dry);
    UnitSpec bare = testing::web();
    bare.policy.stop.kill = KillScope::Never;
    all.push_back(bare);
    for (std::size_t n = 0, children = all.size(); n < children; ++n) {
        if (all[n].kind == UnitKind::External) continue;
        UnitSpec seen = all[n];
        seen.kind = UnitKind::Systemd;
        all.push_back(seen);
    }
    return all;
}

struct Life {
    bool main = false, tree = false;
};

std::vector<Life> lives_of(State state, UnitKind kind) {
    const bool external = kind == UnitKind::External;
    if (external) { // it is watched or it is not
        if (state == S::Stopped || state == S::Running) return {{false, false}};
        return {};
    }
    switch (state) {
    case S::Running: return {{true, true}};
    case S::Starting: return {{false, false}, {true, true}};
    case S::Stopping: return {{true, true}, {false, true}};
    case S::Backoff: // systemd may have it in hand
        if (is_observed(kind)) return {{false, false}, {false, true}};
        return {{false, false}};
    case S::Stopped:
    case S::Waiting:
    case S::Cooldown:
    case S::Completed:
    case S::Failed: return {{false, false}};
    case S::Unknown: return {{false, false}, {true, true}, {false, true}};
    }
    return {};
}

std::vector<UnitRecord> records(const UnitSpec& spec, State state) {
    std::vector<UnitRecord> all;
    for (const Life life : lives_of(state, spec.kind)) {
        for (int bits = 0; bits < 32; ++bits) {
            UnitRecord r = initial_record(spec, kNow - 1h);
            r.state = state;
            r.desired = (bits & 1) != 0 ? Desired::Running : Desired::Stopped;
            r.generation = 3;
            r.main_alive = life.main;
            r.tree_alive = life.tree;
            r.started_at = kNow - 1h;
            if ((bits & 2) != 0) r.hold = 7;
            r.paused = (bits & 4) != 0;
            r.restart_now = (bits & 8) != 0 && state == S::Stopping;
            if ((bits & 16) != 0) {
                r.reason.kind = ReasonKind::Exited;
                r.reason.status.known = true;
            }
            for (auto& deadline : r.deadlines) deadline = kNow;
            all.push_back(r);
        }
    }
    return all;
}

std::vector<Event> events() {
    ExitStatus good;
    good.known = true;
    ExitStatus bad = good;
    bad.code = 1;
    std::vector<Event> all = {event::Start{},
                              event::Stop{},
                              event::Restart{},
                              event::Shutdown{},
                              event::CheckEnabled{0, false},
                              event::CheckEnabled{9, true},
                              event::Dependencies{std::nullopt, std::nullopt},
                              event::Dependencies{7, 7},
                              event::Pause{std::nullopt},
                              event::Pause{kNow + 1h},
                              event::Resume{},
                              event::Reset{},
                              event::Reconfigured{}};
    for (int k = 0; k < kTimerCount; ++k) all.push_back(event::Timer{static_cast<TimerKind>(k)});
    for (const std::int64_t pid : {std::int64_t{0}, std::int64_t{50}})
        for (const Instant at : {kNow, kNow - 1h}) all.push_back(event::Appeared{pid, at});
    for (const bool on_purpose : {false, true}) {
        all.push_back(event::Absent{on_purpose, bad});
        all.push_back(event::Absent{on_purpose, good});
    }
    all.push_back(event::Held{bad});
    all.push_back(event::Blind{Blindness::BusLost});
    for (const Generation g : {Generation{0}, Generation{2}, Generation{3}, Generation{4}}) {
        all.push_back(event::Spawned{g, 50});
        all.push_back(event::SpawnFailed{g, SpawnStage::Exec, 2, false});
        all.push_back(event::SpawnFailed{g, SpawnStage::Fork, 11, true});
        all.push_back(event::Adopted{g, 50, kNow - 2s});
        all.push_back(event::Adopted{g, 50, kNow});
        all.push_back(event::Ready{g});
        all.push_back(event::Exited{g, good});
        all.push_back(event::Exited{g, bad});
        all.push_back(event::TreeEmpty{g});
        all.push_back(event::StopFinished{g, false});
        all.push_back(event::MainChanged{g, 51});
        for (const auto outcome : {CheckOutcome::Pass, CheckOutcome::Warn, CheckOutcome::Fail}) {
            for (const CheckIndex i : {CheckIndex{0}, CheckIndex{9}}) {
                all.push_back(
                    event::CheckResult{g, i, outcome, 500, true, true, CheckEffect::Down, false});
            }
        }
    }
    return all;
}

bool spawns(const Step& s) {
    return std::ranges::any_of(
        s.effects, [](const Effect& e) { return std::holds_alternative<effect::Spawn>(e); });
}

TEST(TotalTable, EveryStateAnswersEveryEventByAnAllowedTransition) {
    std::map<State, std::set<State>> seen;
    std::size_t steps = 0;
    const auto all_events = events();
    for (const UnitSpec& spec : specs()) {
        for (int i = 0; i < kStateCount; ++i) {
            const auto from = static_cast<State>(i);
            for (const UnitRecord& r : records(spec, from)) {
                for (const Event& event : all_events) {
                    const Step s = step(spec, r, event, kNow, 0.5);
                    const State to = s.record.state;
                    ++steps;
                    if (to != from) seen[from].insert(to);
                    ASSERT_TRUE(to == from || kAllowed.at(from).contains(to))
                        << to_string(from) << " -> " << to_string(to) << " by event "
                        << event.index();
                    const bool ends = std::holds_alternative<event::TreeEmpty>(event) ||
                                      std::holds_alternative<event::Absent>(event);
                    ASSERT_FALSE(spawns(s) && (r.main_alive || r.tree_alive) && !ends)
                        << "a second copy, from " << to_string(from) << " by " << event.index();
                    ASSERT_FALSE(spawns(s) && (s.record.main_alive || s.record.tree_alive));
                    ASSERT_FALSE(spawns(s) && s.record.desired == Desired::Stopped);
                }
            }
        }
    }
    for (const auto& [from, targets] : kAllowed) {
        for (const State to : targets) {
            EXPECT_TRUE(seen[from].contains(to))
                << "never seen: " << to_string(from) << " -> " << to_string(to);
        }
    }
    EXPECT_GT(steps, 100'000U);
}

TEST(TotalTable, ARecordWithFewerCountersThanChecksIsNoCrash) {
    for (int i = 0; i < kStateCount; ++i) {
        for (const Event& event : events()) {
            UnitRecord r;
            r.state = static_cast<State>(i);
            r.generation = 3;
            r.main_alive = r.tree_alive = true;
            const Step s = step(testing::checked_web(1), r, event, kNow, 0.0);
            EXPECT_TRUE(s.record.checks.empty());
        }
    }
}

} // namespace
} // namespace keepwell
