#include "supervisor/config/dependencies.h"

#include "supervisor/config/suggest.h"
#include "supervisor/config/values.h"

#include <algorithm>
#include <unordered_map>

namespace keepwell::config {
namespace {

class Resolver {
  public:
    Resolver(const Names& names, Context& context) : names_(names), context_(context) {}

    // `where` is the value the name stands in, or the unit when it cannot be found.
    void resolve(std::vector<std::string>& list, const Node* said, const Node& unit,
                 const std::string& self) {
        std::vector<std::string> keys;
        for (std::size_t i = 0; i < list.size(); ++i) {
            const Node* at = said;
            if (said != nullptr && i < said->items.size()) at = &said->items[i];
            const std::string path = said != nullptr ? said->path : unit.path;
            add(list[i], at != nullptr ? at->where : unit.key_where, path, self, keys);
        }
        list = std::move(keys);
    }

    bool exists(const std::string& name, const Node& at) {
        std::vector<std::string> keys;
        add(name, at.where, at.path, "", keys);
        return !keys.empty();
    }

  private:
    void add(const std::string& name, const Where& where, const std::string& path,
             const std::string& self, std::vector<std::string>& to) {
        const auto found = names_.keys.find(name);
        if (found != names_.keys.end()) {
            for (const std::string& key : found->second) {
                // "worker" said by worker@1 means its siblings; a unit that names itself is a
                // circle, and reported as one.
                if (key == self && found->second.size() > 1) continue;
                if (std::ranges::find(to, key) == to.end()) to.push_back(key);
            }
        } else if (!context_.incomplete && !names_.left_out.contains(name)) {
            std::vector<std::string> known;
            for (const auto& [key, keys] : names_.keys) known.push_back(key);
            context_.messages.error(where, "cannot resolve " + path + ": no unit named " +
                                               quote(name) + did_you_mean(name, known));
        }
    }

    const Names& names_;
    Context& context_;
};

const Node* child(const Node* node, std::string_view key) {
    return node == nullptr ? nullptr : node->find(key);
}

void resolve_ladder(UnitSpec& unit, const RawUnit& raw, Resolver& resolver) {
    const Node* ladder = raw.node.find("ladder");
    for (std::size_t i = 0; i < unit.policy.ladder.size(); ++i) {
        const LadderStep& step = unit.policy.ladder[i];
        if (step.kind != LadderKind::RestartOther) continue;
        // A step from a shared policy has no place in the unit; the policy's is named instead.
        const Node* at =
            ladder != nullptr && i < ladder->items.size() ? &ladder->items[i] : nullptr;
        if (at == nullptr) at = raw.node.find("policy");
        static_cast<void>(resolver.exists(step.target, at != nullptr ? *at : raw.node));
    }
}

// Depth first over the units, without recursion: a chain may be as long as the fleet.
class Sorter {
  public:
    Sorter(const std::vector<UnitSpec>& units, const std::vector<RawUnit>& raw, Context& context)
        : units_(units), raw_(raw), context_(context), state_(units.size(), Mark::New) {
        for (std::size_t i = 0; i < units.size(); ++i) index_.emplace(units[i].key, i);
    }

    std::vector<std::size_t> sort() {
        for (std::size_t i = 0; i < units_.size(); ++i) {
            if (state_[i] == Mark::New) walk(i);
        }
        return std::move(order_);
    }

  private:
    enum class Mark { New, Open, Done };
    struct Step {
        std::size_t unit;
        std::size_t next = 0; // among its requires, then its after
    };

    const std::string* neighbour(const Step& step) const {
        const UnitSpec& unit = units_[step.unit];
        const std::size_t first = unit.requires_units.size();
        if (step.next < first) return &unit.requires_units[step.next];
        if (step.next < first + unit.after.size()) return &unit.after[step.next - first];
        return nullptr;
    }

    void walk(std::size_t start) {
        std::vector<Step> path{{start}};
        state_[start] = Mark::Open;
        while (!path.empty()) {
            Step& step = path.back();
            const std::string* name = neighbour(step);
            if (name == nullptr) {
                state_[step.unit] = Mark::Done;
                order_.push_back(step.unit);
                path.pop_back();
                continue;
            }
            ++step.next;
            const std::size_t target = index_.at(*name);
            if (state_[target] == Mark::Open) refuse(path, target);
            if (state_[target] != Mark::New) continue;
            state_[target] = Mark::Open;
            path.push_back({target});
        }
    }

    void refuse(const std::vector<Step>& path, std::size_t target) {
        auto first = std::ranges::find(path, target, &Step::unit);
        std::string names;
        for (auto it = first; it != path.end(); ++it) names += units_[it->unit].key + " -> ";
        const Step& last = path.back();
        const UnitSpec& unit = units_[last.unit];
        const bool needs = last.next <= unit.requires_units.size();
        const Node& node = raw_[last.unit].node;
        const Node* list = node.find(needs ? "requires" : "after");
        const Where where = list != nullptr ? list->where : node.key_where;
        context_.messages.error(where, "cannot resolve " +
                                           (list != nullptr ? list->path : node.path) +
                                           ": the units wait for each other in a circle: " + names +
                                           units_[target].key + " (remove one of these)");
    }

    const std::vector<UnitSpec>& units_;
    const std::vector<RawUnit>& raw_;
    Context& context_;
    std::vector<Mark> state_;
    std::unordered_map<std::string, std::size_t> index_;
    std::vector<std::size_t> order_;
};

} // namespace

void resolve_names(std::vector<UnitSpec>& units, const std::vector<RawUnit>& raw,
                   const Names& names, Context& context) {
    Resolver resolver(names, context);
    for (std::size_t i = 0; i < units.size(); ++i) {
        UnitSpec& unit = units[i];
        const Node& node = raw[i].node;
        resolver.resolve(unit.requires_units, node.find("requires"), node, unit.key);
        resolver.resolve(unit.after, node.find("after"), node, unit.key);
        for (CheckSpec& check : unit.checks) {
            const Node* said = child(child(child(&node, "check"), check.id), "blames");
            resolver.resolve(check.blames, said, node, unit.key);
        }
        resolve_ladder(unit, raw[i], resolver);
    }
}

std::vector<UnitSpec> in_start_order(std::vector<UnitSpec> units, const std::vector<RawUnit>& raw,
                                     Context& context) {
    const std::vector<std::size_t> order = Sorter(units, raw, context).sort();
    std::vector<UnitSpec> sorted;
    sorted.reserve(units.size());
    for (const std::size_t index : order) sorted.push_back(std::move(units[index]));
    return sorted;
}

} // namespace keepwell::config
