#include "supervisor/engine/record_codec.h"

#include <array>
#include <cstring>
#include <type_traits>

namespace keepwell {

namespace {

namespace Tag { // plain bytes: a reader meets tags it does not know
enum Value : std::uint8_t {
    State = 1,
    Desired,
    Health,
    Generation,
    StateSince,
    HealthSince,
    Alive, // bit 0 main, bit 1 tree
    Pid,
    StartedAt,
    LastExit,
    LastExitAt,
    KillsSent,
    Deadline, // index u8, instant
    RestartNow,
    Streak,
    TransientStreak,
    Restart, // one instant each
    BudgetSpent,
    CurrentDelay,
    RestartsTotal,
    IncidentSince,
    IncidentAttempts,
    Paused,
    Check, // id hash u32, then PackedCheck
    Reason,
    StepAt,
};
} // namespace Tag

struct PackedExit {
    std::int32_t code, signal;
    std::uint8_t known, core, oom, pad = 0;
};
struct PackedReason {
    std::uint8_t kind, stage;
    std::uint16_t check;
    std::int32_t code;
    std::uint32_t count, of;
    PackedExit status;
};
struct PackedCheck {
    std::uint32_t id_hash;
    std::uint8_t bits; // enabled ran passed tripped
    std::uint8_t last, effect, pad = 0;
    std::int32_t last_code;
    std::uint32_t failures, successes, window_count, step_wait;
    std::uint64_t window;
};
struct PackedDeadline {
    std::int64_t at;
    std::uint64_t index;
};

std::uint32_t id_hash(std::string_view id) { return crc32c(id); }

class Writer {
  public:
    template <class T>
    void put(std::uint8_t tag, const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        const auto length = static_cast<std::uint16_t>(sizeof value);
        out_.push_back(static_cast<char>(tag));
        out_.append(reinterpret_cast<const char*>(&length), sizeof length);
        out_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void put(std::uint8_t tag, Instant value) { put(tag, value.time_since_epoch().count()); }
    std::string take() { return std::move(out_); }
    std::size_t size() const { return out_.size(); }

  private:
    std::string out_;
};

PackedExit pack(const ExitStatus& s) { return {s.code, s.signal, s.known, s.core, s.oom}; }
ExitStatus unpack(const PackedExit& p) {
    return {p.known != 0, p.code, p.signal, p.core != 0, p.oom != 0};
}

PackedCheck pack(const CheckCounter& c, const std::string& id) {
    PackedCheck p{};
    p.id_hash = id_hash(id);
    p.bits = static_cast<std::uint8_t>((c.enabled ? 1 : 0) | (c.ran ? 2 : 0) | (c.passed ? 4 : 0) |
                                       (c.tripped ? 8 : 0));
    p.last = static_cast<std::uint8_t>(c.last);
    p.effect = static_cast<std::uint8_t>(c.effect);
    p.last_code = c.last_code;
    p.failures = c.failures;
    p.successes = c.successes;
    p.window_count = c.window_count;
    p.step_wait = c.step_wait;
    p.window = c.window;
    return p;
}

CheckCounter unpack(const PackedCheck& p) {
    CheckCounter c;
    c.enabled = p.bits & 1;
    c.ran = p.bits & 2;
    c.passed = p.bits & 4;
    c.tripped = p.bits & 8;
    c.last = static_cast<CheckOutcome>(p.last % 3);
    c.effect = static_cast<CheckEffect>(p.effect % 4);
    c.last_code = p.last_code;
    c.failures = p.failures;
    c.successes = p.successes;
    c.window_count = p.window_count;
    c.step_wait = p.step_wait;
    c.window = p.window;
    return c;
}

template <class T>
bool read(std::string_view value, T& to) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (value.size() != sizeof to) return false;
    std::memcpy(&to, value.data(), sizeof to);
    return true;
}

Instant instant(std::int64_t ns) { return Instant(Duration(ns)); }

template <class E>
bool read_enum(std::string_view value, E& to, int count) {
    std::uint8_t raw = 0;
    if (!read(value, raw) || raw >= count) return false;
    to = static_cast<E>(raw);
    return true;
}

bool read_instant(std::string_view value, Instant& to) {
    std::int64_t ns = 0;
    if (!read(value, ns)) return false;
    to = instant(ns);
    return true;
}

template <class T>
bool read_bool(std::string_view value, T& to) {
    std::uint8_t raw = 0;
    if (!read(value, raw)) return false;
    to = raw != 0;
    return true;
}

bool read_check(std::string_view value, const UnitSpec& spec, UnitRecord& r) {
    PackedCheck p{};
    if (!read(value, p)) return false;
    for (std::size_t i = 0; i < spec.checks.size() && i < r.checks.size(); ++i)
        if (id_hash(spec.checks[i].id) == p.id_hash) r.checks[i] = unpack(p);
    return true;
}

bool read_reason(std::string_view value, Reason& to) {
    PackedReason p{};
    if (!read(value, p) || p.kind > static_cast<std::uint8_t>(ReasonKind::Blind) ||
        p.stage > static_cast<std::uint8_t>(SpawnStage::DryRun))
        return false;
    to.kind = static_cast<ReasonKind>(p.kind);
    to.stage = static_cast<SpawnStage>(p.stage);
    to.check = p.check;
    to.code = p.code;
    to.count = p.count;
    to.of = p.of;
    to.status = unpack(p.status);
    // A reason that names another unit or a check that is gone cannot be told after a restart.
    if (to.kind == ReasonKind::Dependency) to = Reason{};
    return true;
}

bool read_lifecycle(std::uint8_t tag, std::string_view v, UnitRecord& r) {
    std::uint8_t bits = 0;
    switch (tag) {
    case Tag::State: return read_enum(v, r.state, kStateCount);
    case Tag::Desired: return read_enum(v, r.desired, 2);
    case Tag::Health: return read_enum(v, r.health, 4);
    case Tag::Generation: return read(v, r.generation);
    case Tag::StateSince: return read_instant(v, r.state_since);
    case Tag::HealthSince: return read_instant(v, r.health_since);
    case Tag::Alive:
        if (!read(v, bits)) return false;
        r.main_alive = bits & 1;
        r.tree_alive = bits & 2;
        return true;
    case Tag::Pid: return read(v, r.pid);
    case Tag::StartedAt: return read_instant(v, r.started_at);
    case Tag::LastExit: {
        PackedExit p{};
        if (!read(v, p)) return false;
        r.last_exit = unpack(p);
        return true;
    }
    case Tag::LastExitAt: return read_instant(v, r.last_exit_at);
    case Tag::KillsSent: return read(v, r.kills_sent);
    default: return true;
    }
}

bool read_restarting(std::uint8_t tag, std::string_view v, UnitRecord& r) {
    Instant at{};
    switch (tag) {
    case Tag::Deadline: {
        PackedDeadline p{};
        if (!read(v, p) || p.index >= kTimerCount) return false;
        r.deadlines[p.index] = instant(p.at);
        return true;
    }
    case Tag::RestartNow: return read_bool(v, r.restart_now);
    case Tag::Streak: return read(v, r.streak);
    case Tag::TransientStreak: return read(v, r.transient_streak);
    case Tag::Restart:
        if (!read_instant(v, at)) return false;
        r.restarts.push_back(at);
        return true;
    case Tag::BudgetSpent: return read_bool(v, r.budget_spent);
    case Tag::CurrentDelay: {
        std::int64_t ns = 0;
        if (!read(v, ns)) return false;
        r.current_delay = Duration(ns);
        return true;
    }
    case Tag::RestartsTotal: return read(v, r.restarts_total);
    case Tag::IncidentSince:
        if (!read_instant(v, at)) return false;
        r.incident_since = at;
        return true;
    case Tag::IncidentAttempts: return read(v, r.incident_attempts);
    case Tag::StepAt:
        if (!read_instant(v, at)) return false;
        r.step_at = at;
        return true;
    case Tag::Paused: return read_bool(v, r.paused);
    case Tag::Reason: return read_reason(v, r.reason);
    default: return true;
    }
}

} // namespace

std::uint32_t crc32c(std::string_view bytes) noexcept {
    static const auto table = [] {
        std::array<std::uint32_t, 256> t{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            std::uint32_t c = i;
            for (int k = 0; k < 8; ++k) c = (c & 1U) ? 0x82F63B78U ^ (c >> 1U) : c >> 1U;
            t[i] = c;
        }
        return t;
    }();
    std::uint32_t crc = 0xFFFFFFFFU;
    for (const char ch : bytes)
        crc = table[(crc ^ static_cast<unsigned char>(ch)) & 0xFFU] ^ (crc >> 8U);
    return ~crc;
}

std::string encode_record(const UnitRecord& r, const UnitSpec& spec, std::size_t limit) {
    Writer w;
    w.put(Tag::State, static_cast<std::uint8_t>(r.state));
    w.put(Tag::Desired, static_cast<std::uint8_t>(r.desired));
    w.put(Tag::Health, static_cast<std::uint8_t>(r.health));
    w.put(Tag::Generation, r.generation);
    w.put(Tag::StateSince, r.state_since);
    w.put(Tag::HealthSince, r.health_since);
    w.put(Tag::Alive, static_cast<std::uint8_t>((r.main_alive ? 1 : 0) | (r.tree_alive ? 2 : 0)));
    w.put(Tag::Pid, r.pid);
    w.put(Tag::StartedAt, r.started_at);
    if (r.last_exit) {
        w.put(Tag::LastExit, pack(*r.last_exit));
        w.put(Tag::LastExitAt, r.last_exit_at);
    }
    w.put(Tag::KillsSent, r.kills_sent);
    for (std::size_t k = 0; k < kTimerCount; ++k)
        if (r.deadlines[k])
            w.put(Tag::Deadline, PackedDeadline{r.deadlines[k]->time_since_epoch().count(), k});
    w.put(Tag::RestartNow, static_cast<std::uint8_t>(r.restart_now));
    w.put(Tag::Streak, r.streak);
    w.put(Tag::TransientStreak, r.transient_streak);
    w.put(Tag::BudgetSpent, static_cast<std::uint8_t>(r.budget_spent));
    w.put(Tag::CurrentDelay, static_cast<std::int64_t>(r.current_delay.count()));
    w.put(Tag::RestartsTotal, r.restarts_total);
    if (r.incident_since) w.put(Tag::IncidentSince, *r.incident_since);
    w.put(Tag::IncidentAttempts, r.incident_attempts);
    if (r.step_at) w.put(Tag::StepAt, *r.step_at);
    w.put(Tag::Paused, static_cast<std::uint8_t>(r.paused));
    w.put(Tag::Reason,
          PackedReason{static_cast<std::uint8_t>(r.reason.kind),
                       static_cast<std::uint8_t>(r.reason.stage), r.reason.check, r.reason.code,
                       r.reason.count, r.reason.of, pack(r.reason.status)});
    constexpr std::size_t kCheckBytes = 3 + sizeof(PackedCheck);
    for (std::size_t i = 0;
         i < r.checks.size() && i < spec.checks.size() && w.size() + kCheckBytes <= limit; ++i)
        w.put(Tag::Check, pack(r.checks[i], spec.checks[i].id));
    constexpr std::size_t kRestartBytes = 3 + sizeof(std::int64_t);
    const std::size_t room = w.size() >= limit ? 0 : (limit - w.size()) / kRestartBytes;
    const std::size_t from = r.restarts.size() > room ? r.restarts.size() - room : 0;
    for (std::size_t i = from; i < r.restarts.size(); ++i) w.put(Tag::Restart, r.restarts[i]);
    return w.take();
}

std::optional<UnitRecord> decode_record(std::string_view bytes, const UnitSpec& spec) {
    UnitRecord r;
    r.checks.resize(spec.checks.size());
    for (std::size_t i = 0; i < spec.checks.size(); ++i)
        r.checks[i].enabled = spec.checks[i].enabled;
    while (!bytes.empty()) {
        if (bytes.size() < 3) return std::nullopt;
        std::uint16_t length = 0;
        std::memcpy(&length, bytes.data() + 1, sizeof length);
        if (bytes.size() < 3U + length) return std::nullopt;
        const auto tag = static_cast<std::uint8_t>(bytes[0]);
        const std::string_view value = bytes.substr(3, length);
        const bool ok = tag == Tag::Check
                            ? read_check(value, spec, r)
                            : read_lifecycle(tag, value, r) && read_restarting(tag, value, r);
        if (!ok) return std::nullopt;
        bytes.remove_prefix(3U + length);
    }
    if (r.generation == 0 && r.state == State::Running && spec.kind == UnitKind::Child)
        return std::nullopt;
    return r;
}

} // namespace keepwell
