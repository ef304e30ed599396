#!/usr/bin/python3
"""Crash points: the keeper or the supervisor is killed at its k-th call of a system call (or that call fails), in a
scripted start, exit, rotation, reload and stop; then an oracle that reads the victims' own files says what was broken.

    sweep.py                      every point of both processes
    sweep.py --sample 40 [--seed N]
    sweep.py --only keeper:pipe2:3:kill     one point again, as it is printed

A point is PROCESS:CALL:K:FAULT; FAULT is `kill` or an errno. Points come from a first run without faults, so new code is
swept without a word here. Exit code 1 when a point failed."""
import argparse
import collections
import concurrent.futures
import http.client
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/system"))
import conftest  # noqa: E402
from api_client import api_of  # noqa: E402
from conftest import FAST, Fleet, alive  # noqa: E402

ERRORS = ("ENOSPC", "EIO", "EMFILE", "EAGAIN", "ENOMEM", "EINTR")
# What these return cannot be an error, or a wrong one is no fault of this world (clock_gettime, a lost exit_group).
NEVER_FAIL = {"exit_group", "exit", "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getppid", "rt_sigreturn",
              "execve", "restart_syscall", "clock_gettime", "brk", "arch_prctl", "set_tid_address", "set_robust_list", "rseq",
              # A call that fails here is not made: the descriptor stays open, or a thread is not woken; no kernel does that.
              "close", "futex"}
# Errors that the kernel does not have for this use: a full pipe cannot be told from an empty one by EAGAIN when there are bytes;
# a connected unix socket has none of EIO, ENOSPC and EMFILE; an eventfd with room takes every write.
UNREAL = {("supervisor", "splice", "EAGAIN"), ("supervisor", "write", "EAGAIN"),
          *(("supervisor", "sendmsg", e) for e in ("EIO", "ENOSPC", "EMFILE"))}
# Points that were broken once; a sample always has them.
ALWAYS = ("keeper:recvmsg:28:kill", "keeper:write:1:kill", "keeper:write:2:kill", "keeper:sendmsg:22:kill", "supervisor:epoll_ctl:1:kill",
          "supervisor:renameat:1:kill", "supervisor:splice:1:kill", "supervisor:recvmsg:33:ENOSPC", "supervisor:recvmsg:30:ENOMEM")
EXITS = 3  # times that the unit `exits` ends by itself
CODE = 7


def make_wrappers(folder):
    """A keepwell whose keeper and supervisor run under strace the first time, with the options in two variables."""
    keepwell = folder / "keepwell"
    if not keepwell.exists():
        shutil.copy2(conftest.KEEPWELL, keepwell)
    real = conftest.KEEPWELL.parent / "keepwell-keeper"
    once = 'first() { [ -n "$1" ] && mkdir "$SWEEP_DIR/traced" 2>/dev/null; }\n'
    # -D: the tracer is the grandchild, so that pids and parents are those of a run without it.
    (folder / "keepwell-keeper").write_text(f'''#!/bin/sh
{once}dir=$2; shift 4
set -- --runtime-dir "$dir" -- {folder}/supervisor "$@"
if first "$SWEEP_KEEPER"; then exec strace -q -D -o "$SWEEP_DIR/trace" $SWEEP_KEEPER {real} "$@"; fi
exec {real} "$@"
''')
    (folder / "supervisor").write_text(f'''#!/bin/sh
{once}if first "$SWEEP_SUPERVISOR"; then exec strace -q -D -f -o "$SWEEP_DIR/trace" $SWEEP_SUPERVISOR {keepwell} "$@"; fi
exec {keepwell} "$@"
''')
    for name in ("keepwell-keeper", "supervisor"):
        (folder / name).chmod(0o755)
    return keepwell


class Point(collections.namedtuple("Point", "process call k fault")):
    def __str__(self):
        return ":".join(map(str, self))

    def options(self):
        what = "signal=KILL" if self.fault == "kill" else f"error={self.fault}"
        bpf = "--seccomp-bpf " if self.process == "supervisor" else ""
        return f"{bpf}-e trace={self.call} -e inject={self.call}:{what}:when={self.k}"


def point_of(text):
    process, call, k, fault = text.split(":")
    return Point(process, call, int(k), fault)


class Broken(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Broken(text)


class Run:
    """One scenario in a folder of its own."""

    def __init__(self, folder, keepwell, process=None, options=""):
        self.fleet = Fleet(folder)
        self.keepwell, self.process = keepwell, process
        self.fleet.environment["SWEEP_DIR"] = str(self.fleet.dir)
        if process:
            self.fleet.environment[f"SWEEP_{process.upper()}"] = options
        self.call = options.rpartition("inject=")[2].partition(":")[0]
        self.fails = ":error=" in options
        self.starts = 0
        self.keeper_ends = 0

    def unit(self, name, *options, log=""):
        return self.fleet.unit(name, "--lock", self.fleet.dir / f"{name}.lock", *options, keys=FAST + log)

    def units(self, late):
        log = 'log = { max_size = "4K", keep = 2000, compress = false }\n'
        text = self.unit("steady", "--rate", 300, "--width", 80, log=log)
        text += self.unit("exits", "--exit-after", 60, "--exit-starts", EXITS, "--code", CODE, "--rate", 100, log=log)
        text += self.unit("leaves" if not late else "late")
        return text

    def start(self):
        self.fleet.program, old = self.keepwell, self.fleet.program
        try:
            self.fleet.start(wait=False)
        finally:
            self.fleet.program = old
        self.starts += 1

    def until(self, predicate, what, timeout=25.0):
        """Waits, and starts keepwell again whenever its keeper has ended, as a service manager would."""
        end = time.monotonic() + timeout
        while not predicate():
            if self.fleet.keeper.poll() is not None:
                check(self.starts < 4, f"keepwell ended {self.starts} times, last with {self.fleet.keeper.returncode}")
                self.keeper_ends += 1
                self.start()
            check(time.monotonic() < end, f"waited {timeout:g} s for {what}")
            time.sleep(0.02)

    def services(self):
        # Asked without a program: of thousands of points, most of the time went into starting one.
        try:
            answer = api_of(self.fleet, timeout=10).get("/api/status")
        except (OSError, http.client.HTTPException):
            return {}
        return conftest.json.loads(answer.body)["services"] if answer.status == 200 else {}

    def running(self, *names):
        services = self.services()
        return all(n in services and services[n]["state"] == "running" and services[n]["pid"] == self.fleet.starts(n)[-1].pid
                   for n in names if self.fleet.starts(n)) and all(self.fleet.starts(n) for n in names)

    def ended_by_itself(self):
        return len([n for n in self.fleet.notes("exits") if n.what == "exit"]) >= EXITS

    def scenario(self):
        fleet = self.fleet
        fleet.write(self.units(False), supervisor="max_parallel_starts = 8")
        self.start()
        self.until(lambda: fleet.starts("steady") and fleet.starts("leaves"), "the first starts")
        self.until(lambda: len(fleet.starts("exits")) >= 2, "the first restart")
        fleet.write(self.units(True), supervisor="max_parallel_starts = 8")

        def reloaded():
            # A reload that its target did not survive is asked for again, as a person would.
            if not fleet.starts("late"):
                fleet.cli("reload")
            return fleet.starts("late")

        self.until(reloaded, "the reload")
        self.until(lambda: self.ended_by_itself() and len(fleet.starts("exits")) > EXITS, "all exits")
        self.until(lambda: self.running("steady", "exits", "late"), "everything to run")
        self.until(lambda: not any(alive(s.pid) for s in fleet.starts("leaves")), "the removed unit to end")

    def stop(self):
        """Returns the services of just before, and then nothing is written any more."""
        found = {}

        def settled():
            found.clear()
            found.update(self.services())
            return found.get("exits", {}).get("health", {}).get("status") == "healthy" and "leaves" not in found

        self.until(settled, "the figures")
        services = dict(found)
        self.until(lambda: self.fleet.cli("stop", "all").returncode == 0, "stop")
        return services

    # -- the oracle

    def judge(self, services, killed):
        fleet = self.fleet
        for name in ("steady", "exits", "late", "leaves"):
            double = [n for n in fleet.notes(name) if n.what == "double"]
            check(not double, f"{name}: a second instance at the same time: {double}")
            check(not [n for n in fleet.notes(name) if n.what == "write-failed"], f"{name}: met a broken pipe")
        for name in ("steady", "late", "leaves"):
            check(len(fleet.starts(name)) == 1, f"{name}: was started {len(fleet.starts(name))} times")
        check(len(fleet.starts("exits")) == EXITS + 1, f"exits: was started {len(fleet.starts('exits'))} times, not {EXITS + 1}")
        # An exit that no keeper saw may be unknown, but nothing else than what was, and it counts once.
        unit = services["exits"]
        last = unit["last_exit"] or {}
        known = last.get("code") is not None or last.get("signal") is not None
        told = unit["restarts"]["total"]
        # A start that the fault let fail is tried again, and counts as a restart.
        failed_start = self.fails and self.process == "keeper" and told == EXITS + 1
        code = last.get("code") == CODE or (failed_start and last.get("code") == 127)
        check(code if known or not (killed and self.process == "keeper") else True, f"exits: last exit is {last}")
        # A keeper that dies exactly between noting a release and doing it leaves an end that it cannot know.
        unsure = killed and self.process == "keeper" and self.call == "write"
        check(told == EXITS or (unsure and told == EXITS + 1) or failed_start, f"exits: {told} restarts are told, {EXITS} there were")
        again = services["steady"]["restarts"]["total"]
        check(again == 0 or unsure or (self.fails and self.process == "keeper" and again == 1), f"steady: restarts are told: {services['steady']['restarts']}")
        for name in ("steady", "exits"):
            self.judge_log(name, killed)
        # A write that failed is tried again after 1, 2, 4 … seconds, and every thread of the pool meets its own fault. Whole also right now; every document the scenario saw came through the same writer.
        self.until(lambda: fleet.status_file.exists(), "status.json", 60)
        conftest.json.loads(fleet.status_file.read_bytes())
        litter = [p.name for p in fleet.dir.iterdir() if p.name.startswith(".") or ".tmp" in p.name]
        check(len(litter) <= 1, f"left-over files {litter}")

    def judge_log(self, name, killed):
        # What nobody had read when the keeper died, and what was under way between pipe and file, may be lost: in one
        # piece for each writer. Nothing may be doubled or out of order.
        # What could not be written is dropped, and said (log.on_error).
        lossy = killed and self.process == "keeper" or self.dropped(name)
        self.until(lambda: lossy or self.complete(name) or self.dropped(name), f"the last lines of {name}", 10)
        lossy = lossy or self.dropped(name)
        seen, gaps, torn = {}, 0, 0
        for line in fleet_lines(self.fleet, name):
            match = re.fullmatch(rb"L (\d+) (\d+)\.*", line)
            if not match:
                torn += 1
                check(lossy and torn <= 5, f"{name}: a torn line {line!r}")
                continue
            pid, number = int(match[1]), int(match[2])
            before = seen.get(pid, 0)
            check(number > before, f"{name}: line {number} of {pid} after line {before}")
            if number != before + 1:
                gaps += 1
                check(lossy and gaps <= 5, f"{name}: line {number} of {pid} after line {before}")
            seen[pid] = number
        if lossy:
            return
        for note in self.fleet.notes(name):
            if note.what == "exit":
                check(seen.get(note.pid, 0) == note.sequence, f"{name}: {note.pid} printed {note.sequence} lines, {seen.get(note.pid, 0)} are there")

    def dropped(self, name):
        return self.services().get(name, {}).get("log", {}).get("dropped_bytes", 0) > 0

    def complete(self, name):
        printed = sum(n.sequence for n in self.fleet.notes(name) if n.what == "exit")
        return self.fleet.log_text(name).count(b"\n") >= printed

    def close(self):
        self.fleet.close()


def fleet_lines(fleet, name):
    text = fleet.log_text(name)
    lines = text.split(b"\n")
    return lines[:-1] if not lines[-1] else lines


def trace(folder, keepwell, process):
    """(call, k) of a run without faults, each as often as one thread makes it."""
    run = Run(folder, keepwell, process, "-e trace=all")
    try:
        run.scenario()
        services = run.stop()
        run.judge(services, False)
        run.fleet.keeper.terminate()
        run.fleet.keeper.wait(20)
    finally:
        run.close()
    counts = collections.Counter()
    for line in (folder / "trace").read_text(errors="replace").splitlines():
        match = re.match(r"(?:(\d+) +)?(\w+)\(", line)
        if match:
            counts[(match[1], match[2])] += 1
    most = collections.Counter()
    for (_, call), n in counts.items():
        most[call] = max(most[call], n)
    return most


def points_of(most, process, fault, limit):
    """Every k up to the limit, then ever wider steps up to the last: what repeats a hundred times is the same place."""
    for call, count in sorted(most.items()):
        k = 1
        while k <= count:
            yield Point(process, call, k, fault)
            k += 1 if k < limit else max(1, k // 8)


def sweep_one(root, keepwell, point):
    """(point, what was broken or None, whether the fault came, what keepwell said)"""
    folder = pathlib.Path(tempfile.mkdtemp(dir=root, prefix=f"{point.process}-{point.call}-{point.k}-"))
    run = Run(folder, keepwell, point.process, point.options())
    broken, said = None, ""
    try:
        run.scenario()
        services = run.stop()
        trace_text = (folder / "trace").read_text(errors="replace") if (folder / "trace").exists() else ""
        came = "killed by SIGKILL" in trace_text or "INJECTED" in trace_text
        run.judge(services, came and (point.fault == "kill" or run.keeper_ends > 0))
    except (Broken, Exception) as e:  # noqa: BLE001: whatever it is, it is this point's
        broken, came = f"{type(e).__name__}: {e}", True
    except BaseException as e:  # pytest's own
        if isinstance(e, KeyboardInterrupt):
            raise
        broken, came = str(e), True
    finally:
        if broken:
            said = run.fleet.context()
            if (run.fleet.state_dir / "events.jsonl").exists():
                said += "\n--- events\n" + (run.fleet.state_dir / "events.jsonl").read_text()[-6000:]
            for name in ("steady", "exits", "late", "leaves"):
                said += f"\n--- {name}\n" + "\n".join(map(str, run.fleet.notes(name)[-12:]))
        run.close()
    shutil.rmtree(folder, ignore_errors=True)
    return point, broken, came, said


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, help="that many points, chosen by the seed")
    parser.add_argument("--seed", default=None, help="of the sample; default: the commit")
    parser.add_argument("--only", action="append", help="one point (repeatable)")
    parser.add_argument("--jobs", type=int, default=2 * os.cpu_count())
    parser.add_argument("--limit", type=int, default=None, help="every call up to this number, then ever fewer")
    parser.add_argument("--process", choices=("keeper", "supervisor"), help="only this one")
    parser.add_argument("--faults", default="kill,errors", help="kill, errors or both")
    arguments = parser.parse_args()
    if not shutil.which("strace"):
        sys.exit("sweep: cannot run: strace is missing; contrib/dev deps installs it")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="keepwell-sweep-") as root:
        root = pathlib.Path(root)
        keepwell = make_wrappers(root)
        if arguments.only:
            points = [point_of(o) for o in arguments.only]
        else:
            points = all_points(root, keepwell, arguments)
        print(f"{len(points)} points", flush=True)
        failed, missed = 0, 0
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            for n, done in enumerate(pool.map(lambda p: sweep_one(root, keepwell, p), points), 1):
                point, broken, came, said = done
                missed += not came
                if broken:
                    failed += 1
                    print(f"BROKEN {point}: {broken}\n{said}\n", flush=True)
                elif n % 100 == 0:
                    print(f"{n} of {len(points)} after {time.monotonic() - begin:.0f} s", flush=True)
    print(f"sweep: {len(points) - failed} passed, {failed} failed, {missed} without their fault, "
          f"{time.monotonic() - begin:.0f} s")
    # Few faults that come mean a sweep of nothing: the wrapper or the counting is broken.
    return 1 if failed or missed * 2 > len(points) or not points else 0


def all_points(root, keepwell, arguments):
    points = []
    for process in ("keeper", "supervisor"):
        if arguments.process not in (None, process):
            continue
        most = trace(pathlib.Path(tempfile.mkdtemp(dir=root)), keepwell, process)
        print(f"{process}: {sum(most.values())} calls of {len(most)} kinds", flush=True)
        limit = arguments.limit or (40 if process == "keeper" else 16)
        if "kill" in arguments.faults:
            points += points_of(most, process, "kill", limit)
        if "errors" in arguments.faults:
            able = {c: n for c, n in most.items() if c not in NEVER_FAIL}
            for error in ERRORS:
                real = {c: n for c, n in able.items() if (process, c, error) not in UNREAL}
                points += points_of(real, process, error, 3)
    if arguments.sample:
        seed = arguments.seed or subprocess.run(["git", "-C", TOP, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip() or "0"
        print(f"seed {seed}", flush=True)
        kills = [p for p in points if p.fault == "kill"]
        errors = [p for p in points if p.fault != "kill"]
        rng = random.Random(seed)
        share = arguments.sample * 3 // 4
        points = [point_of(p) for p in ALWAYS] + rng.sample(kills, min(share, len(kills))) + rng.sample(errors, min(arguments.sample - share, len(errors)))
    return points


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
