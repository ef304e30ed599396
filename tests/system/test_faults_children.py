"""Faults of and around children, injected for real: docs/faults.md, sections A to C."""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from conftest import FAST, TOP, never, toml

sys.path.insert(0, str(TOP / "tests/sweep"))
import sweep  # noqa: E402

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def start_traced(fleet, options, process="keeper"):
    """keepwell run with its keeper (or supervisor) under strace."""
    wrappers = pathlib.Path(tempfile.mkdtemp(dir=fleet.dir))
    run = sweep.Run(fleet.dir, sweep.make_wrappers(wrappers), process, options)
    run.fleet, old = fleet, run.fleet
    fleet.environment |= {k: v for k, v in old.environment.items() if k.startswith("SWEEP")}
    run.start()
    fleet.wait_for(fleet.answers, "keepwell to answer", 20)


@pytest.mark.parametrize("error", ["EAGAIN", "ENOMEM"])
def test_clone_failing_three_times_is_the_hosts_fault_and_not_the_units(fleet, error):
    # The first clone is the supervisor's own.
    fleet.write(fleet.unit("web", keys='budget = { restarts = 1, within = "1h", cooldown = "1h" }\n'
                           'backoff = { initial = "20ms", max = "50ms", jitter = 0.0 }'))
    start_traced(fleet, f"-e trace=clone3,clone,fork,vfork -e inject=clone3,clone,fork,vfork:error={error}:when=2..4")
    fleet.wait_healthy("web")
    assert "INJECTED" in (fleet.dir / "trace").read_text()
    assert len(fleet.starts("web")) == 1
    assert fleet.live("web")["restarts"]["attempts_left"] == 1, "the budget paid for a failing clone"


def test_a_status_that_somebody_else_reaped_is_unknown_and_the_unit_comes_back(fleet):
    # The keeper is static, so no library can wait behind its back; this is what it would see.
    fleet.write(fleet.unit("web"))
    start_traced(fleet, "-e trace=waitid -e inject=waitid:error=ECHILD:when=1")
    fleet.wait_healthy("web")
    os.kill(fleet.starts("web")[0].pid, signal.SIGKILL)
    fleet.wait_starts("web", 2)
    assert "INJECTED" in (fleet.dir / "trace").read_text()
    last = fleet.live("web")["last_exit"]
    assert last["code"] is None and last["signal"] in (None, 9), f"invented: {last}"


def test_the_last_words_of_a_shutdown_are_written_by_however_slow_a_disk(fleet):
    say = "trap 'echo last words; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    names = [f"u{i}" for i in range(8)]
    fleet.write("".join(f"[unit.{n}]\ncommand = {toml(['/bin/sh', '-c', say])}\n{FAST}\n" for n in names))
    start_traced(fleet, "-f --seccomp-bpf -e trace=splice -e inject=splice:delay_enter=100000", "supervisor")
    fleet.wait_for(lambda: all(b"up" in fleet.log_text(n) for n in names), "the first words", 30)
    fleet.keeper.terminate()
    assert fleet.keeper.wait(20) == 0
    assert not [n for n in names if b"last words" not in fleet.log_text(n)]


def test_a_shutdown_says_what_its_disk_did_not_take_and_ends(fleet):
    say = "trap 'echo last words; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    fleet.write(f"[unit.web]\ncommand = {toml(['/bin/sh', '-c', say])}\n{FAST}")
    start_traced(fleet, "-f --seccomp-bpf -e trace=splice -e inject=splice:delay_enter=4500000:when=3+", "supervisor")
    fleet.wait_for(lambda: b"up" in fleet.log_text("web"), "the first words", 30)
    fleet.keeper.terminate()
    fleet.keeper.wait(20)
    said = fleet.output.read_text()
    assert f"cannot write the last output of the daemons to {fleet.log_dir} within 3 s" in said


@root
def test_a_refused_change_of_user_never_execs(fleet):
    fleet.write(fleet.unit("web", keys=FAST + 'user = "nobody"'))
    for folder in (fleet.dir, *fleet.dir.parents[:3]):
        os.chmod(folder, 0o777 if folder == fleet.dir else 0o755)
    start_traced(fleet, "-f --seccomp-bpf -e trace=setresuid -e inject=setresuid:error=EPERM:when=1..1000")
    fleet.wait_for(lambda: "not permitted" in fleet.cli("why", "web").stdout, "the stage in the story")
    assert not fleet.starts("web"), "ran with the wrong user"


def test_no_descriptor_of_the_callers_reaches_a_child(fleet):
    def open_many():
        fds = [os.dup(1) for _ in range(300)]
        for fd in fds:
            os.set_inheritable(fd, True)

    fleet.write(f'[unit.web]\ncommand = ["/bin/sh", "-c", "ls /proc/self/fd | wc -l > {fleet.dir}/fds; exec sleep 1000"]\n{FAST}')
    fleet.start(before=open_many)
    fleet.wait_healthy("web")
    assert int((fleet.dir / "fds").read_text()) == 4, "0, 1, 2 and the folder that ls reads"


def test_an_abort_is_told_with_its_signal_and_leaves_no_core(fleet):
    fleet.write(fleet.unit("web", "--exit-after", 50, "--exit-starts", 1, "--abort", keys=FAST + f'directory = "{fleet.dir}"'))
    fleet.start()
    fleet.wait_starts("web", 2)
    last = fleet.wait_for(lambda: fleet.live("web")["last_exit"], "the exit")
    assert last["signal"] == 6 and not last["core"]
    assert not list(fleet.dir.glob("core*"))


def test_a_child_that_sigkill_cannot_end_is_named_and_nothing_starts_beside_it(fleet, freezer):
    fleet.write(fleet.unit("web", "--lock", fleet.dir / "lock", keys=FAST + 'stop = { timeout = "200ms" }') + fleet.unit("other"))
    fleet.start()
    fleet.wait_healthy()
    pid = fleet.starts("web")[0].pid
    freezer.freeze(pid)
    fleet.ok("restart", "--no-wait", "web")
    fleet.wait_for(lambda: "SIGKILL" in fleet.live("web")["reason"], "the reason", 15)
    done = fleet.cli("stop", "web", timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 1 and str(pid) in said and "state D" in said, said
    never(lambda: len(fleet.starts("web")) > 1, "a second instance beside the unkillable one", 0.5)
    fleet.ok("restart", "other")
    fleet.ok("start", "--no-wait", "web")
    freezer.thaw()
    fleet.wait_starts("web", 2, 20)
    fleet.wait_healthy("web")
    assert not [n for n in fleet.notes("web") if n.what == "double"]


def test_a_stopped_child_ends_at_stop(fleet):
    fleet.write(fleet.unit("web", keys=FAST + 'stop = { timeout = "5s" }'))
    fleet.start()
    fleet.wait_healthy("web")
    os.kill(fleet.starts("web")[0].pid, signal.SIGSTOP)
    begin = time.monotonic()
    fleet.ok("stop", "web")
    assert time.monotonic() - begin < 4, "waited for SIGKILL"
    assert fleet.notes("web")[-1].what == "exit"


INSIDE = '''
import json, os, pathlib, signal, subprocess, sys, time
sys.path.insert(0, {tests!r})
from conftest import FAST, Fleet, alive, wait_for

def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass

fleet = Fleet({folder!r})
try:
{body}
finally:
    fleet.close()
'''


def inside_namespaces(tmp_path, flags, body):
    """Runs the body (lines of Python, with `fleet`) as pid 1 of fresh namespaces."""
    script = tmp_path / "inside.py"
    lines = "\n".join("    " + line for line in body.strip("\n").splitlines())
    script.write_text(INSIDE.format(tests=str(TOP / "tests/system"), folder=str(tmp_path), body=lines))
    done = subprocess.run(["unshare", *flags, sys.executable, script], capture_output=True, text=True, timeout=60)
    if "unshare failed" in done.stderr or "Operation not permitted" in done.stderr and not done.stdout:
        pytest.skip("needs namespaces: " + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr


@root
def test_a_reused_pid_of_our_own_state_file_is_never_signalled(tmp_path):
    inside_namespaces(tmp_path, ["-pf", "--mount-proc", "--kill-child"], '''
fleet.write(fleet.unit("web"))
fleet.start()
fleet.wait_healthy("web")
pid = fleet.starts("web")[0].pid
fleet.kill_keeper()
os.kill(pid, signal.SIGKILL)
wait_for(lambda: reap() or not os.path.exists(f"/proc/{pid}"), "the pid to be free")
# The next process gets exactly this pid: a decoy that is none of ours.
pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
decoy = subprocess.Popen(["/bin/sleep", "1000"])
assert decoy.pid == pid, f"the decoy is {decoy.pid}, not {pid}"
fleet.start()
starts = fleet.wait_starts("web", 2)
fleet.wait_healthy("web")
assert starts[1].pid != pid and fleet.live("web")["pid"] == starts[1].pid
fleet.ok("stop", "web")
fleet.keeper.terminate()
assert fleet.keeper.wait(10) == 0
assert decoy.poll() is None, "a stranger was signalled"
decoy.kill()
''')


@root
def test_clocks_with_an_offset_change_nothing(tmp_path):
    inside_namespaces(tmp_path, ["-T", "--monotonic", "86400", "--boottime", "86400", "-pf", "--mount-proc", "--kill-child"], '''
fleet.write(fleet.unit("web"))
fleet.start()
fleet.wait_healthy("web")
first = fleet.starts("web")[0].pid
fleet.kill_keeper()
fleet.start()
fleet.wait_healthy("web")
assert [s.pid for s in fleet.starts("web")] == [first]
os.kill(first, signal.SIGKILL)
fleet.wait_starts("web", 2)
assert fleet.live("web")["uptime_s"] < 10
''')


def test_sixty_trees_that_die_at_once_each_come_back_once(fleet):
    count = 60
    fleet.write("".join(fleet.unit(f"u{i}", "--lock", fleet.dir / f"{i}.lock", "--fork-children", 3) for i in range(count)),
                supervisor="max_parallel_starts = 60")
    fleet.start()
    fleet.wait_healthy(timeout=40)
    for round_ in (2, 3):
        for i in range(count):
            os.kill(fleet.starts(f"u{i}")[-1].pid, signal.SIGKILL)
        for i in range(count):
            assert len(fleet.wait_starts(f"u{i}", round_, 30)) == round_
    services = fleet.live()["services"]
    for i in range(count):
        assert not [n for n in fleet.notes(f"u{i}") if n.what == "double"], "a new instance beside the old tree"
        assert services[f"u{i}"]["last_exit"]["signal"] == 9
    assert not [p for p in map(alive_zombie, os.listdir("/proc")) if p == fleet.keeper.pid], "zombies of the keeper"


def alive_zombie(name):
    """The parent of a zombie, else None."""
    try:
        fields = pathlib.Path(f"/proc/{int(name)}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[1]) if fields[0] == "Z" else None
    except (OSError, ValueError):
        return None


def test_a_child_has_no_signal_blocked_or_ignored(fleet):
    # Not through a shell: that clears its own mask.
    fleet.write('[unit.web]\ncommand = ["/bin/cat", "/proc/self/status"]\nrestart = "never"\n')
    fleet.start()
    fleet.wait_for(lambda: b"SigIgn" in fleet.log_text("web"), "its own status")
    masks = dict(line.split(":\t") for line in fleet.log_text("web").decode().splitlines() if line.startswith("Sig"))
    assert int(masks["SigBlk"], 16) == 0 and int(masks["SigIgn"], 16) == 0
