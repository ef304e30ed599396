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
    story = fleet.ok("why", "runner")
    assert "heal = false" in story and "only watched: it is up again when its process is there" in story, story
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


KEYS = 'backoff = { initial = "50ms", max = "200ms", jitter = 0.0 }\nbudget = { restarts = 10000, within = "1m" }\nfailures = 2\n'


def test_fewer_than_min_after_there_were_enough_is_down_and_without_a_start_command_only_told(fleet):
    fleet.write(f'[unit.runner]\nmatch = ["{fleet.record("ghost")}"]\nmin = 2\n{KEYS}')
    first = runner(fleet, "ghost")
    fleet.start()
    assert "1 of at least 2" in fleet.wait_state("runner", "failed")["reason"]
    second = runner(fleet, "ghost")
    fleet.wait_healthy("runner")
    os.kill(second, signal.SIGKILL)  # not the one that is held
    fleet.wait_for(lambda: fleet.live("runner")["health"]["status"] == "down", "one too few to be told", 20)
    assert "at least 2 wanted" in fleet.live("runner")["reason"], fleet.live("runner")["reason"]
    assert "heal = false" in fleet.ok("why", "runner")
    assert alive(first) and len(fleet.starts("ghost")) == 2
    runner(fleet, "ghost")
    fleet.wait_healthy("runner")


def test_fewer_than_min_is_healed_by_the_start_command(fleet):
    """A pool of two workers; the pool's start command replaces what is left of it."""
    workers = " & ".join(" ".join(fleet.victim("ghost", "--double-fork")) for _ in range(2))
    fleet.write(f'[unit.pool]\nmatch = ["{fleet.record("ghost")}"]\nexclude = ["sh -c"]\nmin = 2\nmax = 2\n'
                f'start_command = {toml(["/bin/sh", "-c", workers + " & wait"])}\n{KEYS}')
    fleet.start()
    fleet.wait_healthy("pool", timeout=30)
    main = fleet.live("pool")["pid"]
    other = next(n.pid for n in fleet.starts("ghost") if n.pid != main and alive(n.pid))
    os.kill(other, signal.SIGKILL)
    fleet.wait_starts("ghost", 4, 30)
    fleet.wait_healthy("pool", timeout=30)
    story = fleet.ok("why", "pool")
    for word in ("at least 2 wanted", "(2/2)", "backoff", "recovered"):
        assert word in story, story
    assert len([n for n in fleet.starts("ghost") if alive(n.pid)]) == 2
