"""PID-file daemons that live in a service of systemd, as Debian's PostgreSQL clusters do: keepwell heals them by systemd's
jobs, never by signals or a start_command beside it."""
import contextlib
import os
import signal

import pytest
import user_systemd
from conftest import FAST, INTERVALS, alive, never, toml

pytestmark = pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not()))


class Owned:
    """A service `db.service` whose daemon writes a PID file, and keepwell's unit `web` of that file."""

    def __init__(self, fleet, systemd, forking=True, start_command=True, lines="", unit_lines="StartLimitIntervalSec=0"):
        self.fleet, self.systemd = fleet, systemd
        self.pidfile = fleet.dir / "web.pid"
        self.intruder = fleet.dir / "start_command-ran"
        # Found by name on the bus that root's keepwell asks for services of daemons: the system's.
        fleet.environment["DBUS_SYSTEM_BUS_ADDRESS"] = systemd.bus_address
        command = fleet.victim("web", "--pidfile", self.pidfile, "--lock", fleet.dir / "web.lock")
        kind = f"Type=forking\nPIDFile={self.pidfile}\n" if forking else ""
        command += ["--double-fork"] if forking else []
        systemd.write_unit("db.service", f"[Unit]\n{unit_lines}\n[Service]\n{kind}ExecStart={' '.join(command)}\n{lines}\n")
        systemd.systemctl("daemon-reload")
        systemd.systemctl("start", "db.service")
        fleet.wait_for(lambda: self.pidfile.exists() and self.pidfile.read_text().strip(), "the PID file")
        self.start_command = f'start_command = {toml(["/bin/touch", str(self.intruder)])}\n' if start_command else ""

    def begin(self, keys=FAST):
        self.fleet.write(f'[unit.web]\npidfile = "{self.pidfile}"\n{self.start_command}{keys}\n')
        self.fleet.start()
        self.fleet.wait_healthy("web")

    def show(self, prop):
        return self.systemd.show("db.service", prop)

    def pid(self):
        return int(self.pidfile.read_text())

    def is_systemds_alone(self, starts):
        """Every start so far was one of systemd's, the last one is kept, and nothing ran beside it."""
        fleet = self.fleet
        never(lambda: len(fleet.starts("web")) != starts or self.intruder.exists(), "something else was started", 1)
        assert not [n for n in fleet.notes("web") if n.what == "double"], "two instances at once"
        assert fleet.live("web")["pid"] == self.pid() == int(self.show("MainPID")) == fleet.starts("web")[-1].pid
        assert self.show("NRestarts") == "0"


@pytest.fixture(params=[(True, False), (True, True), (False, False), (False, True)],
                ids=["forking", "forking, start_command", "simple", "simple, start_command"])
def owned(request, fleet, systemd):
    return Owned(fleet, systemd, *request.param)


def test_a_daemon_of_a_service_is_healed_by_start_jobs_and_a_stop_by_hand_is_respected(fleet, owned):
    owned.begin()
    pid, invocation = owned.pid(), owned.show("InvocationID")
    assert fleet.live("web")["pid"] == pid
    assert fleet.live("web")["systemd"] | {"sub_state": ""} == {
        "state": "active", "ok": True, "unit": "db.service", "sub_state": "", "result": "success", "n_restarts": 0, "error": "",
        "unit_file_state": "static"}
    assert "db.service" in fleet.ok("status", "web"), fleet.ok("status", "web")
    assert "belongs to db.service" in fleet.ok("why", "web"), fleet.ok("why", "web")
    # Killed, in a service that does not restart it.
    os.kill(pid, signal.SIGKILL)
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")
    owned.is_systemds_alone(2)
    healed = owned.show("InvocationID")
    assert healed != invocation, "not a new run of the service"
    story = fleet.ok("why", "web")
    for word in ("start job", "backoff", "recovered"):
        assert word in story, story
    # By hand.
    owned.systemd.systemctl("stop", "db.service")
    stopped = fleet.wait_state("web", "stopped")
    assert stopped["desired_state"] == "stopped"
    never(lambda: len(fleet.starts("web")) > 2 or owned.intruder.exists(), "it was started again", 2)
    owned.systemd.systemctl("start", "db.service")
    fleet.wait_healthy("web")
    assert fleet.live("web")["desired_state"] == "running"
    owned.is_systemds_alone(3)


def test_a_sick_daemon_of_a_service_is_restarted_by_jobs_after_exactly_n_failures(fleet, owned, health):
    health.script = [200, 503, 503, 200, 503, 503, 503]
    invocation = owned.show("InvocationID")
    owned.begin(f'{FAST}failures = 3\ncheck.http = {{ url = "{health.url}", {INTERVALS} }}')
    fleet.wait_starts("web", 2, 20)
    fleet.wait_healthy("web")
    term = next(n for n in fleet.notes("web") if n.what == "term")
    assert [s for when, s in health.answers if when <= term.ns] == [200, 503, 503, 200, 503, 503, 503]
    assert owned.show("InvocationID") != invocation
    assert owned.show("Result") == "success", "a signal beside systemd's stop job ended it"
    story = fleet.ok("why", "web")
    for word in ("(3/3)", "stop job", "start job", "recovered"):
        assert word in story, story
    owned.is_systemds_alone(2)


def test_start_stop_and_restart_by_hand_are_jobs_and_an_end_of_keepwell_touches_nothing(fleet, systemd):
    owned = Owned(fleet, systemd, True, True)
    owned.begin()
    fleet.ok("restart", "web")
    fleet.wait_healthy("web")
    owned.is_systemds_alone(2)
    fleet.kill_supervisor()
    fleet.wait_healthy("web")
    owned.is_systemds_alone(2)
    fleet.ok("stop", "web")
    assert owned.show("ActiveState") == "inactive"
    assert not alive(fleet.starts("web")[-1].pid)
    fleet.ok("start", "web")
    fleet.wait_healthy("web")
    owned.is_systemds_alone(3)
    pid = owned.pid()
    fleet.ok("shutdown")
    fleet.keeper.wait(20)
    assert alive(pid) and owned.show("ActiveState") == "active"


def test_systemds_own_restart_of_such_a_daemon_is_waited_for(fleet, systemd):
    owned = Owned(fleet, systemd, False, True)
    unit = systemd.units / "db.service"
    unit.write_text(unit.read_text() + "Restart=always\nRestartSec=1500ms\n")
    systemd.systemctl("daemon-reload")
    owned.begin()
    os.kill(owned.pid(), signal.SIGKILL)
    held = fleet.wait_state("web", "backoff")
    assert "systemd restarts it itself" in held["reason"]
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")
    never(lambda: len(fleet.starts("web")) > 2 or owned.intruder.exists(), "keepwell started it as well", 1)
    assert owned.show("NRestarts") == "1"


@contextlib.contextmanager
def away(systemd):
    """The bus is dead, and no other can be reached where it was."""
    bus, socket = systemd.bus_pid(), systemd.runtime / "bus"
    socket.rename(socket.with_name("hidden"))
    try:
        os.kill(bus, signal.SIGKILL)
        yield
    finally:
        socket.with_name("hidden").rename(socket)


def untouched(fleet, owned, starts, seconds=2):
    """Nothing is sent, nothing is started."""
    never(lambda: any(n.what in ("term", "hup") for n in fleet.notes("web")) or len(fleet.starts("web")) > starts or owned.intruder.exists(),
          "something was done to it blind", seconds)


def test_while_the_bus_is_away_it_is_unknown_nothing_is_done_and_all_is_read_again_on_return(fleet, systemd, health):
    owned = Owned(fleet, systemd)
    owned.begin(f'{FAST}failures = 2\nreload_command = {toml(["/bin/touch", str(owned.intruder)])}\n'
                f'check.http = {{ url = "{health.url}", {INTERVALS} }}')
    pid = owned.pid()
    with away(systemd):
        lost = fleet.wait_state("web", "unknown", 20)
        assert lost["health"]["status"] == "unknown" and "bus" in lost["reason"], lost["reason"]
        health.then = 503  # no check counts now
        untouched(fleet, owned, 1)
        for order in (("restart", "web"), ("stop", "web"), ("reload", "web"), ("signal", "HUP", "web")):
            refused = fleet.cli(*order)
            assert refused.returncode == 1 and "cannot " + order[0] in refused.stdout + refused.stderr, refused
            fleet.wait_state("web", "unknown")
        untouched(fleet, owned, 1)
        assert alive(pid)
        health.then = 200
    fleet.wait_healthy("web", timeout=30)
    owned.is_systemds_alone(1)
    assert fleet.live("web")["pid"] == pid
    with away(systemd):  # it ends meanwhile
        fleet.wait_state("web", "unknown", 20)
        os.kill(pid, signal.SIGKILL)
        untouched(fleet, owned, 1)
        assert fleet.live("web")["state"] == "unknown"
    fleet.wait_starts("web", 2, 30)
    fleet.wait_healthy("web", timeout=30)
    owned.is_systemds_alone(2)
    assert fleet.live("web")["restarts"]["attempts_left"] == 9999, "what was not done was paid for"


def test_a_process_that_is_only_watched_needs_no_bus_to_be_seen_and_to_be_seen_dead(fleet, systemd):
    owned = Owned(fleet, systemd, forking=False)
    fleet.write(f'[unit.web]\nmatch = ["{owned.pidfile}"]\n{FAST}')
    fleet.start()
    fleet.wait_state("web", "running")
    with away(systemd):
        fleet.wait_for(lambda: fleet.live("web").get("systemd", {}).get("error"), "the bus to be missed", 20)
        assert fleet.live("web")["state"] == "running" and fleet.live("web")["pid"] == owned.pid()
        os.kill(owned.pid(), signal.SIGKILL)
        assert fleet.wait_state("web", "failed", 20)["pid"] in (0, None)


def test_a_stop_that_systemd_refuses_is_told_and_tried_again_only_by_the_backoff(fleet, systemd, health):
    owned = Owned(fleet, systemd, unit_lines="StartLimitIntervalSec=0\nRefuseManualStop=yes")
    owned.begin('backoff = { initial = "400ms", factor = 4.0, max = "1h", jitter = 0.0 }\nfailures = 2\n'
                f'stop = {{ timeout = "300ms" }}\ncheck.http = {{ url = "{health.url}", {INTERVALS} }}')
    pid = owned.pid()
    for verb in ("stop", "restart"):
        refused = fleet.cli(verb, "web")
        assert refused.returncode == 1 and f"cannot {verb} web" in refused.stdout + refused.stderr, refused
        assert "refused" in refused.stdout + refused.stderr, refused
        told = fleet.wait_state("web", "running")
        assert told["desired_state"] == "running" and "stop refused" in told["reason"], told["reason"]
    health.then = 503
    fleet.wait_for(lambda: fleet.ok("why", "web").count("refused, so it goes on") >= 4, "two tries to heal it", 20)
    fleet.wait_for(lambda: fleet.live("web")["health"]["status"] == "down", "the verdict after the try")
    sick = fleet.live("web")
    assert "stop refused" in sick["reason"], sick["reason"]
    untouched(fleet, owned, 1)
    # 0.4 s, 1.6 s, 6.4 s, 25.6 s: whatever this machine does, not one at each of the checks that failed meanwhile.
    assert fleet.ok("why", "web").count("refused, so it goes on") <= 7
    assert alive(pid) and owned.show("NRestarts") == "0"
    health.then = 200
    fleet.wait_healthy("web")
    owned.is_systemds_alone(1)


def test_a_named_service_starts_stops_and_heals_a_daemon_that_its_cgroup_does_not_tell(fleet, systemd, health):
    """Its processes live elsewhere (here: nowhere yet), so only the operator can know the service."""
    owned = Owned(fleet, systemd)
    systemd.systemctl("stop", "db.service")
    fleet.wait_for(lambda: not alive(fleet.starts("web")[0].pid), "the first instance to end")
    systemd.systemctl("reset-failed")
    # A service of another name, which has not run: with autostart it is started by a job.
    unit = (systemd.units / "db.service").read_text()
    systemd.write_unit("named.service", unit)
    systemd.systemctl("daemon-reload")
    keys = f'service = "named"\n{FAST}failures = 2\ncheck.http = {{ url = "{health.url}", {INTERVALS} }}'
    fleet.write(f'[unit.web]\npidfile = "{owned.pidfile}"\n{keys}\n')
    assert "started and stopped by jobs of named.service" in fleet.cli("validate", "-c", fleet.config).stderr
    fleet.start()
    fleet.wait_starts("web", 2, 20)
    fleet.wait_healthy("web")
    show = lambda prop: systemd.show("named.service", prop)  # noqa: E731
    assert fleet.live("web")["pid"] == int(show("MainPID"))
    assert fleet.live("web")["systemd"]["unit"] == "named.service"
    assert "named.service" in fleet.ok("status", "web")
    health.script = [503, 503]
    fleet.wait_starts("web", 3, 20)
    fleet.wait_healthy("web")
    assert show("Result") == "success", "a signal beside systemd's stop job ended it"
    fleet.ok("stop", "web")
    assert show("ActiveState") == "inactive"
    fleet.ok("start", "web")
    fleet.wait_healthy("web")
    os.kill(int(show("MainPID")), signal.SIGKILL)
    fleet.wait_starts("web", 5, 20)
    fleet.wait_healthy("web")
    assert fleet.live("web")["pid"] == int(show("MainPID"))
    systemd.systemctl("stop", "named.service")
    assert fleet.wait_state("web", "stopped")["desired_state"] == "stopped"


def test_a_service_that_systemd_does_not_know_makes_the_daemon_unknown(fleet, systemd):
    fleet.environment["DBUS_SYSTEM_BUS_ADDRESS"] = systemd.bus_address
    fleet.write(f'[unit.web]\npidfile = "{fleet.dir}/web.pid"\nservice = "nowhere"\n{FAST}')
    fleet.start()
    fleet.wait_for(lambda: "does not know it" in fleet.live("web")["reason"], "the missing service to be told")
    assert fleet.live("web")["state"] == "unknown"


def test_validate_says_which_daemons_belong_to_systemd_and_signals_by_hand_reach_them(fleet, systemd):
    owned = Owned(fleet, systemd)
    owned.begin()
    said = fleet.cli("validate", "-c", fleet.config)
    assert said.returncode == 0 and f"(pid {owned.pid()}) belongs to db.service" in said.stderr, said
    assert f"SIGHUP sent to pid {owned.pid()}" in fleet.ok("signal", "HUP", "web")
    fleet.wait_for(lambda: any(n.what == "hup" for n in fleet.notes("web")), "the signal")
