#!/usr/bin/python3
"""Many clients of /api/logs/stream at once: does each get every line in order, and what do they cost the supervisor?

usage: streams_bench.py [--clients 200] [--rate 100] [--seconds 20]
KEEPWELL_BIN names the program. Aims: at most 25 % of a core and 30 MiB (PSS) of the supervisor."""
import argparse
import os
import pathlib
import re
import selectors
import socket
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/system"))
from conftest import Fleet, toml  # noqa: E402

PROGRAM = """import sys, time
n, begin = 0, time.monotonic()
while True:
    while n < (time.monotonic() - begin) * RATE:
        print("line", n, "of a program that says what it does", flush=True)
        n += 1
    time.sleep(0.01)
"""
NUMBER = re.compile(rb'"message":"line (\d+) ')


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.sendall(b"GET /api/logs/stream?type=web&lines=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.socket.setblocking(False)
        self.bytes = []

    def read(self):
        self.bytes.append(self.socket.recv(1 << 20))
        return self.bytes[-1]

    def numbers(self):
        return [int(n) for n in NUMBER.findall(b"".join(self.bytes))]


def pump(selector, seconds):
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            if not key.data.read():
                sys.exit("a stream ended")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(folder)
        try:
            fleet.write(f'[unit.web]\ncommand = {toml(["/usr/bin/python3", "-c", PROGRAM.replace("RATE", str(options.rate))])}\n',
                        f"[supervisor.api]\nmax_streams = {options.clients + 10}\nmax_streams_per_address = {options.clients + 10}")
            fleet.start()
            fleet.wait_for(lambda: fleet.log_text("web"), "the first line")
            pid = fleet.supervisor()
            alone = pss_mib(pid)
            selector, clients = selectors.DefaultSelector(), []
            for _ in range(options.clients):
                clients.append(Client(str(fleet.run_dir / "control.sock")))
                selector.register(clients[-1].socket, selectors.EVENT_READ, clients[-1])
            pump(selector, 2)
            cpu, begin = cpu_seconds(pid), time.monotonic()
            pump(selector, options.seconds)
            share = (cpu_seconds(pid) - cpu) / (time.monotonic() - begin) * 100
            memory = pss_mib(pid)
            orders = [client.numbers() for client in clients]
            gaps = sum(b"event: gap" in b"".join(client.bytes) for client in clients)
            wrong = sum(numbers != list(range(numbers[0], numbers[0] + len(numbers))) for numbers in orders if numbers)
            fewest = min(map(len, orders))
            print(f"{options.clients} clients, {options.rate} lines/s, {options.seconds:g} s: {share:.1f} % of a core, "
                  f"PSS {memory:.1f} MiB ({alone:.1f} before), fewest lines {fewest}, out of order {wrong}, gaps {gaps}")
            if wrong or gaps or fewest < options.rate * options.seconds * 0.9:
                sys.exit("not every client got every line in order")
        finally:
            fleet.close()


if __name__ == "__main__":
    main()
