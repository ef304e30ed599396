// What the status tests share: snapshots as the engine would make them, a temporary folder, and the
// schema validator.
#pragma once

#include "supervisor/status/status_document.h"
#include "units/snapshot.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace keepwell::test {

using nlohmann::json;

// 2025-10-27, the day of the example document.
constexpr WallTime on_the_day(int h, int m, int s) {
    return WallTime{1'761'523'200'000 + (h * 3600LL + m * 60LL + s) * 1000};
}
inline constexpr WallTime kNoon = on_the_day(12, 0, 0);

inline std::string read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

inline json example() { return json::parse(read_file(STATUS_TESTS "/status-example.json")); }

class TempFolder {
  public:
    TempFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "kw-XXXXXX").string();
        path_ = mkdtemp(pattern.data());
    }
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

// The validator's complaints; empty when every document is valid.
inline std::string schema_errors(const std::vector<std::string>& documents) {
    const TempFolder folder;
    std::string command = "/usr/bin/python3 " STATUS_TESTS "/validate.py " STATUS_TESTS
                          "/../../contrib/status.schema.json";
    for (std::size_t i = 0; i < documents.size(); ++i) {
        const std::string path = folder / (std::to_string(i) + ".json");
        std::ofstream(path, std::ios::binary) << documents[i];
        command += " " + path;
    }
    FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return "cannot run the validator";
    std::string out;
    char buffer[4096];
    while (const std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
    const int status = pclose(pipe);
    return status == 0 ? out : out + "validator ended with " + std::to_string(status);
}

inline UnitSnapshot running_unit(const std::string& key) {
    UnitSnapshot u;
    u.key = u.name = key;
    u.state = State::Running;
    u.desired = Desired::Running;
    u.health = Verdict::Healthy;
    u.should_run = u.ok = true;
    u.pid = 812;
    u.started_at = u.state_since = u.health_since = on_the_day(11, 0, 0);
    u.generation = 1;
    return u;
}

inline CheckView check(const std::string& id, const std::string& type, const std::string& status) {
    CheckView c;
    c.id = id;
    c.type = type;
    c.status = status;
    c.time = kNoon;
    c.duration_ms = 1.5;
    if (status == "fail") {
        c.consecutive_failures = 3;
        c.tripped = true;
        c.failing_since = on_the_day(11, 58, 30);
    }
    return c;
}

inline SupervisorSnapshot supervisor_at(WallTime now) {
    SupervisorSnapshot s;
    s.sequence = 18231;
    s.generated_at = now;
    s.started_at = WallTime{now.ms - 86'400'000};
    s.host = "web1";
    s.version = "0.1.0";
    s.metrics.cpu_percent = 16.8;
    s.metrics.cpu_count = 20;
    s.metrics.load[0] = 0.5;
    s.metrics.load[1] = 0.4;
    s.metrics.load[2] = 0.3;
    s.metrics.memory_total = 33'554'432'000;
    s.metrics.memory_available = 20'233'322'496;
    s.metrics.disks = {{"/", 1'000'000'000'000, 5'600'000'000, 994'400'000'000}};
    s.metrics.net_sent = 1000;
    s.metrics.net_received = 6'792'438'784;
    s.metrics.net_packets_sent = 10;
    s.metrics.net_packets_received = 20;
    return s;
}

} // namespace keepwell::test
