"""systemd units under keepwell's policy, with a real `systemd --user`: who starts, stops and restarts what, and what is done
while nothing can be seen (nothing)."""
import os
import pathlib
import signal

import pytest
import user_systemd
from conftest import FAST, INTERVALS, alive, never

pytestmark = pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not()))


def service(systemd, fleet, name, *options):
    """A unit file whose main process is a victim that records its starts and ends."""
    command = " ".join(fleet.victim(name, *options))
    systemd.write_unit(f"{name}.service", f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={command}\n")


def with_service_lines(systemd, fleet, name, lines, unit_lines="StartLimitIntervalSec=0", *options):
    command = " ".join(fleet.victim(name, *options))
    systemd.write_unit(f"{name}.service", f"[Unit]\n{unit_lines}\n[Service]\nExecStart={command}\n{lines}\n")


def unit(systemd, name, keys=FAST):
    return f'[unit.{name}]\nsystemd = "{name}.service"\nbus = "{systemd.bus_address}"\n{keys}\n'


def begin(fleet, systemd, *units):
    fleet.write("\n".join(units))
    systemd.systemctl("daemon-reload")
    fleet.start()


def main_pid(systemd, name):
    return int(systemd.show(f"{name}.service", "MainPID") or 0)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_what_runs_already_is_taken_up_and_what_does_not_is_started_by_a_job(fleet, systemd):
    service(systemd, fleet, "there")
    service(systemd, fleet, "absent")
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "there.service")
    pid = main_pid(systemd, "there")
    begin(fleet, systemd, unit(systemd, "there"), unit(systemd, "absent"))
    fleet.wait_healthy("there", "absent")
    assert fleet.live("there")["pid"] == pid, "a running unit was restarted"
    assert fleet.live("absent")["pid"] == main_pid(systemd, "absent")
    assert len(fleet.starts("there")) == len(fleet.starts("absent")) == 1
    shown = fleet.live("there")
    assert shown["kind"] == "systemd"
    assert shown["systemd"] == {"state": "active", "ok": True, "unit": "there.service", "sub_state": "running",
                                "result": "success", "n_restarts": 0, "error": "", "unit_file_state": "static"}


def test_what_a_unit_says_of_itself_is_shown_as_a_childs_words_are(fleet, systemd):
    systemd.write_unit("web.service", "[Service]\nType=notify\nNotifyAccess=all\n"
                       "ExecStart=/bin/sh -c 'systemd-notify --ready --status=\"serving 3\"; exec sleep 1000'\n")
    begin(fleet, systemd, unit(systemd, "web"))
    fleet.wait_for(lambda: fleet.live("web")["status_text"] == "serving 3", "its words")


def test_a_killed_unit_without_a_restart_of_its_own_is_back_once(fleet, systemd):
    service(systemd, fleet, "web")
    begin(fleet, systemd, unit(systemd, "web"))
    fleet.wait_healthy("web")
    os.kill(main_pid(systemd, "web"), signal.SIGKILL)
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")
    never(lambda: len(fleet.starts("web")) > 2, "it was started twice", 1)
    assert fleet.live("web")["last_exit"]["signal"] == 9
    story = fleet.ok("why", "web")
    for word in ("SIGKILL", "backoff", "start", "recovered"):
        assert word in story, story


def test_a_sick_unit_is_restarted_after_exactly_n_failures_by_a_job(fleet, systemd, health):
    service(systemd, fleet, "web")
    health.script = [200, 503, 503, 200, 503, 503, 503]
    begin(fleet, systemd, unit(systemd, "web", f'{FAST}failures = 3\ncheck.http = {{ url = "{health.url}", {INTERVALS} }}'))
    fleet.wait_starts("web", 2, 20)
    fleet.wait_healthy("web")
    term = next(n for n in fleet.notes("web") if n.what == "term")
    assert [s for when, s in health.answers if when <= term.ns] == [200, 503, 503, 200, 503, 503, 503]
    story = fleet.ok("why", "web")
    for word in ("(1/3)", "(3/3)", "stop job", "backoff", "recovered"):
        assert word in story, story


def test_a_stop_by_hand_is_respected_and_a_start_by_hand_too(fleet, systemd, health):
    service(systemd, fleet, "web")
    begin(fleet, systemd, unit(systemd, "web"))
    fleet.wait_healthy("web")
    systemd.systemctl("stop", "web.service")
    fleet.wait_state("web", "stopped")
    assert fleet.live("web")["desired_state"] == "stopped"
    assert "stopped, not by keepwell" in fleet.ok("status")
    never(lambda: len(fleet.starts("web")) > 1, "it was started again", 2)
    fleet.kill_supervisor()
    never(lambda: len(fleet.starts("web")) > 1, "a new supervisor started it again", 2)
    systemd.systemctl("start", "web.service")
    fleet.wait_healthy("web")
    assert fleet.live("web")["desired_state"] == "running"
    assert len(fleet.starts("web")) == 2


def test_a_restart_by_hand_is_neither_a_stop_nor_a_failure(fleet, systemd):
    service(systemd, fleet, "web")
    begin(fleet, systemd, unit(systemd, "web"))
    fleet.wait_healthy("web")
    systemd.systemctl("restart", "web.service")
    fleet.wait_for(lambda: fleet.live("web")["pid"] == main_pid(systemd, "web"), "the new main process")
    fleet.wait_healthy("web")
    never(lambda: len(fleet.starts("web")) > 2, "keepwell started it as well", 1)
    assert fleet.live("web")["restarts"]["consecutive_failures"] == 0


def test_systemds_own_restart_is_waited_for_and_not_fought(fleet, systemd):
    with_service_lines(systemd, fleet, "web", "Restart=always\nRestartSec=1500ms")
    begin(fleet, systemd, unit(systemd, "web"))
    fleet.wait_healthy("web")
    for round_ in range(1, 4):
        os.kill(main_pid(systemd, "web"), signal.SIGKILL)
        held = fleet.wait_state("web", "backoff")
        assert "systemd restarts it itself" in held["reason"]
        fleet.wait_starts("web", round_ + 1)
        fleet.wait_healthy("web")
    never(lambda: len(fleet.starts("web")) > 4, "keepwell started it as well", 2)
    assert int(systemd.show("web.service", "NRestarts")) == 3, "not systemd alone restarted it"


def test_a_unit_that_hit_its_start_limit_is_told_and_reset_only_by_policy(fleet, systemd):
    limit = "StartLimitIntervalSec=1h\nStartLimitBurst=2"
    with_service_lines(systemd, fleet, "plain", "Restart=no", limit)
    with_service_lines(systemd, fleet, "reset", "Restart=no", limit)
    begin(fleet, systemd, unit(systemd, "plain"), unit(systemd, "reset", FAST + 'ladder = ["restart", "reset-failed"]'))
    fleet.wait_healthy("plain", "reset")
    for name in ("plain", "reset"):
        os.kill(main_pid(systemd, name), signal.SIGKILL)
        fleet.wait_starts(name, 2)
        fleet.wait_healthy(name)
        os.kill(main_pid(systemd, name), signal.SIGKILL)
    fleet.wait_for(lambda: "start-limit-hit" in fleet.live("plain")["reason"], "the limit to be told")
    fleet.wait_starts("reset", 3)
    fleet.wait_healthy("reset")
    assert len(fleet.starts("plain")) == 2


def test_killing_the_bus_causes_no_action_and_the_state_is_right_again(fleet, systemd, health):
    service(systemd, fleet, "web")
    service(systemd, fleet, "other")
    begin(fleet, systemd, unit(systemd, "web", f'{FAST}failures = 2\ncheck.http = {{ url = "{health.url}", {INTERVALS} }}'),
          unit(systemd, "other"), fleet.unit("child"))
    fleet.wait_healthy("web", "other", "child")
    supervisor, before = fleet.supervisor(), cpu_seconds(fleet.supervisor())
    systemd.kill_bus()
    fleet.wait_for(lambda: "bus" in fleet.ok("why", "web"), "the loss to be told")
    fleet.wait_healthy("web", "other", "child", timeout=5)
    assert fleet.supervisor() == supervisor, "the supervisor died of it"
    assert len(fleet.starts("web")) == len(fleet.starts("other")) == 1
    assert cpu_seconds(supervisor) - before < 1.0, "it burnt CPU meanwhile"
    # It still sees and heals over the new connection.
    os.kill(main_pid(systemd, "other"), signal.SIGKILL)
    fleet.wait_starts("other", 2)
    fleet.wait_healthy("other")


def test_nothing_is_done_while_the_bus_is_away(fleet, systemd, health):
    service(systemd, fleet, "web")
    begin(fleet, systemd, unit(systemd, "web", f'{FAST}failures = 2\ncheck.http = {{ url = "{health.url}", {INTERVALS} }}'))
    fleet.wait_healthy("web")
    bus = systemd.bus_pid()
    socket = pathlib.Path(systemd.bus_address.removeprefix("unix:path="))
    hidden = socket.with_name("hidden")
    socket.rename(hidden)
    try:
        os.kill(bus, signal.SIGKILL)
        fleet.wait_state("web", "unknown")
        assert fleet.live("web")["health"]["status"] == "unknown"
        health.then = 503
        never(lambda: any(n.what == "term" for n in fleet.notes("web")), "it acted while blind", 2)
        refused = fleet.cli("restart", "web")
        assert refused.returncode == 1 and "cannot restart web: systemd cannot be asked" in refused.stdout + refused.stderr, refused
        fleet.wait_state("web", "unknown")
        refused = fleet.cli("signal", "HUP", "web")
        assert refused.returncode == 1 and "cannot signal web" in refused.stdout + refused.stderr, refused
        supervisor, before = fleet.supervisor(), cpu_seconds(fleet.supervisor())
        never(lambda: fleet.supervisor() != supervisor, "another supervisor", 1)
        assert cpu_seconds(supervisor) - before < 0.3
        health.then = 200
    finally:
        hidden.rename(socket)
    fleet.wait_healthy("web", timeout=30)
    assert len(fleet.starts("web")) == 1


def test_reexec_and_reload_of_the_manager_cause_no_action(fleet, systemd):
    service(systemd, fleet, "web")
    begin(fleet, systemd, unit(systemd, "web"))
    fleet.wait_healthy("web")
    pid, generation = fleet.live("web")["pid"], fleet.live("web")["generation"]
    for _ in range(2):
        systemd.systemctl("daemon-reexec")
        systemd.systemctl("daemon-reload")
        fleet.wait_healthy("web", timeout=5)
    now = fleet.live("web")
    assert (now["pid"], now["generation"]) == (pid, generation)
    assert len(fleet.starts("web")) == 1
    os.kill(main_pid(systemd, "web"), signal.SIGKILL)
    fleet.wait_starts("web", 2)


def test_a_masked_and_a_missing_unit_are_unknown_and_never_started(fleet, systemd):
    service(systemd, fleet, "web")
    systemd.write_unit("off.service", "")
    (systemd.units / "off.service").unlink()
    (systemd.units / "off.service").symlink_to("/dev/null")
    begin(fleet, systemd, unit(systemd, "off"), unit(systemd, "nowhere"), unit(systemd, "web"))
    fleet.wait_healthy("web")
    assert fleet.wait_state("off", "unknown")["reason"] == "masked"
    assert "does not know it" in fleet.wait_state("nowhere", "unknown")["reason"]
    # A unit that comes into being is taken up.
    service(systemd, fleet, "nowhere")
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "nowhere.service")
    fleet.wait_healthy("nowhere")


def test_start_stop_restart_and_reload_by_keepwell_wait_for_their_jobs(fleet, systemd):
    with_service_lines(systemd, fleet, "web", "ExecReload=/bin/kill -HUP $MAINPID")
    begin(fleet, systemd, unit(systemd, "web"))
    fleet.wait_healthy("web")
    fleet.ok("stop", "web")
    assert systemd.show("web.service", "ActiveState") == "inactive"
    assert fleet.live("web")["desired_state"] == "stopped"
    fleet.ok("start", "web")
    assert systemd.show("web.service", "ActiveState") == "active"
    pid = main_pid(systemd, "web")
    fleet.ok("restart", "web")
    assert main_pid(systemd, "web") not in (0, pid)
    fleet.ok("reload", "web")
    assert any(n.what == "hup" for n in fleet.notes("web"))


def test_a_stop_that_systemd_refuses_is_told_in_why_action_and_state(fleet, systemd, health):
    with_service_lines(systemd, fleet, "web", "", "StartLimitIntervalSec=0\nRefuseManualStop=yes")
    begin(fleet, systemd, unit(systemd, "web", 'backoff = { initial = "400ms", factor = 4.0, max = "1h", jitter = 0.0 }\nfailures = 2\n'
                                               f'check.http = {{ url = "{health.url}", {INTERVALS} }}'))
    fleet.wait_healthy("web")
    pid = main_pid(systemd, "web")
    for verb in ("stop", "restart"):
        refused = fleet.cli(verb, "web")
        text = refused.stdout + refused.stderr
        assert refused.returncode == 1 and f"cannot {verb} web: systemd: " in text and "it goes on" in text, refused
        told = fleet.wait_state("web", "running")
        assert "stop refused" in told["reason"] and told["desired_state"] == "running"
    health.then = 503
    fleet.wait_for(lambda: fleet.ok("why", "web").count("refused, so it goes on") >= 4, "two tries to heal it", 20)
    fleet.wait_for(lambda: fleet.live("web")["health"]["status"] == "down", "the verdict after the try")
    never(lambda: fleet.ok("why", "web").count("refused, so it goes on") > 7, "tried at every check", 1.5)
    assert main_pid(systemd, "web") == pid and len(fleet.starts("web")) == 1
    # After another start of keepwell it is still wanted.
    fleet.kill_keeper()
    health.then = 200
    fleet.start()
    fleet.wait_healthy("web")
    assert fleet.live("web")["desired_state"] == "running"


def test_what_polkit_denies_is_told_with_its_words(fleet, health):
    """A manager that says what systemd says when polkit does."""
    from fake_systemd import FakeSystemd
    with FakeSystemd() as fake:
        fake.ask("set ActiveState active")
        fleet.write(f'[unit.web]\nsystemd = "web.service"\nbus = "{fake.address}"\nfailures = 2\n'
                    'backoff = { initial = "50ms", max = "200ms", jitter = 0.0 }\n'
                    'budget = { restarts = 2, within = "1h", then = "stop" }\n'
                    f'check.http = {{ url = "{health.url}", {INTERVALS} }}\n')
        fleet.start()
        fleet.wait_healthy("web")
        fake.ask("mode error org.freedesktop.DBus.Error.InteractiveAuthorizationRequired")
        health.then = 503
        fleet.wait_for(lambda: "not restarted again" in fleet.ok("why", "web"), "the end of the tries", 20)
        calls = fake.ask("calls")["StopUnit"]
        assert calls == 3, "the first try, and as many as the budget has"
        never(lambda: fake.ask("calls")["StopUnit"] > calls, "it goes on asking", 2)
        told = fleet.live("web")
        assert told["state"] == "running" and "stop refused: systemd: as the test wants it" in told["reason"], told["reason"]


def test_signals_by_hand_reach_a_unit_by_its_manager_or_it_is_said_why_not(fleet, systemd):
    service(systemd, fleet, "web")
    systemd.write_unit("quiet.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
    begin(fleet, systemd, unit(systemd, "web"), unit(systemd, "quiet"))
    fleet.wait_healthy("web", "quiet")
    assert f"SIGHUP sent to pid {main_pid(systemd, 'web')}" in fleet.ok("signal", "HUP", "web")
    fleet.wait_for(lambda: any(n.what == "hup" for n in fleet.notes("web")), "the signal")
    refused = fleet.cli("signal", "HUP", "quiet")
    assert refused.returncode == 1 and "cannot signal quiet: systemd: " in refused.stdout + refused.stderr, refused
    assert fleet.live("quiet")["state"] == "running"


def test_what_systemd_stopped_with_a_sick_unit_comes_back_with_it(fleet, systemd, health):
    service(systemd, fleet, "db")
    with_service_lines(systemd, fleet, "app", "", "Requires=db.service\nAfter=db.service\nStartLimitIntervalSec=0")
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "app.service")
    begin(fleet, systemd, unit(systemd, "db", f'{FAST}failures = 2\ncheck.http = {{ url = "{health.url}", {INTERVALS} }}'))
    fleet.wait_healthy("db")
    health.script = [503, 503]
    fleet.wait_starts("db", 2)
    fleet.wait_for(lambda: systemd.show("app.service", "ActiveState") == "active" and len(fleet.starts("app")) == 2,
                   "the dependent to be back")
    fleet.wait_healthy("db")


def test_keepwell_ends_and_comes_back_without_touching_systemds_units(fleet, systemd):
    service(systemd, fleet, "web")
    begin(fleet, systemd, unit(systemd, "web"), fleet.unit("child"))
    fleet.wait_healthy("web", "child")
    pid = main_pid(systemd, "web")
    fleet.kill_supervisor()
    fleet.wait_healthy("web", "child")
    fleet.kill_keeper()
    fleet.start()
    fleet.wait_healthy("web", "child")
    assert fleet.live("web")["pid"] == main_pid(systemd, "web") == pid
    fleet.ok("shutdown")
    fleet.keeper.wait(20)
    assert main_pid(systemd, "web") == pid and alive(pid)
    assert len(fleet.starts("web")) == 1


def test_a_unit_that_leaves_the_configuration_goes_on(fleet, systemd):
    service(systemd, fleet, "web")
    begin(fleet, systemd, unit(systemd, "web"), fleet.unit("child"))
    fleet.wait_healthy("web", "child")
    pid = main_pid(systemd, "web")
    fleet.write(fleet.unit("child"))
    fleet.ok("reload")
    assert "web" not in fleet.live()["services"]
    assert alive(pid) and systemd.show("web.service", "ActiveState") == "active"


def test_a_pattern_follows_units_as_they_come_and_go(fleet, systemd):
    command = " ".join(fleet.victim("worker")).replace("worker.record", "worker-%i.record")
    systemd.write_unit("worker@.service", f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={command}\n")
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "worker@one.service")
    begin(fleet, systemd, f'[unit.workers]\nsystemd = "worker@*.service"\nbus = "{systemd.bus_address}"\n{FAST}',
          fleet.unit("child"))
    fleet.wait_for(lambda: "workers@one" in fleet.live()["services"], "the first instance")
    fleet.wait_healthy("workers@one", "child")
    systemd.systemctl("start", "worker@two.service")
    fleet.wait_for(lambda: "workers@two" in fleet.live()["services"], "the second instance")
    fleet.wait_healthy("workers@two")
    pid = fleet.live("workers@two")["pid"]
    os.kill(pid, signal.SIGKILL)
    fleet.wait_for(lambda: fleet.live("workers@two")["pid"] not in (None, pid), "the second one to be healed")
    fleet.ok("restart", "workers")
    fleet.wait_healthy("workers@one", "workers@two")
    systemd.systemctl("stop", "worker@one.service")
    fleet.wait_for(lambda: "workers@one" not in fleet.live()["services"], "the first instance to be forgotten")
    fleet.kill_supervisor()
    fleet.wait_for(lambda: "workers@two" in fleet.live()["services"], "the second one after a crash of the supervisor")
    fleet.wait_healthy("workers@two")
    fleet.ok("reload")
    assert fleet.live("workers@two")["state"] == "running"
