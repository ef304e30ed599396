#include "status_support.h"

#include <gtest/gtest.h>

using namespace keepwell;
using namespace keepwell::test;

namespace {

std::string document_of(const std::vector<UnitSnapshot>& units) {
    StatusDocument document;
    for (const auto& u : units) document.update(u);
    return document.render(supervisor_at(kNoon));
}

TEST(StatusSchema, AcceptsTheExample) {
    EXPECT_EQ(schema_errors({read_file(STATUS_TESTS "/status-example.json")}), "");
}

TEST(StatusSchema, AcceptsAnEmptyFleetAndOneThatWasNeverMeasured) {
    StatusDocument document;
    SupervisorSnapshot bare = supervisor_at(kNoon);
    bare.metrics = HostMetrics{};
    bare.note = "cannot write /x/status.json: No space left on device";
    bare.last_incident = IncidentView{"web", "exit 1", kNoon, {}};
    EXPECT_EQ(schema_errors({document_of({}), document.render(bare)}), "");
}

TEST(StatusSchema, AcceptsAUnitInEveryStateKindVerdictAndEnd) {
    std::vector<UnitSnapshot> units;
    for (int i = 0; i < kStateCount; ++i) {
        UnitSnapshot u = running_unit("state" + std::to_string(i));
        u.state = static_cast<State>(i);
        u.kind = static_cast<UnitKind>(i % 5);
        u.health = static_cast<Verdict>(i % 4);
        u.desired = i % 2 == 0 ? Desired::Running : Desired::Stopped;
        if (i % 3 == 0) u.pid = 0;
        u.ok = i % 2 == 0;
        u.paused = i % 4 == 1;
        u.paused_by = "uid 1000 (pid 4711)";
        u.paused_until = on_the_day(13, 0, 0);
        if (i % 3 != 0) u.last_exit = ExitStatus{i % 3 == 1, i, i % 2 == 0 ? 9 : 0, true, false};
        u.last_exit_at = kNoon;
        u.blocked_by = i == 1 ? "db" : "";
        u.template_name = i == 2 ? "worker" : "";
        if (i == 2) u.instance = 3;
        u.auto_restart_attempted = i > 4;
        if (i > 5) u.auto_restart_ok = i % 2 == 0;
        u.last_trigger = i > 3 ? "start_failure" : "";
        u.history_states = "UGDXP";
        u.history_latency_ms = {1, 2.5};
        for (const char* status : {"pass", "warn", "fail", "unknown"}) {
            for (const char* type : {"http", "tcp", "exec"}) {
                u.checks.push_back(check(std::string(type) + status, type, status));
                u.checks.back().effect = static_cast<CheckEffect>(i % 4);
                u.checks.back().component =
                    ComponentSpec{u.checks.back().id, static_cast<ComponentStyle>(i % 3)};
            }
        }
        u.reason = "\xFF\x1b text of others\n";
        u.log_error = "No space left on device";
        units.push_back(u);
    }
    std::vector<std::string> documents{document_of(units)};
    for (const auto& u : units) documents.push_back(document_of({u}));
    EXPECT_EQ(schema_errors(documents), "");
}

TEST(StatusSchema, AcceptsAFleetOfAHundredAndFifty) {
    std::vector<UnitSnapshot> units;
    for (int i = 0; i < 150; ++i) units.push_back(running_unit("u" + std::to_string(i)));
    EXPECT_EQ(schema_errors({document_of(units)}), "");
}

TEST(StatusSchema, RefusesWhatTheContractDoesNotKnow) {
    json doc = json::parse(document_of({running_unit("web")}));
    doc["services"]["web"]["command"] = "secret";
    EXPECT_NE(schema_errors({doc.dump()}), "");
    doc = json::parse(document_of({running_unit("web")}));
    doc["services"]["web"]["state"] = "sleeping";
    EXPECT_NE(schema_errors({doc.dump()}), "");
    doc = json::parse(document_of({running_unit("web")}));
    doc["services"]["web"].erase("http");
    EXPECT_NE(schema_errors({doc.dump()}), "");
    EXPECT_NE(schema_errors({"{\"schema\": \"keepw"}), "");
}

} // namespace
