#include "supervisor/systemd/properties.h"

#include <sdbus-c++/Error.h>
#include <systemd/sd-bus.h>

#include <limits>
#include <string_view>
#include <tuple>
#include <unordered_map>

namespace keepwell::systemd {

namespace {

// The one way to the message behind sdbus-c++'s: a pointer to its protected member.
struct Raw : sdbus::Message {
    static sd_bus_message* of(sdbus::Message& m) {
        return static_cast<sd_bus_message*>(m.*(&Raw::msg_));
    }
};

int must(int rc, const char* what) {
    if (rc < 0) throw sdbus::Error("org.freedesktop.DBus.Error.InvalidArgs", what);
    return rc;
}
constexpr const char* kBroken = "cannot read the properties of a unit: the message is broken";

// Each reader takes the content of a variant whose signature it was registered with.
using Reader = void (*)(sd_bus_message*, SystemdUnitState&);

std::string text(sd_bus_message* m, char type = 's') {
    const char* s = nullptr;
    must(sd_bus_message_read_basic(m, type, &s), kBroken);
    return s;
}
template <std::string SystemdUnitState::*Field>
void string(sd_bus_message* m, SystemdUnitState& s) {
    s.*Field = text(m);
}
template <auto Field, char Type>
void number(sd_bus_message* m, SystemdUnitState& s) {
    must(sd_bus_message_read_basic(m, Type, &(s.*Field)), kBroken);
}
template <std::optional<std::uint64_t> SystemdUnitState::*Field>
void figure(sd_bus_message* m, SystemdUnitState& s) {
    std::uint64_t value = 0;
    must(sd_bus_message_read_basic(m, 't', &value), kBroken);
    s.*Field =
        value == std::numeric_limits<std::uint64_t>::max() ? std::nullopt : std::optional(value);
}
template <std::vector<std::string> SystemdUnitState::*Field>
void names(sd_bus_message* m, SystemdUnitState& s) {
    auto& list = s.*Field;
    list.clear();
    must(sd_bus_message_enter_container(m, 'a', "s"), kBroken);
    for (const char* name = nullptr; must(sd_bus_message_read_basic(m, 's', &name), kBroken) > 0;)
        list.emplace_back(name);
    must(sd_bus_message_exit_container(m), kBroken);
}
void invocation(sd_bus_message* m, SystemdUnitState& s) {
    const void* bytes = nullptr;
    std::size_t size = 0;
    must(sd_bus_message_read_array(m, 'y', &bytes, &size), kBroken);
    s.invocation_id.clear();
    for (std::size_t i = 0; i < size && i < 16; ++i) {
        const auto byte = static_cast<const unsigned char*>(bytes)[i];
        s.invocation_id += "0123456789abcdef"[byte >> 4];
        s.invocation_id += "0123456789abcdef"[byte & 15];
    }
}
void job(sd_bus_message* m, SystemdUnitState& s) {
    must(sd_bus_message_enter_container(m, 'r', "uo"), kBroken);
    must(sd_bus_message_read_basic(m, 'u', &s.job_id), kBroken);
    must(sd_bus_message_skip(m, "o"), kBroken);
    must(sd_bus_message_exit_container(m), kBroken);
}
void load_error(sd_bus_message* m, SystemdUnitState& s) {
    must(sd_bus_message_enter_container(m, 'r', "ss"), kBroken);
    must(sd_bus_message_skip(m, "s"), kBroken);
    s.load_error = text(m);
    must(sd_bus_message_exit_container(m), kBroken);
}
void needs_reload(sd_bus_message* m, SystemdUnitState& s) {
    int value = 0;
    must(sd_bus_message_read_basic(m, 'b', &value), kBroken);
    s.need_daemon_reload = value != 0;
}

struct Property {
    std::string_view signature;
    Reader read;
};
using S = SystemdUnitState;

const std::unordered_map<std::string_view, Property>& known() {
    static const std::unordered_map<std::string_view, Property> table = {
        {"Id", {"s", string<&S::id>}},
        {"LoadState", {"s", string<&S::load_state>}},
        {"LoadError", {"(ss)", load_error}},
        {"ActiveState", {"s", string<&S::active_state>}},
        {"SubState", {"s", string<&S::sub_state>}},
        {"UnitFileState", {"s", string<&S::unit_file_state>}},
        {"InvocationID", {"ay", invocation}},
        {"Job", {"(uo)", job}},
        {"NeedDaemonReload", {"b", needs_reload}},
        {"RequiredBy", {"as", names<&S::required_by>}},
        {"BoundBy", {"as", names<&S::bound_by>}},
        {"ConsistsOf", {"as", names<&S::consists_of>}},
        {"ActiveEnterTimestampMonotonic", {"t", number<&S::active_enter, 't'>}},
        {"ActiveExitTimestampMonotonic", {"t", number<&S::active_exit, 't'>}},
        {"InactiveEnterTimestampMonotonic", {"t", number<&S::inactive_enter, 't'>}},
        {"InactiveExitTimestampMonotonic", {"t", number<&S::inactive_exit, 't'>}},
        {"Result", {"s", string<&S::result>}},
        {"MainPID", {"u", number<&S::main_pid, 'u'>}},
        {"ExecMainCode", {"i", number<&S::exec_main_code, 'i'>}},
        {"ExecMainStatus", {"i", number<&S::exec_main_status, 'i'>}},
        {"ExecMainStartTimestampMonotonic", {"t", number<&S::exec_main_start, 't'>}},
        {"ExecMainExitTimestampMonotonic", {"t", number<&S::exec_main_exit, 't'>}},
        {"NRestarts", {"u", number<&S::n_restarts, 'u'>}},
        {"Restart", {"s", string<&S::restart>}},
        {"RestartUSec", {"t", number<&S::restart_usec, 't'>}},
        {"StatusText", {"s", string<&S::status_text>}},
        {"ControlGroup", {"s", string<&S::control_group>}},
        {"MemoryCurrent", {"t", figure<&S::memory_bytes>}},
        {"CPUUsageNSec", {"t", figure<&S::cpu_ns>}},
        {"TasksCurrent", {"t", figure<&S::tasks>}},
    };
    return table;
}

void read_variant(sd_bus_message* m, const Property* property, SystemdUnitState& state) {
    const char* content = nullptr;
    must(sd_bus_message_peek_type(m, nullptr, &content), kBroken);
    if (property == nullptr || content == nullptr || property->signature != content) {
        must(sd_bus_message_skip(m, "v"), kBroken);
        return;
    }
    must(sd_bus_message_enter_container(m, 'v', content), kBroken);
    property->read(m, state);
    must(sd_bus_message_exit_container(m), kBroken);
}

const Property* find(const char* name) {
    const auto it = known().find(name);
    return it == known().end() ? nullptr : &it->second;
}

} // namespace

void read_properties(sdbus::Message& message, SystemdUnitState& state) {
    sd_bus_message* m = Raw::of(message);
    if (must(sd_bus_message_enter_container(m, 'a', "{sv}"), kBroken) == 0) must(-1, kBroken);
    while (must(sd_bus_message_enter_container(m, 'e', "sv"), kBroken) > 0) {
        const char* name = nullptr;
        must(sd_bus_message_read_basic(m, 's', &name), kBroken);
        read_variant(m, find(name), state);
        must(sd_bus_message_exit_container(m), kBroken);
    }
    must(sd_bus_message_exit_container(m), kBroken);
}

bool names_a_known_property(sdbus::Message& message) {
    sd_bus_message* m = Raw::of(message);
    bool found = false;
    must(sd_bus_message_enter_container(m, 'a', "s"), kBroken);
    for (const char* name = nullptr; must(sd_bus_message_read_basic(m, 's', &name), kBroken) > 0;)
        found = found || find(name) != nullptr;
    must(sd_bus_message_exit_container(m), kBroken);
    return found;
}

bool same_state(const SystemdUnitState& a, const SystemdUnitState& b) {
    const auto view = [](const SystemdUnitState& s) {
        return std::tie(s.id, s.load_state, s.load_error, s.active_state, s.sub_state, s.result,
                        s.unit_file_state, s.invocation_id, s.main_pid, s.exec_main_code,
                        s.exec_main_status, s.n_restarts, s.restart, s.restart_usec, s.job_id,
                        s.need_daemon_reload, s.status_text, s.active_enter, s.active_exit,
                        s.inactive_enter, s.inactive_exit, s.exec_main_start, s.exec_main_exit,
                        s.required_by, s.bound_by, s.consists_of, s.control_group, s.error);
    };
    return view(a) == view(b);
}

} // namespace keepwell::systemd
