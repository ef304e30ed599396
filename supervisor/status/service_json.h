// One unit's part of every document, as JSON text made once for each snapshot.
//
// Internal to supervisor/status. The text is cut where a value grows with the time of rendering
// (the two uptimes) and around `history`, so that joining the pieces costs a few copies.
#pragma once

#include "units/snapshot.h"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::status_detail {

inline constexpr std::string_view kProcessGone = "Process not found";

inline bool has_process(const UnitSnapshot& u) { return u.kind != UnitKind::External; }
inline bool failing(const CheckView& c) { return c.enabled && (c.tripped || c.status == "fail"); }

struct Component {
    ComponentStyle style = ComponentStyle::Bool;
    bool up = true;
};
// Several checks may share one component: it is up when all of them pass.
using Components = std::map<std::string, Component>;

// What the failing checks of one or many units add up to.
struct Findings {
    bool degraded = false; // a failing check with effect degraded or down
    bool others = false;   // a failing check with another effect
    std::string reasons;   // elements of reasons[], joined by commas
    void add(const Findings&);
    std::string_view word() const noexcept; // healthy | degraded | unknown
};

struct Tally { // the numbers of data.daemons
    std::size_t total = 0, running = 0, wanted = 0, wanted_running = 0;
    void add(const UnitSnapshot&);
    void add(const Tally&);
    std::string_view word(double threshold) const noexcept; // healthy | warning | critical
};

struct ServiceText {
    explicit ServiceText(const UnitSnapshot&);
    void append_to(std::string& out, WallTime now, bool with_history) const;

    // … "uptime": | … "uptime_s": | … "history": | the rest
    std::array<std::string, 4> pieces;
    std::string history;
    WallTime started_at;         // 0 = no process
    std::string reported_uptime; // of the service's own page; empty = none
};

// Each gives one element, or elements joined by commas, without brackets.
std::string daemon_text(const UnitSnapshot&);
std::string check_text(const UnitSnapshot&, const CheckView&);
std::string checks_text(const UnitSnapshot&);
Findings find(const UnitSnapshot&);
void add_components(const UnitSnapshot&, Components&);
std::string components_json(const Components&);

// Foreign text for a document: at most 512 bytes of valid UTF-8 without control characters.
std::string foreign(std::string_view);
double round_to(double value, double digits); // digits: 100 for two places
std::optional<double> rounded(std::optional<double> value, double digits);
void append_joined(std::string& list, std::string_view elements); // with the comma it may need

} // namespace keepwell::status_detail
