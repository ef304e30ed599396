"""keepwell as process 1 of a pid namespace, as in a container without an init of its own."""
import os
import signal
import subprocess

import pytest

from conftest import FAST, alive, children

IN_NAMESPACE = ("unshare", "-p", "-f", "--mount-proc", "--kill-child")


@pytest.fixture
def contained(fleet):
    if subprocess.run([*IN_NAMESPACE, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no pid namespace may be made here")
    return fleet


def begin(fleet):
    fleet.start(prefix=IN_NAMESPACE)
    return fleet.wait_for(lambda: children(fleet.keeper.pid), "process 1")[0]


def namespace_pid(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[-1]) for line in file if line.startswith("NSpid:"))


def end(fleet, first):
    os.kill(first, signal.SIGTERM)
    assert fleet.keeper.wait(20) == 0


def zombies_of(pid):
    return [c for c in children(pid) if not alive(c)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_and_int_stop_everything_and_end_it_well(contained, number):
    fleet = contained
    fleet.write(fleet.unit("a") + fleet.unit("b"))
    first = begin(fleet)
    assert namespace_pid(first) == 1
    fleet.wait_healthy()
    os.kill(first, number)
    assert fleet.keeper.wait(20) == 0  # unshare ends as process 1 did
    assert fleet.notes("a")[-1].what == fleet.notes("b")[-1].what == "exit"


def test_no_other_signal_ends_it_and_hup_reloads(contained):
    fleet = contained
    fleet.write(fleet.unit("a"))
    first = begin(fleet)
    fleet.wait_healthy()
    deadly = {signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    for number in set(range(1, 32)) - deadly:
        os.kill(first, number)
    assert alive(first)
    fleet.ok("restart", "a")
    fleet.write(fleet.unit("a") + fleet.unit("b"))
    os.kill(first, signal.SIGHUP)
    fleet.wait_starts("b", 1)
    assert len(fleet.starts("a")) == 2
    end(fleet, first)


def test_ten_thousand_orphans_are_reaped_and_mistaken_for_nobody(contained):
    fleet = contained
    done = fleet.dir / "done"
    script = f"i=0; while [ $i -lt 10000 ]; do (true &); i=$((i+1)); done; touch {done}; exec sleep 60"
    fleet.write(fleet.unit("other") + f'[unit.orphans]\ncommand = ["/bin/sh", "-c", "{script}"]\n{FAST}')
    first = begin(fleet)
    most = 0

    def finished():
        nonlocal most
        most = max(most, len(children(first)))
        return done.exists()

    fleet.wait_for(finished, "the end of the loop", 180)  # 10,000 forks of a sanitized tree on two busy cores
    assert most < 300
    fleet.wait_for(lambda: not zombies_of(first), "every orphan to be reaped", 5)
    services = fleet.live()["services"]
    assert all(u["restarts"]["total"] == 0 and u["state"] == "running" for u in services.values())
    end(fleet, first)
