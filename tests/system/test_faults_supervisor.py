"""Faults of the supervisor's surroundings: descriptors, disks, clocks, pauses, rivals. docs/faults.md, sections C to F."""
import contextlib
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

import pytest

from conftest import FAST, KEEPWELL


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_without_descriptors_it_does_not_spin_and_recovers(fleet):
    fleet.write(fleet.unit("web"), supervisor='status_interval = "1s"')
    fleet.start()
    fleet.wait_healthy("web")
    supervisor = fleet.supervisor()
    soft, hard = resource.prlimit(supervisor, resource.RLIMIT_NOFILE)
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (descriptors(supervisor) + 3, hard))
    clients = []
    try:
        for _ in range(60):
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.connect(str(fleet.run_dir / "control.sock"))
            clients.append(client)
        spent, begin = cpu_seconds(supervisor), time.monotonic()
        # Healing needs no descriptor of the supervisor's beyond the child's output.
        os.kill(fleet.starts("web")[0].pid, signal.SIGKILL)
        fleet.wait_starts("web", 2)
        sequence = fleet.status()["sequence"]
        fleet.wait_for(lambda: time.monotonic() - begin > 3, "three seconds")
        assert cpu_seconds(supervisor) - spent < 0.5, "it spins on accept"
    finally:
        for client in clients:
            client.close()
    resource.prlimit(supervisor, resource.RLIMIT_NOFILE, (soft, hard))
    fleet.wait_for(lambda: fleet.status()["sequence"] > sequence, "status.json to be written")
    fleet.wait_for(fleet.answers, "an answer")
    assert fleet.supervisor() == supervisor, "it died of it"


@contextlib.contextmanager
def small_disk(path, size="64k"):
    path.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path], capture_output=True).returncode:
        pytest.skip("may not mount here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(path):
    with contextlib.suppress(OSError), open(path / "filler", "wb", buffering=0) as f:
        while f.write(b"x" * 4096):
            pass


def test_full_disks_under_state_and_log_stop_nobody_and_heal(fleet):
    fleet.state_dir, fleet.log_dir = fleet.dir / "s", fleet.dir / "l"
    with small_disk(fleet.state_dir), small_disk(fleet.log_dir):
        fill(fleet.state_dir)
        fill(fleet.log_dir)
        fleet.write(fleet.unit("web", "--rate", 200) + fleet.unit("other"))
        fleet.start()
        fleet.wait_healthy()
        os.kill(fleet.starts("web")[0].pid, signal.SIGKILL)
        fleet.wait_starts("web", 2)
        fleet.ok("stop", "other")
        fleet.wait_for(lambda: fleet.live("web")["log"]["dropped_bytes"] > 0, "the count of what is lost")
        assert "No space" in fleet.output.read_text()
        for folder in (fleet.state_dir, fleet.log_dir):
            (folder / "filler").unlink()
        fleet.wait_for(lambda: fleet.log_text("web"), "the log after the disk has space")
        fleet.ok("start", "other")
        fleet.ok("stop", "other")
        fleet.wait_for(lambda: "other stopped" in (fleet.state_dir / "wanted").read_text(), "the wanted state on disk")
        fleet.keeper.terminate()
        assert fleet.keeper.wait(20) == 0


def test_a_read_only_disk_under_everything_but_the_runtime_folder_stops_nobody(fleet):
    fleet.state_dir, fleet.log_dir = fleet.dir / "d/state", fleet.dir / "d/log"
    fleet.status_file = fleet.dir / "d/status.json"
    with small_disk(fleet.dir / "d", "1m") as disk:
        # Silent and without a history, since a file that is open for writing would keep the disk writable.
        fleet.write(fleet.unit("web"), supervisor='status_interval = "1s"\n[supervisor.history]\nenabled = false')
        fleet.start()
        fleet.wait_healthy("web")
        def remounted():
            return subprocess.run(["mount", "-o", "remount,ro", disk], capture_output=True).returncode == 0

        fleet.wait_for(remounted, "the disk to become read-only")
        os.kill(fleet.starts("web")[0].pid, signal.SIGKILL)
        fleet.wait_starts("web", 2)
        before = fleet.status()["sequence"]
        fleet.wait_for(lambda: "Read-only" in fleet.output.read_text(), "a word about it")
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        fleet.wait_for(lambda: fleet.status()["sequence"] > before, "status.json once it can be written")


def test_a_pause_of_the_supervisor_restarts_nobody(fleet, health, freezer):
    # Every answer takes a while, so that some are under way whenever the pause begins; they are late for no fault of the units.
    health.delay = 0.3
    check = f'failures = 1\ncheck.http = {{ url = "{health.url}", interval = "100ms", timeout = "2s" }}\n'
    fleet.write("".join(fleet.unit(f"u{i}", keys=FAST + check) for i in range(10)))
    fleet.start()
    fleet.wait_healthy()
    supervisor = fleet.supervisor()
    freezer.freeze(*os.listdir(f"/proc/{supervisor}/task"))
    time.sleep(5)  # the length of the pause is the point; below the keeper's patience
    freezer.thaw()
    fleet.wait_for(fleet.answers, "an answer")
    asked = len(health.answers)
    fleet.wait_for(lambda: len(health.answers) > asked + 30, "three rounds of checks")
    assert fleet.supervisor() == supervisor
    again = [f"u{i}" for i in range(10) if len(fleet.starts(f"u{i}")) != 1]
    assert not again, "restarted for a pause of keepwell itself:\n" + "\n".join(fleet.cli("why", u).stdout for u in again)
    fleet.wait_healthy()


SHIM = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) {
    long seconds = 0;
    FILE *f = fopen(getenv("CLOCK_OFFSET"), "re");
    if (f) { if (fscanf(f, "%ld", &seconds) != 1) seconds = 0; fclose(f); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int r = real(id, t);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) t->tv_sec += offset();
    return r;
}
time_t time(time_t *out) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out) *out = t.tv_sec;
    return t.tv_sec;
}
'''


def test_a_wall_clock_that_jumps_restarts_nobody_and_stops_no_timer(fleet, health):
    (fleet.dir / "shim.c").write_text(SHIM)
    built = subprocess.run(["gcc", "-shared", "-fPIC", "-o", fleet.dir / "shim.so", fleet.dir / "shim.c", "-ldl"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    offset = fleet.dir / "offset"
    offset.write_text("0")
    fleet.environment |= {"LD_PRELOAD": str(fleet.dir / "shim.so"), "CLOCK_OFFSET": str(offset)}
    check = f'check.http = {{ url = "{health.url}", interval = "200ms" }}\n'
    log = 'log = { max_size = "4K", keep = 100, compress = false }\n'
    fleet.write(fleet.unit("web", "--rate", 200, keys=FAST + check + log), supervisor='status_interval = "1s"')
    fleet.start()
    fleet.wait_healthy("web")
    for seconds in (-86400, 86400, 0):
        offset.write_text(str(seconds))
        asked, sequence = len(health.answers), fleet.status()["sequence"]
        fleet.wait_for(lambda: len(health.answers) >= asked + 5, "checks after the jump")
        fleet.wait_for(lambda: fleet.status()["sequence"] >= sequence + 2, "status.json after the jump")
        assert len(fleet.starts("web")) == 1
        assert 0 <= fleet.live("web")["uptime_s"] < 60
    pid = fleet.starts("web")[0].pid
    os.kill(pid, signal.SIGKILL)
    offset.write_text("-86400")
    fleet.wait_starts("web", 2)
    numbers = [int(line.split()[2]) for line in fleet.log_text("web").decode().splitlines() if line.startswith(f"L {pid} ")]
    assert numbers == list(range(1, len(numbers) + 1)), "a rotation lost or doubled lines"


def test_of_twenty_started_at_once_exactly_one_runs(fleet):
    fleet.write(fleet.unit("web", "--lock", fleet.dir / "lock"))
    fleet.start(wait=False)
    rivals = [subprocess.Popen([str(KEEPWELL), "run", "-c", str(fleet.config)], env=fleet.environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=fleet.cgroup.join) for _ in range(19)]
    everybody = [fleet.keeper, *rivals]
    try:
        fleet.wait_for(lambda: sum(p.poll() is not None for p in everybody) == 19, "nineteen to give up", 30)
        winner = next(p for p in everybody if p.poll() is None)
        for p in rivals:
            if p is not winner:
                assert p.returncode == 1 and f"pid {winner.pid}" in p.stdout.read()
        fleet.keeper, loser = winner, fleet.keeper
        if loser is not winner:
            assert loser.returncode == 1
        fleet.wait_healthy("web")
        assert len(fleet.starts("web")) == 1 and not [n for n in fleet.notes("web") if n.what == "double"]
    finally:
        for p in rivals:
            if p is not fleet.keeper:
                p.kill()
                p.wait()
            if p.stdout and p is not fleet.keeper:
                p.stdout.close()


def test_a_supervisor_that_is_stopped_loses_nothing_when_it_goes_on(fleet):
    fleet.write(fleet.unit("web", "--rate", 100) + fleet.unit("dies", "--exit-starts", 1, "--exit-after", 700, "--code", 5))
    fleet.start()
    fleet.wait_for(lambda: fleet.starts("dies") and fleet.starts("web"), "the starts")
    supervisor = fleet.supervisor()
    os.kill(supervisor, signal.SIGSTOP)
    fleet.wait_for(lambda: any(n.what == "exit" for n in fleet.notes("dies")), "an exit that nobody hears")
    os.kill(supervisor, signal.SIGCONT)
    fleet.wait_starts("dies", 2)
    assert fleet.supervisor() == supervisor
    assert fleet.live("dies")["last_exit"]["code"] == 5 and fleet.live("dies")["restarts"]["total"] == 1
    assert len(fleet.starts("web")) == 1


def test_restarts_leave_no_descriptor_behind(fleet):
    keys = 'backoff = { initial = "5ms", max = "5ms", jitter = 0.0 }\nbudget = { restarts = 100000, within = "1m" }\n'
    fleet.write("".join(fleet.unit(f"u{i}", "--exit-after", 20, "--rate", 100, keys=keys) for i in range(4)))
    fleet.start()
    count = lambda: sum(len(fleet.starts(f"u{i}")) for i in range(4))
    fleet.wait_for(lambda: count() > 60, "the first restarts", 30)
    supervisor = fleet.supervisor()
    before = {p: descriptors(p) for p in (fleet.keeper.pid, supervisor)}
    goal = count() + 300
    fleet.wait_for(lambda: count() > goal, "300 more restarts", 60)
    for pid, had in before.items():
        assert descriptors(pid) <= had + 16, "descriptors leak"
