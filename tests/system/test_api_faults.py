"""Requests that no honest client sends, on the unix socket and on TCP: oversized, slow, half, pipelined, garbage, hostile; and two tools
that are made for it. What is asserted each time: keepwell is the same process, answers others, heals, and did nothing that was not
asked for properly. docs/faults.md, section I."""
import concurrent.futures
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from api_client import Api, api_of
from conftest import SLOW, Fleet, alive, free_port, wait_for

TRANSPORTS = ["unix", "tcp"]
GET = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n"
ORDER = (b"POST /api/services/web/stop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Keepwell-Request: 1\r\n"
         b"Content-Length: 2\r\n\r\n{}")


class World:
    def __init__(self, folder):
        self.fleet = Fleet(folder)
        self.port = free_port()
        self.fleet.write(self.fleet.unit("web") + self.fleet.unit("victim"))
        text = self.fleet.config.read_text()
        self.fleet.config.write_text(text.replace("listen = []", f'listen = ["127.0.0.1:{self.port}"]'))
        self.fleet.start()
        self.fleet.wait_healthy("web", "victim")
        self.supervisor = self.fleet.supervisor()
        self.pid = self.fleet.starts("web")[-1].pid

    def connect(self, transport, timeout=30):
        if transport == "tcp":
            return socket.create_connection(("127.0.0.1", self.port), timeout * SLOW)
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout * SLOW)
        s.connect(str(self.fleet.run_dir / "control.sock"))
        return s

    def exchange(self, transport, data, timeout=30):
        """What comes back until the other side closes; a reset counts as a close."""
        answer = b""
        with self.connect(transport, timeout) as s:
            try:
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
                while part := s.recv(65536):
                    answer += part
            except OSError:
                pass
        return answer

    def survived(self):
        assert self.fleet.supervisor() == self.supervisor, f"another supervisor\n{self.fleet.context()}"
        assert api_of(self.fleet).json("/api/health")["status"] == "healthy"
        assert alive(self.pid) and self.fleet.starts("web")[-1].pid == self.pid, "an order was obeyed that nobody may have given"
        assert "internal error" not in self.fleet.output.read_text()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("api-faults"))
    yield world
    world.fleet.close()


@pytest.fixture(autouse=True)
def unharmed(world):
    yield
    world.survived()


def statuses(answer):
    """The statuses of every answer in the bytes; bodies here hold no such line."""
    return [int(line.split()[1]) for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")] + \
        [int(part[:3]) for part in answer.split(b"}HTTP/1.1 ")[1:]]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_500_slow_clients_while_the_unix_socket_answers_and_daemons_are_healed(world, transport):
    slow = []
    try:
        for n in range(500):
            try:
                s = world.connect(transport)
                s.sendall((GET + b"X-Slow: ", b"", GET + b"\r\n", ORDER[:-1])[n % 4])
            except OSError:
                continue  # over the bound for one address
            slow.append(s)
        assert len(slow) >= 100
        slowest = 0.0
        for _ in range(10):
            begin = time.monotonic()
            assert api_of(world.fleet).json("/api/health")["status"] == "healthy"
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 10 * SLOW, f"an answer took {slowest:.2f} s"
        before = len(world.fleet.starts("victim"))
        os.kill(world.fleet.starts("victim")[-1].pid, signal.SIGKILL)
        world.fleet.wait_starts("victim", before + 1, 20)
    finally:
        for s in slow:
            s.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_half_requests_leave_nothing_behind(world, transport):
    wait_for(lambda: descriptors(world.supervisor) < 150, "the clients of others to be gone", 30)
    before = descriptors(world.supervisor)
    request = GET + b"Accept: */*\r\n\r\n"
    for n in range(200):
        with world.connect(transport) as s:
            s.sendall((request, ORDER)[n % 2][:n % len(request) or 1])
    wait_for(lambda: descriptors(world.supervisor) <= before + 2, "their descriptors to be closed", 30)


def oversized():
    large = b"x" * (1 << 20)
    return {
        "a long line": b"GET /" + large + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a long header": GET + b"X-Long: " + large + b"\r\n\r\n",
        "many headers": GET + b"".join(b"X-%d: y\r\n" % n for n in range(20000)) + b"\r\n",
        "a long name": GET + large + b": x\r\n\r\n",
        "a long body": ORDER.replace(b"Content-Length: 2", b"Content-Length: 1048578") + large,
        "an endless body": ORDER.replace(b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n") + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 40,
        "a length without a body": ORDER.replace(b"Content-Length: 2", b"Content-Length: 18446744073709551615"),
    }


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_pipelined_requests_are_answered_each_and_in_order(world, transport):
    paths = ["/api/health", "/api/nothing", "/api/status/daemon/web?format=text", "/api/events?since=x"] * 25
    data = b"".join(f"GET {p} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for p in paths[:-1])
    data += f"GET {paths[-1]} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    answer = b""
    with world.connect(transport) as s:
        s.sendall(data)
        while part := s.recv(65536):
            answer += part
    found = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert found == [200, 404, 200, 400] * 25


def garbage():
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    hello = bytes.fromhex("16030100a5010000a10303") + rng.randbytes(160)
    noise = [hello, b"\0" * 4096, b"\r\n" * 5000, b"SSH-2.0-x\r\n", b"\xff\xfe" * 100, b"GET", b"{}", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
    noise += [rng.randbytes(rng.randint(1, 3000)) for _ in range(40)]
    for _ in range(60):  # a request with a byte that is another one
        mutated = bytearray(GET + b"\r\n")
        mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        noise.append(bytes(mutated))
    return {repr(data[:80]): data for data in noise}


HOSTILE = {
    "two lengths": ORDER.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 3"),
    "a length and chunks": ORDER.replace(b"Content-Length: 2", b"Content-Length: 2\r\nTransfer-Encoding: chunked"),
    "a length that is no number": ORDER.replace(b"Content-Length: 2", b"Content-Length: two"),
    "a negative length": ORDER.replace(b"Content-Length: 2", b"Content-Length: -2"),
    "a length with a sign": ORDER.replace(b"Content-Length: 2", b"Content-Length: +2"),
    "a chunk that is too long": ORDER.replace(b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}\r\n0\r\n\r\n"),
    "a form": ORDER.replace(b"application/json", b"application/x-www-form-urlencoded"),
    "text": ORDER.replace(b"application/json", b"text/plain"),
    "no header of ours": ORDER.replace(b"X-Keepwell-Request: 1\r\n", b""),
    "an empty header of ours": ORDER.replace(b"X-Keepwell-Request: 1", b"X-Keepwell-Request: "),
    "a GET": ORDER.replace(b"POST", b"GET"),
    "an unknown method": ORDER.replace(b"POST", b"STOP"),
    "a method that overrides": ORDER.replace(b"POST", b"GET").replace(b"Host:", b"X-HTTP-Method-Override: POST\r\nHost:"),
    "up the tree": ORDER.replace(b"/services/web/", b"/services/../services/web/"),
    "an encoded slash": ORDER.replace(b"/web/stop", b"/web%2fstop"),
    "encoded dots": ORDER.replace(b"/web/", b"/%2e%2e/"),
    "a NUL in the name": ORDER.replace(b"/web/", b"/web%00/"),
    "encoded twice": ORDER.replace(b"/web/", b"/%2577eb/"),
    "overlong UTF-8": ORDER.replace(b"/web/", b"/web%c0%ae/"),
    "a shell": ORDER.replace(b"/web/", b"/web;reboot/"),
    "a verb that is none": ORDER.replace(b"/stop", b"/__class__"),
    "a nested object": ORDER.replace(b"2\r\n\r\n{}", b"40\r\n\r\n" + b'{"verb":{"$gt":""},"names":{"a":"web"}}  '[:40]),
    "a body that is cut": ORDER.replace(b"Content-Length: 2", b"Content-Length: 20"),
    "a NUL in a header": ORDER.replace(b"X-Keepwell-Request: 1", b"X-Keepwell-Request: \x001"),
    "a folded header": ORDER.replace(b"X-Keepwell-Request: 1", b"X-Keepwell-Request:\r\n 2"),
    "a space before the colon": ORDER.replace(b"X-Keepwell-Request:", b"X-Keepwell-Request :"),
    "no host": ORDER.replace(b"Host: localhost\r\n", b""),
}


@pytest.fixture(scope="module")
def answers(world):
    """{(kind, transport, what): bytes}; all at once, since who sends half a request waits for the deadline."""
    cases = {(kind, transport, what): data for transport in TRANSPORTS
             for kind, requests in (("oversized", oversized()), ("garbage", garbage()), ("hostile", HOSTILE)) for what, data in requests.items()}
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        begun = {case: pool.submit(world.exchange, case[1], data) for case, data in cases.items()}
        return {case: future.result() for case, future in begun.items()}


def of_kind(answers, kind, transport):
    found = {what: answer for (k, t, what), answer in answers.items() if (k, t) == (kind, transport)}
    assert found
    return found.items()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_oversized_requests_are_refused_or_cut_off(answers, transport):
    for what, answer in of_kind(answers, "oversized", transport):
        assert all(400 <= s < 500 for s in statuses(answer)), f"{what}: {answer[:300]}"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_garbage_ends_its_own_connection_only(answers, transport):
    for what, answer in of_kind(answers, "garbage", transport):
        assert all(s < 500 or s in (501, 505) for s in statuses(answer)), f"{what}: {answer[:300]}"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_hostile_requests_change_nothing(world, answers, transport):
    for what, answer in of_kind(answers, "hostile", transport):
        assert all(400 <= s < 500 or s in (501, 505) for s in statuses(answer)), f"{what}: {answer[:300]}"
        assert str(world.fleet.dir).encode() not in answer, f"{what}: a path of the machine"
    assert world.fleet.live("web")["state"] == "running"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_is_asked_comes_back_as_data(world, transport):
    """Markup in a name, a header or a body is told back inside of JSON, or not at all."""
    mark = "<script>alert(1)</script>"
    api = api_of(world.fleet) if transport == "unix" else Api(f"http://127.0.0.1:{world.port}")
    for path in (f"/api/why/{mark}".replace("</", "%3C%2F"), f"/api/alerts?severity={mark}", f"/{mark}"):
        answer = api.get(path.replace("<", "%3C").replace(">", "%3E"))
        assert answer.status in (400, 404) and answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert json.loads(answer.body)["status"] == "error"


def while_tool_runs(world, command):
    """Runs the tool; meanwhile the unix socket answers and a daemon is healed. Gives its output."""
    world.connect("tcp").close()  # there is something to attack
    done = {}
    tool = threading.Thread(target=lambda: done.update(result=subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=world.fleet.dir)))
    tool.start()
    before, answers, slowest = len(world.fleet.starts("victim")), 0, 0.0
    os.kill(world.fleet.starts("victim")[-1].pid, signal.SIGKILL)
    while tool.is_alive():
        begin = time.monotonic()
        assert api_of(world.fleet).json("/api/health")["status"] == "healthy"
        slowest, answers = max(slowest, time.monotonic() - begin), answers + 1
        time.sleep(0.05)
    tool.join()
    world.fleet.wait_starts("victim", before + 1, 20)
    assert answers > 0 and slowest < 10 * SLOW, f"an answer took {slowest:.2f} s"
    return done["result"].stdout + done["result"].stderr


@pytest.mark.parametrize("mode", ["H", "B", "R", "X"], ids=["slow headers", "slow body", "ranges", "slow read"])
def test_slowhttptest_stops_neither_the_unix_socket_nor_healing(world, mode):
    if not shutil.which("slowhttptest"):
        pytest.skip("slowhttptest is not installed")
    output = while_tool_runs(world, ["slowhttptest", f"-{mode}", "-c", "150", "-r", "150", "-i", "1", "-l", "3", "-p", "10", "-u", f"http://127.0.0.1:{world.port}/api/status"])
    assert "test duration" in output.lower() or "exit status" in output.lower(), output[-800:]


def test_wfuzz_finds_no_answer_that_is_our_fault(world):
    if not shutil.which("wfuzz"):
        pytest.skip("wfuzz is not installed")
    words = world.fleet.dir / "words"
    words.write_text("\n".join(["api/status", "api/../api", "..%2f..%2fetc/passwd", "%00", "%ff%fe", "api/why/%27%20or%201", "api/status/daemon/{{7*7}}",
                                "api/explain/$(id)", "api/actions/-1", "api/events?since=%2d1", "api/status?logs=1e9", "api/alerts?state=%0d%0aX:y", "health?strict=%31",
                                ".git/config", "RPC2", "api/%61lerts", "api/status;x=y", "api/status%20", "a" * 2000, "api/" + "../" * 50]) + "\n")
    target = f"http://127.0.0.1:{world.port}/FUZZ"
    for method in ("GET", "POST", "PUT"):
        found = world.fleet.dir / "found.json"
        output = while_tool_runs(world, ["wfuzz", "-z", f"file,{words}", "-X", method, "-t", "4", "--req-delay", "20", "-f", f"{found},json", target])
        answers = json.loads(found.read_text())
        assert len(answers) == 20, output[-800:]
        # the victim is killed meanwhile, and 503 is what a strict health question is to answer then
        faults = [(a["url"], a["code"]) for a in answers if a["code"] >= 500 and not (a["code"] == 503 and "/health?strict=" in a["url"])]
        assert not faults, f"{method}: {faults}"
