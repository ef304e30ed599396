#include "supervisor/config/unit_reader.h"

#include "supervisor/config/check_reader.h"
#include "supervisor/config/kind_reader.h"
#include "supervisor/config/local_check_reader.h"
#include "supervisor/config/pattern.h"
#include "supervisor/config/policy_reader.h"
#include "supervisor/config/process_reader.h"
#include "supervisor/config/suggest.h"
#include "supervisor/config/values.h"

#include <algorithm>

namespace keepwell::config {
namespace {

// External when nothing says another kind; nullopt for contradictions.
std::optional<UnitKind> read_kind(Reader& unit) {
    const Node* first = nullptr;
    UnitKind kind = UnitKind::External;
    struct KindKey {
        std::string_view key;
        UnitKind kind;
    };
    constexpr KindKey kKeys[] = {{"command", UnitKind::Child},
                                 {"shell", UnitKind::Child},
                                 {"pidfile", UnitKind::PidFile},
                                 {"systemd", UnitKind::Systemd},
                                 {"match", UnitKind::Match}};
    for (const auto& [key, its_kind] : kKeys) {
        const Node* found = unit.node().find(key);
        if (found == nullptr) continue;
        const bool both_commands = key == "shell" && first != nullptr;
        if (first != nullptr && !both_commands) {
            unit.messages().error(found->key_where,
                                  "cannot read " + found->path + ": the unit has " + first->key +
                                      " too (a unit is one of command, pidfile, systemd, match)");
            return std::nullopt;
        }
        if (first == nullptr) kind = its_kind;
        if (first == nullptr) first = found;
    }
    return kind;
}

void read_ready(Reader& unit, ReadySpec& to) {
    std::string text;
    if (!unit.text("ready", text)) return;
    const Node& at = *unit.node().find("ready");
    if (text == "started") {
        to = {};
    } else if (text == "notify") {
        to = {ReadyKind::Notify, ""};
    } else if (text.starts_with("check:")) {
        to = {ReadyKind::Check, text.substr(6)};
    } else if (text.starts_with("log:")) {
        const std::string pattern = text.substr(4);
        if (const Status good = check_pattern(pattern); good) {
            to = {ReadyKind::Log, pattern};
        } else {
            unit.error(at, good.error().message);
        }
    } else {
        unit.error(at, quote(text) + " is none of started, check:ID, log:REGEX, notify" +
                           did_you_mean(text, {"started", "notify"}));
    }
}

void check_ready(Reader& unit, const UnitSpec& spec) {
    const Node* at = unit.node().find("ready");
    if (at == nullptr) return;
    if (spec.ready.kind == ReadyKind::Log && spec.log.mode == LogMode::None) {
        unit.error(*at, "log.mode is \"none\", so no line will ever be seen (use mode = \"pipe\")");
    }
    if (spec.ready.kind != ReadyKind::Check) return;
    if (std::ranges::find(spec.checks, spec.ready.arg, &CheckSpec::id) != spec.checks.end()) return;
    // A check that could not be read has been reported already.
    if (const Node* checks = unit.node().find("check")) {
        if (checks->find(spec.ready.arg) != nullptr) return;
    }
    std::vector<std::string> known;
    for (const CheckSpec& check : spec.checks) known.push_back(check.id);
    unit.error(*at, "the unit has no check named " + quote(spec.ready.arg) +
                        did_you_mean(spec.ready.arg, known));
}

Policy read_unit_policy(Reader& unit, const UnitTables& tables, Context& context) {
    std::string name = "default";
    unit.nonempty_text("policy", name);
    const auto found = tables.policies.find(name);
    Node merged = found == tables.policies.end() ? tables.policies.at("default") : found->second;
    if (found == tables.policies.end() && !context.incomplete) {
        std::vector<std::string> known;
        for (const auto& [policy, node] : tables.policies) known.push_back(policy);
        unit.error(*unit.node().find("policy"),
                   "no policy named " + quote(name) + did_you_mean(name, known));
    }
    merge(merged, policy_keys_of(unit.node()));
    Reader reader(merged, context.messages);
    Policy policy = read_policy(reader);
    policy.name = name;
    return policy;
}

void remember_positions(const Node& node, const std::string& prefix, SourceMap& to) {
    for (const Node& item : node.items) {
        const std::string name = prefix.empty() ? item.key : prefix + "." + item.key;
        to.positions.emplace(name, item.where.position());
        if (item.is_table() && name != "environment") remember_positions(item, name, to);
    }
}

void read_display(Reader& unit, const RawUnit& raw, UnitSpec& spec) {
    spec.key = raw.key;
    spec.instance = raw.instance;
    spec.name = raw.key;
    const Node* name = unit.node().find("name");
    if (unit.nonempty_text("name", spec.name) && raw.instance && !name->expanded) {
        spec.name += " " + std::to_string(*raw.instance);
    }
    unit.text("description", spec.description);
    unit.text("group", spec.group);
    unit.texts("tags", spec.tags);
    unit.boolean("critical", spec.critical);
}

void read_switches(Reader& unit, UnitSpec& spec, const Context& context) {
    unit.boolean("enabled", spec.enabled);
    unit.boolean("autostart", spec.autostart);
    unit.boolean("dry_run", spec.dry_run);
    spec.dry_run = spec.dry_run || context.dry_run;
    unit.boolean("heal", spec.heal);
    unit.text("template", spec.template_name);
    static_cast<void>(unit.take("instances"));
    unit.texts("requires", spec.requires_units);
    unit.texts("after", spec.after);
    unit.duration("ready_timeout", spec.ready_timeout, 1ms);
    unit.duration("start_timeout", spec.start_timeout, 1ms);
    unit.later("capture");
}

// Tables below a unit that are no key of it are usually a name with a dot and no quotes.
void hint_dotted_names(const Node& node, Messages& messages) {
    constexpr std::string_view kTables[] = {"check",  "environment", "limits", "log",
                                            "window", "backoff",     "budget", "stop"};
    for (const Node& item : node.items) {
        const bool table = std::ranges::find(kTables, item.key) != std::end(kTables);
        if (!item.is_table() || table || item.find("command") == nullptr) continue;
        messages.warning(item.key_where, item.path +
                                             ": a unit name with a dot needs quotes: [unit.\"" +
                                             node.key + "." + item.key + "\"]");
    }
}

} // namespace

std::optional<UnitSpec> read_unit(const RawUnit& raw, const UnitTables& tables, bool is_template,
                                  Context& context) {
    Reader unit(raw.node, context.messages);
    UnitSpec spec;
    const std::optional<UnitKind> kind = read_kind(unit);
    spec.kind = kind.value_or(UnitKind::External);
    read_display(unit, raw, spec);
    read_switches(unit, spec, context);
    spec.policy = read_unit_policy(unit, tables, context);
    read_process(unit, spec.process, context);
    read_log(unit, spec.log);
    read_kind_keys(unit, spec, context);
    read_ready(unit, spec.ready);
    if (const Node* checks = unit.table("check")) {
        spec.checks = read_checks(*checks, tables.check_defaults, spec, context);
    }
    if (!is_template) check_ready(unit, spec);
    if (!is_template && kind) check_kind_of_checks(unit, spec);
    if (kind) check_kind_keys(unit, spec, is_template);
    note_policy_keys(unit);
    hint_dotted_names(raw.node, context.messages);
    const std::size_t unknown = unit.finish();
    if (kind == UnitKind::External && raw.node.find("check") == nullptr && unknown == 0 &&
        !is_template) {
        unit.missing("it has neither a command nor a check, so there is nothing to do (add "
                     "command = [\"program\"] or check.http = { url = \"…\" })");
    }
    if (!kind) return std::nullopt;
    remember_positions(raw.node, "", spec.where);
    return spec;
}

} // namespace keepwell::config
