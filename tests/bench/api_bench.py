#!/usr/bin/python3
"""What the control API serves and what that costs: GET /api/status of 100 units over TCP, as 304 and as whole bodies, with the
processor time of the supervisor, and how long a killed daemon waits for its restart meanwhile.

usage: api_bench.py [--units 100] [--seconds 8] [--clients 32]
KEEPWELL_BIN and VICTIM_BIN name the programs; needs wrk. Client, server and daemons share the machine's processors."""
import argparse
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/system"))
from api_client import Api  # noqa: E402
from conftest import Fleet, free_port  # noqa: E402

KEYS = 'backoff = { initial = "0ms", max = "0ms", jitter = 0.0 }\nbudget = { restarts = 100000, within = "1m" }\n'


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Killer(threading.Thread):
    """Kills one daemon again and again, and takes the time until its successor has written that it lives."""

    def __init__(self, fleet, name):
        super().__init__(daemon=True)
        self.fleet, self.name, self.delays, self.over = fleet, name, [], threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            starts = self.fleet.starts(self.name)
            killed = time.monotonic_ns()
            os.kill(starts[-1].pid, signal.SIGKILL)
            end = time.monotonic() + 10
            while len(again := self.fleet.starts(self.name)) == len(starts) and time.monotonic() < end:
                time.sleep(0.002)
            if len(again) > len(starts):
                self.delays.append((again[-1].ns - killed) / 1e6)

    def finish(self):
        self.over.set()
        self.join()
        return self.delays


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def load(url, clients, seconds, headers):
    options = [o for k, v in headers.items() for o in ("-H", f"{k}: {v}")]
    out = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", *options, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out and "If-None-Match" not in headers:
        sys.exit(f"not every answer was good:\n{out}")
    if "Socket errors" in out:
        sys.exit(f"connections failed:\n{out}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), milliseconds(re.search(r"99%\s+(\S+)", out)[1])


def measure(fleet, title, run):
    """One row: requests a second, p99, processor time of the supervisor, restarts meanwhile."""
    killer, pid = Killer(fleet, "u0"), fleet.supervisor()
    begin, cpu = time.monotonic(), cpu_seconds(pid)
    killer.start()
    rate, p99 = run()
    used = (cpu_seconds(pid) - cpu) / (time.monotonic() - begin)
    delays = killer.finish()
    print(f"{title:34} {rate:8.0f}/s   p99 {p99:6.2f} ms   supervisor {100 * used:5.1f} % of a core   "
          f"restart median {statistics.median(delays):5.1f} ms, worst {max(delays):5.1f} ms, n {len(delays)}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("cannot measure: wrk is not installed (apt install wrk)")
    with tempfile.TemporaryDirectory() as folder:
        fleet, port = Fleet(folder), free_port()
        try:
            fleet.write("".join(fleet.unit(f"u{n}", keys=KEYS) for n in range(options.units)))
            fleet.config.write_text(fleet.config.read_text().replace("listen = []", f'listen = ["127.0.0.1:{port}"]'))
            fleet.start()
            fleet.wait_healthy(timeout=60)
            url = f"http://127.0.0.1:{port}/api/status"
            api = Api(f"http://127.0.0.1:{port}")
            print(f"{options.units} units, a body of {len(api.get('/api/status').body)} bytes, {options.clients} connections, {options.seconds} s each")
            idle = lambda: (time.sleep(options.seconds), (0.0, 0.0))[1]
            measure(fleet, "nobody asks", idle)
            measure(fleet, "whole bodies", lambda: load(url, options.clients, options.seconds, {}))
            # While daemons are killed the tag changes all the time; a star fits every one.
            measure(fleet, "304", lambda: load(url, options.clients, options.seconds, {"If-None-Match": "*"}))
            measure(fleet, "GET /api/health, to compare", lambda: load(url.replace("status", "health"), options.clients, options.seconds, {}))
        finally:
            fleet.close()


if __name__ == "__main__":
    main()
