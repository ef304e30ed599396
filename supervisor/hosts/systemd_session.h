// What SystemdHost keeps of a bus and of a unit. Internal to supervisor/hosts.
#pragma once

#include "supervisor/hosts/systemd_host.h"

#include <fnmatch.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace keepwell {

// A daemon-reload takes less; it is no reason to call every unit unknown.
inline constexpr auto kReloadPatience = 2s;

// What became of a job, for people.
std::string text_of(const JobResult&);

// A connection and the units that use it.
class SystemdHost::Session final : public SystemdListener {
  public:
    Session(SystemdHost& host, std::unique_ptr<SystemdBus> bus)
        : host_(host), bus_(std::move(bus)) {
        bus_->set_listener(this);
    }
    ~Session() override { host_.p_.timers.cancel(patience_); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    SystemdBus& bus() { return *bus_; }
    bool up() const { return bus_->phase() == BusPhase::Up; }
    void add(const std::string& name, const std::string& key) { keys_.emplace(name, key); }
    void remove(const std::string& name, const std::string& key) {
        auto [at, end] = keys_.equal_range(name);
        for (; at != end; ++at)
            if (at->second == key) {
                keys_.erase(at);
                return;
            }
    }
    bool empty() const { return keys_.empty(); }

    void add_pattern(const std::string& glob, const std::string& key) {
        patterns_.emplace(glob, key);
    }
    void remove_pattern(const std::string& glob, const std::string& key) {
        std::erase_if(patterns_, [&](const auto& p) { return p.first == glob && p.second == key; });
    }

    void on_state(const SystemdUnitState& s) override {
        if (s.active_state != "inactive")
            for (const std::string& key : patterns_of(s.name)) host_.discover(key, s.name);
        if (!up()) return; // told once it is
        for (const std::string& key : keys_of(s.name))
            if (Unit* u = host_.find(key)) host_.look(*u);
    }
    void on_gone(const std::string&) override {} // found by a pattern, and never active
    void on_phase(BusPhase phase, const std::string& text) override {
        host_.p_.timers.cancel(std::exchange(patience_, 0));
        switch (phase) {
        case BusPhase::Up: return tell_all();
        case BusPhase::Connecting: return;
        case BusPhase::Lost: return blind(Blindness::BusLost, text);
        case BusPhase::Reloading:
            patience_ = host_.p_.timers.arm(host_.p_.clock.now() + kReloadPatience,
                                            [this, text] { blind(Blindness::Reloading, text); });
            return;
        }
    }

    std::set<std::string> asked; // by checks, watched from then on
    std::optional<ServicesBlind> blindness;

  private:
    std::vector<std::string> keys_of(const std::string& name) const {
        std::vector<std::string> keys;
        auto [at, end] = keys_.equal_range(name);
        for (; at != end; ++at) keys.push_back(at->second);
        return keys;
    }
    std::vector<std::string> patterns_of(const std::string& name) const {
        std::vector<std::string> keys;
        for (const auto& [glob, key] : patterns_)
            if (fnmatch(glob.c_str(), name.c_str(), 0) == 0) keys.push_back(key);
        return keys;
    }
    void tell_all();
    void blind(Blindness, const std::string& text);

    SystemdHost& host_;
    std::unique_ptr<SystemdBus> bus_;
    std::multimap<std::string, std::string> keys_;     // name -> key
    std::multimap<std::string, std::string> patterns_; // glob -> key
    TimerId patience_ = 0;
};

struct SystemdHost::Unit {
    UnitSpec spec;
    Session* session = nullptr;
    std::set<std::string> discovered; // by a pattern, and told
    TimerId settle = 0;
    bool seen = false;                   // it was there
    std::optional<Generation> starting;  // our start job is under way
    std::string before;                  // invocation when it was ordered
    bool stopping = false;               // our stop job is
    std::optional<SystemdSight> told;    // what the fleet knows
    std::set<std::string> dependents;    // watched, since systemd stops them with it
    std::vector<std::string> taken_down; // active ones, when we stopped it to start it again

    const std::string& name() const { return spec.systemd.unit; }
    const SystemdUnitState* state() const { return session->bus().state(name()); }
};

} // namespace keepwell
