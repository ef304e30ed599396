// Long random lives of random units. A breach prints the seed and the shortest prefix that shows
// it.
#include "tests/property/world.h"
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace keepwell::testing {
namespace {

using Random = std::mt19937_64;

std::uint64_t pick(Random& random, std::uint64_t n) { return random() % n; }

UnitSpec random_unit(Random& random) {
    UnitSpec spec = checked_web(static_cast<std::uint32_t>(1 + pick(random, 4)));
    spec.checks[0].successes = static_cast<std::uint32_t>(1 + pick(random, 3));
    spec.checks[0].grace = std::chrono::seconds(pick(random, 2) * 30);
    if (pick(random, 2) == 0) {
        spec.checks.push_back(http_check(2));
        spec.checks[1].heals = pick(random, 2) == 0;
        spec.checks[1].effect = static_cast<CheckEffect>(pick(random, 4));
    }
    Policy& policy = spec.policy;
    policy.restart = static_cast<RestartMode>(pick(random, 3));
    policy.backoff.jitter = 0.1 * static_cast<double>(pick(random, 5));
    policy.backoff.factor = 1.0 + static_cast<double>(pick(random, 3));
    policy.budget.restarts = static_cast<std::uint32_t>(pick(random, 6));
    policy.budget.then = static_cast<BudgetThen>(pick(random, 2));
    policy.stop.timeout = std::chrono::seconds(pick(random, 12));
    policy.stop.kill = static_cast<KillScope>(pick(random, 4));
    spec.ready.kind = static_cast<ReadyKind>(pick(random, 4));
    spec.dry_run = pick(random, 10) == 0;
    spec.heal = pick(random, 10) != 0;
    if (pick(random, 3) == 0) {
        LadderStep reload;
        reload.kind = LadderKind::Reload;
        reload.cooldown = std::chrono::seconds(pick(random, 3) * 20);
        policy.ladder.insert(policy.ladder.begin(), reload);
    }
    return spec;
}

// Operators are rare beside what happens by itself.
Event choose(Random& random, const World& w) {
    const auto all = w.possible();
    constexpr std::size_t kOperator = 9;
    const bool own_life = all.size() > kOperator && pick(random, 20) != 0;
    const std::size_t first = own_life ? kOperator : 0;
    return all[first + pick(random, all.size() - first)];
}

struct Life {
    std::string trace;
    int steps = 0;
    std::string breach;
};

Life live(std::uint64_t seed, int steps) {
    Random random(seed);
    const UnitSpec spec = random_unit(random);
    World w(spec, Instant{} + 1h);
    Life life;
    try {
        w.apply(event::Start{}, w.now());
        for (; life.steps < steps; ++life.steps) {
            const auto at = w.next_deadline();
            const double jitter = static_cast<double>(pick(random, 1000)) / 1000;
            // Half of the time the next timer comes first, else something before it.
            if (at && pick(random, 2) == 0) {
                const Instant then = std::max(*at, w.now());
                for (int k = 0; k < kTimerCount; ++k) {
                    const auto kind = static_cast<TimerKind>(k);
                    if (w.record().deadline(kind) == *at) {
                        w.apply(event::Timer{kind}, then, jitter);
                        break;
                    }
                }
            } else {
                const Duration left = at ? std::max(*at - w.now(), Duration::zero()) : 60s;
                const auto ahead = Duration(pick(random, left.count() + 1));
                w.apply(choose(random, w), w.now() + ahead, jitter);
            }
            w.apply_stale(w.now());
            life.trace += w.key() + "\n";
        }
    } catch (const std::logic_error& e) {
        life.breach = e.what();
    }
    return life;
}

TEST(Random, LongLivesKeepEveryPromise) {
    const char* given = std::getenv("KEEPWELL_SEED");
    const std::uint64_t first = given ? std::strtoull(given, nullptr, 10) : 1;
    const std::uint64_t last = given ? first : 400;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        const Life life = live(seed, 500);
        ASSERT_EQ(life.breach, "")
            << "KEEPWELL_SEED=" << seed << ", step " << life.steps << ", the way there:\n"
            << life.trace;
    }
}

TEST(Random, TheSameSeedLivesTheSameLife) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        EXPECT_EQ(live(seed, 200).trace, live(seed, 200).trace);
    }
}

} // namespace
} // namespace keepwell::testing
