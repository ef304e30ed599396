// What an answer means: tables from the configuration page's check outcomes.
#include "tests/support/fake_ports.h"
#include "watchers/exec_check.h"
#include "watchers/http_check.h"
#include "watchers/json_pointer.h"
#include "watchers/tcp_check.h"

#include <gtest/gtest.h>

#include <cerrno>

using namespace keepwell;
using namespace keepwell::test;
using namespace std::chrono_literals;

namespace {

struct HttpCase {
    const char* name;
    HttpResult result;
    CheckOutcome outcome;
    const char* output;
    int code;
    bool soft;
};

HttpCheckSpec shop() {
    HttpCheckSpec http;
    http.url = "https://admin:secret@shop.example:8443/health";
    return http;
}
CheckSpec check_of(const HttpCheckSpec& http) {
    CheckSpec check;
    check.id = "http";
    check.probe = http;
    return check;
}
Observation judged(const HttpCheckSpec& http, const HttpResult& result) {
    return evaluate_http(check_of(http), http, result);
}

TaskResult killed_by(int signal) {
    TaskResult r;
    r.status.known = true;
    r.status.signal = signal;
    return r;
}
TaskResult not_run(SpawnStage stage, int error) {
    TaskResult r;
    r.failed_stage = stage;
    r.error = error;
    return r;
}
TaskResult late() {
    TaskResult r;
    r.timed_out = true;
    r.status.known = true;
    r.status.signal = 9;
    return r;
}

} // namespace

TEST(HttpOutcome, FollowsTheTable) {
    using enum CheckOutcome;
    using F = HttpFailure;
    const HttpCase cases[] = {
        {"ok", http_status(200, {}, 5ms), Pass, "http 200", 200, false},
        {"created", http_status(201), Pass, "http 201", 201, false},
        {"unavailable", http_status(503), Fail, "http 503", 503, true},
        {"not found", http_status(404), Fail, "http 404", 404, false},
        {"redirect", http_status(302), Fail, "http 302", 302, false},
        {"slow 503 is a 503", http_status(503, {}, 3s), Fail, "http 503", 503, true},
        {"slow", http_status(200, {}, 1850ms), Warn, "slow: 1.8s > 1s", 200, false},
        {"as slow as allowed", http_status(200, {}, 1s), Pass, "http 200", 200, false},
        {"refused", http_failure(F::Refused, "x"), Fail, "connection refused", 0, false},
        {"timeout", http_failure(F::Timeout, "x"), Fail, "timed out after 5s", 0, true},
        {"resolve", http_failure(F::Resolve), Fail, "cannot resolve shop.example", 0, false},
        {"tls", http_failure(F::Tls, "self-signed certificate"), Fail,
         "TLS: self-signed certificate", 0, false},
        {"unreachable", http_failure(F::Unreachable, "No route to host"), Fail, "No route to host",
         0, false},
        {"other", http_failure(F::Other, "Empty reply\n\x1b[2J"), Fail, "Empty reply [2J", 0,
         false},
        {"other without words", http_failure(F::Other), Fail, "the exchange failed", 0, false},
    };
    for (const auto& c : cases) {
        const auto o = judged(shop(), c.result);
        EXPECT_EQ(o.outcome, c.outcome) << c.name;
        EXPECT_EQ(o.output, c.output) << c.name;
        EXPECT_EQ(o.code, c.code) << c.name;
        EXPECT_EQ(o.soft, c.soft) << c.name;
        EXPECT_EQ(o.took, c.result.took) << c.name;
    }
}

TEST(HttpOutcome, StatusRangesAreInclusive) {
    auto http = shop();
    http.expect_status = {{200, 204}, {401, 401}};
    EXPECT_EQ(judged(http, http_status(204)).outcome, CheckOutcome::Pass);
    EXPECT_EQ(judged(http, http_status(205)).outcome, CheckOutcome::Fail);
    EXPECT_EQ(judged(http, http_status(401)).outcome, CheckOutcome::Pass);
    http.expect_status = {{500, 599}};
    EXPECT_EQ(judged(http, http_status(503)).outcome, CheckOutcome::Pass);
    EXPECT_FALSE(judged(http, http_status(503)).soft);
}

TEST(HttpOutcome, MismatchSaysWhatWasExpectedAndFound) {
    auto http = shop();
    http.expect_body = "all good";
    EXPECT_EQ(judged(http, http_status(200, "so all good here")).outcome, CheckOutcome::Pass);
    EXPECT_EQ(judged(http, http_status(200, "panic\nat the disco")).output,
              "the body does not contain \"all good\", it begins \"panic at the disco\"");
    EXPECT_EQ(judged(http, http_status(200)).output,
              "the body does not contain \"all good\", it is empty");

    http = shop();
    http.expect_header = {{"Content-Type", "text/plain"}};
    auto answer = http_status(200);
    EXPECT_EQ(judged(http, answer).output,
              "header content-type is missing, expected \"text/plain\"");
    answer.headers = {{"content-type", "text/html"}};
    EXPECT_EQ(judged(http, answer).output,
              "header content-type is \"text/html\", expected \"text/plain\"");
    EXPECT_EQ(judged(http, answer).outcome, CheckOutcome::Fail);
    answer.headers.emplace_back("content-type", "text/plain");
    EXPECT_EQ(judged(http, answer).outcome, CheckOutcome::Pass) << "one of several is enough";

    http = shop();
    http.expect_json = {{"/status", "\"healthy\""}};
    const auto sick = judged(http, http_status(200, R"({"status":"sick"})", 3s));
    EXPECT_EQ(sick.outcome, CheckOutcome::Fail) << "wrong and slow is wrong";
    EXPECT_EQ(sick.output, "/status is \"sick\", expected \"healthy\"");
    EXPECT_EQ(sick.code, 200);
    EXPECT_EQ(judged(http, http_status(200, R"({"status":"healthy"})")).outcome,
              CheckOutcome::Pass);
}

TEST(HttpOutcome, OutputIsShortWhateverTheServerSends) {
    auto http = shop();
    http.expect_body = "x";
    EXPECT_LE(judged(http, http_status(200, std::string(60'000, 'a'))).output.size(), 512U);
    http.expect_body.clear();
    http.expect_json = {{"/a", "1"}};
    const auto body = "{\"a\":\"" + std::string(60'000, 'a') + "\"}";
    EXPECT_LE(judged(http, http_status(200, body)).output.size(), 512U);
}

TEST(HttpRequestOf, CarriesWhatTheSpecSays) {
    auto http = shop();
    http.method = "POST";
    http.headers = {{"Host", "x"}};
    http.body = "ping";
    http.unix_socket = "/run/x.sock";
    http.tls = {false, "/etc/ca.pem", {}};
    http.follow_redirects = 2;
    const auto r = http_request(http, 3s);
    EXPECT_EQ(r.method, "POST");
    EXPECT_EQ(r.url, http.url);
    EXPECT_EQ(r.headers, http.headers);
    EXPECT_EQ(r.body, "ping");
    EXPECT_EQ(r.unix_socket, "/run/x.sock");
    EXPECT_FALSE(r.verify_tls);
    EXPECT_EQ(r.ca_file, "/etc/ca.pem");
    EXPECT_EQ(r.follow_redirects, 2U);
    EXPECT_EQ(r.timeout, Duration(3s));
}

TEST(JsonMismatch, ComparesByValueAtThePointer) {
    const auto differs = [](const char* body, const char* pointer, const char* wanted) {
        return json_mismatch(body, {{pointer, wanted}}).value_or("");
    };
    EXPECT_EQ(differs(R"({"a":{"b":[1,2]}})", "/a/b/1", "2"), "");
    EXPECT_EQ(differs(R"({"a":{"b":[1,2]}})", "/a/b", "[1, 2]"), "");
    EXPECT_EQ(differs(R"({"n":1})", "/n", "1.0"), "");
    EXPECT_EQ(differs(R"({"t":true})", "/t", "true"), "");
    EXPECT_EQ(differs(R"({"t":"true"})", "/t", "true"), "/t is \"true\", expected true");
    EXPECT_EQ(differs(R"({"a/b":{"~":null}})", "/a~1b/~0", "null"), "");
    EXPECT_EQ(differs("7", "", "7"), "");
    EXPECT_EQ(differs("7", "", "8"), "the body is 7, expected 8");
    EXPECT_EQ(differs(R"({"a":1})", "/b", "1"), "/b is missing, expected 1");
    EXPECT_EQ(differs(R"({"a":[1]})", "/a/7", "1"), "/a/7 is missing, expected 1");
    EXPECT_EQ(differs(R"({"a":[1]})", "/a/-", "1"), "/a/- is missing, expected 1");
    EXPECT_EQ(differs(R"({"a":[1]})", "/a/x", "1"), "/a/x is missing, expected 1");
    EXPECT_EQ(differs(R"({"a":[1]})", "/a", "1"), "/a is an array, expected 1");
    EXPECT_EQ(differs(R"({"a":"up"})", "/a", "up"), "") << "a bare word is a string";
    EXPECT_EQ(differs("<html>", "/a", "1"), "the body is not JSON");
    EXPECT_EQ(differs("", "/a", "1"), "the body is not JSON");
    EXPECT_EQ(differs("{\"a\":\"\xff\"}", "/a", "1"), "the body is not JSON");
    EXPECT_EQ(differs(R"({"a":1})", "no slash", "1"), "no slash is missing, expected 1");
    EXPECT_EQ(differs(R"({"a":1})", "/a~9", "1"), "/a~9 is missing, expected 1");
}

TEST(JsonMismatch, NamesTheFirstThatDiffers) {
    EXPECT_EQ(json_mismatch(R"({"a":1,"b":2})", {{"/a", "1"}, {"/b", "3"}, {"/c", "4"}}).value(),
              "/b is 2, expected 3");
}

TEST(JsonMismatch, AbsurdNestingIsNoCrash) {
    const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
    EXPECT_EQ(json_mismatch(deep, {{"", "1"}}).value(), "the body is an array, expected 1");
    EXPECT_EQ(json_mismatch(std::string(1'000'000, '['), {{"", "1"}}).value(),
              "the body is not JSON");
}

TEST(TcpOutcome, FollowsTheTable) {
    CheckSpec check;
    const auto judge = [&](bool ok, std::string error) {
        TcpResult r;
        r.ok = ok;
        r.error = std::move(error);
        r.took = 3ms;
        return evaluate_tcp(check, r);
    };
    EXPECT_EQ(judge(true, "").outcome, CheckOutcome::Pass);
    EXPECT_EQ(judge(false, "connection refused").output, "connection refused");
    EXPECT_EQ(judge(false, "connection refused").outcome, CheckOutcome::Fail);
    EXPECT_FALSE(judge(false, "connection refused").soft);
    EXPECT_EQ(judge(false, "timed out").output, "timed out after 5s");
    EXPECT_TRUE(judge(false, "timed out").soft);
    EXPECT_EQ(judge(false, "timed out").took, Duration(3ms));
}

TEST(ExecOutcome, FollowsTheTable) {
    CheckSpec check;
    ExecCheckSpec exec;
    exec.command = {"/usr/lib/checks/disk", "-v"};
    exec.warn_exit = 1;
    const auto judge = [&](const TaskResult& r) { return evaluate_exec(check, exec, r); };

    EXPECT_EQ(judge(task_exit(0, "42 % used\n")).outcome, CheckOutcome::Pass);
    EXPECT_EQ(judge(task_exit(0, "42 % used\n")).output, "42 % used");
    EXPECT_EQ(judge(task_exit(0)).output, "exit 0");
    const auto warned = judge(task_exit(1, "80 % used"));
    EXPECT_EQ(warned.outcome, CheckOutcome::Warn);
    EXPECT_EQ(warned.output, "exit 1: 80 % used");
    EXPECT_EQ(warned.code, 1);
    const auto failed = judge(task_exit(2, "first\nthe last line\n\n"));
    EXPECT_EQ(failed.outcome, CheckOutcome::Fail);
    EXPECT_EQ(failed.output, "exit 2: the last line");
    EXPECT_EQ(failed.code, 2);
    EXPECT_EQ(judge(task_exit(3)).output, "exit 3");
    EXPECT_EQ(judge(killed_by(11)).output, "SIGSEGV");
    EXPECT_EQ(judge(killed_by(11)).code, 139);
    EXPECT_EQ(judge(late()).output, "timed out after 5s");
    EXPECT_TRUE(judge(late()).soft);
    const auto missing = judge(not_run(SpawnStage::Exec, ENOENT));
    EXPECT_EQ(missing.outcome, CheckOutcome::Fail);
    EXPECT_EQ(missing.output, "cannot run /usr/lib/checks/disk: exec: No such file or directory");
    EXPECT_FALSE(missing.soft);
    EXPECT_EQ(judge(not_run(SpawnStage::Keeper, 0)).outcome, CheckOutcome::Fail);

    exec.warn_exit.reset();
    EXPECT_EQ(judge(task_exit(1)).outcome, CheckOutcome::Fail);
}

TEST(ExecRequestOf, RunsInTheUnitsSurroundings) {
    ProcessSpec unit;
    unit.command = {"daemon"};
    unit.pre_start = {"migrate"};
    unit.directory = "/srv/site";
    unit.user = UserSpec{"www-data", 33, 33, {}, "/var/www"};
    unit.environment = {"A=1"};
    unit.umask = 077;
    CheckSpec check;
    check.id = "disk";
    ExecCheckSpec exec;
    exec.command = {"df"};
    auto r = exec_request("web", unit, check, exec);
    EXPECT_EQ(r.label, "web/check:disk");
    EXPECT_EQ(r.process.command, Argv{"df"});
    EXPECT_TRUE(r.process.pre_start.empty());
    EXPECT_EQ(r.process.directory, "/srv/site");
    EXPECT_EQ(r.process.user, unit.user);
    EXPECT_EQ(r.process.environment, unit.environment);
    EXPECT_EQ(r.process.umask, 077U);
    EXPECT_EQ(r.timeout, Duration(5s));
    EXPECT_EQ(r.keep_output, 512U);
    exec.directory = "/";
    exec.run_as = UserSpec{"nobody", 65534, 65534, {}, "/"};
    r = exec_request("web", unit, check, exec);
    EXPECT_EQ(r.process.directory, "/");
    EXPECT_EQ(r.process.user, exec.run_as);
}
