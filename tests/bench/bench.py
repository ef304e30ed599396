#!/usr/bin/env python3
"""keepwell, the floor and every installed peer on the same work in one run; one table of figures and ratios.

usage: bench.py [-n 900] [--rounds 15] [--log 300000000] [--peers floor,keepwell,…] [--json FILE]
Times are written by the children themselves as their first act, so a restart ends at the child's main(), not at the
supervisor's word. Compare only figures of one run and quote the ratios. At most 950 processes at a time."""
import argparse
import json
import os
import random
import signal
import statistics
import time

from peers import PEERS, cpu_seconds, memory_kb, now, wake_ups

MOST_PROCESSES = 950
# figure, title, unit
ROWS = [("restart_1", "restart, 1 unit", "ms"), ("restart_n", "restart, {n} units", "ms"), ("start_n", "start of {n}", "ms"),
        ("storm_n", "all {n} killed until all run", "ms"), ("storm_cpu", "  its own CPU time", "s"), ("pss_n", "memory at rest (PSS), {n} units", "KiB"),
        ("pss_parent", "  of the parent of the daemons", "KiB"), ("dirty_n", "  private dirty, all", "KiB"), ("pss_storm", "  after the storm", "KiB"), ("idle_cpu", "CPU when idle, {n} units", "%"),
        ("idle_wakes", "wake-ups a second when idle", ""), ("log_large", "log, large writes", "MB/s"), ("log_small", "log, 100-byte writes", "MB/s")]

OWN = {"pss_n", "pss_parent", "dirty_n", "pss_storm", "idle_cpu", "idle_wakes", "storm_cpu"}  # against keepwell, not the floor


def restarts(peer, rounds):
    """Median milliseconds from kill -9 of a random unit to main() of its successor; the first two warm up."""
    took = []
    for _ in range(rounds + 2):
        i = random.randrange(peer.count)
        pid = peer.slots.get(i)[1]
        time.sleep(0.12 if peer.count > 5 else 1.2)  # past every peer's "started too recently"
        peer.slots.forget_start(i)
        begin = now()
        os.kill(pid, signal.SIGKILL)
        if peer.slots.wait([i], 20):
            raise RuntimeError(f"unit {i} did not come back within 20 s")
        took.append((peer.slots.get(i)[0] - begin) / 1e6)
    return statistics.median(took[2:])


def start_all(peer, timeout):
    begin = now()
    peer.start()
    missing = peer.slots.wait(range(peer.count), timeout)
    if missing:
        raise RuntimeError(f"{missing} of {peer.count} did not start within {timeout} s")
    return (max(peer.slots.get(i)[0] for i in range(peer.count)) - begin) / 1e6


def one(kind, rounds):
    with kind(1) as peer:
        start_all(peer, 30)
        time.sleep(1.5)
        return {"restart_1": restarts(peer, rounds)}


def many(kind, count, rounds):
    with kind(count) as peer:
        result = {"start_n": start_all(peer, 120)}
        time.sleep(2)
        own = peer.own()
        before, wakes = cpu_seconds(own), wake_ups(own)
        time.sleep(10)
        result["idle_cpu"] = 100 * (cpu_seconds(own) - before) / 10
        result["idle_wakes"] = (wake_ups(own) - wakes) / 10
        memory = [memory_kb(pid) for pid in own]
        result["pss_n"] = sum(pss for pss, _ in memory)
        result["pss_parent"] = memory[0][0]
        result["dirty_n"] = sum(dirty for _, dirty in memory)
        result["restart_n"] = restarts(peer, rounds)
        time.sleep(2)
        pids = [peer.slots.get(i)[1] for i in range(count)]
        for i in range(count):
            peer.slots.forget_start(i)
        before, begin = cpu_seconds(own), now()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        missing = peer.slots.wait(range(count), 60)
        if missing:
            raise RuntimeError(f"{missing} of {count} did not come back within 60 s")
        result["storm_n"] = (max(peer.slots.get(i)[0] for i in range(count)) - begin) / 1e6
        result["storm_cpu"] = cpu_seconds(own) - before
        result["pss_storm"] = sum(memory_kb(pid)[0] for pid in own)
        return result


def log(kind, size, write):
    with kind(1, flood=size, write=write) as peer:
        start_all(peer, 30)
        end = time.monotonic() + 90
        while peer.slots.get(0)[3] == 0:
            if time.monotonic() > end:
                raise RuntimeError("the flood did not end within 90 s")
            time.sleep(0.02)
        return size / 1e6 / (peer.slots.get(0)[3] / 1e9)


def measure(kind, options):
    result = {}

    def part(name, run):
        try:
            result.update(run())
        except Exception as error:  # one figure less, not one table less
            result.setdefault("errors", []).append(f"{name}: {error}")

    part("one", lambda: one(kind, options.rounds))
    if (options.n + 1) * kind.processes_per_unit <= MOST_PROCESSES:
        part("many", lambda: many(kind, options.n, options.rounds))
    part("log", lambda: {"log_large": log(kind, options.log, 65500)})
    part("log", lambda: {"log_small": log(kind, options.log // 10, 100)})
    return result


def table(results, n):
    names = list(results)
    print(f"{'':34}" + "".join(f"{name:>22}" for name in names))
    for key, title, unit in ROWS:
        # The floor has no memory or CPU worth a ratio; there keepwell is the measure.
        base_name = "floor" if key not in OWN else "keepwell"
        base = results.get(base_name, {}).get(key)
        cells = ""
        for name in names:
            value = results[name].get(key)
            text = "-" if value is None else f"{value:.{0 if value >= 100 else 2}f}"
            if value is not None and base and name != base_name:
                text += f" ({value / base:.2f} x)"
            cells += f"{text:>22}"
        print(f"{title.format(n=n) + ', ' + unit:34}{cells}")
    for name in names:
        for error in results[name].get("errors", []):
            print(f"{name}: {error}")
    print("(x): against the floor; memory and CPU against keepwell. -: not measured, more than "
          f"{MOST_PROCESSES} processes or an error.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=900)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--log", type=int, default=300_000_000, help="bytes; a tenth of it in 100-byte writes")
    parser.add_argument("--peers", default="")
    parser.add_argument("--json")
    options = parser.parse_args()
    options.n = min(options.n, MOST_PROCESSES - 50)
    names = options.peers.split(",") if options.peers else [n for n, p in PEERS.items() if p.installed()]
    results = {}
    for name in names:
        print(f"measuring {name} …", flush=True)
        results[name] = measure(PEERS[name], options)
    table(results, options.n)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
    return 1 if any(r.get("errors") for name, r in results.items() if name in ("floor", "keepwell")) else 0


if __name__ == "__main__":
    raise SystemExit(main())
