// One unit in virtual time: post an event, look at the record and at what step() asked for.
//
// Timers never fire by themselves; advance() fires those that are due, one by one, in the order of
// their deadlines.
#pragma once

#include "units/machine.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace keepwell::testing {

struct UnitDriver {
    UnitSpec spec;
    UnitRecord record;
    Instant now = Instant{} + 1h;
    double jitter = 0.5;
    std::vector<Effect> last; // of the last post()
    std::vector<Effect> all;  // since clear()

    explicit UnitDriver(UnitSpec s) : spec(std::move(s)), record(initial_record(spec, now)) {}

    const std::vector<Effect>& post(const Event& event) {
        Step s = step(spec, record, event, now, jitter);
        record = std::move(s.record);
        last.assign(s.effects.begin(), s.effects.end());
        all.insert(all.end(), last.begin(), last.end());
        return last;
    }

    std::optional<std::pair<Instant, TimerKind>> next_timer() const {
        std::optional<std::pair<Instant, TimerKind>> next;
        for (int k = 0; k < kTimerCount; ++k) {
            const auto kind = static_cast<TimerKind>(k);
            const auto& at = record.deadline(kind);
            if (at && (!next || *at < next->first)) next = {*at, kind};
        }
        return next;
    }

    void advance(Duration d) {
        const Instant end = now + d;
        for (auto next = next_timer(); next && next->first <= end; next = next_timer()) {
            now = std::max(now, next->first);
            post(event::Timer{next->second});
        }
        now = end;
    }

    void clear() { all.clear(); }

    // -- short words for the tests
    void start() { post(event::Start{}); }
    void stop() { post(event::Stop{}); }
    void spawned() {
        post(event::Spawned{record.generation, 100 + static_cast<std::int64_t>(record.generation)});
    }
    void exited(int code) {
        ExitStatus status;
        status.known = true;
        status.code = code;
        post(event::Exited{record.generation, status});
    }
    void killed(int signal) {
        ExitStatus status;
        status.known = true;
        status.signal = signal;
        post(event::Exited{record.generation, status});
    }
    void tree_empty() { post(event::TreeEmpty{record.generation}); }
    void ended(int code) {
        exited(code);
        tree_empty();
    }
    void check(CheckOutcome outcome, int code = 0, CheckIndex index = 0) {
        post(result(outcome, code, index));
    }
    event::CheckResult result(CheckOutcome outcome, int code = 0, CheckIndex index = 0) const {
        return {record.generation, index, outcome, code, true, true, CheckEffect::Down, false};
    }
    void pass(CheckIndex index = 0) { check(CheckOutcome::Pass, 200, index); }
    void fail(CheckIndex index = 0) { check(CheckOutcome::Fail, 503, index); }
    // Up and, where there are checks, seen healthy.
    void bring_up() {
        start();
        spawned();
        advance(1s);
        for (std::size_t i = 0; i < record.checks.size(); ++i) pass(static_cast<CheckIndex>(i));
    }

    template <class E>
    bool did() const {
        return std::ranges::any_of(all,
                                   [](const Effect& e) { return std::holds_alternative<E>(e); });
    }
    template <class E>
    std::size_t times() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            all, [](const Effect& e) { return std::holds_alternative<E>(e); }));
    }
    std::optional<Note> noted(NoteKind kind) const { // the last one
        std::optional<Note> found;
        for (const Effect& e : all) {
            if (const auto* n = std::get_if<Note>(&e); n && n->kind == kind) found = *n;
        }
        return found;
    }
    std::size_t notes(NoteKind kind) const {
        return static_cast<std::size_t>(std::ranges::count_if(all, [kind](const Effect& e) {
            const auto* n = std::get_if<Note>(&e);
            return n && n->kind == kind;
        }));
    }
};

inline CheckSpec http_check(std::uint32_t failures = 3) {
    CheckSpec check;
    check.id = "http";
    check.probe = HttpCheckSpec{};
    check.failures = failures;
    check.grace = 0s;
    return check;
}

inline UnitSpec web() { // no jitter, no checks
    UnitSpec spec;
    spec.key = "web";
    spec.name = "web";
    spec.policy.backoff.jitter = 0;
    return spec;
}

inline UnitSpec checked_web(std::uint32_t failures = 3) {
    UnitSpec spec = web();
    spec.checks.push_back(http_check(failures));
    return spec;
}

} // namespace keepwell::testing
