#!/usr/bin/python3
"""Soak: UNITS daemons for MINUTES under random kills of everything (children, members of trees, supervisor, keeper), log
rotation and reloads. At the end: every unit up, never two instances of one (each holds a lock while its tree lives), and
memory, descriptors and zombies flat: the second half's median against the first half's."""
import argparse
import os
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/system"))
from conftest import FAST, Fleet, alive, command_line  # noqa: E402


def memory_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])


def zombies(parents):
    found = 0
    for name in os.listdir("/proc"):
        try:
            fields = pathlib.Path(f"/proc/{int(name)}/stat").read_text().rsplit(")", 1)[1].split()
            found += fields[0] == "Z" and int(fields[1]) in parents
        except (OSError, ValueError):
            pass
    return found


class Soak:
    def __init__(self, folder, units, seed):
        self.fleet, self.units, self.rng = Fleet(folder), units, random.Random(seed)
        self.counts = dict.fromkeys(("child kills", "tree member kills", "supervisor kills", "keeper kills", "reloads", "stops"), 0)
        self.samples = []
        self.tag = 0

    def write(self):
        log = 'log = { max_size = "4K", keep = 3, compress = false }\n'
        text = ""
        for i in range(self.units):
            options = ["--lock", self.fleet.dir / f"u{i}.lock"]
            options += ["--rate", 20] if i % 4 == 0 else []
            options += ["--fork-children", 1] if i % 8 == 1 else []
            tags = f'tags = ["t{self.tag if i % 5 == 0 else 0}"]\n'
            text += self.fleet.unit(f"u{i}", *options, keys=FAST + tags + (log if i % 4 == 0 else ""))
        self.fleet.write(text, supervisor="max_parallel_starts = 50")

    def name(self):
        return f"u{self.rng.randrange(self.units)}"

    def kill(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass

    def kill_child(self):
        name = self.name()
        starts = self.fleet.starts(name)
        # Never a stranger that has the pid of one which is gone.
        if starts and str(self.fleet.record(name)).encode() in command_line(starts[-1].pid):
            self.kill(starts[-1].pid)
            self.counts["child kills"] += 1

    def kill_member(self):
        name = f"u{self.rng.randrange(self.units // 8) * 8 + 1}"
        members = [n.pid for n in self.fleet.notes(name) if n.what == "child"]
        if members and str(self.fleet.record(name)).encode() in command_line(members[-1]):
            self.kill(members[-1])
            self.counts["tree member kills"] += 1

    def kill_supervisor(self):
        if pid := self.fleet.supervisor():
            self.kill(pid)
            self.counts["supervisor kills"] += 1

    def kill_keeper(self):
        self.fleet.keeper.kill()
        self.fleet.keeper.wait(10)
        self.counts["keeper kills"] += 1
        self.fleet.start(wait=False)

    def holds_hup_back(self):
        status = pathlib.Path(f"/proc/{self.fleet.keeper.pid}/status").read_text()
        return int(status.split("SigBlk:")[1].split()[0], 16) & 1

    def reload(self):
        self.tag += 1
        self.write()
        # Before a program's first instruction nothing can hold a signal back.
        self.fleet.wait_for(self.holds_hup_back, "the keeper that was just started", 60)
        self.fleet.keeper.send_signal(signal.SIGHUP)
        self.counts["reloads"] += 1

    def stop_and_start(self):
        name = self.name()
        self.fleet.cli("stop", name, timeout=60)
        # The supervisor may just have been killed; a word that was not heard is said again.
        end = time.monotonic() + 60
        while self.fleet.cli("start", "--no-wait", name, timeout=60).returncode != 0 and time.monotonic() < end:
            time.sleep(0.2)
        self.counts["stops"] += 1

    def sample(self):
        supervisor = self.fleet.supervisor()
        if not supervisor or not self.fleet.status_file.exists():
            return
        try:
            self.samples.append({
                "keeper memory KiB": memory_kib(self.fleet.keeper.pid),
                "keeper descriptors": len(os.listdir(f"/proc/{self.fleet.keeper.pid}/fd")),
                "supervisor memory KiB": memory_kib(supervisor),
                "supervisor descriptors": len(os.listdir(f"/proc/{supervisor}/fd")),
                "zombies": zombies({self.fleet.keeper.pid, supervisor}),
                "files": sum(len(files) for _, _, files in os.walk(self.fleet.log_dir)),
            })
        except (OSError, TypeError):
            pass  # one of them was just killed

    def run(self, seconds):
        self.write()
        self.fleet.start()
        self.fleet.wait_healthy(timeout=120)
        end = time.monotonic() + seconds
        # A supervisor needs a while to be itself again, so that samples compare like with like.
        next_big, next_sample, next_reload = 20.0, 5.0, 15.0
        begin = time.monotonic()
        while time.monotonic() < end:
            if self.fleet.keeper.poll() is not None:
                raise AssertionError(f"keepwell run ended by itself with {self.fleet.keeper.returncode}")
            at = time.monotonic() - begin
            self.rng.choices((self.kill_child, self.kill_member, self.stop_and_start), (10, 4, 1))[0]()
            if at >= next_reload:
                self.reload()
                next_reload = at + 15
            if at >= next_sample:
                self.sample()
                next_sample = at + 2
            if at >= next_big:
                self.rng.choice((self.kill_supervisor, self.kill_keeper))()
                next_big = at + 20
                next_sample = at + 10
            time.sleep(self.rng.uniform(0.05, 0.3))
        self.fleet.wait_for(self.fleet.answers, "an answer at the end", 60)
        self.fleet.wait_healthy(timeout=120)

    def judge(self):
        bad = []
        services = self.fleet.live()["services"]
        for i in range(self.units):
            name = f"u{i}"
            doubles = [n for n in self.fleet.notes(name) if n.what == "double"]
            # In so long a time pids come round again: only a process with this unit's command line counts.
            mine = str(self.fleet.record(name)).encode()
            living = [p for p in {s.pid for s in self.fleet.starts(name)} if alive(p) and mine in command_line(p)]
            if doubles:
                bad.append(f"{name}: {len(doubles)} instances beside another")
            if len(living) != 1:
                unit = services.get(name, {})
                bad.append(f"{name}: {len(living)} instances live at the end; keepwell says {unit.get('state')}, pid {unit.get('pid')}, "
                           f"{unit.get('reason')!r}; last notes {self.fleet.notes(name)[-3:]}")
        print("counts: " + ", ".join(f"{n} {what}" for what, n in self.counts.items()) +
              f"; {sum(len(self.fleet.starts(f'u{i}')) for i in range(self.units))} starts, {len(self.samples)} samples")
        half = len(self.samples) // 2
        if half < 3:
            bad.append("too short: fewer than six samples")
            return bad
        for figure in self.samples[0]:
            first, second = (statistics.median(s[figure] for s in part) for part in (self.samples[:half], self.samples[half:]))
            room = {"zombies": 2, "files": 40}.get(figure, 0.1 * first + (16 if "descriptors" in figure else 1024))
            print(f"{figure}: {first:g} -> {second:g} (median of the halves)")
            if second > first + room:
                bad.append(f"{figure} grows: {first:g} -> {second:g}")
        return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="keepwell-soak-") as folder:
        soak = Soak(folder, arguments.units, arguments.seed)
        try:
            soak.run(arguments.minutes * 60)
            bad = soak.judge()
        except BaseException as e:  # pytest's failures are no Exceptions
            if isinstance(e, KeyboardInterrupt):
                raise
            bad = [str(e)]
        finally:
            soak.fleet.close()
    for line in bad:
        print(f"FAILED: {line}")
    print(f"soak: {'failed' if bad else 'passed'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
