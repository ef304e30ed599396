"""A dry run touches nothing, whatever kind a unit is: no process is started, stopped or signalled, no job is ordered, no command
run. What it would have done is in `why`."""
import os
import signal
import subprocess

import pytest
import user_systemd
from conftest import FAST, INTERVALS, alive, never, toml

CHECKED = f'{FAST}failures = 2\n'


class Kinds:
    """A unit of each kind; all but the child run already, and every command would leave its mark."""

    def __init__(self, fleet, systemd, health):
        self.fleet, self.systemd, self.health, self.mark = fleet, systemd, health, fleet.dir / "touched"
        check = f'check.http = {{ url = "{health.url}", {INTERVALS} }}\n'
        touch = toml(["/bin/touch", str(self.mark)])
        commands = f"stop_command = {touch}\nreload_command = {touch}\n"
        fleet.environment["DBUS_SYSTEM_BUS_ADDRESS"] = systemd.bus_address
        self.pids = {}
        for name in ("file", "match"):
            options = ["--pidfile", fleet.dir / "file.pid"] if name == "file" else []
            process = subprocess.Popen(fleet.victim(name, *options), stdin=subprocess.DEVNULL, preexec_fn=fleet.cgroup.join)
            fleet.extra.append(process)
            self.pids[name] = process.pid
        for name in ("service", "absent", "owned"):
            options = ["--pidfile", str(fleet.dir / "owned.pid")] if name == "owned" else []
            systemd.write_unit(f"{name}.service", f"[Service]\nExecStart={' '.join(fleet.victim(name, *options))}\n")
        systemd.systemctl("daemon-reload")
        systemd.systemctl("start", "service.service", "owned.service")
        fleet.wait_for(lambda: (fleet.dir / "owned.pid").exists() and (fleet.dir / "file.pid").exists(), "the PID files")
        for name in ("service", "owned"):
            self.pids[name] = int(systemd.show(f"{name}.service", "MainPID"))
        bus = f'bus = "{systemd.bus_address}"'
        self.units = "\n".join([
            fleet.unit("child", keys=CHECKED),
            f'[unit.file]\npidfile = "{fleet.dir}/file.pid"\nstart_command = {touch}\n{commands}{CHECKED}{check}',
            f'[unit.match]\nmatch = ["{fleet.record("match")}"]\nstart_command = {touch}\n{commands}{CHECKED}{check}',
            f'[unit.owned]\npidfile = "{fleet.dir}/owned.pid"\nservice = "owned"\n{CHECKED}{check}',
            f'[unit.service]\nsystemd = "service.service"\n{bus}\n{CHECKED}{check}',
            f'[unit.absent]\nsystemd = "absent.service"\n{bus}\n{CHECKED}'])

    def untouched(self, seconds=1.5):
        def touched():
            notes = {n: self.fleet.notes(n) for n in (*self.pids, "child", "absent")}
            return (self.mark.exists() or notes["child"] or notes["absent"] or not all(map(alive, self.pids.values()))
                    or any(n.what != "start" for all_of in notes.values() for n in all_of))
        never(touched, "a dry run touched something", seconds)


@pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not()))
def test_nothing_of_any_kind_is_started_stopped_healed_or_signalled(fleet, systemd, health):
    kinds = Kinds(fleet, systemd, health)
    fleet.write(kinds.units)
    fleet.start("--dry-run")
    fleet.wait_healthy(*kinds.pids, timeout=30)
    for name, word in (("child", "would run "), ("absent", "start job of absent.service")):
        told = fleet.wait_state(name, "failed")
        assert "dry run" in told["reason"] and word in told["reason"], told["reason"]
        assert word in fleet.ok("why", name)
        refused = fleet.cli("start", name)
        assert refused.returncode == 1 and "dry run" in refused.stdout + refused.stderr, refused
    # Sick: what would heal it is told.
    health.then = 503
    for name in kinds.pids:
        fleet.wait_for(lambda: fleet.live(name)["health"]["status"] == "down", f"{name} to be sick", 20)
        assert "would restart, but dry run" in fleet.ok("why", name)
    kinds.untouched()
    health.then = 200
    # By hand.
    would = {"file": "would run /bin/touch", "match": "would run /bin/touch", "owned": "stop job of owned.service",
             "service": "stop job of service.service"}
    for name, word in would.items():
        for verb in ("stop", "restart"):
            refused = fleet.cli(verb, name)
            assert refused.returncode == 1 and word in refused.stdout + refused.stderr, refused
        refused = fleet.cli("signal", "HUP", name)
        assert refused.returncode == 1 and f"would send SIGHUP to pid {kinds.pids[name]}" in refused.stdout + refused.stderr, refused
    for name in ("file", "match", "service"):
        assert "dry run: would" in fleet.cli("reload", name).stderr + fleet.cli("reload", name).stdout
    kinds.untouched()
    # Killed by somebody else.
    for name in ("file", "owned", "service"):
        os.kill(kinds.pids.pop(name), signal.SIGKILL)
        fleet.wait_state(name, "failed")
        assert "would restart, but dry run" in fleet.ok("why", name)
    kinds.untouched()
    fleet.ok("shutdown")
    fleet.keeper.wait(20)
    kinds.untouched(0.5)


def test_one_unit_in_a_dry_run_beside_others_and_the_end_of_it_by_a_reload(fleet):
    fleet.write(fleet.unit("dry", keys=FAST + "dry_run = true") + fleet.unit("other"))
    fleet.start()
    fleet.wait_healthy("other")
    fleet.wait_state("dry", "failed")
    assert not fleet.starts("dry")
    fleet.write(fleet.unit("dry") + fleet.unit("other"))
    fleet.ok("reload")
    fleet.ok("start", "dry")
    fleet.wait_healthy("dry")
    # The other way round: what runs goes on, is not stopped by hand, and ends with keepwell.
    fleet.write(fleet.unit("dry", keys=FAST + "dry_run = true") + fleet.unit("other"))
    fleet.ok("reload")
    refused = fleet.cli("stop", "dry")
    assert refused.returncode == 1 and "would send SIGTERM" in refused.stdout + refused.stderr, refused
    assert fleet.live("dry")["state"] == "running" and fleet.live("dry")["desired_state"] == "running"
    pid = fleet.live("dry")["pid"]
    fleet.ok("shutdown")
    fleet.keeper.wait(20)
    assert not alive(pid), "what keepwell started outlived it"
