#include "supervisor/app/simulate.h"

#include "supervisor/engine/engine.h"
#include "supervisor/engine/note_text.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

namespace keepwell {

namespace {

constexpr auto kSpawn = 20ms;
constexpr auto kEnd = 100ms;  // from a signal to the end of the process
constexpr auto kCheck = 10ms; // how long a check takes
constexpr std::int64_t kFirstPid = 1000;

class VirtualTime final : public Clock, public Timers {
  public:
    Instant now() const noexcept override { return now_; }
    WallTime wall() const noexcept override {
        return {std::chrono::duration_cast<std::chrono::milliseconds>(now_ - begin).count()};
    }
    TimerId arm(Instant at, std::function<void()> callback) override {
        const TimerId id = next_++;
        queue_.emplace(std::pair{at, id}, std::move(callback));
        places_.emplace(id, at);
        return id;
    }
    void cancel(TimerId id) noexcept override {
        const auto at = places_.find(id);
        if (at == places_.end()) return;
        queue_.erase({at->second, id});
        places_.erase(at);
    }
    void run_until(Instant end) {
        while (!queue_.empty() && queue_.begin()->first.first <= end) {
            auto node = queue_.extract(queue_.begin());
            places_.erase(node.key().second);
            now_ = std::max(now_, node.key().first);
            node.mapped()();
        }
        now_ = std::max(now_, end);
    }
    static constexpr Instant begin{std::chrono::hours(1)};

  private:
    Instant now_ = begin;
    TimerId next_ = 1;
    std::map<std::pair<Instant, TimerId>, std::function<void()>> queue_;
    std::map<TimerId, Instant> places_;
};

class Simulation final : public EngineListener {
  public:
    explicit Simulation(const Configuration& config)
        : engine_(time_, time_, *this, [] { return 0.5; }) {
        for (UnitSpec unit : config.units) {
            if (!unit.enabled) continue;
            unit.policy.backoff.jitter = 0; // the same story every time
            const UnitIndex i = engine_.add(unit, initial_record(unit, time_.now()));
            worlds_[i];
        }
        engine_.link();
    }

    Status check_names(const Scenario& scenario, const std::string& file) const {
        for (const auto& step : scenario.steps) {
            const std::string where =
                file + ":" + std::to_string(step.line) + ": cannot play this: ";
            const auto i = engine_.find(step.unit);
            if (!i) return Error{where + "no unit has the key \"" + step.unit + "\""};
            if (!step.check.empty() && !check_of(*i, step.check))
                return Error{where + step.unit + " has no check \"" + step.check + "\""};
        }
        return Done{};
    }

    Simulated run(const Scenario& scenario) {
        for (const UnitIndex i : engine_.all())
            if (engine_.spec(i).autostart || engine_.spec(i).kind == UnitKind::External)
                engine_.post(i, event::Start{}, {"", "autostart", -1});
        for (const auto& step : scenario.steps)
            time_.arm(VirtualTime::begin + step.at, [this, &step] { play(step); });
        time_.run_until(VirtualTime::begin + scenario.end);
        Simulated out;
        out.lines = std::move(lines_);
        for (const UnitIndex i : engine_.all()) {
            World& w = worlds_[i];
            if (w.unwell_since) w.unwell += time_.now() - *w.unwell_since;
            const UnitRecord& r = engine_.record(i);
            out.units.push_back({engine_.key_of(i), std::string(to_string(r.state)),
                                 std::string(to_string(r.health)), r.restarts_total, w.unwell});
        }
        return out;
    }

    void on_step(const StepInfo& info) override {
        for (const auto& effect : info.effects) {
            const auto* note = std::get_if<Note>(&effect);
            if (note == nullptr) continue;
            const NoteText text =
                describe(*note, info, [this](UnitIndex i) { return engine_.key_of(i); });
            say(info.spec.key, text.kind, text.subject, text.text, text.detail);
        }
        World& w = worlds_[info.unit];
        const bool well = info.after.health == Verdict::Healthy;
        if (well) {
            if (w.unwell_since) w.unwell += time_.now() - *w.unwell_since;
            w.unwell_since.reset();
            w.was_well = true;
        } else if (w.was_well && !w.unwell_since) {
            w.unwell_since = time_.now();
        }
    }

    void on_effect(UnitIndex i, const Effect& e) override {
        if (const auto* spawn = std::get_if<effect::Spawn>(&e)) return begin(i, spawn->generation);
        if (const auto* stop = std::get_if<effect::Terminate>(&e))
            return end_later(i, stop->generation, signalled(engine_.spec(i).policy.stop.signal),
                             kEnd);
        if (const auto* kill = std::get_if<effect::Kill>(&e))
            return end_later(i, kill->generation, signalled(9), kSpawn);
        if (const auto* checks = std::get_if<effect::StartChecks>(&e))
            return start_checks(i, checks->generation);
        if (std::holds_alternative<effect::StopChecks>(e)) worlds_[i].checked = 0;
        if (const auto* rung = std::get_if<effect::RunLadder>(&e))
            say(engine_.key_of(i), "ladder", "", "step " + std::to_string(rung->step + 1), "");
    }
    void on_erased(UnitIndex, const std::string&) override {}
    void on_thrown(const std::string& key, const char* what) noexcept override {
        std::fprintf(stderr, "keepwell: internal error while %s was simulated: %s\n", key.c_str(),
                     what);
    }

  private:
    struct World {
        bool alive = false;
        std::optional<Duration> crash_after;
        std::map<std::string, std::string> failing; // check -> what it says
        Generation checked = 0;                     // whose checks run; 0 = none
        bool was_well = false;
        std::optional<Instant> unwell_since;
        Duration unwell{};
    };

    static ExitStatus signalled(int signal) {
        ExitStatus status;
        status.known = true;
        status.signal = signal;
        return status;
    }
    static ExitStatus exited(int code) {
        ExitStatus status;
        status.known = true;
        status.code = code;
        return status;
    }

    std::optional<CheckIndex> check_of(UnitIndex i, const std::string& id) const {
        const auto& checks = engine_.spec(i).checks;
        for (std::size_t c = 0; c < checks.size(); ++c)
            if (checks[c].id == id) return static_cast<CheckIndex>(c);
        return std::nullopt;
    }

    void say(const std::string& unit, const std::string& kind, const std::string& subject,
             const std::string& text, const std::string& detail) {
        lines_.push_back({time_.now() - VirtualTime::begin, unit, kind, subject, text, detail});
    }

    void begin(UnitIndex i, Generation g) {
        time_.arm(time_.now() + kSpawn, [this, i, g] {
            World& w = worlds_[i];
            w.alive = true;
            engine_.post(i, event::Spawned{g, next_pid_++});
            const ReadyKind ready = engine_.spec(i).ready.kind;
            if (ready == ReadyKind::Notify || ready == ReadyKind::Log)
                time_.arm(time_.now() + 1s, [this, i, g] { engine_.post(i, event::Ready{g}); });
            if (w.crash_after) end_later(i, g, exited(1), *w.crash_after);
        });
    }

    void end_later(UnitIndex i, Generation g, const ExitStatus& status, Duration after) {
        time_.arm(time_.now() + after, [this, i, g, status] {
            World& w = worlds_[i];
            if (!w.alive || engine_.record(i).generation != g) return;
            w.alive = false;
            engine_.post(i, event::Exited{g, status});
            engine_.post(i, event::TreeEmpty{g});
        });
    }

    void start_checks(UnitIndex i, Generation g) {
        worlds_[i].checked = g + 1;
        const auto& checks = engine_.spec(i).checks;
        for (std::size_t c = 0; c < checks.size(); ++c)
            run_check(i, static_cast<CheckIndex>(c), g, 500ms);
    }

    void run_check(UnitIndex i, CheckIndex c, Generation g, Duration wait) {
        time_.arm(time_.now() + wait, [this, i, c, g] {
            const UnitSpec& spec = engine_.spec(i);
            const CheckSpec& check = spec.checks[c];
            World& w = worlds_[i];
            if (w.checked != g + 1 || engine_.record(i).generation != g) return;
            if (!engine_.record(i).checks[c].enabled) return;
            const auto bad = w.failing.find(check.id);
            const bool fails = bad != w.failing.end();
            const event::CheckResult result{g,
                                            c,
                                            fails ? CheckOutcome::Fail : CheckOutcome::Pass,
                                            0,
                                            !blamed(check),
                                            true,
                                            CheckEffect::Degraded,
                                            false};
            const double took = std::chrono::duration<double, std::milli>(kCheck).count();
            engine_.post(i, result, {fails ? bad->second : "", "", took});
            const UnitRecord& r = engine_.record(i);
            if (!fails && r.state == State::Starting && spec.ready.kind == ReadyKind::Check &&
                spec.ready.arg == check.id)
                engine_.post(i, event::Ready{g});
            const CheckCounter& counter = engine_.record(i).checks[c];
            const bool pending = counter.failures > 0 && !counter.tripped;
            run_check(i, c, g, pending ? check.retry_interval : check.interval);
        });
    }

    bool blamed(const CheckSpec& check) const {
        return std::any_of(check.blames.begin(), check.blames.end(), [&](const std::string& key) {
            const auto i = engine_.find(key);
            return i && (engine_.record(*i).health == Verdict::Down ||
                         engine_.record(*i).state == State::Stopped ||
                         engine_.record(*i).state == State::Waiting);
        });
    }

    void play(const ScenarioStep& step) {
        const UnitIndex i = *engine_.find(step.unit);
        const Generation g = engine_.record(i).generation;
        World& w = worlds_[i];
        const EventText by{"", "the scenario", -1};
        const auto told = [&](const std::string& text) {
            say(step.unit, "scenario", "", text, "");
        };
        switch (step.kind) {
        case StepKind::Fail:
            w.failing[step.check] = step.text.empty() ? "fails" : step.text;
            return told("check " + step.check + " fails from now on");
        case StepKind::Pass:
            w.failing.erase(step.check);
            return told("check " + step.check + " passes again");
        case StepKind::Exit:
            told("the process ends with " + std::to_string(step.number));
            return end_later(i, g, exited(step.number), 0s);
        case StepKind::Kill:
            told("the process is killed");
            return end_later(i, g, signalled(step.number), 0s);
        case StepKind::Crash:
            w.crash_after = step.after;
            told("every start dies from now on");
            return end_later(i, g, exited(1), 0s);
        case StepKind::Steady: w.crash_after.reset(); return told("starts last again");
        case StepKind::Start: return engine_.post(i, event::Start{}, by);
        case StepKind::Stop: return engine_.post(i, event::Stop{}, by);
        case StepKind::Restart: return engine_.post(i, event::Restart{}, by);
        case StepKind::Pause: return engine_.post(i, event::Pause{}, by);
        case StepKind::Resume: return engine_.post(i, event::Resume{}, by);
        case StepKind::Reset: return engine_.post(i, event::Reset{}, by);
        }
    }

    VirtualTime time_;
    Engine engine_;
    std::map<UnitIndex, World> worlds_;
    std::vector<SimulatedLine> lines_;
    std::int64_t next_pid_ = kFirstPid;
};

} // namespace

Result<Simulated> simulate(const Configuration& config, const Scenario& scenario,
                           const std::string& file) {
    Simulation simulation(config);
    if (const auto known = simulation.check_names(scenario, file); !known) return known.error();
    return simulation.run(scenario);
}

} // namespace keepwell
