"""Processes that match: found, watched, healed where there is a start command, and never anybody of keepwell's own."""
import os
import signal
import subprocess

from conftest import FAST, alive, never, toml


def runner(fleet, name, *options):
    """Runs a victim whose command line is its mark, by nobody of keepwell's."""
    process = subprocess.Popen(fleet.victim(name, *options), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               preexec_fn=fleet.cgroup.join)
    fleet.extra.append(process)
    return process.pid


def test_what_matches_is_shown_and_without_a_start_command_only_watched(fleet):
    fleet.write(f'[unit.runner]\nmatch = ["{fleet.record("ghost")}"]\n' + fleet.unit("child"))
    fleet.start()
    fleet.wait_healthy("child")
    gone = fleet.wait_state("runner", "failed")
    assert gone["health"]["status"] == "down"
    pid = runner(fleet, "ghost")
    fleet.wait_healthy("runner")
    assert fleet.live("runner")["pid"] == pid
    os.kill(pid, signal.SIGKILL)
    fleet.wait_state("runner", "failed")
    assert "heal = false" in fleet.ok("why", "runner")
    never(lambda: len(fleet.starts("ghost")) > 1, "it was started", 1)


def test_one_with_a_start_command_is_started_healed_and_stopped(fleet):
    command = fleet.victim("ghost", "--double-fork")
    fleet.write(f'[unit.runner]\nmatch = ["{fleet.record("ghost")}"]\nstart_command = {toml(command)}\n{FAST}')
    fleet.start()
    fleet.wait_healthy("runner", timeout=20)
    pid = fleet.live("runner")["pid"]
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)
    fleet.wait_for(lambda: fleet.live("runner")["pid"] not in (pid, None), "the next one", 20)
    fleet.wait_healthy("runner", timeout=20)
    pid = fleet.live("runner")["pid"]
    fleet.ok("stop", "runner")
    assert not alive(pid)


def test_excluded_processes_and_keepwell_itself_never_match(fleet):
    fleet.write(f'[unit.a]\nmatch = ["{fleet.dir}"]\nexclude = ["stranger", "victim"]\nheal = false\n' + fleet.unit("child"))
    runner(fleet, "stranger")
    fleet.start()
    fleet.wait_healthy("child")
    fleet.wait_state("a", "failed")
    never(lambda: fleet.live("a")["pid"], "it took keepwell or an excluded one for its own", 2)


def test_more_than_max_are_told_and_none_of_them_is_touched(fleet):
    text = f'[unit.runner]\nmatch = ["{fleet.record("ghost")}"]\nmax = 1\n{FAST}\n'
    fleet.write(text + 'check.max = { type = "process", match = ["%s"], max = 1, interval = "100ms", effect = "degraded", heals = false }\n'
                % fleet.record("ghost"))
    first = runner(fleet, "ghost")
    fleet.start()
    fleet.wait_healthy("runner")
    second = runner(fleet, "ghost")
    fleet.wait_for(lambda: fleet.live("runner")["health"]["status"] == "degraded", "too many to be told")
    assert "at most 1 wanted" in fleet.ok("why", "runner")
    assert alive(first) and alive(second)
