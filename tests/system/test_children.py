"""Children that behave badly: keepwell and its other children do not notice."""
import os
import pathlib
import re
import shutil
import signal
import socket
import time

import pytest

from conftest import FAST, alive, never

SOON = 'stop = { timeout = "300ms" }\n'


def tree_of(fleet, name):
    return [n.pid for n in fleet.notes(name) if n.what in ("start", "child")]


def test_stop_returns_when_the_whole_tree_is_gone(fleet):
    fleet.write(fleet.unit("web", "--fork-children", 5, "--hold-pipe", keys=FAST + SOON))
    fleet.start()
    fleet.wait_healthy("web")
    tree = fleet.wait_for(lambda: len(t := tree_of(fleet, "web")) == 7 and t, "the whole tree")
    fleet.ok("stop", "web")
    assert not [p for p in tree if alive(p)], "stop returned before the tree was gone"
    assert fleet.live("web")["state"] == "stopped"


def test_a_tree_that_ignores_term_is_killed_after_the_timeout(fleet):
    fleet.write(fleet.unit("web", "--ignore-term", "--fork-children", 3, keys=FAST + SOON))
    fleet.start()
    fleet.wait_healthy("web")
    tree = fleet.wait_for(lambda: len(t := tree_of(fleet, "web")) == 4 and t, "the whole tree")
    begin = time.monotonic()
    fleet.ok("stop", "web")
    assert time.monotonic() - begin >= 0.3
    assert not [p for p in tree if alive(p)]
    assert [n.what for n in fleet.notes("web")].count("term") == 1


def test_what_may_not_be_killed_is_named_by_stop(fleet):
    fleet.write(fleet.unit("db", "--ignore-term", keys=FAST + 'stop = { timeout = "300ms", kill = "never" }'))
    fleet.start()
    fleet.wait_healthy("db")
    pid = fleet.starts("db")[0].pid
    done = fleet.cli("stop", "db")
    assert done.returncode == 1
    assert str(pid) in done.stderr + done.stdout
    assert alive(pid)


def test_left_overs_of_a_killed_main_process_are_gone_before_the_next_instance(fleet):
    fleet.write(fleet.unit("web", "--fork-children", 4, keys=FAST + SOON))
    fleet.start()
    fleet.wait_healthy("web")
    tree = fleet.wait_for(lambda: len(t := tree_of(fleet, "web")) == 5 and t, "the whole tree")
    os.kill(tree[0], signal.SIGKILL)
    fleet.wait_starts("web", 2)
    assert not [p for p in tree if alive(p)], "a new instance beside processes of the old one"


def test_a_daemon_that_forks_and_exits_is_an_exit_and_its_orphan_does_not_stay(fleet):
    fleet.write(fleet.unit("web", "--double-fork", keys=FAST + SOON))
    fleet.start()
    fleet.wait_for(lambda: fleet.live("web")["restarts"]["total"] >= 3, "three restarts")
    assert len([s for s in fleet.starts("web") if alive(s.pid)]) <= 1, "two instances at a time"
    fleet.ok("stop", "web")
    assert not [s for s in fleet.starts("web") if alive(s.pid)], "stop returned before the orphan was gone"


def test_a_grandchild_that_holds_the_pipe_delays_neither_exit_nor_restart(fleet):
    fleet.write(fleet.unit("web", "--hold-pipe", "--rate", 20, keys=FAST + SOON))
    fleet.start()
    fleet.wait_healthy("web")
    fleet.wait_for(lambda: len(tree_of(fleet, "web")) == 2, "the grandchild")
    begin = time.monotonic()
    os.kill(fleet.starts("web")[0].pid, signal.SIGKILL)
    fleet.wait_starts("web", 2)
    assert time.monotonic() - begin < 3
    fleet.wait_for(lambda: f"L {fleet.starts('web')[-1].pid} 1\n".encode() in fleet.log_text("web"), "output of the new one")


def test_a_daemon_that_closes_its_output_keeps_running(fleet):
    fleet.write(fleet.unit("web", "--close-stdout"))
    fleet.start()
    fleet.wait_healthy("web")
    never(lambda: len(fleet.starts("web")) > 1, "restarted for closing its output", 1)


def test_floods_and_noise_delay_neither_the_socket_nor_other_logs(fleet):
    log = 'log = { max_size = "4M", keep = 2, compress = false }\n'
    fleet.write(fleet.unit("flood", "--flood", "--width", 100, keys=FAST + log) + fleet.unit("noise", "--binary", keys=FAST + log) +
                fleet.unit("calm", "--rate", 50, keys=FAST + log))
    fleet.start()
    fleet.wait_healthy()
    slowest = 0.0
    for _ in range(20):
        begin = time.monotonic()
        assert fleet.cli("version").returncode == 0 and fleet.cli("status", "--json").returncode == 0
        slowest = max(slowest, time.monotonic() - begin)
    assert slowest < 2.0, f"an answer took {slowest:.2f} s"
    pid = fleet.starts("calm")[0].pid
    # What calm prints is in its file soon after, flood or no flood.
    have = len(fleet.log_text("calm").splitlines())
    fleet.wait_for(lambda: len(fleet.log_text("calm").splitlines()) >= have + 100, "a hundred calm lines", 10)
    numbers = [int(m) for m in re.findall(rf"L {pid} (\d+)\n", fleet.log_text("calm").decode())]
    assert numbers == list(range(1, len(numbers) + 1))
    fleet.ok("stop", "flood", "noise")
    for name in ("flood", "noise"):
        files = [p for p in fleet.log_dir.glob(f"{name}.log*") if p.suffix != ".idx"]
        assert len(files) <= 3 + 1, f"keep is not kept: {files}"


def test_an_exit_loop_costs_little_and_hurts_nobody(fleet):
    fleet.write(fleet.unit("loop", "--exit-after", 0, "--code", 7, keys='''
backoff = { initial = "10ms", factor = 2.0, max = "40ms", jitter = 0.0 }
budget = { restarts = 5, within = "1h", cooldown = "1h" }''') + fleet.unit("good"))
    fleet.start()
    unit = fleet.wait_state("loop", "cooldown")
    assert len(fleet.starts("loop")) == 6, "the first start and five restarts"
    assert unit["last_exit"]["code"] == 7
    fleet.wait_healthy("good")
    assert len(fleet.starts("good")) == 1
    never(lambda: len(fleet.starts("loop")) > 6, "more than the budget", 0.5)


def test_a_taken_port_is_named_with_its_holder(fleet):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        fleet.write(fleet.unit("web", "--tcp", port, keys=FAST + f'check.port = {{ type = "tcp", port = {port}, interval = "200ms" }}'))
        fleet.start()
        fleet.wait_for(lambda: re.search(rf"port {port}\b.*\b{os.getpid()}\b", fleet.cli("why", "web").stdout),
                       "the holder of the port in the story", 10)
    fleet.wait_healthy("web")


def pids_cgroup():
    root = pathlib.Path("/sys/fs/cgroup/pids")
    path = root / f"keepwell-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError:
        return None
    return path


def test_fork_failing_with_eagain_has_its_own_cause_and_does_not_burn_the_budget(fleet):
    group = pids_cgroup()
    if not group:
        pytest.skip("needs a pids cgroup")
    try:
        fleet.write(fleet.unit("first") + fleet.unit("late", keys='autostart = false\nbudget = { restarts = 3, within = "1h", cooldown = "1h" }\n'
                                                     'backoff = { initial = "20ms", max = "50ms", jitter = 0.0 }'))
        fleet.start(before=lambda: (group / "cgroup.procs").write_text("0"))
        fleet.wait_healthy("first")
        (group / "pids.max").write_text((group / "pids.current").read_text())
        fleet.ok("start", "--no-wait", "late")
        fleet.wait_for(lambda: re.search(r"EAGAIN|Resource temporarily|too many processes|no process", fleet.cli("why", "late").stdout),
                       "the cause in the story")
        # Many more tries than the budget has.
        never(lambda: fleet.live("late")["state"] in ("cooldown", "failed"), "the budget paid for it", 2)
        (group / "pids.max").write_text("max")
        fleet.wait_healthy("late", timeout=30)
    finally:
        fleet.close()
        for _ in range(200):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.02)


def test_a_child_sees_a_clean_world(fleet):
    fleet.write(f'''[unit.web]
command = ["/bin/sh", "-c", "ls -l /proc/self/fd | wc -l > fds; env > env; grep -E 'Sig(Blk|Ign)' /proc/self/status > signals; umask > umask; exec sleep 1000"]
directory = "{fleet.dir}"
environment = {{ COLOUR = "blue" }}
umask = "027"
''')
    fleet.start()
    fleet.wait_for(lambda: (fleet.dir / "umask").exists() and (fleet.dir / "umask").read_text(), "the child's notes")
    environment = dict(line.split("=", 1) for line in (fleet.dir / "env").read_text().splitlines() if "=" in line)
    assert environment["COLOUR"] == "blue" and environment["KEEPWELL_UNIT"].startswith("web")
    assert "NO_COLOR" not in environment and "KEEPWELL_SOCKET" not in environment
    assert int((fleet.dir / "umask").read_text(), 8) == 0o027
    for line in (fleet.dir / "signals").read_text().splitlines():
        assert int(line.split()[1], 16) == 0, line
    # ls: "total 0" and 0, 1, 2 and the folder that it reads itself.
    assert int((fleet.dir / "fds").read_text()) == 5


def test_pre_start_runs_before_each_start_and_its_failure_is_a_failed_start(fleet):
    fleet.write(fleet.unit("web", keys=FAST + f'pre_start = ["/bin/sh", "-c", "echo x >> {fleet.dir}/before; test -e {fleet.dir}/ready"]'))
    fleet.start()
    fleet.wait_for(lambda: (fleet.dir / "before").exists() and (fleet.dir / "before").read_text().count("x") >= 3, "three tries")
    assert not fleet.starts("web")
    (fleet.dir / "ready").touch()
    fleet.wait_healthy("web")
    assert len(fleet.starts("web")) == 1


def test_a_log_folder_removed_while_running_is_reported_and_no_child_stops(fleet):
    fleet.write(fleet.unit("web", "--rate", 50, keys=FAST + 'log = { max_size = "4K", keep = 3, compress = false }'))
    fleet.start()
    fleet.wait_healthy("web")
    fleet.wait_for(lambda: fleet.log_text("web"), "first lines")
    shutil.rmtree(fleet.log_dir)
    # A child whose pipe were full would stand still.
    before = fleet.live("web")["pid"]
    fleet.wait_for(lambda: fleet.log_dir.exists() or "log" in fleet.cli("status", "web").stdout, "a new folder or a word about it", 15)
    never(lambda: len(fleet.starts("web")) > 1, "restarted for its log", 1)
    assert fleet.live("web")["pid"] == before


def test_twenty_units_killed_at_once_all_come_back_once(fleet):
    fleet.write("".join(fleet.unit(f"u{i}") for i in range(20)), supervisor="max_parallel_starts = 20")
    fleet.start()
    fleet.wait_healthy()
    for i in range(20):
        os.kill(fleet.starts(f"u{i}")[0].pid, signal.SIGKILL)
    for i in range(20):
        assert len(fleet.wait_starts(f"u{i}", 2)) == 2
    fleet.wait_healthy()
    assert all(u["last_exit"]["signal"] == 9 for u in fleet.live()["services"].values())


def test_what_cannot_be_killed_is_named_others_go_on_and_it_ends_when_it_can(fleet, freezer):
    fleet.write(fleet.unit("stuck", "--fork-children", 1, keys=FAST + SOON) + fleet.unit("other", keys=FAST + SOON))
    fleet.start()
    fleet.wait_healthy()
    pids = fleet.wait_for(lambda: len(t := tree_of(fleet, "stuck")) == 2 and t, "the whole tree")
    freezer.freeze(*pids)
    done = fleet.cli("stop", "stuck")
    assert done.returncode == 1
    for pid in pids:
        assert str(pid) in done.stdout + done.stderr
    assert "state D" in done.stdout + done.stderr
    unit = fleet.live("stuck")
    assert unit["state"] == "stopping" and unit["reason"] == "not killed by SIGKILL"
    fleet.ok("restart", "other")  # nobody waits for it
    never(lambda: len(fleet.starts("stuck")) > 1, "a second instance beside it", 0.5)
    freezer.thaw()
    fleet.wait_for(lambda: not any(map(alive, pids)), "the end of what was killed")
    fleet.wait_state("stuck", "stopped")
    fleet.ok("start", "stuck")


def test_a_tree_that_forks_in_a_loop_is_killed_whole(fleet):
    # At most four at a time: each lives a moment, forks the next and ignores what it may.
    bomb = fleet.dir / "bomb.sh"
    bomb.write_text("#!/bin/sh\ntrap '' TERM HUP INT\necho $$ >>pids\nsleep 0.02\nsetsid sh bomb.sh &\n")
    fleet.write(f'[unit.bomb]\ncommand = ["/bin/sh", "-c", "trap \\"\\" TERM; sh bomb.sh & sh bomb.sh & sh bomb.sh & wait; exec sleep 60"]\n'
                f'directory = "{fleet.dir}"\n{FAST}{SOON}')
    fleet.start()
    pids = fleet.dir / "pids"
    fleet.wait_for(lambda: pids.exists() and len(pids.read_text().split()) > 20, "the forks")
    fleet.ok("stop", "bomb")
    assert fleet.live("bomb")["state"] == "stopped"
    before = pids.read_text()
    never(lambda: pids.read_text() != before, "something of the tree lives and forks", 0.3)
    assert not [p for p in map(int, before.split()) if alive(p)]
