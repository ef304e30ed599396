"""keepwell as a notify service: what the service manager (here: a fake one) is told, and by whom."""
import contextlib
import os
import re
import select
import signal
import socket
import struct
import time

import pytest

from conftest import FAST, never


class Manager:
    """A NOTIFY_SOCKET that keeps each message with its sender's pid and time."""

    def __init__(self, fleet, abstract=False):
        name = f"keepwell-test-{os.getpid()}-{id(self)}" if abstract else str(fleet.dir / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(("\0" if abstract else "") + name)
        fleet.environment["NOTIFY_SOCKET"] = ("@" if abstract else "") + name
        self.messages = []

    def read(self, timeout=0.0):
        while select.select([self.socket], [], [], timeout)[0]:
            data, control, _, _ = self.socket.recvmsg(8192, socket.CMSG_SPACE(12))
            sender = next(struct.unpack("iII", c[2])[0] for c in control if c[1] == socket.SCM_CREDENTIALS)
            fields = dict(line.split("=", 1) for line in data.decode().splitlines())
            self.messages.append((time.monotonic(), sender, fields))
            timeout = 0.0
        return self.messages

    def wait(self, what, since=0, timeout=15.0):
        """The index behind the first message from `since` on for which what(fields) holds."""
        end = time.monotonic() + timeout
        while True:
            for i, (_, _, fields) in enumerate(self.read(0.02)[since:]):
                if what(fields):
                    return since + i + 1
            assert time.monotonic() < end, f"not told; told was {[m[2] for m in self.messages]}"


@pytest.fixture(params=["path", "abstract"])
def manager(fleet, request):
    manager = Manager(fleet, request.param == "abstract")
    yield manager
    manager.socket.close()


def ready(fields):
    return fields.get("READY") == "1"


def test_readiness_status_reload_and_stop_are_told_by_the_main_process(fleet, manager):
    print_environment = "tr '\\\\0' '\\\\n' </proc/self/environ >env.new; mv env.new env; exec sleep 60"
    fleet.write(fleet.unit("web") + fleet.unit("crash", keys=FAST) +
                f'[unit.env]\ncommand = ["/bin/sh", "-c", "{print_environment}"]\ndirectory = "{fleet.dir}"\n')
    fleet.environment |= {"WATCHDOG_USEC": "60000000"}
    fleet.start(wait=False)
    at = manager.wait(ready)
    assert fleet.cli("status", "--json").stdout  # ready means that it answers
    at = manager.wait(lambda f: f.get("STATUS") == "3 units: 3 healthy", at - 1)
    environment = fleet.wait_for(lambda: (fleet.dir / "env").exists() and (fleet.dir / "env").read_text(), "the environment")
    assert "NOTIFY_SOCKET" not in environment and "WATCHDOG" not in environment
    fleet.ok("stop", "web")
    at = manager.wait(lambda f: f.get("STATUS") == "3 units: 2 healthy, 1 stopped", at)
    before = time.monotonic_ns() // 1000
    fleet.keeper.send_signal(signal.SIGHUP)
    at = manager.wait(lambda f: f.get("RELOADING") == "1", at)
    assert before <= int(manager.messages[at - 1][2]["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    at = manager.wait(ready, at)
    fleet.config.write_text("nonsense")
    assert fleet.cli("reload").returncode == 1
    at = manager.wait(lambda f: f.get("RELOADING") == "1", at)
    at = manager.wait(ready, at)
    fleet.keeper.send_signal(signal.SIGTERM)
    manager.wait(lambda f: f.get("STOPPING") == "1", at)
    assert fleet.keeper.wait(20) == 0
    assert {sender for _, sender, _ in manager.read()} == {fleet.keeper.pid}
    assert manager.messages[0][2].get("WATCHDOG") == "1"


def test_the_status_is_told_once_a_second_at_most(fleet):
    manager = Manager(fleet)
    fleet.write(fleet.unit("web", "--exit-after", 50, keys='backoff = { initial = "10ms", max = "20ms", jitter = 0.0 }\n'
                           'budget = { restarts = 10000, within = "1m" }\n') + fleet.unit("other"))
    fleet.start()
    fleet.wait_for(lambda: manager.read() and len(fleet.starts("web")) >= 20, "twenty starts", 20)
    times = [t for t, _, fields in manager.read() if "STATUS" in fields and "READY" not in fields]
    # A message may be read late on a busy host, so any ten of them are compared and not only neighbours.
    assert all(b - a > 0.9 * (n + 1) - 0.5 for n in range(10) for a, b in zip(times, times[n + 1:]))
    assert all(re.fullmatch(r"2 units: .*|.*supervisor.*", f["STATUS"]) for _, _, f in manager.messages if "STATUS" in f)
    manager.socket.close()


def test_a_hung_supervisor_is_replaced_within_the_managers_patience(fleet):
    manager = Manager(fleet)
    patience = 4.0
    fleet.environment |= {"WATCHDOG_USEC": str(int(patience * 1e6))}
    fleet.write(fleet.unit("web"))
    fleet.start()
    at = manager.wait(ready)
    old = fleet.supervisor()
    never(lambda: manager.read() and fleet.supervisor() != old, "a healthy supervisor was replaced", patience / 2)
    hung = time.monotonic()
    os.kill(old, signal.SIGSTOP)
    at = manager.wait(ready, at, timeout=3 * patience)
    assert manager.messages[at - 1][0] - hung < patience
    assert fleet.supervisor() not in (None, old) and len(fleet.starts("web")) == 1
    pets = [t for t, _, fields in manager.read() if "WATCHDOG" in fields]
    assert len(pets) > 3 and all(b - a < patience / 2 for a, b in zip(pets, pets[1:]))
    manager.socket.close()


def test_another_process_s_watchdog_is_not_petted(fleet):
    manager = Manager(fleet)
    fleet.environment |= {"WATCHDOG_USEC": "200000", "WATCHDOG_PID": str(os.getpid())}
    fleet.write(fleet.unit("web"))
    fleet.start()
    manager.wait(ready)
    never(lambda: any("WATCHDOG" in m[2] for m in manager.read()), "petted", 0.5)
    manager.socket.close()


def test_a_manager_that_does_not_read_holds_nothing_up(fleet):
    manager = Manager(fleet)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, contextlib.suppress(BlockingIOError):
        other.setblocking(False)
        for _ in range(100000):
            other.sendto(b"X=1", fleet.environment["NOTIFY_SOCKET"])
    fleet.environment |= {"WATCHDOG_USEC": "10000000"}
    fleet.write(fleet.unit("web"))
    fleet.start()
    fleet.wait_healthy("web")
    fleet.ok("restart", "web")
    assert not any(map(ready, (m[2] for m in manager.read()))), "the queue was not full"
    manager.wait(ready)  # told as soon as there is room
    fleet.keeper.send_signal(signal.SIGTERM)
    assert fleet.keeper.wait(20) == 0
    manager.socket.close()
