// systemd_probe BUS [CALL_DEADLINE_MS]: prints what SdbusSystemd tells, one JSON object a line, and
// takes orders on stdin, one a line:
//   watch|unwatch|pattern|unpattern NAME        start|stop|restart|reload|reset NAME [DEADLINE_MS
//   [MODE]] kill NAME WHO SIGNAL                         refresh NAME        cpu        again
//   (destroys and makes the bus)
// Ends with stdin.
#include "supervisor/systemd/sdbus_systemd.h"
#include "supervisor/uv/pool_offload.h"

#include <nlohmann/json.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <sstream>

namespace keepwell {
namespace {

using nlohmann::json;

void print(const json& j) {
    std::puts(j.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
    std::fflush(stdout);
}

const char* word(BusPhase p) {
    switch (p) {
    case BusPhase::Connecting: return "connecting";
    case BusPhase::Up: return "up";
    case BusPhase::Lost: return "lost";
    case BusPhase::Reloading: return "reloading";
    }
    return "";
}

const char* word(JobOutcome o) {
    switch (o) {
    case JobOutcome::Done: return "done";
    case JobOutcome::Failed: return "failed";
    case JobOutcome::Canceled: return "canceled";
    case JobOutcome::Timeout: return "timeout";
    case JobOutcome::Dependency: return "dependency";
    case JobOutcome::Skipped: return "skipped";
    case JobOutcome::Error: return "error";
    case JobOutcome::Deadline: return "deadline";
    case JobOutcome::Lost: return "lost";
    }
    return "";
}

json describe(const SystemdUnitState& s) {
    json j = {{"name", s.name},
              {"id", s.id},
              {"load", s.load_state},
              {"active", s.active_state},
              {"sub", s.sub_state},
              {"result", s.result},
              {"file", s.unit_file_state},
              {"invocation", s.invocation_id},
              {"pid", s.main_pid},
              {"code", s.exec_main_code},
              {"status", s.exec_main_status},
              {"restarts", s.n_restarts},
              {"restart", s.restart},
              {"restart_usec", s.restart_usec},
              {"job", s.job_id},
              {"error", s.error},
              {"active_enter", s.active_enter},
              {"inactive_enter", s.inactive_enter},
              {"start", s.exec_main_start},
              {"required_by", s.required_by},
              {"cgroup", s.control_group},
              {"text", s.status_text}};
    if (s.memory_bytes) j["memory"] = *s.memory_bytes;
    if (s.cpu_ns) j["cpu_ns"] = *s.cpu_ns;
    if (s.tasks) j["tasks"] = *s.tasks;
    return j;
}

struct Probe final : SystemdListener {
    Probe(std::string b, Duration call) : bus(std::move(b)) {
        limits.call = call;
        make();
        input = std::make_unique<uv::Poll>(loop, STDIN_FILENO, [this](int, int) { read_input(); });
        input->start(UV_READABLE);
    }
    void make() {
        systemd = std::make_unique<SdbusSystemd>(loop, offload, timers, clock, bus, limits);
        systemd->set_listener(this);
    }

    void on_state(const SystemdUnitState& s) override { print({{"state", describe(s)}}); }
    void on_gone(const std::string& name) override { print({{"gone", name}}); }
    void on_phase(BusPhase p, const std::string& text) override {
        print({{"phase", word(p)}, {"text", text}});
    }

    void read_input() {
        char bytes[4096];
        const ssize_t n = ::read(STDIN_FILENO, bytes, sizeof bytes);
        if (n <= 0) {
            input = nullptr;
            systemd = nullptr;
            loop.stop();
            return;
        }
        pending.append(bytes, static_cast<std::size_t>(n));
        for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
            const std::string line = pending.substr(0, end);
            pending.erase(0, end + 1);
            obey(line);
        }
    }

    void obey(const std::string& line) {
        std::istringstream words(line);
        std::string verb, name;
        words >> verb;
        words >> std::ws;
        if (verb == "cpu") return print({{"cpu_ms", std::clock() * 1000 / CLOCKS_PER_SEC}});
        if (verb == "again") return make();
        if (verb == "watch" || verb == "pattern") {
            std::getline(words, name); // hostile names have spaces
            const Status s = verb == "watch" ? systemd->watch(name) : systemd->watch_pattern(name);
            if (!s) print({{"refused", s.error().message}});
            return;
        }
        words >> name;
        if (verb == "unwatch") return systemd->unwatch(name);
        if (verb == "unpattern") return systemd->unwatch_pattern(name);
        if (verb == "refresh")
            return systemd->refresh(name, [name](const SystemdUnitState* s) {
                print({{"refreshed", name}, {"figures", s != nullptr ? describe(*s) : json()}});
            });
        order(verb, name, words);
    }

    void order(const std::string& verb, const std::string& name, std::istringstream& words) {
        const JobDone done = [verb, name](const JobResult& r) {
            print({{"job", verb},
                   {"name", name},
                   {"outcome", word(r.outcome)},
                   {"error", r.error_name},
                   {"text", r.text}});
        };
        if (verb == "kill") {
            std::string who;
            int signal = 0;
            words >> who >> signal;
            systemd->kill(name, who, signal, done);
            return;
        }
        static const std::map<std::string, UnitVerb> verbs = {{"start", UnitVerb::Start},
                                                              {"stop", UnitVerb::Stop},
                                                              {"restart", UnitVerb::Restart},
                                                              {"reload", UnitVerb::Reload},
                                                              {"reset", UnitVerb::ResetFailed}};
        const auto it = verbs.find(verb);
        if (it == verbs.end()) return print({{"unknown", verb}});
        long ms = 10'000;
        std::string mode;
        words >> ms >> mode;
        systemd->order(it->second, name, mode == "fail" ? JobMode::Fail : JobMode::Replace,
                       std::chrono::milliseconds(ms), done);
    }

    uv::Loop loop;
    uv::MonotonicClock clock;
    uv::LoopTimers timers{loop, clock};
    PoolOffload offload{loop};
    std::string bus;
    SdbusSystemd::Limits limits;
    std::unique_ptr<SdbusSystemd> systemd;
    std::unique_ptr<uv::Poll> input;
    std::string pending;
};

} // namespace
} // namespace keepwell

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    const auto call = std::chrono::milliseconds(argc > 2 ? std::atol(argv[2]) : 5000);
    keepwell::Probe probe(argv[1], call);
    probe.loop.run();
    return 0;
}
