// Thousands of units through 24 hours of crashes, hangs, slow stops and a busy host, in virtual
// time: no promise broken, nobody forgotten, no crash loop faster than its budget.
#include "tests/property/world.h"
#include "tests/units/unit_driver.h"

#include <gtest/gtest.h>

#include <array>
#include <queue>
#include <random>

namespace keepwell::testing {
namespace {

#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr std::uint32_t kUnits = 10'000;
#else
constexpr std::uint32_t kUnits = 300;
#endif
constexpr Duration kDay = 24h;
constexpr Duration kCheckInterval = 10min;

class Simulation {
  public:
    explicit Simulation(std::uint64_t seed) : random_(seed), spec_(checked_web(3)) {
        spec_.policy.backoff.jitter = 0.1;
        spec_.checks[0].grace = 30s;
        units_.reserve(kUnits);
        for (std::uint32_t i = 0; i < kUnits; ++i) {
            units_.push_back({World(spec_, kBegin), {}, false, i % 100 == 0});
        }
        for (std::uint32_t i = 0; i < kUnits; ++i) feed(i, event::Start{}, kBegin);
    }

    void run() {
        while (!queue_.empty() && queue_.top().at <= kBegin + kDay) {
            const Item item = queue_.top();
            queue_.pop();
            happen(item);
        }
    }

    struct Unit {
        World world;
        std::array<std::optional<Instant>, kTimerCount> armed{};
        bool sick = false;        // its checks fail
        bool crash_loops = false; // never lives for long
        std::uint32_t spawns = 0;
    };
    const std::vector<Unit>& units() const { return units_; }
    std::uint64_t steps() const { return steps_; }

  private:
    enum class What { Timer, Spawned, Dies, TreeEmpty, Check };
    struct Item {
        Instant at;
        std::uint64_t order;
        std::uint32_t unit;
        What what;
        TimerKind timer;
        Generation generation;
        bool operator<(const Item& other) const { // the top of the queue is the earliest
            return at != other.at ? at > other.at : order > other.order;
        }
    };
    static constexpr Instant kBegin = Instant{} + 1h;

    double chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }
    Duration life(Duration mean) {
        std::exponential_distribution<double> d(1.0 / static_cast<double>(mean.count()));
        return Duration(static_cast<Duration::rep>(d(random_)) + 1);
    }

    void later(std::uint32_t unit, What what, Instant at, TimerKind timer = {}) {
        const Generation g = units_[unit].world.record().generation;
        queue_.push({at, order_++, unit, what, timer, g});
    }

    void happen(const Item& item) {
        Unit& u = units_[item.unit];
        const UnitRecord& r = u.world.record();
        if (item.what == What::Timer) {
            if (r.deadline(item.timer) == item.at) {
                u.armed[static_cast<std::size_t>(item.timer)].reset();
                feed(item.unit, event::Timer{item.timer}, item.at);
            }
            return;
        }
        if (item.generation != r.generation) return;
        const Process process = u.world.process();
        switch (item.what) {
        case What::Timer: return;
        case What::Spawned: answer_spawn(item); return;
        case What::Dies:
            if (process == Process::Alive) die(item);
            return;
        case What::TreeEmpty:
            if (process == Process::OnlyTree) {
                feed(item.unit, event::TreeEmpty{r.generation}, item.at);
            }
            return;
        case What::Check:
            if (process == Process::Alive) check(item);
            return;
        }
    }

    void answer_spawn(const Item& item) {
        Unit& u = units_[item.unit];
        if (chance() < 0.01) {
            feed(item.unit, event::SpawnFailed{item.generation, SpawnStage::Fork, 11, true},
                 item.at);
            return;
        }
        u.sick = false;
        feed(item.unit, event::Spawned{item.generation, 100}, item.at);
        later(item.unit, What::Dies, item.at + life(u.crash_loops ? 2s : Duration(6h)));
        later(item.unit, What::Check, item.at + life(1s));
    }

    void die(const Item& item) {
        ExitStatus status;
        status.known = true;
        status.code = chance() < 0.5 ? 1 : 0;
        feed(item.unit, event::Exited{item.generation, status}, item.at);
        const Duration left_overs = chance() < 0.1 ? Duration(20s) : Duration(1ms);
        later(item.unit, What::TreeEmpty, item.at + left_overs);
    }

    void check(const Item& item) {
        Unit& u = units_[item.unit];
        if (!u.sick && chance() < 0.002) u.sick = true;
        event::CheckResult result{item.generation,   0,    CheckOutcome::Pass, 200, true, true,
                                  CheckEffect::Down, false};
        if (u.sick) {
            result.outcome = CheckOutcome::Fail;
            result.code = 503;
        }
        feed(item.unit, result, item.at);
        const auto& counter = u.world.record().checks[0];
        const bool pending = counter.failures > 0 && !counter.tripped;
        later(item.unit, What::Check, item.at + (pending ? Duration(2s) : kCheckInterval));
    }

    void feed(std::uint32_t index, const Event& event, Instant now) {
        Unit& u = units_[index];
        u.world.apply(event, now, chance());
        ++steps_;
        for (const Effect& e : u.world.effects()) {
            if (std::holds_alternative<effect::Spawn>(e)) {
                ++u.spawns;
                later(index, What::Spawned, now + 1ms);
            } else if (std::holds_alternative<effect::Terminate>(e)) {
                if (chance() > 0.05) later(index, What::Dies, now + life(200ms)); // else deaf
            } else if (std::holds_alternative<effect::Kill>(e)) {
                later(index, What::Dies, now + 1ms);
                later(index, What::TreeEmpty, now + 2ms);
            }
        }
        for (std::size_t k = 0; k < u.armed.size(); ++k) {
            const auto& deadline = u.world.record().deadlines[k];
            if (deadline && deadline != u.armed[k]) {
                later(index, What::Timer, *deadline, static_cast<TimerKind>(k));
            }
            u.armed[k] = deadline;
        }
    }

    std::mt19937_64 random_;
    UnitSpec spec_;
    std::vector<Unit> units_;
    std::priority_queue<Item> queue_;
    std::uint64_t order_ = 0;
    std::uint64_t steps_ = 0;
};

TEST(Simulation, ADayOfFailuresBreaksNoPromiseAndForgetsNobody) {
    Simulation day(42);
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_NO_THROW(day.run());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    std::printf("%u units, 24 h: %llu steps in %.2f s\n", kUnits,
                static_cast<unsigned long long>(day.steps()), took.count());
    std::size_t running = 0;
    for (const auto& unit : day.units()) {
        const UnitRecord& r = unit.world.record();
        running += r.state == State::Running ? 1 : 0;
        // A crash loop: the budget once, then one attempt each cooldown.
        const auto most = 24 * 60 / 5 + 24 * 60 / 10 * 10;
        EXPECT_LE(unit.spawns, static_cast<std::uint32_t>(most));
        if (unit.crash_loops) {
            EXPECT_GE(unit.spawns, 100U) << "never a dead end";
        } else {
            EXPECT_LE(unit.spawns, 100U);
        }
        EXPECT_EQ(r.generation, unit.spawns);
    }
    EXPECT_GE(running, kUnits * 95 / 100);
    EXPECT_GT(day.steps(), kUnits * 100ULL);
}

} // namespace
} // namespace keepwell::testing
