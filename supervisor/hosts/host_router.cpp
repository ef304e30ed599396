#include "supervisor/hosts/host_router.h"

namespace keepwell {

ProcessHost& HostRouter::of(const std::string& key) const {
    const auto it = kinds_.find(key);
    return of(it == kinds_.end() ? UnitKind::Child : it->second);
}

void HostRouter::set_listener(ProcessListener* listener) {
    of(UnitKind::Child).set_listener(listener);
}

void HostRouter::watch(const UnitSpec& spec) {
    if (is_observed(spec.kind))
        kinds_.insert_or_assign(spec.key, spec.kind);
    else
        kinds_.erase(spec.key);
    of(spec.kind).watch(spec);
}

void HostRouter::forget(const std::string& key) {
    of(key).forget(key);
    kinds_.erase(key);
}

void HostRouter::spawn(const UnitSpec& spec, Generation g) { of(spec.kind).spawn(spec, g); }
void HostRouter::stop(const UnitSpec& spec, Generation g, bool comes_back) {
    of(spec.kind).stop(spec, g, comes_back);
}
bool HostRouter::reload(const UnitSpec& spec, const std::function<void(const std::string&)>& done) {
    return of(spec.kind).reload(spec, done);
}
void HostRouter::signal(const std::string& key, Generation g, int signal, SignalScope scope) {
    of(key).signal(key, g, signal, scope);
}
void HostRouter::signal_by_hand(const std::string& key, Generation g, int signal,
                                std::function<void(const std::string&)> done) {
    of(key).signal_by_hand(key, g, signal, std::move(done));
}
void HostRouter::ack(const std::string& key, Generation g) { of(key).ack(key, g); }
std::vector<Survivor> HostRouter::survivors(const std::string& key) {
    return of(key).survivors(key);
}
std::string HostRouter::cgroup_of(const std::string& key) const { return of(key).cgroup_of(key); }
std::vector<std::string> HostRouter::missing_limits(const std::string& key) const {
    return of(key).missing_limits(key);
}
bool HostRouter::owns_tree(const std::string& key) const { return of(key).owns_tree(key); }
std::optional<ManagedState> HostRouter::managed(const std::string& key) const {
    return of(key).managed(key);
}
bool HostRouter::started_here(const std::string& key) const { return of(key).started_here(key); }

} // namespace keepwell
