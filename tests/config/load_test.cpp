#include "config_fixture.h"

#include <sys/resource.h>
#include <thread>

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ConfigLoad = ConfigTest;

TEST_F(ConfigLoad, AUnitWithOnlyACommandHasTheDocumentedDefaults) {
    const Configuration config = good("[unit.web]\n" + kSleep);
    UnitSpec wanted;
    wanted.key = wanted.name = "web";
    wanted.process.command = {"/bin/sleep", "60"};
    wanted.process.environment = unit(config, "web").process.environment;
    EXPECT_EQ(unit(config, "web"), wanted);
    EXPECT_EQ(wanted.policy.failures, 3U);
    EXPECT_EQ(wanted.process.umask, 022U);
    EXPECT_EQ(wanted.process.limits.core, 0U);
}

TEST_F(ConfigLoad, SupervisorDefaultsOfARootRun) {
    const SupervisorSpec spec = good("").supervisor;
    EXPECT_EQ(spec.runtime_dir, "/run/keepwell");
    EXPECT_EQ(spec.state_dir, "/var/lib/keepwell");
    EXPECT_EQ(spec.log_dir, "/var/log/keepwell");
    EXPECT_EQ(spec.status_file, "/run/keepwell/status.json");
    EXPECT_THAT(spec.listen, ElementsAre("127.0.0.1:5001"));
    EXPECT_EQ(spec.max_parallel_starts, 2 * std::thread::hardware_concurrency());
}

TEST_F(ConfigLoad, SupervisorDefaultsOfAUserRunFollowXdg) {
    write("site.toml", "");
    ::setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    ::setenv("XDG_STATE_HOME", "/home/u/.state", 1);
    LoadOptions options;
    options.files = {"site.toml"};
    options.user_run = true;
    const SupervisorSpec spec = load_configuration(options).config.supervisor;
    EXPECT_EQ(spec.runtime_dir, "/run/user/7/keepwell");
    EXPECT_EQ(spec.state_dir, "/home/u/.state/keepwell");
    EXPECT_EQ(spec.log_dir, "/home/u/.state/keepwell/log");
    EXPECT_THAT(spec.listen, IsEmpty());
    ::setenv("XDG_CONFIG_HOME", "/home/u/.cfg", 1);
    EXPECT_THAT(default_config_files(true), ElementsAre("/home/u/.cfg/keepwell/keepwell.toml"));
    EXPECT_THAT(default_config_files(false), ElementsAre("/etc/keepwell/keepwell.toml"));
}

TEST_F(ConfigLoad, TheStatusFileComesFromFileThenEnvironmentThenCommandLine) {
    write("site.toml", "[supervisor]\nstatus_file = '/a/s.json'\n");
    LoadOptions options;
    options.files = {"site.toml"};
    EXPECT_EQ(load_configuration(options).config.supervisor.status_file, "/a/s.json");
    ::setenv("KEEPWELL_STATUS_FILE", "/b/s.json", 1);
    EXPECT_EQ(load_configuration(options).config.supervisor.status_file, "/b/s.json");
    options.status_file = "/c/s.json";
    EXPECT_EQ(load_configuration(options).config.supervisor.status_file, "/c/s.json");
}

TEST_F(ConfigLoad, AHeartbeatIsLookedForOftenEnough) {
    const Configuration config =
        good("[unit.a]\n" + kSleep +
             "ready = 'notify'\ncheck.heartbeat = {}\n"
             "check.fast = { type = 'heartbeat', within = '4s' }\n"
             "check.own = { type = 'heartbeat', within = '4s', interval = '3s' }\n");
    const UnitSpec& a = config.units.at(0);
    EXPECT_EQ(a.ready.kind, ReadyKind::Notify);
    EXPECT_EQ(std::get<HeartbeatCheckSpec>(check(a, "heartbeat").probe).within, Duration(30s));
    EXPECT_EQ(check(a, "heartbeat").interval, Duration(10s));
    EXPECT_EQ(check(a, "fast").interval, Duration(2s));
    EXPECT_EQ(check(a, "own").interval, Duration(3s));
}

TEST_F(ConfigLoad, PatternsOfWhatIsNotShownAreCompiled) {
    const Configuration config =
        good("[supervisor.api]\nredact = ['password=\\S+', '(?i)token: .*']\n[unit.a]\n" + kSleep);
    EXPECT_THAT(config.supervisor.redact, ElementsAre("password=\\S+", "(?i)token: .*"));
    write("site.toml", "[supervisor.api]\nredact = ['(', 'x*']\n[unit.a]\n" + kSleep);
    LoadOptions options;
    options.files = {"site.toml"};
    const LoadResult loaded = load_configuration(options);
    ASSERT_EQ(loaded.errors.size(), 2U);
    EXPECT_THAT(to_string(loaded.errors[0]), HasSubstr("\"(\" is not a regular expression: "));
    EXPECT_THAT(to_string(loaded.errors[1]), HasSubstr("\"x*\" matches the empty text"));
}

TEST_F(ConfigLoad, DryRunOfTheSupervisorOrTheCommandLineHoldsForEveryUnit) {
    EXPECT_TRUE(unit(good("[supervisor]\ndry_run = true\n[unit.a]\n" + kSleep), "a").dry_run);
    write("site.toml", "[unit.a]\n" + kSleep);
    LoadOptions options;
    options.files = {"site.toml"};
    options.dry_run = true;
    const Configuration config = load_configuration(options).config;
    EXPECT_TRUE(unit(config, "a").dry_run);
    EXPECT_TRUE(config.supervisor.dry_run);
}

TEST_F(ConfigLoad, PoliciesInheritDefaultAndUnitKeysWin) {
    const Configuration config = good(
        "[policy.default]\nfailures = 5\nbackoff = { initial = '1s', factor = 3 }\n"
        "[policy.web]\nbackoff = { max = '30s' }\nsuccess_exit_codes = [0, 143]\n"
        "[unit.a]\n" +
        kSleep + "[unit.b]\npolicy = 'web'\nbackoff.jitter = 0\nstop = { signal = 'SIGINT' }\n" +
        kSleep);
    EXPECT_EQ(unit(config, "a").policy.failures, 5U);
    EXPECT_EQ(unit(config, "a").policy.backoff.initial, 1s);
    EXPECT_EQ(unit(config, "a").policy.name, "default");
    const Policy& policy = unit(config, "b").policy;
    EXPECT_EQ(policy.name, "web");
    EXPECT_EQ(policy.failures, 5U);
    EXPECT_EQ(policy.backoff.initial, 1s);
    EXPECT_EQ(policy.backoff.factor, 3.0);
    EXPECT_EQ(policy.backoff.max, 30s);
    EXPECT_EQ(policy.backoff.jitter, 0.0);
    EXPECT_EQ(policy.stop.signal, 2);
    EXPECT_EQ(policy.stop.timeout, 10s);
    EXPECT_THAT(policy.success_exit_codes, ElementsAre(0, 143));
}

TEST_F(ConfigLoad, EveryPolicyKeyIsRead) {
    const Policy policy = unit(good("[unit.db]\n" + kSleep + R"(
[unit.a]
command = ["/bin/true"]
restart = "on-failure"
successes = 2
window = { failures = 5, of = 10 }
budget = { restarts = 3, within = "1m", then = "stop", cooldown = "9s" }
stop = { signal = 15, timeout = "3s", kill = "never" }
ladder = ["reload", { exec = ["/bin/fix"], timeout = "5s", cooldown = "1m" }, { restart = "db" }, { restart = true, timeout = "7s" }]
)"),
                               "a")
                              .policy;
    EXPECT_EQ(policy.restart, RestartMode::OnFailure);
    EXPECT_EQ(policy.successes, 2U);
    EXPECT_EQ(policy.window, (WindowPolicy{5, 10}));
    EXPECT_EQ(policy.budget, (BudgetPolicy{3, 1min, BudgetThen::Stop, 9s}));
    EXPECT_EQ(policy.stop, (StopPolicy{15, 3s, KillScope::Never}));
    ASSERT_EQ(policy.ladder.size(), 4U);
    EXPECT_EQ(policy.ladder[0].kind, LadderKind::Reload);
    EXPECT_EQ(policy.ladder[1], (LadderStep{LadderKind::Exec, {"/bin/fix"}, "", 5s, 1min}));
    EXPECT_EQ(policy.ladder[2], (LadderStep{LadderKind::RestartOther, {}, "db", 30s, 0s}));
    EXPECT_EQ(policy.ladder[3], (LadderStep{LadderKind::Restart, {}, "", 7s, 0s}));
}

TEST_F(ConfigLoad, TemplatesGiveAnyKeyAndTheUnitWins) {
    const Configuration config = good(R"(
[template.app]
directory = "/srv"
nice = 5
failures = 7
environment = { A = "t", B = "t" }
check.tcp = { port = 80, interval = "3s" }
[unit.a]
template = "app"
command = ["/bin/true"]
nice = 1
environment = { B = "u" }
check.tcp = { port = 81 }
check.two = { type = "tcp", port = 82 }
)");
    const UnitSpec& a = unit(config, "a");
    EXPECT_EQ(a.template_name, "app");
    EXPECT_EQ(a.process.directory, "/srv");
    EXPECT_EQ(a.process.nice, 1);
    EXPECT_EQ(a.policy.failures, 7U);
    EXPECT_THAT(a.process.environment, ::testing::IsSupersetOf({"A=t", "B=u"}));
    EXPECT_EQ(a.checks.size(), 2U);
    EXPECT_EQ(check(a, "tcp").interval, 3s);
    EXPECT_EQ(std::get<TcpCheckSpec>(check(a, "tcp").probe).port, 81);
}

TEST_F(ConfigLoad, InstancesGetTheirNumberInEveryString) {
    const Configuration config = good(R"(
[unit.worker]
name = "Worker {instance}"
command = ["/bin/worker", "--port", "80{instance}"]
environment = { N = "{instance}" }
check.tcp = { port = "${BASE:-800}{instance}" }
instances = 3
[unit.plain]
name = "Plain"
command = ["/bin/true", "{instance}"]
[unit.twins]
name = "Twin"
command = ["/bin/true"]
instances = 2
)");
    EXPECT_EQ(config.units.size(), 6U);
    const UnitSpec& two = unit(config, "worker@2");
    EXPECT_EQ(two.name, "Worker 2");
    EXPECT_EQ(two.instance, 2U);
    EXPECT_THAT(two.process.command, ElementsAre("/bin/worker", "--port", "802"));
    EXPECT_THAT(two.process.environment, ::testing::Contains("N=2"));
    EXPECT_EQ(std::get<TcpCheckSpec>(two.checks.at(0).probe).port, 8002);
    EXPECT_EQ(unit(config, "plain").process.command.at(1), "{instance}");
    EXPECT_EQ(unit(config, "twins@2").name, "Twin 2");
}

TEST_F(ConfigLoad, VariablesExpandInEveryString) {
    ::setenv("KW_PORT", "8081", 1);
    ::setenv("KW_EMPTY", "", 1);
    ::unsetenv("KW_NONE");
    const Configuration config = good(R"(
[unit.a]
command = ["/bin/true", "${KW_PORT}", "${KW_NONE:-d}", "${KW_EMPTY:-e}", "[${KW_EMPTY}]", "$$x", "$x", "${KW_NONE:-${KW_PORT}}", "cost$"]
autostart = "${KW_NONE:-false}"
nice = "${KW_NONE:-3}"
check.tcp = { port = "${KW_PORT}", timeout = "${KW_NONE:-2}s" }
)");
    const UnitSpec& a = unit(config, "a");
    EXPECT_THAT(a.process.command,
                ElementsAre("/bin/true", "8081", "d", "e", "[]", "$x", "$x", "8081", "cost$"));
    EXPECT_FALSE(a.autostart);
    EXPECT_EQ(a.process.nice, 3);
    EXPECT_EQ(std::get<TcpCheckSpec>(check(a, "tcp").probe).port, 8081);
    EXPECT_EQ(check(a, "tcp").timeout, 2s);
}

TEST_F(ConfigLoad, VariablesThatCannotExpandAreErrors) {
    ::unsetenv("KW_NONE");
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/true', '${KW_NONE}', '${KW_NONE', '${1}']\n"),
                ElementsAre("site.toml:2:25: cannot read unit.a.command[1]: the environment has no "
                            "variable KW_NONE (set "
                            "it, or write ${KW_NONE:-default})",
                            "site.toml:2:39: cannot read unit.a.command[2]: \"${KW_NONE\" has no "
                            "closing brace (write $$ "
                            "for a dollar)",
                            "site.toml:2:52: cannot read unit.a.command[3]: \"${1}\" names no "
                            "variable (write $$ for a "
                            "dollar)"));
    EXPECT_THAT(errors_of("[unit.a]\ncommand = ['/bin/true']\nnice = '${KW_NONE:-low}'\n"),
                ElementsAre("site.toml:3:8: cannot read unit.a.nice: \"low\" is not an integer"));
    EXPECT_THAT(
        errors_of("[unit.a]\ncommand = ['/bin/true']\nnice = '3'\n"),
        ElementsAre("site.toml:3:8: cannot read unit.a.nice: expected an integer, found a string"));
}

TEST_F(ConfigLoad, CheckDefaultsStandBetweenCheckAndPolicy) {
    const Configuration config = good(R"(
[defaults.check]
interval = "1s"
failures = 9
[unit.a]
command = ["/bin/true"]
failures = 4
successes = 2
check.one = { type = "tcp", port = 1 }
check.two = { type = "tcp", port = 1, failures = 1, interval = "60s", timeout = "500ms" }
)");
    const CheckSpec& one = check(unit(config, "a"), "one");
    EXPECT_EQ(one.interval, 1s);
    EXPECT_EQ(one.retry_interval, 1s);
    EXPECT_EQ(one.failures, 9U);
    EXPECT_EQ(one.successes, 2U);
    const CheckSpec& two = check(unit(config, "a"), "two");
    EXPECT_EQ(two.interval, 60s);
    EXPECT_EQ(two.retry_interval, 2s);
    EXPECT_EQ(two.failures, 1U);
}

TEST_F(ConfigLoad, EveryHttpKeyIsRead) {
    write("token", "Bearer abc\n");
    const Configuration config = good(R"(
[unit.a]
[unit.a.check.http]
url = "https://example.org/health"
method = "POST"
headers = { Accept = "text/plain", Authorization_file = "token" }
body = "ping"
expect.status = "200-299,404"
expect.body = "ok"
expect.header = { Server = "x" }
expect.json = { "/status" = "healthy", "/n" = 3, "/ok" = true, "/f" = 1.5, "/list" = [1, "a\"b"], "/t" = { k = false } }
slow = "250ms"
unix_socket = "/run/a.sock"
tls = { verify = false, ca = "ca.pem" }
follow_redirects = 2
grace = "5s"
effect = "degraded"
heals = false
enabled = false
component = { name = "db", style = "updown" }
)");
    const UnitSpec& a = unit(config, "a");
    EXPECT_EQ(a.kind, UnitKind::External);
    const CheckSpec& spec = check(a, "http");
    const auto& http = std::get<HttpCheckSpec>(spec.probe);
    using Pair = std::pair<std::string, std::string>;
    EXPECT_EQ(http.url, "https://example.org/health");
    EXPECT_EQ(http.method, "POST");
    EXPECT_THAT(http.headers,
                ElementsAre(Pair{"Accept", "text/plain"}, Pair{"Authorization", "Bearer abc"}));
    EXPECT_EQ(http.body, "ping");
    EXPECT_EQ(http.expect_status, (std::vector<StatusRange>{{200, 299}, {404, 404}}));
    EXPECT_EQ(http.expect_body, "ok");
    EXPECT_THAT(http.expect_header, ElementsAre(Pair{"Server", "x"}));
    EXPECT_THAT(http.expect_json,
                ElementsAre(Pair{"/status", "\"healthy\""}, Pair{"/n", "3"}, Pair{"/ok", "true"},
                            Pair{"/f", "1.5"}, Pair{"/list", R"([1,"a\"b"])"},
                            Pair{"/t", R"({"k":false})"}));
    EXPECT_EQ(http.unix_socket, "/run/a.sock");
    EXPECT_FALSE(http.tls.verify);
    EXPECT_EQ(http.tls.ca, (folder_ / "ca.pem").string());
    EXPECT_EQ(http.follow_redirects, 2U);
    EXPECT_EQ(spec.slow, 250ms);
    EXPECT_EQ(spec.grace, 5s);
    EXPECT_EQ(spec.effect, CheckEffect::Degraded);
    EXPECT_FALSE(spec.heals);
    EXPECT_FALSE(spec.enabled);
    EXPECT_EQ(spec.component, (ComponentSpec{"db", ComponentStyle::UpDown}));
}

TEST_F(ConfigLoad, TcpAndExecKeysAreRead) {
    const Configuration config = good(R"(
[unit.a]
command = ["/bin/true"]
check.tcp = { host = "::1", port = 6379, send = "PING\r\n", expect = "PONG", blames = ["b"] }
check.exec = { command = ["/bin/check"], user = "root", directory = "/srv", warn_exit = 2 }
[unit.b]
command = ["/bin/true"]
)");
    const UnitSpec& a = unit(config, "a");
    EXPECT_EQ(std::get<TcpCheckSpec>(check(a, "tcp").probe),
              (TcpCheckSpec{"::1", 6379, "PING\r\n", "PONG", {}}));
    EXPECT_THAT(check(a, "tcp").blames, ElementsAre("b"));
    const auto& exec = std::get<ExecCheckSpec>(check(a, "exec").probe);
    EXPECT_THAT(exec.command, ElementsAre("/bin/check"));
    EXPECT_EQ(exec.directory, "/srv");
    EXPECT_EQ(exec.warn_exit, 2);
    ASSERT_TRUE(exec.run_as);
    EXPECT_EQ(exec.run_as->uid, 0U);
}

TEST_F(ConfigLoad, SecretsComeFromFilesAndSystemdCredentials) {
    write("url", "http://127.0.0.1/secret\n");
    std::filesystem::create_directory("credentials");
    write("credentials/body", "from systemd");
    ::setenv("CREDENTIALS_DIRECTORY", (folder_ / "credentials").c_str(), 1);
    const Configuration config =
        good("[unit.a]\ncheck.http = { url_file = 'url', body_file = 'body' }\n");
    const auto& http = std::get<HttpCheckSpec>(check(unit(config, "a"), "http").probe);
    EXPECT_EQ(http.url, "http://127.0.0.1/secret");
    EXPECT_EQ(http.body, "from systemd");
    EXPECT_THAT(errors_of("[unit.a]\ncheck.http = { url = 'http://a', url_file = 'url' }\n"),
                ElementsAre(HasSubstr("url_file: url is given too (keep one of them)")));
    EXPECT_THAT(errors_of("[unit.a]\ncheck.http = { url_file = 'nowhere' }\n"),
                ElementsAre(HasSubstr(
                    "site.toml:2:27: cannot read unit.a.check.http.url_file: cannot read ")));
    write("url", "secret-without-scheme");
    EXPECT_THAT(errors_of("[unit.a]\ncheck.http = { url_file = 'url' }\n"),
                ElementsAre(::testing::Not(HasSubstr("secret-without"))));
}

TEST_F(ConfigLoad, ReadyLogLimitsAndProcessKeysAreRead) {
    const Configuration config = good(R"(
[unit.a]
shell = "exec sleep 60"
ready = "log:ready to accept [0-9]+"
ready_timeout = "5s"
umask = "077"
oom_score_adj = -100
limits = { nofile = 64, core = "unlimited", as = "1G" }
log = { max_size = "1M", keep = 3, compress = false, mode = "file", stderr = "separate", on_error = "block" }
pre_start = ["/bin/true"]
stop_command = ["/bin/true", "stop"]
reload_command = ["/bin/true", "reload"]
[unit.b]
command = ["/bin/true"]
ready = "check:tcp"
check.tcp = { port = 1 }
)");
    const UnitSpec& a = unit(config, "a");
    EXPECT_THAT(a.process.command, ElementsAre("/bin/sh", "-c", "exec sleep 60"));
    EXPECT_EQ(a.ready, (ReadySpec{ReadyKind::Log, "ready to accept [0-9]+"}));
    EXPECT_EQ(a.ready_timeout, 5s);
    EXPECT_EQ(a.process.umask, 077U);
    EXPECT_EQ(a.process.oom_score_adj, -100);
    EXPECT_EQ(a.process.limits.nofile, 64U);
    EXPECT_EQ(a.process.limits.core, RLIM_INFINITY);
    EXPECT_EQ(a.process.limits.as, 1U << 30);
    EXPECT_EQ(a.log, (LogSpec{1U << 20, 3, false, LogMode::File, true, LogOnError::Block}));
    EXPECT_THAT(a.process.reload_command, ElementsAre("/bin/true", "reload"));
    EXPECT_EQ(unit(config, "b").ready, (ReadySpec{ReadyKind::Check, "tcp"}));
}

TEST_F(ConfigLoad, PositionsOfTheUnitsKeysAreKept) {
    const Configuration config =
        good("[template.t]\ndirectory = '/srv'\n[unit.a]\ntemplate = 't'\n" + kSleep +
             "user = 'root'\ncheck.http = { url = 'http://a' }\n");
    const auto& positions = unit(config, "a").where.positions;
    const auto at = [&](const char* key) {
        return std::pair(positions.at(key).line, positions.at(key).column);
    };
    EXPECT_EQ(at("directory"), std::pair(2U, 13U));
    EXPECT_EQ(at("command"), std::pair(5U, 11U));
    EXPECT_EQ(at("user"), std::pair(6U, 8U));
    EXPECT_EQ(at("check.http.url"), std::pair(7U, 22U));
    EXPECT_EQ(positions.at("command").file, "site.toml");
}

} // namespace
} // namespace keepwell
