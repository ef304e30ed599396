"""The fleet that every system test starts: a real keeper and supervisor in a temporary folder, in a cgroup and session of
their own, cleaned up also when the test fails. Oracles are the files of the victims, not the words of keepwell."""
import gzip
import http.server
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
from collections import namedtuple

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
KEEPWELL = pathlib.Path(os.environ.get("KEEPWELL_BIN", TOP / "build/dev/bin/keepwell"))
VICTIM = pathlib.Path(os.environ.get("VICTIM_BIN", TOP / "build/dev/bin/victim"))
SCHEMA = TOP / "contrib/status.schema.json"
# Deadlines of slow builds (sanitizers, valgrind) are this much longer.
SLOW = float(os.environ.get("KEEPWELL_TEST_SLOW", "1"))

Note = namedtuple("Note", "what pid ns sequence")
FAST = 'backoff = { initial = "50ms", max = "200ms", jitter = 0.0 }\nbudget = { restarts = 10000, within = "1m" }\n'
# Of a check whose every run counts.
INTERVALS = 'interval = "100ms", retry_interval = "100ms", timeout = "2s", grace = "0s"'
_numbers = itertools.count()


def pytest_configure(config):
    config.addinivalue_line("markers", "alone: not beside other tests (what it measures or changes is the whole machine's)")


def wait_for(predicate, what="the condition", timeout=10.0, context=lambda: ""):
    """The predicate's first true value; fails with `what` and the context after `timeout` seconds."""
    end = time.monotonic() + timeout * SLOW
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout * SLOW:g} s for {what}\n{context()}", pytrace=False)
        time.sleep(0.01)


def never(predicate, what, seconds):
    """Fails as soon as the predicate holds within that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert not predicate(), what
        time.sleep(0.01)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid):
    try:
        return [int(c) for t in os.listdir(f"/proc/{pid}/task")
                for c in pathlib.Path(f"/proc/{pid}/task/{t}/children").read_text().split()]
    except OSError:
        return []


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


# The ports of free_port() are free until somebody binds them: so they lie below the kernel's own choices, and each worker
# of pytest-xdist has its own. Where to begin differs, for the sake of other runs on this machine.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw")) + 1
_PORTS = range(12000 + _WORKER % 40 * 500, 12000 + _WORKER % 40 * 500 + 500)
_ports = itertools.islice(itertools.cycle(_PORTS), os.getpid() % len(_PORTS), None)


def free_port():
    for port in itertools.islice(_ports, len(_PORTS)):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    pytest.fail("no port is free")


def toml(value):
    """A string or list as TOML; JSON's spelling is TOML's for both."""
    return json.dumps(value)


class Cgroup:
    """A cgroup of its own where cgroup v2 can be written; else every call does nothing."""

    def __init__(self):
        self.path = None
        for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            if os.path.exists(f"{root}/cgroup.procs") and os.access(f"{root}/cgroup.procs", os.W_OK):
                path = pathlib.Path(root) / f"keepwell-test-{os.getpid()}-{next(_numbers)}"
                try:
                    path.mkdir()
                    self.path = path
                except OSError:
                    pass
                break

    def join(self):
        if self.path:
            (self.path / "cgroup.procs").write_text("0")

    def processes(self):
        found = []
        for where, _, files in os.walk(self.path or "/nonexistent"):
            if "cgroup.procs" in files:
                try:
                    found += [int(p) for p in pathlib.Path(where, "cgroup.procs").read_text().split()]
                except OSError:
                    pass
        return found

    def remove(self):
        if not self.path:
            return
        kill = self.path / "cgroup.kill"
        for _ in range(500):
            try:
                if kill.exists():
                    kill.write_text("1")
                for pid in self.processes():
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
            try:
                for where, _, _ in os.walk(self.path, topdown=False):
                    os.rmdir(where)
                return
            except OSError:
                time.sleep(0.01)


class Freezer:
    """A cgroup v1 freezer: what is in it while it is frozen neither runs nor dies."""

    def __init__(self):
        self.path = pathlib.Path(f"/sys/fs/cgroup/freezer/keepwell-test-{os.getpid()}-{next(_numbers)}")
        try:
            self.path.mkdir()
        except OSError:
            pytest.skip("no v1 freezer here")

    def freeze(self, *tasks):
        for task in tasks:
            (self.path / "tasks").write_text(str(task))
        (self.path / "freezer.state").write_text("FROZEN")
        wait_for(lambda: (self.path / "freezer.state").read_text().strip() == "FROZEN", "the freezer")

    def thaw(self):
        (self.path / "freezer.state").write_text("THAWED")

    def close(self):
        self.thaw()
        wait_for(self.removed, "an empty freezer")

    def removed(self):
        for task in (self.path / "tasks").read_text().split():
            try:
                (self.path.parent / "tasks").write_text(task)
            except OSError:
                pass  # it has just ended
        try:
            self.path.rmdir()
        except OSError:
            return False
        return True


class HealthServer:
    """Answers health checks from a script (a list of statuses), then with `then`; keeps the time of each answer."""

    def __init__(self):
        self.script, self.then, self.answers = [], 200, []
        self.delay = 0.0  # seconds before each answer
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status = outer.script.pop(0) if outer.script else outer.then
                outer.answers.append((time.monotonic_ns(), status))
                time.sleep(outer.delay)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/health"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Fleet:
    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.run_dir, self.state_dir, self.log_dir = (self.dir / n for n in ("run", "state", "log"))
        self.status_file = self.dir / "status.json"
        self.config = self.dir / "keepwell.toml"
        self.output = self.dir / "keepwell.out"
        self.program = KEEPWELL
        # KEEPWELL_NO_…: the kernel's capabilities that this run of the tests does without.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("KEEPWELL") or k.startswith("KEEPWELL_NO_")}
        self.environment |= {"KEEPWELL_SOCKET": str(self.run_dir / "control.sock"), "NO_COLOR": "1"}
        self.cgroup = Cgroup()
        self.keeper = None
        self.extra = []

    # -- configuration

    def write(self, units, supervisor=""):
        self.config.write_text(
            f'[supervisor]\nruntime_dir = "{self.run_dir}"\nstate_dir = "{self.state_dir}"\nlog_dir = "{self.log_dir}"\n'
            f'status_file = "{self.status_file}"\nlisten = []\n{supervisor}\n\n{units}\n')
        return self.config

    def record(self, name):
        return self.dir / f"{name}.record"

    def victim(self, name, *options):
        return [str(VICTIM), "--record", str(self.record(name)), *map(str, options)]

    def unit(self, name, *options, keys=FAST):
        """The TOML of a unit that runs a victim with these options."""
        return f'[unit."{name}"]\ncommand = {toml(self.victim(name, *options))}\n{keys}\n'

    # -- processes

    def start(self, *options, wait=True, before=None, prefix=()):
        def prepare():
            self.cgroup.join()
            if before:
                before()

        with open(self.output, "ab") as out:
            self.keeper = subprocess.Popen([*prefix, str(self.program), "run", "-c", str(self.config), *options], env=self.environment,
                                           cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                           start_new_session=True, preexec_fn=prepare)
        if wait:
            self.wait_for(self.answers, "keepwell to answer on its socket")
        return self.keeper

    def answers(self):
        if self.keeper.poll() is not None:
            pytest.fail(f"keepwell run ended with {self.keeper.returncode}\n{self.context()}", pytrace=False)
        return self.cli("status", "--json").returncode in (0, 3)

    def supervisor(self):
        """The pid of `keepwell supervise`, a child of the keeper; None while there is none."""
        for pid in children(self.keeper.pid):
            if b"supervise" in command_line(pid)[1:3] and alive(pid):
                return pid
        return None

    def kill_supervisor(self):
        """kill -9; returns when a successor answers."""
        old = self.wait_for(self.supervisor, "a supervisor")
        os.kill(old, signal.SIGKILL)
        self.wait_for(lambda: self.supervisor() not in (None, old), "a new supervisor", 20)
        self.wait_for(self.answers, "the new supervisor to answer", 20)

    def kill_keeper(self):
        """kill -9 of the keeper; returns when it and its supervisor are gone."""
        supervisor = self.supervisor()
        self.keeper.kill()
        self.keeper.wait(10)
        self.wait_for(lambda: not alive(supervisor), "the supervisor to follow its keeper")

    def cli(self, *arguments, timeout=30, **keys):
        return subprocess.run([str(self.program), *map(str, arguments)], env=self.environment | keys.pop("env", {}),
                              cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout * SLOW, **keys)

    def ok(self, *arguments, **keys):
        done = self.cli(*arguments, **keys)
        assert done.returncode == 0, f"keepwell {' '.join(map(str, arguments))}: {done}\n{self.context()}"
        return done.stdout

    def popen(self, *arguments, **keys):
        process = subprocess.Popen([str(KEEPWELL), *map(str, arguments)], env=self.environment, cwd=self.dir,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **keys)
        self.extra.append(process)
        return process

    # -- what is so

    def status(self):
        return json.loads(self.status_file.read_text())

    def live(self, name=None):
        """The status document of this moment, from the socket; of one unit with a name."""
        done = self.cli("status", "--json")
        assert done.stdout, f"no document: {done}\n{self.context()}"
        document = json.loads(done.stdout)
        return document["services"][name] if name else document

    def wait_for(self, predicate, what="the condition", timeout=10.0):
        return wait_for(predicate, what, timeout, self.context)

    def wait_state(self, name, state, timeout=10.0):
        return self.wait_for(lambda: (u := self.live(name))["state"] == state and u, f"{name} to be {state}", timeout)

    def wait_healthy(self, *names, timeout=15.0):
        def all_healthy():
            services = self.live()["services"]
            wanted = [services[n] for n in names or services]
            return wanted and all(u["state"] == "running" and u["health"]["status"] == "healthy" for u in wanted)

        self.wait_for(all_healthy, f"{names or 'all'} to be healthy", timeout)

    def notes(self, name):
        try:
            lines = self.record(name).read_text().splitlines()
        except FileNotFoundError:
            return []
        return [Note(w[0], int(w[1]), int(w[2]), int(w[3]) if len(w) > 3 else None) for w in map(str.split, lines)]

    def starts(self, name):
        return [n for n in self.notes(name) if n.what == "start"]

    def wait_starts(self, name, count, timeout=10.0):
        return self.wait_for(lambda: (s := self.starts(name)) and len(s) >= count and s,
                             f"{count} starts of {name}", timeout)

    def log_text(self, name):
        """Everything captured of a unit, oldest first."""
        while True:
            files = {}
            for path in self.log_dir.glob(f"{name}.log*"):
                if path.name == f"{name}.log":
                    files[float("inf")] = path
                elif match := re.fullmatch(re.escape(name) + r"\.log\.(\d+)(\.gz)?", path.name):
                    # Where both are there, the plain one is about to be removed.
                    if not match[2] or int(match[1]) not in files:
                        files[int(match[1])] = path
            try:
                return b"".join(gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes()
                                for _, p in sorted(files.items()))
            except FileNotFoundError:
                pass  # rotated or compressed meanwhile

    def context(self):
        parts = []
        for title, path in (("configuration", self.config), ("keepwell said", self.output), ("status.json", self.status_file)):
            if path.exists():
                parts.append(f"--- {title}\n{path.read_text(errors='replace')[-6000:]}")
        return "\n".join(parts)

    def close(self):
        for process in self.extra:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        if self.keeper and self.keeper.poll() is None:
            self.keeper.terminate()
            try:
                self.keeper.wait(5)
            except subprocess.TimeoutExpired:
                pass
        self.cgroup.remove()
        if self.keeper:
            if self.keeper.poll() is None:
                self.keeper.kill()
            self.keeper.wait(10)
        # Where there is no cgroup the victims are known by the folder in their command line.
        for entry in os.listdir("/proc"):
            if entry.isdigit() and str(self.dir).encode() in b" ".join(command_line(entry)):
                try:
                    os.kill(int(entry), signal.SIGKILL)
                except OSError:
                    pass


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.close()


@pytest.fixture
def systemd():
    """A real `systemd --user`; whoever uses it skips by user_systemd.why_not()."""
    from user_systemd import UserSystemd
    with UserSystemd() as manager:
        yield manager


@pytest.fixture
def freezer():
    group = Freezer()
    yield group
    group.close()


@pytest.fixture
def health():
    server = HealthServer()
    yield server
    server.close()
