"""The peers on the same work: how each is set up to run N beacons, restarted at once, with or without a log.

Every peer is set to its smallest restart delay. A peer is used as `with NAME(...) as peer`: what it starts is gone
afterwards, also after an error."""
import json
import mmap
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
BEACON = os.environ.get("BEACON", str(BUILD / "bench/beacon"))
FLOOR = os.environ.get("FLOOR", str(BUILD / "bench/floor"))
KEEPWELL = os.environ.get("KEEPWELL", str(BUILD / "release/bin/keepwell"))
SLOT = struct.Struct("qqqq")


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Slots:
    """The file in which each beacon leaves start time, pid, number of starts and time of its flood."""

    def __init__(self, path, count):
        self.path = path
        size = (count * SLOT.size // 4096 + 2) * 4096
        with open(path, "wb") as file:
            file.truncate(size)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), size)

    def get(self, i):
        return SLOT.unpack_from(self.map, i * SLOT.size)

    def forget_start(self, i):
        struct.pack_into("q", self.map, i * SLOT.size, 0)

    def wait(self, indexes, timeout):
        """Waits until all have started; gives how many have not."""
        left, end = set(indexes), time.monotonic() + timeout
        while left and time.monotonic() < end:
            left = {i for i in left if self.get(i)[0] == 0}
            if left:
                time.sleep(0.0005 if len(left) < 50 else 0.005)
        return len(left)


def children(pid):
    try:
        return [int(c) for t in os.listdir(f"/proc/{pid}/task")
                for c in pathlib.Path(f"/proc/{pid}/task/{t}/children").read_text().split()]
    except OSError:
        return []


def tree(pid):
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += children(found[-1])
    return found


def is_beacon(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe") == BEACON
    except OSError:
        return True


def memory_kb(pid):
    """(PSS, private dirty) of one process."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    value = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
    return value["Pss:"], value["Private_Dirty:"]


def wake_ups(pids):
    """How often their threads have slept so far."""
    total = 0
    for pid in pids:
        for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
            try:
                total += next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("voluntary"))
            except OSError:
                continue
    return total


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        try:
            words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Peer:
    program = None           # what must be installed
    processes_per_unit = 1   # with its own helpers

    def __init__(self, count, flood=None, write=65500):
        self.count, self.flood, self.write = count, flood, write

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="keepwell-bench-")
        os.makedirs(f"{self.dir}/logs")
        self.slots = Slots(f"{self.dir}/slots", self.count)
        self.process = None
        self.setup()
        return self

    def __exit__(self, *_):
        everything = tree(self.process.pid) if self.process else []
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                pass
            # Beacons of a peer that leaves them behind are known by their slots; their parent may be gone.
            for pid in {*everything, *(self.slots.get(i)[1] for i in range(self.count))}:
                if pid > 1 and (pid == self.process.pid or self.dir.encode() in command_line(pid) or pid in everything):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        pass
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    @classmethod
    def installed(cls):
        return cls.program is None or shutil.which(cls.program) is not None

    def command(self, i):
        words = [BEACON, self.slots.path, str(i)]
        return words + ["flood", str(self.flood), str(self.write)] if self.flood else words

    def spawn(self, *argv, env=None, out=None):
        with open(out or f"{self.dir}/out", "ab") as file:
            self.process = subprocess.Popen(argv, cwd=self.dir, env=os.environ | (env or {}), stdin=subprocess.DEVNULL,
                                            stdout=file, stderr=subprocess.STDOUT, start_new_session=True)

    def own(self):
        return [p for p in tree(self.process.pid) if not is_beacon(p)]

    def put(self, path, text, mode=0o644):
        path = pathlib.Path(self.dir, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)


def command_line(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Floor(Peer):
    name = "floor"

    def setup(self):
        pass

    def start(self):
        if self.flood:  # straight into a file: nothing can be faster
            self.spawn(*self.command(0), out=f"{self.dir}/logs/s0.log")
        else:
            self.spawn(FLOOR, BEACON, self.slots.path, str(self.count))


class Keepwell(Peer):
    name = "keepwell"

    def setup(self):
        self.put("k.toml", f'''[supervisor]
status_file = "{self.dir}/status.json"
runtime_dir = "{self.dir}/run"
state_dir = "{self.dir}/state"
log_dir = "{self.dir}/logs"
listen = []
[policy.default]
backoff = {{ initial = "0s", factor = 1.0, max = "0s", jitter = 0.0, reset_after = "1s" }}
budget = {{ restarts = 10000, within = "1s", cooldown = "1s" }}
''' + "".join(f'[unit.s{i}]\ncommand = {json.dumps(self.command(i))}\nlog = {{ max_size = "16M", keep = 100, compress = false }}\n'
              for i in range(self.count)))

    def start(self):
        self.spawn(KEEPWELL, "run", "-c", f"{self.dir}/k.toml")


class Scan(Peer):
    processes_per_unit = 2

    def setup(self):
        for i in range(self.count):
            self.put(f"scan/s{i}/run", "#!/bin/sh\nexec " + " ".join(self.command(i)) + " 2>&1\n", 0o755)
            if self.flood:
                self.logger(i)


class Runit(Scan):
    name, program = "runit", "runsvdir"

    def logger(self, i):
        self.put(f"logs/s{i}/config", "s16777215\nn10\n")
        self.put(f"scan/s{i}/log/run", f"#!/bin/sh\nexec svlogd -b 65536 {self.dir}/logs/s{i}\n", 0o755)

    def start(self):
        self.spawn("runsvdir", "-P", f"{self.dir}/scan")


class S6(Scan):
    name, program = "s6", "s6-svscan"

    def logger(self, i):
        os.makedirs(f"{self.dir}/logs/s{i}")
        self.put(f"scan/s{i}/log/run", f"#!/bin/sh\nexec s6-log n10 s16777215 {self.dir}/logs/s{i}\n", 0o755)

    def start(self):
        self.spawn("s6-svscan", "-c", "4000", f"{self.dir}/scan")


class Supervisord(Peer):
    name, program = "supervisord", "supervisord"

    def setup(self):
        text = f"[supervisord]\nnodaemon=true\nlogfile={self.dir}/sup.log\npidfile={self.dir}/pid\nminfds=8192\n"
        for i in range(self.count):
            log = f"{self.dir}/logs/s{i}.log\nstdout_logfile_maxbytes=16MB\nstdout_logfile_backups=100" if self.flood else "NONE"
            text += (f"[program:s{i}]\ncommand={' '.join(self.command(i))}\nautorestart=true\nstartsecs=0\nstartretries=1000\n"
                     f"redirect_stderr=true\nstdout_logfile={log}\n")
        self.put("c.conf", text)

    def start(self):
        self.spawn("supervisord", "-c", f"{self.dir}/c.conf")


class Dinit(Peer):
    name, program = "dinit", "dinit"

    def setup(self):
        for i in range(self.count):
            log = f"logfile = {self.dir}/logs/s{i}.log\n" if self.flood else ""
            self.put(f"s/s{i}", f"type = process\ncommand = {' '.join(self.command(i))}\nrestart = true\nsmooth-recovery = true\n"
                                f"restart-delay = 0\nrestart-limit-count = 0\n{log}")
        self.put("s/boot", "type = internal\n" + "".join(f"waits-for = s{i}\n" for i in range(self.count)))

    def start(self):
        self.spawn("dinit", "-m", "-d", f"{self.dir}/s", "-p", f"{self.dir}/ctl", "--quiet")


class Pm2(Peer):
    name, program = "pm2", "pm2-runtime"

    def setup(self):
        self.put("e.json", json.dumps({"apps": [{
            "name": f"s{i}", "script": BEACON, "args": self.command(i)[1:], "interpreter": "none", "min_uptime": 0, "restart_delay": 0,
            "max_restarts": 100000, "out_file": f"{self.dir}/logs/s{i}.log", "error_file": "/dev/null"} for i in range(self.count)]}))

    def start(self):
        self.spawn("pm2-runtime", "start", f"{self.dir}/e.json", env={"PM2_HOME": f"{self.dir}/pm2", "HOME": self.dir})


PEERS = {peer.name: peer for peer in (Floor, Keepwell, Dinit, Runit, S6, Supervisord, Pm2)}
