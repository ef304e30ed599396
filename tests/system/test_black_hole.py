"""A dead name server: checks by name fail at their deadline, and nothing else waits for them."""
import ctypes
import fcntl
import os
import signal
import socket
import struct
import time

import pytest

from conftest import FAST

CLONE_NEWNS, CLONE_NEWNET, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x40000000, 4096, 16384, 1 << 18
libc = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def black_hole(resolv_conf):
    """In a network of its own whose only name server takes every question and answers none."""
    checked(libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
    checked(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "private mounts")
    checked(libc.mount(str(resolv_conf).encode(), os.path.realpath("/etc/resolv.conf").encode(), None, MS_BIND, None), "resolv.conf")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        flags = struct.pack("16sh14x", b"lo", 1 | 64)  # up, running
        fcntl.ioctl(s, 0x8914, flags)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    if os.fork() == 0:
        libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # with the keeper
        os.closerange(0, server.fileno())  # among them the pipe that tells of the exec
        os.closerange(server.fileno() + 1, 4096)
        while True:
            server.recv(4096)


@pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/etc/resolv.conf"), reason="needs root and a resolv.conf")
def test_fault_55_a_dead_name_server_delays_neither_files_nor_other_checks(fleet):
    resolv = fleet.dir / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:3\n")
    names = "".join(f'check.n{i} = {{ type = "{kind}", {where}, interval = "300ms", timeout = "1s", effect = "none", heals = false }}\n'
                    for i, (kind, where) in enumerate([("http", f'url = "http://host{n}.example/"') for n in range(5)] +
                                                      [("tcp", f'host = "host{n}.example", port = 80') for n in range(5)] +
                                      [("dns", f'name = "host{n}.example"') for n in range(10)]))
    fleet.write(fleet.unit("web", keys=FAST + names + f'check.file = {{ path = "{resolv}", interval = "100ms", grace = "0s" }}\n') +
                fleet.unit("other", keys=FAST))
    fleet.start(before=lambda: black_hole(resolv))
    failing = lambda: [c for c in fleet.live("web")["checks"] if c["output"].startswith("timed out")]
    fleet.wait_for(lambda: len(failing()) == 20, "all checks by name to time out", 20)
    for _ in range(3):
        before = fleet.status()["services"]["other"]["generation"]
        os.kill(fleet.starts("other")[-1].pid, signal.SIGKILL)
        began = time.monotonic()
        fleet.wait_for(lambda: fleet.status()["services"]["other"]["generation"] > before, "the status file to tell of the restart", 5)
        assert time.monotonic() - began < 3, "the status file waited for name lookups"
    file = next(c for c in fleet.live("web")["checks"] if c["id"] == "file")
    assert file["status"] == "pass" and file["duration_ms"] < 500, file
