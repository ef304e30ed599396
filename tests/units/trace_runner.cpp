#include "tests/units/trace_runner.h"

#include "tests/units/unit_driver.h"
#include "units/reason.h"

#include <array>
#include <map>
#include <sstream>
#include <stdexcept>

namespace keepwell::testing {

namespace {

constexpr auto kNotes = std::to_array<const char*>(
    {"check failed",   "check warned", "check passed",   "tripped",       "held by storm guard",
     "would restart",  "stop began",   "kill sent",      "exited",        "tree empty",
     "spawn failed",   "backoff",      "budget spent",   "cooldown",      "gave up",
     "completed",      "waiting",      "start began",    "started",       "adopted",
     "main changed",   "not ready",    "running",        "healthy",       "backoff reset",
     "paused",         "resumed",      "operator start", "operator stop", "operator restart",
     "operator reset", "unkillable"});
static_assert(kNotes.size() == static_cast<std::size_t>(NoteKind::Unkillable) + 1);
constexpr auto kTimers = std::to_array<const char*>({"ready", "kill", "retry", "reset", "pause"});
static_assert(kTimers.size() == kTimerCount);

using Words = std::map<std::string, std::string>; // key=value; a bare word is a key

Words words(std::istringstream& in) {
    Words all;
    for (std::string w; in >> w;) {
        const auto eq = w.find('=');
        all[w.substr(0, eq)] = eq == std::string::npos ? "" : w.substr(eq + 1);
    }
    return all;
}

Duration duration(const std::string& text) {
    std::size_t end = 0;
    const long n = std::stol(text, &end);
    const std::string unit = text.substr(end);
    if (unit == "ms") return n * 1ms;
    if (unit == "s") return n * 1s;
    if (unit == "m") return n * 1min;
    if (unit == "h") return n * 1h;
    throw std::runtime_error("no duration: " + text);
}

std::uint32_t number(const std::string& text) {
    return static_cast<std::uint32_t>(std::stoul(text));
}

void unit_line(UnitSpec& spec, const Words& w) {
    for (const auto& [key, value] : w) {
        if (key == "budget")
            spec.policy.budget.restarts = number(value);
        else if (key == "then")
            spec.policy.budget.then = BudgetThen::Stop;
        else if (key == "restart")
            spec.policy.restart = value == "never" ? RestartMode::Never : RestartMode::OnFailure;
        else if (key == "stop")
            spec.policy.stop.timeout = duration(value);
        else if (key == "kill")
            spec.policy.stop.kill = KillScope::Never;
        else if (key == "ready")
            spec.ready = {ReadyKind::Check, value};
        else if (key == "dry_run")
            spec.dry_run = true;
        else if (key == "reload")
            spec.policy.ladder.insert(spec.policy.ladder.begin(),
                                      LadderStep{LadderKind::Reload, {}, "", 30s, 0s});
        else
            throw std::runtime_error("no such key of unit: " + key);
    }
}

CheckSpec check_line(const Words& w) {
    CheckSpec check = http_check();
    for (const auto& [key, value] : w) {
        if (key == "failures")
            check.failures = number(value);
        else if (key == "successes")
            check.successes = number(value);
        else if (key == "grace")
            check.grace = duration(value);
        else if (key == "heals")
            check.heals = value != "no";
        else
            throw std::runtime_error("no such key of check: " + key);
    }
    return check;
}

ExitStatus status_of(const Words& w) {
    ExitStatus status;
    status.known = !w.contains("unknown");
    if (w.contains("code")) status.code = static_cast<int>(number(w.at("code")));
    if (w.contains("signal")) status.signal = *parse_signal(w.at("signal"));
    return status;
}

class Runner {
  public:
    std::string run(const std::string& text) {
        std::istringstream lines(text);
        for (std::string line; std::getline(lines, line);) {
            if (line.starts_with(" ")) continue; // the old answer
            out_ << line << "\n";
            if (!line.empty() && line[0] != '#') obey(line);
        }
        return out_.str();
    }

  private:
    void obey(const std::string& line) {
        std::istringstream in(line);
        std::string verb;
        in >> verb;
        if (verb == "unit") {
            unit_line(spec_, words(in));
        } else if (verb == "check") {
            spec_.checks.push_back(check_line(words(in)));
        } else {
            if (!unit_) unit_.emplace(spec_);
            if (verb[0] == '+') {
                pass_time(duration(verb.substr(1)));
            } else {
                post(event_of(verb, words(in)));
            }
        }
    }

    Event event_of(const std::string& verb, const Words& w) const {
        const UnitRecord& r = unit_->record;
        const Generation g = w.contains("gen") ? number(w.at("gen")) : r.generation;
        if (verb == "start") return event::Start{};
        if (verb == "stop") return event::Stop{};
        if (verb == "restart") return event::Restart{};
        if (verb == "reset") return event::Reset{};
        if (verb == "resume") return event::Resume{};
        if (verb == "spawned") return event::Spawned{g, 100};
        if (verb == "ready") return event::Ready{g};
        if (verb == "exited") return event::Exited{g, status_of(w)};
        if (verb == "tree_empty") return event::TreeEmpty{g};
        if (verb == "adopted") return event::Adopted{g, 100, unit_->now - duration(w.at("age"))};
        if (verb == "spawn_failed") {
            const bool transient = w.contains("transient");
            return event::SpawnFailed{g, transient ? SpawnStage::Fork : SpawnStage::Directory,
                                      transient ? 11 : 2, transient};
        }
        if (verb == "pause") {
            if (!w.contains("for")) return event::Pause{std::nullopt};
            return event::Pause{unit_->now + duration(w.at("for"))};
        }
        if (verb == "needs") {
            if (w.contains("nothing")) return event::Dependencies{};
            return event::Dependencies{7, 7};
        }
        auto result = unit_->result(CheckOutcome::Pass, 200);
        result.generation = g;
        if (verb == "pass") return result;
        if (verb == "warn") {
            result.outcome = CheckOutcome::Warn;
            return result;
        }
        if (verb == "fail") {
            result.outcome = CheckOutcome::Fail;
            result.code = 503;
            result.heal_allowed = !w.contains("storm");
            return result;
        }
        throw std::runtime_error("no such event: " + verb);
    }

    void pass_time(Duration d) {
        const Instant end = unit_->now + d;
        for (auto next = unit_->next_timer(); next && next->first <= end;
             next = unit_->next_timer()) {
            unit_->now = std::max(unit_->now, next->first);
            out_ << "  at " << human_duration(unit_->now - begin_) << " timer "
                 << kTimers[static_cast<std::size_t>(next->second)] << "\n";
            post(event::Timer{next->second});
        }
        unit_->now = end;
    }

    void post(const Event& event) {
        unit_->post(event);
        for (const Effect& e : unit_->last) out_ << "  " << text(e) << "\n";
        const UnitRecord& r = unit_->record;
        out_ << "  = " << to_string(r.state) << " " << to_string(r.health);
        const auto key = [](UnitIndex) { return std::string("db"); };
        if (const auto why = describe(r.reason, unit_->spec, key, ""); !why.empty()) {
            out_ << " (" << why << ")";
        }
        for (std::size_t k = 0; k < kTimers.size(); ++k) {
            if (!r.deadlines[k]) continue;
            out_ << ", " << kTimers[k] << " in " << human_duration(*r.deadlines[k] - unit_->now);
        }
        out_ << "\n";
    }

    static std::string text(const Note& n) {
        std::string t = std::string("note ") + kNotes[static_cast<std::size_t>(n.kind)];
        if (n.kind == NoteKind::Exited) t += ": " + describe(n.status);
        if (n.count > 0) t += " " + std::to_string(n.count);
        if (n.of > 0) t += "/" + std::to_string(n.of);
        if (n.delay > 0s) t += " " + human_duration(n.delay);
        return t;
    }

    static std::string text(const Effect& e) {
        struct Texts {
            std::string operator()(const Note& n) const { return text(n); }
            std::string operator()(const effect::Spawn& s) const {
                return "spawn " + std::to_string(s.generation);
            }
            std::string operator()(const effect::Terminate&) const { return "terminate"; }
            std::string operator()(const effect::Kill&) const { return "kill"; }
            std::string operator()(const effect::StartChecks&) const { return "start checks"; }
            std::string operator()(const effect::StopChecks&) const { return "stop checks"; }
            std::string operator()(const effect::RunLadder& l) const {
                return "ladder step " + std::to_string(l.step);
            }
        };
        return std::visit(Texts{}, e);
    }

    UnitSpec spec_ = web();
    std::optional<UnitDriver> unit_;
    Instant begin_ = Instant{} + 1h;
    std::ostringstream out_;
};

} // namespace

std::string run_trace(const std::string& text) { return Runner().run(text); }

} // namespace keepwell::testing
