"""kill -9 of the supervisor and of the keeper: no daemon restarted, no exit and no line lost."""
import os
import random
import re
import signal
import time

from conftest import FAST, alive, never

UNITS = 20


def printing_units(fleet, options=("--rate", 200, "--width", 100)):
    keys = FAST + 'log = { max_size = "32K", keep = 2000, compress = false }'
    fleet.write("".join(fleet.unit(f"u{i}", *options, keys=keys) for i in range(UNITS)), supervisor=f"max_parallel_starts = {UNITS}")


def assert_lines_once_and_in_order(fleet, name):
    """The log holds L PID 1 … L PID N, each once, and N is what the victim says that it printed."""
    text = fleet.log_text(name).decode()
    assert text.endswith("\n"), f"{name}: the log ends within a line"
    seen = {}
    for line in text.splitlines():
        match = re.fullmatch(r"L (\d+) (\d+)\.*", line)
        assert match, f"{name}: a torn line: {line!r}"
        pid, number = int(match[1]), int(match[2])
        assert number == seen.get(pid, 0) + 1, f"{name}: after line {seen.get(pid, 0)} of {pid} came {number}"
        seen[pid] = number
    for note in fleet.notes(name):
        if note.what == "exit":
            assert seen.get(note.pid, 0) == note.sequence, f"{name}: {note.pid} printed {note.sequence}, {seen} are there"


def test_kill_9_of_the_supervisor_restarts_no_daemon_and_loses_no_line(fleet):
    printing_units(fleet)
    fleet.start()
    names = [f"u{i}" for i in range(UNITS)]
    fleet.wait_healthy()
    first = {n: fleet.starts(n)[0].pid for n in names}
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    print("seed", seed)
    for _ in range(5):
        # A random moment is the point here, not a result that is waited for.
        time.sleep(rng.uniform(0.0, 0.8))
        fleet.kill_supervisor()
    for n in names:
        assert [s.pid for s in fleet.starts(n)] == [first[n]], f"{n} was restarted"
    fleet.wait_healthy(timeout=30)
    assert {n: u["pid"] for n, u in fleet.live()["services"].items()} == first
    fleet.ok("stop", "all", timeout=60)
    assert not any(alive(p) for p in first.values())
    # Everything that was printed is in the files soon after the end of its writer.
    def complete():
        return all(fleet.log_text(n).count(b"\n") >= fleet.notes(n)[-1].sequence for n in names)
    fleet.wait_for(complete, "the last lines to reach the files", 20)
    assert any(list(fleet.log_dir.glob(f"{n}.log.*")) for n in names), "no log was rotated"
    for n in names:
        assert_lines_once_and_in_order(fleet, n)


def test_exits_while_the_supervisor_is_away_are_reported_with_their_status(fleet):
    fleet.write("".join(fleet.unit(f"u{i}", keys=FAST) for i in range(6)))
    fleet.start()
    fleet.wait_healthy()
    pids = [fleet.starts(f"u{i}")[0].pid for i in range(6)]
    supervisor = fleet.supervisor()
    os.kill(supervisor, signal.SIGSTOP)
    for pid, number in zip(pids, (9, 9, 9, 11, 11, 6)):
        os.kill(pid, number)
    os.kill(supervisor, signal.SIGKILL)
    for i, number in enumerate((9, 9, 9, 11, 11, 6)):
        starts = fleet.wait_starts(f"u{i}", 2, 20)
        assert len(starts) == 2
        fleet.wait_for(fleet.answers, "an answer")
        assert fleet.live(f"u{i}")["last_exit"]["signal"] == number
    fleet.wait_healthy(timeout=20)


def test_kill_9_of_the_keeper_then_run_again_keeps_every_pid_and_starts_nothing_twice(fleet):
    printing_units(fleet, ("--rate", 50))
    fleet.start()
    fleet.wait_healthy()
    names = [f"u{i}" for i in range(UNITS)]
    first = {n: fleet.starts(n)[0].pid for n in names}
    for _ in range(2):
        fleet.kill_keeper()
        assert all(alive(p) for p in first.values())
        fleet.start()
        fleet.wait_healthy(timeout=30)
        assert {n: u["pid"] for n, u in fleet.live()["services"].items()} == first
    for n in names:
        assert [s.pid for s in fleet.starts(n)] == [first[n]]
        assert not [x for x in fleet.notes(n) if x.what == "write-failed"], f"{n} met a broken pipe"
    # The adopted ones are still looked after.
    os.kill(first["u0"], signal.SIGKILL)
    fleet.wait_starts("u0", 2)
    fleet.ok("stop", "all", timeout=60)
    fleet.wait_for(lambda: not any(alive(p) for p in first.values()), "the adopted daemons to stop")


def test_a_killed_keepers_daemons_are_taken_over_though_the_configuration_was_broken_since(fleet):
    units = fleet.unit("web")
    fleet.write(units)
    fleet.start()
    fleet.wait_healthy()
    pid = fleet.starts("web")[0].pid
    fleet.wait_for(lambda: list(fleet.state_dir.glob("last-good*")), "the last good configuration")
    fleet.write(units + "comand = 1")
    fleet.kill_keeper()
    fleet.start()
    fleet.wait_healthy()
    assert [s.pid for s in fleet.starts("web")] == [pid] and alive(pid)
    # A clean end leaves nobody behind, and then mistakes are refused.
    fleet.keeper.send_signal(signal.SIGTERM)
    assert fleet.keeper.wait(20) == 0
    assert fleet.cli("run", "-c", fleet.config).returncode == 1
    assert not alive(pid)


def test_a_hung_supervisor_is_replaced_and_no_daemon_notices(fleet):
    # The keeper's thirty silent ticks, a quarter of a second each: more than the five seconds between signs of life.
    fleet.environment["KEEPWELL_TICK_MS"] = "250"
    fleet.write(fleet.unit("web"))
    fleet.start()
    fleet.wait_healthy("web")
    old = fleet.supervisor()
    os.kill(old, signal.SIGSTOP)
    fleet.wait_for(lambda: fleet.supervisor() not in (None, old), "a new supervisor", 40)
    fleet.wait_for(fleet.answers, "an answer", 20)
    assert len(fleet.starts("web")) == 1


def test_sigterm_to_the_keeper_stops_every_daemon(fleet):
    fleet.write("".join(fleet.unit(f"u{i}") for i in range(5)))
    fleet.start()
    fleet.wait_healthy()
    pids = [fleet.starts(f"u{i}")[0].pid for i in range(5)]
    fleet.keeper.send_signal(signal.SIGTERM)
    assert fleet.keeper.wait(20) == 0
    assert not any(alive(p) for p in pids)
    assert all(fleet.notes(f"u{i}")[-1].what == "exit" for i in range(5)), "killed where TERM would have done"


def test_left_overs_that_may_not_be_killed_are_known_to_the_next_supervisor_and_keeper(fleet):
    fleet.write(fleet.unit("web", "--hold-pipe", "--ignore-term", keys=FAST + 'stop = { timeout = "200ms", kill = "never" }') + fleet.unit("other"))
    fleet.start()
    fleet.wait_healthy()
    main = fleet.starts("web")[0].pid
    orphan = fleet.wait_for(lambda: [n.pid for n in fleet.notes("web") if n.what == "child"], "the grandchild")[0]
    os.kill(main, signal.SIGKILL)
    fleet.wait_state("web", "stopping")
    for kill in (fleet.kill_supervisor, fleet.kill_keeper):
        kill()
        if kill == fleet.kill_keeper:
            fleet.start()
        fleet.wait_healthy("other")
        never(lambda: len(fleet.starts("web")) > 1, "started beside a process of the old instance", 1)
        assert fleet.live("web")["state"] == "stopping"
    os.kill(orphan, signal.SIGKILL)
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")


def test_left_overs_are_met_again_when_state_and_configuration_forgot_them(fleet):
    spared = FAST + 'stop = { timeout = "200ms", kill = "never" }'
    fleet.write(fleet.unit("kept", "--hold-pipe", "--ignore-term", keys=spared) + fleet.unit("removed", "--hold-pipe", "--ignore-term", keys=spared) +
                fleet.unit("other"))
    fleet.start()
    fleet.wait_healthy()
    orphans = {}
    for name in ("kept", "removed"):
        orphans[name] = fleet.wait_for(lambda: [n.pid for n in fleet.notes(name) if n.what == "child"], "the grandchild")[0]
        os.kill(fleet.starts(name)[0].pid, signal.SIGKILL)
        fleet.wait_state(name, "stopping")
    supervisor = fleet.supervisor()
    os.kill(supervisor, signal.SIGSTOP)
    (fleet.run_dir / "supervisor.state").unlink()
    fleet.write(fleet.unit("kept", "--hold-pipe", "--ignore-term", keys=spared) + fleet.unit("other"))
    os.kill(supervisor, signal.SIGKILL)
    fleet.wait_for(lambda: fleet.supervisor() not in (None, supervisor), "a new supervisor", 20)
    fleet.wait_for(fleet.answers, "an answer", 20)
    fleet.wait_for(lambda: not alive(orphans["removed"]), "the end of what no unit is responsible for", 30)
    fleet.wait_state("kept", "stopping")
    assert alive(orphans["kept"]) and len(fleet.starts("kept")) == 1
    os.kill(orphans["kept"], signal.SIGKILL)
    fleet.wait_starts("kept", 2)
    fleet.wait_healthy("kept", "other")


def test_a_unit_stopped_by_hand_stays_stopped_over_both_kinds_of_kill(fleet):
    fleet.write(fleet.unit("web") + fleet.unit("other"))
    fleet.start()
    fleet.wait_healthy()
    fleet.ok("stop", "web")
    fleet.kill_supervisor()
    assert fleet.live("web")["state"] == "stopped"
    fleet.kill_keeper()
    fleet.start()
    fleet.wait_healthy("other")
    assert fleet.live("web")["state"] == "stopped"
    assert len(fleet.starts("web")) == 1


def test_a_supervisor_that_keeps_dying_soon_is_started_in_safe_mode_and_a_reload_ends_it(fleet):
    fleet.write(fleet.unit("web") + fleet.unit("off"))
    fleet.start()
    fleet.wait_healthy()
    fleet.ok("stop", "off")
    fleet.wait_for(lambda: (fleet.state_dir / "wanted").exists(), "the wanted states")
    pid = fleet.starts("web")[0].pid
    assert "safe mode" not in fleet.live()["note"]
    fleet.config.write_text("nonsense")  # safe: not even tried
    for _ in range(3):
        fleet.kill_supervisor()
    assert "safe mode" in fleet.live()["note"]
    assert "safe mode" in fleet.cli("status").stderr
    assert (fleet.run_dir / "supervisor.state.corrupt-1").exists()
    for n in range(2, 6):
        (fleet.run_dir / f"supervisor.state.corrupt-{n}").touch()
    fleet.kill_supervisor()  # it stays so, and what is kept aside is bounded
    assert "safe mode" in fleet.live()["note"]
    assert len(list(fleet.run_dir.glob("supervisor.state.corrupt-*"))) == 5
    services = fleet.live()["services"]
    assert services["web"]["pid"] == pid and len(fleet.starts("web")) == 1
    assert services["off"]["state"] == "stopped" and len(fleet.starts("off")) == 1
    assert fleet.cli("reload").returncode == 1
    assert "safe mode" in fleet.live()["note"]
    fleet.write(fleet.unit("web") + fleet.unit("off"))
    fleet.ok("reload")
    assert "safe mode" not in fleet.live()["note"]
    assert fleet.live("web")["pid"] == pid
    os.kill(pid, signal.SIGKILL)  # still looked after
    fleet.wait_starts("web", 2)


def test_another_boot_s_pids_are_nobody_s_and_wanted_states_hold(fleet):
    fleet.write(fleet.unit("web") + fleet.unit("off") + fleet.unit("manual", keys="autostart = false\n" + FAST))
    fleet.start()
    fleet.wait_healthy("web", "off")
    fleet.ok("stop", "off")
    fleet.ok("start", "manual")
    fleet.wait_for(lambda: b"manual" in (fleet.state_dir / "wanted").read_bytes(), "the wanted states")
    old = {n: fleet.starts(n)[0].pid for n in ("web", "manual")}
    fleet.kill_keeper()
    for name in ("keeper.state", "supervisor.state"):
        with open(fleet.run_dir / name, "r+b") as file:
            file.seek(16)
            file.write(b"00000000-1111-2222-3333-444444444444")
    # Whoever has those pids now is a stranger, in no group of ours.
    if fleet.cgroup.path:
        for pid in old.values():
            (fleet.cgroup.path / "cgroup.procs").write_text(str(pid))
    fleet.start()
    for name in old:
        assert fleet.wait_starts(name, 2)[1].pid != old[name]
    fleet.wait_healthy("web", "manual")
    assert fleet.live("off")["state"] == "stopped" and len(fleet.starts("off")) == 1
    fleet.ok("stop", "all")
    for name, pid in old.items():
        assert alive(pid)
        assert not [n for n in fleet.notes(name) if n.pid == pid and n.what != "start"], "a stranger was signalled"
