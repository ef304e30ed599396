// SystemdHost's half that answers others: status, checks, daemons that belong to a service.
#include "supervisor/hosts/systemd_session.h"

namespace keepwell {

std::string text_of(const JobResult& r) {
    if (!r.error_name.empty()) return r.text.empty() ? r.error_name : r.text;
    switch (r.outcome) {
    case JobOutcome::Done: return "done";
    case JobOutcome::Failed: return "the job failed";
    case JobOutcome::Canceled: return "the job was canceled by another one";
    case JobOutcome::Timeout: return "the job timed out";
    case JobOutcome::Dependency: return "a unit it needs failed";
    case JobOutcome::Skipped: return "the job was skipped";
    case JobOutcome::Error: return r.text;
    case JobOutcome::Deadline: return "the job is not done in time";
    case JobOutcome::Lost: return "the bus was lost meanwhile";
    }
    return r.text;
}

ManagedState SystemdHost::shown(Session& session, const std::string& unit) {
    ManagedState m;
    m.unit = unit;
    if (!session.up()) m.error = session.bus().phase_text();
    const SystemdUnitState* state = session.bus().state(unit);
    if (state == nullptr) return m;
    m.state = state->active_state;
    m.sub_state = state->sub_state;
    m.result = state->result;
    m.file_state = state->unit_file_state;
    m.status_text = state->status_text;
    m.n_restarts = state->n_restarts;
    if (m.error.empty()) m.error = state->load_error;
    return m;
}

std::optional<ManagedState> SystemdHost::managed(const std::string& key) const {
    const Unit* u = find(key);
    if (u == nullptr) return std::nullopt;
    return shown(*u->session, u->name());
}

void SystemdHost::ask(const std::string& bus, const std::string& unit,
                      std::function<void(const SystemdAnswer&)> done) {
    Session& s = session(bus);
    if (s.asked.insert(unit).second) static_cast<void>(s.bus().watch(unit));
    const auto answer = [done = std::move(done)](const SystemdUnitState* state,
                                                 const std::string& why) {
        SystemdAnswer a;
        if (state == nullptr)
            a.unknown = why;
        else
            a.active_state = state->active_state;
        done(a);
    };
    if (!s.up()) {
        const std::string why = s.bus().phase_text();
        return later([answer, why] { answer(nullptr, why.empty() ? "not asked yet" : why); });
    }
    s.bus().refresh(
        unit, [answer](const SystemdUnitState* state) { answer(state, "systemd did not answer"); });
}

// ---- daemons of other kinds that belong to a service

void SystemdHost::order_service(UnitVerb verb, const std::string& unit, Duration deadline,
                                ServiceDone done) {
    Session& s = session(p_.services_bus);
    if (!s.up())
        return later([done = std::move(done), text = cannot_ask(s)] { done({text, true}); });
    s.bus().order(verb, unit, JobMode::Replace, deadline,
                  [done = std::move(done)](const JobResult& r) {
                      done({r.done() ? "" : text_of(r), r.outcome == JobOutcome::Lost});
                  });
}

void SystemdHost::start_service(const std::string& unit, Duration deadline, ServiceDone done) {
    order_service(UnitVerb::Start, unit, deadline, std::move(done));
}

void SystemdHost::stop_service(const std::string& unit, Duration deadline, ServiceDone done) {
    order_service(UnitVerb::Stop, unit, deadline, std::move(done));
}

std::optional<ServicesBlind> SystemdHost::services_blind() const {
    const auto it = sessions_.find(p_.services_bus);
    return it == sessions_.end() ? std::nullopt : it->second->blindness;
}

void SystemdHost::services_changed(const Session& s) {
    const auto it = sessions_.find(p_.services_bus);
    if (started_ && services_ && it != sessions_.end() && it->second.get() == &s) services_();
}

std::string SystemdHost::cannot_ask(Session& s) {
    return "systemd cannot be asked: " + s.bus().phase_text();
}

void SystemdHost::attend_service(const std::string& unit) {
    Session& s = session(p_.services_bus);
    if (s.asked.insert(unit).second) static_cast<void>(s.bus().watch(unit));
}

ManagedState SystemdHost::service_state(const std::string& unit) const {
    const auto it = sessions_.find(p_.services_bus);
    if (it != sessions_.end()) return shown(*it->second, unit);
    ManagedState m;
    m.unit = unit;
    return m;
}

void SystemdHost::look_at_service(const std::string& unit, bool seen,
                                  std::function<void(const SystemdSight&)> done) {
    attend_service(unit);
    Session& s = session(p_.services_bus);
    if (!s.up()) return later([done] { done(SystemdSight{}); });
    s.bus().refresh(unit, [seen, done](const SystemdUnitState* state) {
        done(state != nullptr ? judge(*state, seen) : SystemdSight{});
    });
}

} // namespace keepwell
