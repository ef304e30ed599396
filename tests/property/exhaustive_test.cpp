// Every script of a small unit (thresholds and budget of two) up to a depth, by breadth-first
// search: nothing random, no promise broken anywhere.
#include "tests/property/world.h"
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

#include <chrono>
#include <unordered_set>

namespace keepwell::testing {
namespace {

UnitSpec small_unit() {
    UnitSpec spec = checked_web(2);
    spec.policy.failures = 2;
    spec.policy.budget.restarts = 2;
    return spec;
}

struct Found {
    std::size_t worlds = 0;
    std::size_t steps = 0;
    std::size_t most_effects = 0;
    int depth = 0;
    unsigned states = 0; // a bit for each State seen
};

// Time passes only from one deadline to the next, so that the number of worlds stays finite.
std::vector<World> successors(const World& w, Found& found) {
    std::vector<World> next;
    for (const Event& event : w.possible()) {
        next.push_back(w);
        next.back().apply(event, w.now());
    }
    if (const auto at = w.next_deadline()) {
        for (int k = 0; k < kTimerCount; ++k) {
            const auto kind = static_cast<TimerKind>(k);
            if (w.record().deadline(kind) != *at) continue;
            next.push_back(w);
            next.back().apply(event::Timer{kind}, std::max(*at, w.now()));
        }
    }
    found.steps += next.size();
    return next;
}

Found search(const UnitSpec& spec, int depth, std::chrono::seconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    Found found;
    std::unordered_set<std::string> seen;
    std::vector<World> layer{World(spec, Instant{} + 1h)};
    for (; found.depth < depth; ++found.depth) {
        std::vector<World> next;
        for (const World& w : layer) {
            for (World& n : successors(w, found)) {
                n.apply_stale(n.now());
                found.most_effects = std::max(found.most_effects, n.most_effects());
                found.states |= 1U << static_cast<unsigned>(n.record().state);
                if (seen.insert(n.key()).second) next.push_back(std::move(n));
            }
            if (std::chrono::steady_clock::now() > until) return found;
        }
        layer = std::move(next);
        found.worlds += layer.size();
    }
    return found;
}

void explore(const UnitSpec& spec) {
    Found found;
    ASSERT_NO_THROW(found = search(spec, 8, 15s));
    std::printf("%zu worlds, %zu steps, depth %d, at most %zu effects\n", found.worlds, found.steps,
                found.depth, found.most_effects);
    EXPECT_GE(found.depth, 5);
    EXPECT_LE(found.most_effects, 10U);
}

TEST(Exhaustive, ASmallUnitKeepsEveryPromise) { explore(small_unit()); }

TEST(Exhaustive, ASmallUnitThatGivesUpKeepsEveryPromise) {
    UnitSpec spec = small_unit();
    spec.policy.budget.restarts = 1;
    spec.policy.budget.then = BudgetThen::Stop;
    spec.policy.restart = RestartMode::OnFailure;
    explore(spec);
}

TEST(Exhaustive, ASmallUnitWithALadderKeepsEveryPromise) {
    UnitSpec spec = small_unit();
    LadderStep reload;
    reload.kind = LadderKind::Reload;
    spec.policy.ladder.insert(spec.policy.ladder.begin(), reload);
    spec.ready = {ReadyKind::Check, "http"};
    explore(spec);
}

TEST(Exhaustive, ADryUnitKeepsEveryPromise) {
    UnitSpec spec = small_unit();
    spec.dry_run = true;
    explore(spec);
}

} // namespace
} // namespace keepwell::testing
