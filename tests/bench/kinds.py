#!/usr/bin/python3
"""What an observed unit costs in time: a systemd unit's death until its start job is queued, a PID-file daemon's death until
it is noticed, and the processor time of a thousand mixed checks a second.

usage: kinds.py [--rounds 20] [--seconds 20]
KEEPWELL_BIN and VICTIM_BIN name the programs. Backoff is 0, so what is left is keepwell's own."""
import argparse
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/system"))
from conftest import Fleet, free_port, toml  # noqa: E402
from user_systemd import UserSystemd  # noqa: E402

KEYS = 'backoff = { initial = "0ms", max = "0ms", jitter = 0.0 }\nbudget = { restarts = 10000, within = "1m" }\n'


def row(title, values):
    values = sorted(values)
    print(f"{title:58} median {statistics.median(values):6.1f} ms   p95 {values[int(len(values) * 0.95) - 1]:6.1f} ms   n {len(values)}", flush=True)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def listen_for_jobs(address, unit, jobs):
    """Appends the time of every job that systemd queues for the unit, in a thread of its own."""
    import dbus
    import dbus.mainloop.glib
    from gi.repository import GLib
    bus = dbus.bus.BusConnection(address, mainloop=dbus.mainloop.glib.DBusGMainLoop())
    bus.call_blocking("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "Subscribe", "", ())
    bus.add_signal_receiver(lambda _id, _path, name: jobs.append(time.monotonic()) if name == unit else None, "JobNew",
                            "org.freedesktop.systemd1.Manager")
    threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
    return bus


def systemd_death(folder, rounds):
    with UserSystemd() as systemd:
        fleet, jobs = Fleet(folder), []
        try:
            systemd.write_unit("web.service", f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={' '.join(fleet.victim('web'))}\n")
            systemd.systemctl("daemon-reload")
            fleet.write(f'[unit.web]\nsystemd = "web.service"\nbus = "{systemd.bus_address}"\n{KEYS}')
            fleet.start()
            fleet.wait_healthy("web")
            bus = listen_for_jobs(systemd.bus_address, "web.service", jobs)
            took = []
            for _ in range(rounds):
                pid = int(systemd.show("web.service", "MainPID"))
                jobs.clear()
                begin = time.monotonic()
                os.kill(pid, signal.SIGKILL)
                fleet.wait_for(lambda: jobs, "a job")
                took.append((jobs[0] - begin) * 1000)
                fleet.wait_for(lambda: fleet.live("web")["pid"] not in (pid, None), "the next instance")
                fleet.wait_healthy("web")
            row("systemd unit: SIGKILL until its start job is queued", took)
            del bus
        finally:
            fleet.close()


def noticed(fleet, name, begin_ms):
    for line in (fleet.state_dir / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["service"] == name and event["kind"] == "exit" and event["ms"] >= begin_ms:
            return event["ms"] - begin_ms
    return None


def pidfile_death(folder, rounds, by_hand):
    fleet = Fleet(folder)
    try:
        pidfile = fleet.dir / "web.pid"
        command = fleet.victim("web", "--double-fork", "--pidfile", pidfile)
        fleet.write(f'[unit.web]\npidfile = "{pidfile}"\nstart_command = {toml(command)}\n{KEYS}')
        if by_hand:
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=fleet.cgroup.join)
            fleet.wait_for(lambda: pidfile.exists() and pidfile.read_text().strip(), "the PID file")
        fleet.start()
        took = []
        for _ in range(1 if by_hand else rounds):
            fleet.wait_healthy("web")
            pid = fleet.live("web")["pid"]
            begin = time.time() * 1000
            os.kill(pid, signal.SIGKILL)
            fleet.wait_for(lambda: fleet.live("web")["pid"] not in (pid, None), "the next instance")
            fleet.wait_for(lambda: noticed(fleet, "web", int(begin)) is not None, "the exit to be written")
            took.append(noticed(fleet, "web", int(begin)))
        return took
    finally:
        fleet.close()


def mixed_checks(folder, seconds):
    """100 units of five checks each, every half a second."""
    fleet = Fleet(folder)
    port = free_port()
    nginx = fleet.dir / "nginx.conf"
    nginx.write_text(f"daemon off; worker_processes 1; pid {fleet.dir}/nginx.pid; error_log {fleet.dir}/error.log;\n"
                     f"events {{ worker_connections 4096; }}\nhttp {{ access_log {fleet.dir}/access.log;\n"
                     f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 ok; }} }} }}\n")
    server = subprocess.Popen(["/usr/sbin/nginx", "-c", nginx, "-p", fleet.dir], preexec_fn=fleet.cgroup.join)
    fleet.extra.append(server)
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(fleet.dir / "local.sock"))
    local.listen(1024)

    def accept():
        while True:
            try:
                local.accept()[0].close()
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    checks = {"http": f'url = "http://127.0.0.1:{port}/"', "tcp": f"port = {port}", "unix": f'path = "{fleet.dir}/local.sock"',
              "file": f'path = "{nginx}"', "process": 'match = "nginx: master"'}
    often = 'interval = "500ms", retry_interval = "500ms", grace = "0s"'
    fleet.write("\n".join(f"[unit.u{i}]\n" + "".join(f"check.{kind} = {{ {keys}, {often} }}\n" for kind, keys in checks.items()) for i in range(100)))
    try:
        fleet.start()
        fleet.wait_for(lambda: all(s["health"]["status"] == "healthy" for s in fleet.live()["services"].values()), "all to be healthy", 30)
        log, pid = fleet.dir / "access.log", fleet.supervisor()

        def answers():
            return log.read_bytes().count(b"\n")

        before, used, begin = answers(), cpu_seconds(pid), time.monotonic()
        wanted = before + int(seconds * 200)  # the http checks of so long
        fleet.wait_for(lambda: answers() >= wanted, "the checks to run", 3 * seconds)
        took, used = time.monotonic() - begin, cpu_seconds(pid) - used
        rate = (answers() - before) / took * len(checks)
        bad = [k for k, s in fleet.live()["services"].items() if s["health"]["status"] != "healthy"]
        print(f"mixed checks ({', '.join(checks)}){'':16} {rate:6.0f} a second   {used / took * 100:5.1f} % of a core   not healthy: {len(bad)}", flush=True)
    finally:
        local.close()
        fleet.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="keepwell-kinds-") as root:
        root = pathlib.Path(root)
        for n, work in enumerate((
                lambda d: systemd_death(d, arguments.rounds),
                lambda d: row("PID-file daemon of keepwell's: SIGKILL until noticed", pidfile_death(d, arguments.rounds, False)),
                lambda d: row("PID-file daemon of another's: SIGKILL until noticed",
                              [t for i in range(max(5, arguments.rounds // 4)) for t in pidfile_death(_new(d / str(i)), 1, True)]),
                lambda d: mixed_checks(d, arguments.seconds))):
            work(_new(root / str(n)))


def _new(folder):
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    main()
