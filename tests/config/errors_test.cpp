#include "config_fixture.h"

#include <sys/stat.h>

namespace keepwell {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ConfigErrors = ConfigTest;

TEST_F(ConfigErrors, FiveMistakesInOneFileAreAllToldAtOnce) {
    EXPECT_THAT(
        errors_of("[unit.web]\n"
                  "comand = [\"x\"]\n"
                  "check.http = { url = \"http://a/\", interval = \"10 parsecs\" }\n"
                  "[unit.redis]\n" +
                  kSleep +
                  "nice = -30\n"
                  "user = \"nobodyy\"\n"
                  "[unit.worker]\n" +
                  kSleep + "requires = [\"redsi\"]\n"),
        ElementsAre(
            "site.toml:2:1: cannot read unit.web.comand: unknown key (did you mean command?)",
            "site.toml:3:46: cannot read unit.web.check.http.interval: \"10 parsecs\" is not a "
            "duration (like \"10s\")",
            "site.toml:6:8: cannot read unit.redis.nice: -30 is not between -20 and 19",
            "site.toml:7:8: cannot read unit.redis.user: no user named \"nobodyy\" on this "
            "machine (create it, or correct the name)",
            "site.toml:10:13: cannot resolve unit.worker.requires: no unit named \"redsi\" (did "
            "you mean redis?)"));
}

struct Bad {
    const char* line; // the third line of the file, in [unit.web] with a command
    const char* error;
};

TEST_F(ConfigErrors, EachWrongUnitKeyIsToldWithItsPlace) {
    const Bad table[] = {
        {"directory = 3",
         "3:13: cannot read unit.web.directory: expected a string, found an integer"},
        {"directory = ''",
         "3:13: cannot read unit.web.directory: an empty string says nothing (leave the key out)"},
        {"autostart = 'yes'",
         "3:13: cannot read unit.web.autostart: expected true or false, found a string"},
        {"nice = 1.5", "3:8: cannot read unit.web.nice: expected an integer, found a number"},
        {"oom_score_adj = 1001",
         "3:17: cannot read unit.web.oom_score_adj: 1001 is not between -1000 and 1000"},
        {"umask = 22",
         "3:9: cannot read unit.web.umask: expected a string like \"022\", found an integer"},
        {"umask = '999'",
         "3:9: cannot read unit.web.umask: \"999\" is not a umask (octal, like \"022\")"},
        {"tags = 'a'", "3:8: cannot read unit.web.tags: expected an array, found a string"},
        {"tags = ['a', 2]",
         "3:14: cannot read unit.web.tags[1]: expected a string, found an integer"},
        {"log = 'no'", "3:7: cannot read unit.web.log: expected a table, found a string"},
        {"log = { mode = 'pip' }", "3:16: cannot read unit.web.log.mode: \"pip\" is none of pipe, "
                                   "file, none (did you mean pipe?)"},
        {"log.max_size = '12X'",
         "3:16: cannot read unit.web.log.max_size: \"12X\" is not a size (like \"64M\")"},
        {"log.max_size = -1",
         "3:16: cannot read unit.web.log.max_size: -1 is negative (a size is like \"64M\")"},
        {"log.keep = -1", "3:12: cannot read unit.web.log.keep: -1 is not between 0 and 100000"},
        {"limits.nofil = 3",
         "3:8: cannot read unit.web.limits.nofil: unknown key (did you mean nofile?)"},
        {"ready_timeout = 30", "3:17: cannot read unit.web.ready_timeout: expected a string like "
                               "\"10s\", found an integer"},
        {"ready_timeout = '-1s'", "3:17: cannot read unit.web.ready_timeout: \"-1s\" is negative "
                                  "(a duration is like \"10s\")"},
        {"ready = 'check:htp'",
         "3:9: cannot read unit.web.ready: the unit has no check named \"htp\""},
        {"ready = 'startd'",
         "3:9: cannot read unit.web.ready: \"startd\" is none of started, check:ID, "
         "log:REGEX, notify (did you mean started?)"},
        {"policy = 'webb'", "3:10: cannot read unit.web.policy: no policy named \"webb\""},
        {"template = 'x'", "3:12: cannot read unit.web.template: no template named \"x\""},
        {"failures = 0", "3:12: cannot read unit.web.failures: 0 is not between 1 and 1000000"},
        {"window = { failures = 11, of = 10 }",
         "3:10: cannot read unit.web.window: 11 failures cannot be among 10 results (raise of)"},
        {"window = { of = 10 }",
         "3:1: cannot read unit.web.window: needs both failures and of (like { "
         "failures = 5, of = 10 })"},
        {"backoff.max = '1ms'", "3:15: cannot read unit.web.backoff.max: backoff.max is shorter "
                                "than backoff.initial (raise max)"},
        {"backoff.factor = 0.5",
         "3:18: cannot read unit.web.backoff.factor: 0.5 is not between 1 and 100"},
        {"backoff.jitter = nan",
         "3:18: cannot read unit.web.backoff.jitter: nan is not between 0 and 1"},
        {"budget.then = 'never'",
         "3:15: cannot read unit.web.budget.then: \"never\" is none of cooldown, stop"},
        {"stop.signal = 'TREM'", "3:15: cannot read unit.web.stop.signal: \"TREM\" is not a signal "
                                 "(like \"TERM\" or \"INT\")"},
        {"stop.signal = 0",
         "3:15: cannot read unit.web.stop.signal: 0 is not a signal (like \"TERM\" or \"INT\")"},
        {"ladder = ['reboot']",
         "3:11: cannot read unit.web.ladder[0]: \"reboot\" is not a step (a "
         "step is \"restart\", \"reload\", \"free-port\", \"reset-failed\", { "
         "exec = [\"program\"] } or { restart = \"unit\" })"},
        {"ladder = [{ restart = 'db' }]",
         "3:11: cannot resolve unit.web.ladder[0]: no unit named \"db\""},
        {"success_exit_codes = [256]",
         "3:23: cannot read unit.web.success_exit_codes[0]: 256 is not between 0 and 255"},
        {"instances = 0", "3:13: cannot read unit.web.instances: 0 is not between 1 and 10000"},
        {"requires = ['web']",
         "3:12: cannot resolve unit.web.requires: the units wait for each other in a "
         "circle: web -> web (remove one of these)"},
        {"shell = 'sleep 1'",
         "3:9: cannot read unit.web.shell: command is given too (keep one of them)"},
        {"pidfile = '/run/x'",
         "3:1: cannot read unit.web.pidfile: the unit has command too (a unit is one of "
         "command, pidfile, systemd, match)"},
        {"start_command = ['x']",
         "3:17: cannot read unit.web.start_command: belongs to pidfile and match units "
         "(command starts this one)"},
        {"stop_command = []",
         "3:16: cannot read unit.web.stop_command: the command is empty (name the program "
         "first, like [\"/usr/bin/sleep\", \"60\"])"},
        {"pre_start = 'migrate'",
         "3:13: cannot read unit.web.pre_start: expected an array like [\"program\", "
         "\"argument\"], found a string"},
        {"environment = { 'A=B' = 'x' }",
         "3:25: cannot read unit.web.environment.A=B: \"A=B\" cannot be the name of a variable"},
        {"environment = { A = [1] }",
         "3:21: cannot read unit.web.environment.A: expected a string, found an array"},
        {"user = 'root:nogroupp'",
         "3:8: cannot read unit.web.user: no group named \"nogroupp\" on this machine "
         "(create it, or correct the name)"},
        {"user = 'root:'",
         "3:8: cannot read unit.web.user: \"root:\" is not a user (like \"www-data\" or "
         "\"www-data:adm\")"},
        {"description = 1979-05-27",
         "3:15: cannot read unit.web.description: expected a string, found a date or time"},
        {"description = \"a\\u0000b\"",
         "3:15: cannot read unit.web.description: a NUL character cannot be used here"},
    };
    for (const Bad& bad : table) {
        EXPECT_THAT(errors_of("[unit.web]\n" + kSleep + bad.line + "\n"),
                    ElementsAre(std::string("site.toml:") + bad.error))
            << bad.line;
    }
}

TEST_F(ConfigErrors, EachWrongCheckKeyIsToldWithItsPlace) {
    const Bad table[] = {
        {"check.http = { }", "3:7: cannot read unit.web.check.http: url is missing (like url = "
                             "\"http://127.0.0.1:8080/health\")"},
        {"check.http = { url = '127.0.0.1/x' }",
         "3:22: cannot read unit.web.check.http.url: \"127.0.0.1/x\" does not start with http:// "
         "or https:// "
         "(like \"http://127.0.0.1:8080/health\")"},
        {"check.http = { url = 'http:///x' }",
         "3:22: cannot read unit.web.check.http.url: \"http:///x\" has no host (like "
         "\"http://127.0.0.1:8080/health\")"},
        {"check.http = { url = 'http://a', methd = 'GET' }",
         "3:34: cannot read unit.web.check.http.methd: unknown key (did you mean method?)"},
        {"check.http = { url = 'http://a', expect.status = '2xx' }",
         "3:50: cannot read unit.web.check.http.expect.status: \"2xx\" is not a set of HTTP codes "
         "(like "
         "\"200-299,404\")"},
        {"check.http = { url = 'http://a', expect.json = { status = 'ok' } }",
         "3:50: cannot read unit.web.check.http.expect.json.status: \"status\" is not a JSON "
         "pointer (like "
         "\"/status\")"},
        {"check.http = { url = 'http://a', headers = { 'A B' = 'x' } }",
         "3:54: cannot read unit.web.check.http.headers.A B: a header is one line, with a name "
         "without spaces or "
         "colons"},
        {"check.http = { url = 'http://a', timeout = '0s' }",
         "3:44: cannot read unit.web.check.http.timeout: \"0s\" is too short (at least 1ms)"},
        {"check.http = { url = 'http://a', effect = 'dwn' }",
         "3:43: cannot read unit.web.check.http.effect: \"dwn\" is none of down, degraded, "
         "unknown, none (did you "
         "mean down?)"},
        {"check.http = { url = 'http://a', blames = ['weba'] }",
         "3:44: cannot resolve unit.web.check.http.blames: no unit named \"weba\" (did you mean "
         "web?)"},
        {"check.tcp = { }",
         "3:7: cannot read unit.web.check.tcp: port is missing (like port = 5432)"},
        {"check.tcp = { port = 65536 }",
         "3:22: cannot read unit.web.check.tcp.port: 65536 is not between 1 and 65535"},
        {"check.tcp = { port = 0 }",
         "3:22: cannot read unit.web.check.tcp.port: 0 is not between 1 and 65535"},
        {"check.exec = { command = [] }", "3:26: cannot read unit.web.check.exec.command: the "
                                          "command is empty (name the program first, like "
                                          "[\"/usr/bin/sleep\", \"60\"])"},
        {"check.exec = { command = ['x'], user = 'nobodyy' }",
         "3:40: cannot read unit.web.check.exec.user: no user named \"nobodyy\" on this machine "
         "(create it, or "
         "correct the name)"},
        {"check.htp = { url = 'http://a' }",
         "3:7: cannot read unit.web.check.htp: type is missing (like type = \"http\"), since "
         "\"htp\" is not the name "
         "of a type (did you mean http?)"},
        {"check.a = { type = 'tpc' }", "3:20: cannot read unit.web.check.a.type: no check type "
                                       "named \"tpc\" (did you mean tcp?)"},
        {"check.http = 'http://a'", "3:14: cannot read unit.web.check.http: expected a table like "
                                    "{ type = \"tcp\", port = 80 }, found a string"},
    };
    for (const Bad& bad : table) {
        EXPECT_THAT(errors_of("[unit.web]\n" + kSleep + bad.line + "\n"),
                    ElementsAre(std::string("site.toml:") + bad.error))
            << bad.line;
    }
}

TEST_F(ConfigErrors, NamesOfUnitsFollowTheRule) {
    EXPECT_THAT(errors_of("[unit.Web]\n" + kSleep),
                ElementsAre("site.toml:1:7: cannot read unit.Web: \"Web\" is not a unit name (1 to "
                            "63 of a-z 0-9 _ . "
                            ": @ -, starting with a letter or digit)"));
    EXPECT_THAT(errors_of("[unit.\"..\"]\n" + kSleep),
                ElementsAre(HasSubstr("is not a unit name")));
    EXPECT_THAT(errors_of("[unit.all]\n" + kSleep), ElementsAre(HasSubstr("means every unit")));
    EXPECT_THAT(errors_of("[unit." + std::string(63, 'a') + "]\ninstances = 2\n" + kSleep),
                ElementsAre(HasSubstr("more than 63 characters")));
    EXPECT_THAT(
        errors_of("[unit.worker]\ninstances = 2\n" + kSleep + "[unit.\"worker@2\"]\n" + kSleep),
        ElementsAre("site.toml:4:7: cannot read unit.worker@2: there is another unit \"worker@2\" "
                    "(rename one "
                    "of them)"));
}

TEST_F(ConfigErrors, AUnitThatCanDoNothingIsRefused) {
    EXPECT_THAT(errors_of("[unit.web]\nname = 'x'\n"),
                ElementsAre(HasSubstr(
                    "site.toml:1:7: cannot read unit.web: it has neither a command nor a check")));
}

TEST_F(ConfigErrors, ADottedNameWithoutQuotesIsExplained) {
    const LoadResult result = load("[unit.a.b]\n" + kSleep);
    EXPECT_THAT(texts(result.errors),
                ElementsAre("site.toml:1:9: cannot read unit.a.b: unknown key"));
    EXPECT_THAT(texts(result.warnings), ElementsAre(HasSubstr("needs quotes: [unit.\"a.b\"]")));
}

TEST_F(ConfigErrors, SharedTablesAreCheckedToo) {
    EXPECT_THAT(
        errors_of("[supervisor]\nruntime_dir = 'run'\nlog_level = 'loud'\nlisten = ['5001']\n"
                  "health_threshold = 2\nstatus_intervall = '1s'\n[defaults.check]\nurl = 'x'\n"
                  "[policy.x]\nrestarts = 1\n[unitt.web]\n"),
        ElementsAre(
            "site.toml:2:15: cannot read supervisor.runtime_dir: \"run\" is relative (write the "
            "whole "
            "path)",
            "site.toml:3:13: cannot read supervisor.log_level: \"loud\" is none of trace, debug, "
            "info, "
            "warning, error",
            "site.toml:4:11: cannot read supervisor.listen[0]: \"5001\" is not HOST:PORT (like "
            "\"127.0.0.1:5001\")",
            "site.toml:5:20: cannot read supervisor.health_threshold: 2 is not between 0 and 1",
            "site.toml:6:1: cannot read supervisor.status_intervall: unknown key (did you mean "
            "status_interval?)",
            "site.toml:8:1: cannot read defaults.check.url: unknown key",
            "site.toml:10:1: cannot read policy.x.restarts: unknown key (did you mean restart?)",
            "site.toml:11:2: cannot read unitt: unknown key (did you mean unit?)"));
}

TEST_F(ConfigErrors, MistakesInATemplateNameTheTemplateOnceAndAlsoWhenUnused) {
    const std::string bad = "[template.t]\nnice = 99\n";
    const char* error = "site.toml:2:8: cannot read template.t.nice: 99 is not between -20 and 19";
    EXPECT_THAT(errors_of(bad), ElementsAre(error));
    EXPECT_THAT(errors_of(bad + "[unit.a]\ntemplate = 't'\ninstances = 3\n" + kSleep +
                          "[unit.b]\ntemplate = 't'\n" + kSleep),
                ElementsAre(error));
    EXPECT_THAT(
        errors_of("[template.t]\ntemplate = 'u'\n[template.u]\n"),
        ElementsAre(HasSubstr(
            "site.toml:2:1: cannot read template.t.template: a template cannot use another")));
}

TEST_F(ConfigErrors, ARelativeProgramWithASlashNeedsADirectory) {
    EXPECT_THAT(errors_of("[unit.web]\ncommand = ['bin/web']\n"),
                ElementsAre("site.toml:2:11: cannot read unit.web.command: \"bin/web\" is relative "
                            "and the unit has no "
                            "directory (write the whole path, or set directory)"));
    EXPECT_THAT(errors_of("[unit.web]\ncommand = ['bin/web']\ndirectory = '/srv'\n"), IsEmpty());
}

TEST_F(ConfigErrors, LaterKeysAreWarnedOfAndNeverDroppedSilently) {
    EXPECT_THAT(warnings_of("[notify.ops]\ntype = 'slack'\n"
                            "[unit.web]\n" +
                            kSleep + "capture = true\nladder = ['reset-failed', 'restart']\n"),
                ElementsAre("site.toml:1:9: cannot use notify.ops: not available yet",
                            "site.toml:5:1: cannot use unit.web.capture: not available yet"));
}

TEST_F(ConfigErrors, ATimeoutLongerThanTheIntervalIsAWarning) {
    EXPECT_THAT(warnings_of("[unit.web]\n" + kSleep +
                            "check.tcp = { port = 1, interval = '1s', timeout = '2s' }\n"),
                ElementsAre(HasSubstr(
                    "site.toml:3:52: unit.web.check.tcp.timeout: the timeout is longer")));
    EXPECT_THAT(
        warnings_of("[unit.web]\n" + kSleep + "check.tcp = { port = 1, interval = '1s' }\n"),
        IsEmpty());
}

TEST_F(ConfigErrors, ANotifySocketNeedsAPathThatFitsIntoAnAddress) {
    const std::string folder = "/run/" + std::string(95, 'r');
    const std::string head = "[supervisor]\nruntime_dir = '" + folder + "'\n[unit.wb]\n" + kSleep;
    EXPECT_THAT(errors_of(head + "ready = 'notify'\n"),
                ElementsAre("site.toml:3:7: cannot use unit.wb: the path of its notify socket, " +
                            folder +
                            "/notify/wb, has more than 107 bytes (shorten supervisor.runtime_dir "
                            "or the unit's name)"));
    EXPECT_THAT(errors_of(head), IsEmpty());
}

TEST_F(ConfigErrors, NoUnitAtAllIsAWarning) {
    EXPECT_THAT(warnings_of(""),
                ElementsAre("site.toml: cannot find any unit (add [unit.NAME] with a command)"));
}

TEST_F(ConfigErrors, SettingsThatDoNothingYetSayWhatHappensInstead) {
    EXPECT_THAT(
        warnings_of("[unit.web]\n" + kSleep +
                    "log = { mode = 'file', stderr = 'separate', compress = true }\n"),
        ElementsAre(HasSubstr("log.mode: the file is never rotated without a reload_command")));
    EXPECT_THAT(warnings_of("[supervisor]\nlisten = ['127.0.0.1:5001']\n[unit.web]\n" + kSleep +
                            "log = { mode = 'pipe', stderr = 'merged', compress = false }\n"),
                IsEmpty());
}

TEST_F(ConfigErrors, TwoUnitsCannotShareALogFile) {
    const std::string two = "[unit.'web.err']\n" + kSleep + "[unit.web]\n" + kSleep;
    EXPECT_THAT(
        errors_of(two + "log.stderr = 'separate'\n"),
        ElementsAre("site.toml:1:7: cannot read unit.\"web.err\": its log would be the one of the "
                    "stderr of \"web\" (rename one of them)"));
    EXPECT_THAT(errors_of(two), IsEmpty());
}

TEST_F(ConfigErrors, ABrokenRegularExpressionIsFoundAtLoad) {
    EXPECT_THAT(
        errors_of("[unit.web]\n" + kSleep + "ready = 'log:(['\n"),
        ElementsAre(HasSubstr(
            "site.toml:3:9: cannot read unit.web.ready: \"([\" is not a regular expression")));
    EXPECT_THAT(errors_of("[unit.web]\n" + kSleep + "ready = 'log:x'\nlog.mode = 'none'\n"),
                ElementsAre(HasSubstr("no line will ever be seen")));
}

} // namespace
} // namespace keepwell
