#include "units/types.h"

#include "units/event.h"
#include "units/unit_spec.h"

#include <array>
#include <charconv>
#include <csignal>

namespace keepwell {

namespace {

template <class E, std::size_t N>
constexpr std::string_view name_of(const std::array<std::string_view, N>& names, E value) noexcept {
    const auto i = static_cast<std::size_t>(value);
    return i < N ? names[i] : std::string_view("unknown");
}

template <class E, std::size_t N>
constexpr bool ends_with(const std::array<std::string_view, N>&, E last) {
    return static_cast<std::size_t>(last) + 1 == N;
}

constexpr auto kKinds =
    std::to_array<std::string_view>({"child", "pidfile", "systemd", "match", "external"});
static_assert(ends_with(kKinds, UnitKind::External));

constexpr auto kStates =
    std::to_array<std::string_view>({"stopped", "waiting", "starting", "running", "stopping",
                                     "backoff", "cooldown", "completed", "failed", "unknown"});
static_assert(ends_with(kStates, State::Unknown) && kStates.size() == kStateCount);

constexpr auto kDesired = std::to_array<std::string_view>({"stopped", "running"});
static_assert(ends_with(kDesired, Desired::Running));

constexpr auto kVerdicts =
    std::to_array<std::string_view>({"healthy", "degraded", "down", "unknown"});
static_assert(ends_with(kVerdicts, Verdict::Unknown));

constexpr auto kEffects = std::to_array<std::string_view>({"down", "degraded", "unknown", "none"});
static_assert(ends_with(kEffects, CheckEffect::None));

constexpr auto kOutcomes = std::to_array<std::string_view>({"pass", "warn", "fail"});
static_assert(ends_with(kOutcomes, CheckOutcome::Fail));

constexpr auto kStages = std::to_array<std::string_view>(
    {"none", "prepare", "fork", "cgroup", "rlimit", "chdir", "setgroups", "setresgid", "setresuid",
     "exec", "pre_start", "timeout", "keeper", "start_command", "pidfile", "systemd", "dry run"});
static_assert(ends_with(kStages, SpawnStage::DryRun));

constexpr auto kBlindness =
    std::to_array<std::string_view>({"not looked at yet", "the bus is lost", "systemd reloads",
                                     "systemd does not know it", "masked"});
static_assert(ends_with(kBlindness, Blindness::Masked));

constexpr auto kProbes =
    std::to_array<std::string_view>({"http", "tcp", "exec", "unix", "process", "port", "file",
                                     "resource", "heartbeat", "dns", "log", "systemd", "host"});
static_assert(kProbes.size() == std::variant_size_v<ProbeSpec>);

struct SignalName {
    int number;
    std::string_view name; // without SIG
};
constexpr auto kSignals = std::to_array<SignalName>({
    {SIGHUP, "HUP"},   {SIGINT, "INT"},       {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},
    {SIGTRAP, "TRAP"}, {SIGABRT, "ABRT"},     {SIGBUS, "BUS"},   {SIGFPE, "FPE"},
    {SIGKILL, "KILL"}, {SIGUSR1, "USR1"},     {SIGSEGV, "SEGV"}, {SIGUSR2, "USR2"},
    {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"},     {SIGTERM, "TERM"}, {SIGSTKFLT, "STKFLT"},
    {SIGCHLD, "CHLD"}, {SIGCONT, "CONT"},     {SIGSTOP, "STOP"}, {SIGTSTP, "TSTP"},
    {SIGTTIN, "TTIN"}, {SIGTTOU, "TTOU"},     {SIGURG, "URG"},   {SIGXCPU, "XCPU"},
    {SIGXFSZ, "XFSZ"}, {SIGVTALRM, "VTALRM"}, {SIGPROF, "PROF"}, {SIGWINCH, "WINCH"},
    {SIGIO, "IO"},     {SIGPWR, "PWR"},       {SIGSYS, "SYS"},
});
constexpr int kLastSignal = 64;

bool same_letters(std::string_view text, std::string_view upper) noexcept {
    if (text.size() != upper.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const char up = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        if (up != upper[i]) return false;
    }
    return true;
}

} // namespace

std::string_view to_string(UnitKind v) noexcept { return name_of(kKinds, v); }
std::string_view to_string(State v) noexcept { return name_of(kStates, v); }
std::string_view to_string(Desired v) noexcept { return name_of(kDesired, v); }
std::string_view to_string(Blindness b) noexcept { return name_of(kBlindness, b); }
std::string_view to_string(Verdict v) noexcept { return name_of(kVerdicts, v); }
std::string_view to_string(CheckEffect v) noexcept { return name_of(kEffects, v); }
std::string_view to_string(CheckOutcome v) noexcept { return name_of(kOutcomes, v); }
std::string_view to_string(SpawnStage v) noexcept { return name_of(kStages, v); }

std::string_view type_name(const ProbeSpec& probe) noexcept {
    return name_of(kProbes, probe.index());
}

std::optional<Duration> heartbeat_within(const UnitSpec& spec) noexcept {
    std::optional<Duration> shortest;
    for (const CheckSpec& check : spec.checks) {
        const auto* beat = std::get_if<HeartbeatCheckSpec>(&check.probe);
        if (beat != nullptr && (!shortest || beat->within < *shortest)) shortest = beat->within;
    }
    return shortest;
}

bool has_notify_socket(const UnitSpec& spec) noexcept {
    if (spec.kind != UnitKind::Child) return false;
    return spec.ready.kind == ReadyKind::Notify || heartbeat_within(spec).has_value();
}

std::string describe(const ExitStatus& status) {
    if (!status.known) return "ended, status unknown";
    std::string text =
        status.signal == 0 ? "exit " + std::to_string(status.code) : signal_name(status.signal);
    if (status.oom) text = "killed by the OOM killer";
    if (status.core) text += " (core dumped)";
    return text;
}

std::string signal_name(int signal) {
    for (const SignalName& s : kSignals) {
        if (s.number == signal) return "SIG" + std::string(s.name);
    }
    return "signal " + std::to_string(signal);
}

std::optional<int> parse_signal(std::string_view text) noexcept {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc{} && end == text.data() + text.size()) {
        if (number < 1 || number > kLastSignal) return std::nullopt;
        return number;
    }
    if (text.size() > 3 && same_letters(text.substr(0, 3), "SIG")) text.remove_prefix(3);
    for (const SignalName& s : kSignals) {
        if (same_letters(text, s.name)) return s.number;
    }
    return std::nullopt;
}

} // namespace keepwell
