// HostRouter: one ProcessHost over all kinds of unit. It sends each call to the host of the unit's
// kind, and keeps nothing but which host a key belongs to.
//
// What is not watched (an instance that the keeper holds and the configuration does not know) is
// the children's. Hosts must outlive the router. One thread.
#pragma once

#include "units/ports/process_host.h"

#include <array>
#include <unordered_map>

namespace keepwell {

class HostRouter final : public ProcessHost {
  public:
    explicit HostRouter(ProcessHost& children) { hosts_.fill(&children); }
    void set_host(UnitKind kind, ProcessHost& host) { hosts_[index(kind)] = &host; }

    void set_listener(ProcessListener*) override;
    void watch(const UnitSpec&) override;
    void forget(const std::string& key) override;
    void spawn(const UnitSpec&, Generation) override;
    void stop(const UnitSpec&, Generation, bool comes_back) override;
    bool reload(const UnitSpec&, const std::function<void(const std::string&)>& done) override;
    void signal(const std::string& key, Generation, int signal, SignalScope) override;
    void signal_by_hand(const std::string& key, Generation, int signal,
                        std::function<void(const std::string&)> done) override;
    void ack(const std::string& key, Generation) override;
    std::vector<Survivor> survivors(const std::string& key) override;
    std::string cgroup_of(const std::string& key) const override;
    std::vector<std::string> missing_limits(const std::string& key) const override;
    bool owns_tree(const std::string& key) const override;
    std::optional<ManagedState> managed(const std::string& key) const override;
    bool started_here(const std::string& key) const override;

  private:
    static std::size_t index(UnitKind kind) { return static_cast<std::size_t>(kind); }
    ProcessHost& of(UnitKind kind) const { return *hosts_[index(kind)]; }
    ProcessHost& of(const std::string& key) const;

    std::array<ProcessHost*, 5> hosts_{};
    std::unordered_map<std::string, UnitKind> kinds_; // of what others than the keeper host
};

} // namespace keepwell
