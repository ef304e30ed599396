// StatusDocument: status.json (docs/status.md) and the API's other documents, from snapshots alone.
//
// The text of each unit is kept and made again only when update() brings a new snapshot; render()
// joins the pieces and fills in what grows with time (uptimes). No I/O and no clock: "now" is
// SupervisorSnapshot::generated_at. All calls on one thread; nothing throws but bad_alloc.
// The free functions below give the same views for units at hand, without a document.
#pragma once

#include "units/snapshot.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell {

inline constexpr std::size_t kHistoryInline = 100; // more services: history.json beside the file

class StatusDocument {
  public:
    StatusDocument();
    ~StatusDocument();
    StatusDocument(const StatusDocument&) = delete;
    StatusDocument& operator=(const StatusDocument&) = delete;

    void update(const UnitSnapshot&); // a new key goes to the end until set_order() says better
    void remove(const std::string& key);
    // The order of the configuration; keys it does not name keep their order behind it.
    void set_order(const std::vector<std::string>& keys);
    // One step of the short history of the host's figures, at most 60; step_s: what is between two.
    // Steps of another length start it anew.
    void add_host_step(const HostMetrics&, WallTime now, double step_s);
    // update(), remove(), set_order() or add_host_step() came since the last render().
    bool changed() const;
    std::size_t size() const;

    std::string render(const SupervisorSnapshot&);
    // For those who follow: counts up with each change of a service that is more than the passing
    // of time, or of their order.
    std::uint64_t version() const;
    // The head of the document, its totals and figures, and of the services those that changed
    // after that version, without their histories; "order" (every key) when it changed.
    std::string render_changes(const SupervisorSnapshot&, std::uint64_t after_version) const;
    // history.json; nullopt while the histories stand in the document itself.
    std::optional<std::string> render_history(const SupervisorSnapshot&) const;

    // healthy | degraded | unknown
    std::string overall_status() const;
    // The value of data.daemons.
    std::string daemons_json(WallTime now, double health_threshold) const;
    // {name, running, pid, error, lastCheck, service{…}}; nullopt for an unknown key.
    std::optional<std::string> daemon_json(const std::string& key, WallTime now) const;
    // The body of /health: status, overall_status, components, reasons, system_metrics, …
    std::string health_json(const SupervisorSnapshot&) const;
    // {"checks":[…]} of every unit.
    std::string checks_json() const;

  private:
    struct Entry;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// Foreign text for a document: at most 512 bytes of valid UTF-8 without control characters.
std::string foreign_text(std::string_view);
// The words of system_metrics in one text, to see when one of them changes.
std::string host_status(const HostMetrics&, const MetricsSpec&);
// Is the unit's process there (an external unit: is its verdict not down)?
bool counts_as_running(const UnitSnapshot&) noexcept;
std::string overall_status(std::span<const UnitSnapshot>);
std::string service_json(const UnitSnapshot&, WallTime now); // services.<key>
std::string daemon_json(const UnitSnapshot&, WallTime now);
std::string daemons_json(std::span<const UnitSnapshot>, WallTime now, double health_threshold);
std::string health_json(std::span<const UnitSnapshot>, const SupervisorSnapshot&);
std::string checks_json(std::span<const UnitSnapshot>);
std::string check_json(const UnitSnapshot&, const CheckView&); // one element of checks_json()

} // namespace keepwell
