"""PID-file daemons that live in a service of systemd, as Debian's PostgreSQL clusters do: keepwell heals them by systemd's
jobs, never by signals or a start_command beside it."""
import os
import signal

import pytest
import user_systemd
from conftest import FAST, INTERVALS, alive, never, toml

pytestmark = pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not()))


class Owned:
    """A service `db.service` whose daemon writes a PID file, and keepwell's unit `web` of that file."""

    def __init__(self, fleet, systemd, forking, start_command):
        self.fleet, self.systemd = fleet, systemd
        self.pidfile = fleet.dir / "web.pid"
        self.intruder = fleet.dir / "start_command-ran"
        # Found by name on the bus that root's keepwell asks for services of daemons: the system's.
        fleet.environment["DBUS_SYSTEM_BUS_ADDRESS"] = systemd.bus_address
        command = fleet.victim("web", "--pidfile", self.pidfile, "--lock", fleet.dir / "web.lock")
        kind = f"Type=forking\nPIDFile={self.pidfile}\n" if forking else ""
        command += ["--double-fork"] if forking else []
        systemd.write_unit("db.service", f"[Unit]\nStartLimitIntervalSec=0\n[Service]\n{kind}ExecStart={' '.join(command)}\n")
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
        "state": "active", "ok": True, "unit": "db.service", "sub_state": "", "result": "success", "n_restarts": 0, "error": ""}
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
