#!/usr/bin/env python3
"""What becomes of five daemons and their output when the process that watches them is killed with SIGKILL and started
again. usage: kill9.py [keepwell,keepwell-keeper,supervisord,runsv,s6-supervise]. The daemons' own files are the oracle:
five live instances, no refused write and no missing line is the goal."""
import json
import os
import pathlib
import re
import signal
import sys
import time

from peers import Keepwell, Runit, S6, Supervisord, command_line, tree

COUNT = 5
DAEMON = '''#!/bin/sh
trap "" PIPE
echo $$ >> "$1.starts"
i=0
while :; do i=$((i+1)); if ! echo "L $$ $i" 2>/dev/null; then echo "$i" >> "$1.refused"; fi; sleep 0.01; done
'''


def arguments(pid):
    return command_line(pid).split(b"\0")


def of(base, victim, again):
    """The peer with the daemon above in place of the beacon; victim(peer) names the process to kill."""

    class Case(base):
        def setup(self):
            self.flood = True  # with its log
            self.put("daemon.sh", DAEMON)
            super().setup()

        def command(self, i):
            return ["/bin/sh", f"{self.dir}/daemon.sh", f"{self.dir}/o{i}"]

        def to_kill(self):
            return victim(self)

        def again(self):
            if again:
                self.start()

    return Case


def child(*words):
    wanted = [w.encode() for w in words]
    return lambda peer: next(p for p in tree(peer.process.pid) if all(w in arguments(p)[:3] for w in wanted))


CASES = {
    "keepwell": of(Keepwell, child("supervise"), False),
    "keepwell-keeper": of(Keepwell, lambda peer: peer.process.pid, True),
    "supervisord": of(Supervisord, lambda peer: peer.process.pid, True),
    "runsv": of(Runit, child("runsv", "s0"), False),
    "s6-supervise": of(S6, child("s6-supervise", "s0"), False),
}


def numbers(path):
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def run(name):
    with CASES[name](COUNT) as peer:
        folder = pathlib.Path(peer.dir)
        starts = lambda: [numbers(folder / f"o{i}.starts") for i in range(COUNT)]
        peer.start()
        end = time.monotonic() + 20
        while not all(starts()) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(2)
        first = [s[0] for s in starts()]
        before = tree(peer.process.pid)
        os.kill(peer.to_kill(), signal.SIGKILL)
        time.sleep(2)
        after_kill = sum(map(alive, first))
        peer.again()
        time.sleep(5)
        every = starts()
        text = "".join(p.read_text(errors="replace") for p in (folder / "logs").rglob("*") if p.is_file())
        missing = 0
        for pid in (p for s in every for p in s):
            seen = {int(m) for m in re.findall(rf"^L {pid} (\d+)$", text, re.M)}
            missing += max(seen) - len(seen) if seen else 0
        print(json.dumps({
            "killed": name, "daemons_alive_after_kill": after_kill, "starts": sum(map(len, every)),
            "live_instances_at_end": sum(alive(p) for s in every for p in s),
            "writes_refused": sum(len(numbers(folder / f"o{i}.refused")) for i in range(COUNT)),
            "lines_missing_inside_log": missing}), flush=True)
        for pid in {*before, *(p for s in every for p in s)}:
            if pid != peer.process.pid and peer.dir.encode() in command_line(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass


if __name__ == "__main__":
    for case in (sys.argv[1] if len(sys.argv) > 1 else "keepwell,keepwell-keeper").split(","):
        run(case)
