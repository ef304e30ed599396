"""sd_notify with real children: who may speak, what is taken, what survives; and the heartbeat check."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from conftest import FAST, alive, never, toml

TALKER = pathlib.Path(__file__).with_name("talker.py")
# How the sender is proved: all the kernel has, none of it with cgroups, and the least.
LESS = {"KEEPWELL_NO_PIDFD_INFO": "1", "KEEPWELL_NO_SCM_PIDFD": "1"}
LEAST = LESS | {"KEEPWELL_NO_CGROUP": "1", "KEEPWELL_NO_CLONE3": "1"}
KERNELS = pytest.mark.parametrize("kernel", [{}, LESS, LEAST], ids=["full", "less", "least"])


class Talker:
    def __init__(self, fleet, name, *messages, keys='ready = "notify"\n'):
        self.fleet, self.name, self.path = fleet, name, fleet.dir / f"{name}.ctl"
        command = [sys.executable, "-S", "-E", str(TALKER), str(self.path), *messages]
        self.unit = f'[unit."{name}"]\ncommand = {toml(command)}\n{FAST}{keys}\n'

    def tell(self, **order):
        """Answers with what the daemon answers; None when it ended of it."""
        def connected():
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            s.settimeout(20)
            try:
                s.connect(str(self.path))
                return s
            except OSError:
                s.close()
        with self.fleet.wait_for(connected, f"{self.name} to listen") as s, s.makefile("rw") as lines:
            lines.write(json.dumps(order) + "\n")
            lines.flush()
            answer = lines.readline()
        return json.loads(answer) if answer else None

    def says(self, text):
        assert self.tell(send=text) == "sent"

    @property
    def now(self):
        return self.fleet.live(self.name)

    def wait_says(self, text):
        self.fleet.wait_for(lambda: self.now["status_text"] == text, f"status_text {text!r}")


def start(fleet, *talkers, kernel=None):
    fleet.environment |= kernel or {}
    fleet.write("".join(t.unit for t in talkers))
    fleet.start()


def lines(fleet, name):
    return [e["text"] for e in json.loads(fleet.ok("events", "--json", "-n", 1000))["events"] if e["service"] == name]


def socket_of(fleet, name):
    return fleet.run_dir / "notify" / name


@KERNELS
def test_ready_is_waited_for_and_status_is_shown(fleet, kernel):
    web = Talker(fleet, "web")
    start(fleet, web, kernel=kernel)
    web.says("STATUS=opening the \x1b[31mdatabase\u202e " + "x" * 600)
    fleet.wait_for(lambda: (web.now["status_text"] or "").startswith("opening the"), "the status")
    text = web.now["status_text"]
    assert len(text.encode()) <= 512 and "\x1b" not in text and "\u202e" not in text
    # Alive for longer than `ready = "started"` asks for, and still not running.
    never(lambda: web.now["state"] != "starting", "running before READY=1", 1.3)
    web.says("READY=1\nSTATUS=serving")
    fleet.wait_state("web", "running")
    web.wait_says("serving")
    assert "says        serving" in fleet.ok("show", "web")
    assert web.tell(environment="NOTIFY_SOCKET") == str(socket_of(fleet, "web"))
    assert web.tell(environment="WATCHDOG_USEC") is None
    assert socket_of(fleet, "web").stat().st_mode & 0o777 == 0o600
    web.says("STATUS=")
    fleet.wait_for(lambda: web.now["status_text"] is None, "an empty status to clear it")


def test_never_ready_is_a_failed_start(fleet):
    web = Talker(fleet, "web", "STATUS=soon", keys='ready = "notify"\nready_timeout = "300ms"\n')
    start(fleet, web)
    fleet.wait_for(lambda: web.now["restarts"]["total"] >= 2, "restarts of what is never ready")
    assert any("not ready in 300ms" in l for l in lines(fleet, "web"))
    assert "running" not in lines(fleet, "web")


@KERNELS
def test_another_unit_cannot_speak_for_it(fleet, kernel):
    web, other = Talker(fleet, "web"), Talker(fleet, "other", "READY=1")
    start(fleet, web, other, kernel=kernel)
    fleet.wait_state("other", "running")
    fleet.wait_state("web", "starting")
    path = str(socket_of(fleet, "web"))
    assert other.tell(send=f"READY=1\nSTATUS=taken over\nMAINPID={os.getpid()}", path=path, times=20) == "sent"
    fleet.wait_for(lambda: any("refused a message" in l for l in lines(fleet, "web")), "the refusal to be told")
    if kernel != LEAST:  # there a dead sender is known by its user alone
        other.tell(from_dead="READY=1\nSTATUS=taken over", path=path)
        other.tell(from_dead="READY=1\nSTATUS=taken over", path=path)
    # Its own words still count, so the queue is read to the end.
    web.says("STATUS=mine")
    web.wait_says("mine")
    assert web.now["state"] == "starting"
    assert len([l for l in lines(fleet, "web") if "refused" in l]) == 1, "one line, not one for each message"
    # Nor a stranger of the same user.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(path)
        s.send(b"READY=1")
        web.says("STATUS=again")
        web.wait_says("again")
    assert web.now["state"] == "starting"


def test_a_dead_sender_of_the_unit_is_believed(fleet):
    web = Talker(fleet, "web")
    start(fleet, web)
    fleet.wait_state("web", "starting")
    supervisor = fleet.supervisor()
    web.tell(environment="PATH")
    os.kill(supervisor, signal.SIGSTOP)
    try:
        sender = web.tell(from_dead="READY=1")
        assert not alive(sender)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    fleet.wait_state("web", "running")


def test_main_pid_is_only_another_process_of_the_unit(fleet):
    web, other = Talker(fleet, "web", "READY=1"), Talker(fleet, "other", "READY=1")
    start(fleet, web, other)
    fleet.wait_healthy()
    first, foreign = web.now["pid"], other.now["pid"]
    for lie in (1, os.getpid(), foreign, fleet.keeper.pid, fleet.supervisor(), 4194304):
        web.says(f"MAINPID={lie}\nSTATUS=lie {lie}")
        web.wait_says(f"lie {lie}")
        time.sleep(0.12)  # after a refusal others wait
    for nonsense in ("0", "-1", "12x", "99999999999999999999", ""):
        web.says(f"MAINPID={nonsense}\nSTATUS=nonsense {nonsense}")
    web.wait_says("nonsense")
    assert web.now["pid"] == first and any("MAINPID" in l for l in lines(fleet, "web"))
    assert web.now["restarts"]["total"] == 0


@pytest.mark.parametrize("kernel", [{}, LEAST], ids=["full", "least"])
def test_a_new_main_process_takes_over(fleet, kernel):
    web = Talker(fleet, "web", "READY=1")
    start(fleet, web, kernel=kernel)
    fleet.wait_healthy("web")
    first = web.now["pid"]
    second = web.tell(fork=1)
    web.says(f"MAINPID={second}")
    fleet.wait_for(lambda: web.now["pid"] == second, "the new main process")
    # It survives both kinds of kill.
    fleet.kill_supervisor()
    assert web.now["pid"] == second
    fleet.kill_keeper()
    fleet.start()
    fleet.wait_for(lambda: web.now["pid"] == second, "the next keeper to know it")
    # The end of the old one is none of the unit; that of the new one is.
    os.kill(first, signal.SIGKILL)
    fleet.wait_for(lambda: not alive(first), "the old one to end")
    never(lambda: web.now["pid"] != second or web.now["state"] != "running", "a restart", 0.3)
    fleet.ok("signal", "TERM", "web")
    fleet.wait_for(lambda: not alive(second), "the new main process to get the signal")
    fleet.wait_for(lambda: web.now["restarts"]["total"] == 1 and web.now["state"] == "running", "one restart")


def test_the_exit_status_of_a_main_process_that_was_adopted_is_known(fleet):
    web = Talker(fleet, "web", "READY=1", keys='ready = "notify"\nrestart = "never"\n')
    start(fleet, web)
    fleet.wait_healthy("web")
    first, second = web.now["pid"], web.tell(fork=1)
    web.says(f"MAINPID={second}")
    fleet.wait_for(lambda: web.now["pid"] == second, "the new main process")
    os.kill(first, signal.SIGKILL)
    fleet.wait_for(lambda: not alive(first), "its parent to end")
    os.kill(second, signal.SIGUSR1)
    fleet.wait_for(lambda: web.now["state"] == "failed", "the unit to end with it")
    assert web.now["last_exit"]["signal"] == signal.SIGUSR1


def test_stopping_reloading_and_the_barrier(fleet):
    web = Talker(fleet, "web", "READY=1", keys='ready = "notify"\nrestart = "on-failure"\n')
    start(fleet, web)
    fleet.wait_healthy("web")
    web.says("RELOADING=1\nMONOTONIC_USEC=1")
    assert web.tell(barrier=1) is True
    assert "it says that it is reloading" in lines(fleet, "web")
    web.says("READY=1")
    web.says("STOPPING=1\nSTATUS=bye")
    web.tell(exit=0)
    fleet.wait_state("web", "completed")
    assert web.now["status_text"] == "bye" and web.now["last_exit"]["code"] == 0


def test_large_messages_and_attached_descriptors(fleet):
    web = Talker(fleet, "web", "READY=1")
    start(fleet, web)
    fleet.wait_healthy("web")
    folder = f"/proc/{fleet.supervisor()}/fd"
    assert web.tell(big=65536) == "sent"
    fleet.wait_for(lambda: web.now["status_text"] == "x" * 512, "64 KiB to be read")
    assert web.tell(big=65537) == "sent"
    fleet.wait_for(lambda: any("longer than 64 KiB" in l for l in lines(fleet, "web")), "more to be refused")
    assert web.tell(barrier=1) is True
    before = len(os.listdir(folder))
    assert web.tell(send="X=1", fds=3, times=1000) == "sent"
    assert web.tell(send="X=1", fds=253) == "sent"
    assert web.tell(barrier=1) is True
    assert len(os.listdir(folder)) <= before + 2, "descriptors stay open"


@KERNELS
def test_what_is_said_while_no_supervisor_lives_is_read_by_the_next(fleet, kernel):
    web = Talker(fleet, "web")
    start(fleet, web, kernel=kernel)
    fleet.wait_state("web", "starting")
    web.tell(environment="PATH")
    supervisor = fleet.supervisor()
    os.kill(supervisor, signal.SIGSTOP)
    web.says("READY=1\nSTATUS=said to nobody")
    os.kill(supervisor, signal.SIGKILL)
    fleet.wait_for(lambda: fleet.supervisor() not in (None, supervisor), "a new supervisor", 20)
    fleet.wait_for(fleet.answers, "it to answer", 20)
    fleet.wait_state("web", "running")
    web.wait_says("said to nobody")
    assert web.now["generation"] == 1


def test_a_new_keeper_makes_the_socket_anew(fleet):
    web = Talker(fleet, "web", "READY=1")
    start(fleet, web)
    fleet.wait_healthy("web")
    pid = web.now["pid"]
    fleet.kill_keeper()
    fleet.start()
    web.says("STATUS=still here")
    web.wait_says("still here")
    assert web.now["pid"] == pid
    fleet.ok("stop", "web")
    assert not socket_of(fleet, "web").exists()


BEATS = 'check.alive = { type = "heartbeat", within = "600ms", interval = "100ms", failures = 2 }\n'


def test_missed_beats_restart_the_unit(fleet):
    web = Talker(fleet, "web", keys=BEATS + 'ready = "check:alive"\n')
    start(fleet, web)
    # A start is no beat: neither ready nor out of its grace.
    never(lambda: web.now["state"] != "starting", "ready without a beat", 0.8)
    assert web.tell(environment="WATCHDOG_USEC") == "600000" and web.tell(environment="WATCHDOG_PID") is None
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        web.says("WATCHDOG=1")
        time.sleep(0.1)
    now = web.now
    assert now["state"] == "running" and now["restarts"]["total"] == 0 and now["health"]["status"] == "healthy" and now["checks"][0]["status"] == "pass"
    fleet.wait_for(lambda: web.now["restarts"]["total"] == 1, "a restart without beats")
    assert any("no beat for" in l for l in lines(fleet, "web"))


def test_trouble_is_a_failure_at_once(fleet):
    keys = 'check.heartbeat = { within = "60s", interval = "100ms", grace = "0s", failures = 2 }\n'
    web = Talker(fleet, "web", keys=keys)
    start(fleet, web)
    fleet.wait_state("web", "running")
    web.says("WATCHDOG=1")
    fleet.wait_for(lambda: web.now["checks"][0]["status"] == "pass", "the first beat to count at once")
    web.says("WATCHDOG=trigger")
    fleet.wait_for(lambda: web.now["restarts"]["total"] == 1, "a restart")
    assert any("it reported trouble itself" in l for l in lines(fleet, "web"))


def test_the_verb_beat(fleet):
    fleet.write(fleet.unit("web", keys=FAST + BEATS) + fleet.unit("bare") +
                '[unit.backup]\ncheck.heartbeat = { within = "26h" }\n')
    fleet.start()
    fleet.wait_state("web", "running")
    fleet.ok("beat", "web")
    fleet.wait_for(lambda: fleet.live("web")["checks"][0]["status"] == "pass", "the beat to count")
    assert fleet.live("backup")["checks"][0]["status"] == "unknown"
    assert fleet.cli("beat", "backup").stdout == ""
    fleet.wait_for(lambda: fleet.live("backup")["checks"][0]["status"] == "pass", "the beat from outside")
    none = fleet.cli("beat", "bare")
    assert none.returncode == 1 and "it has no heartbeat check" in none.stderr
    assert fleet.cli("beat", "nobody").returncode == 4
    fleet.ok("stop", "web")
    assert "is not running" in fleet.cli("beat", "web").stderr


@pytest.mark.skipif(not os.path.exists("/usr/bin/systemd-notify"), reason="no systemd-notify here")
def test_systemd_notify_of_a_script(fleet):
    script = "systemd-notify --ready --status='from a script'; exec sleep 1000"
    fleet.write(f'[unit.web]\ncommand = ["/bin/sh", "-c", {toml(script)}]\nready = "notify"\n')
    fleet.start()
    fleet.wait_state("web", "running")
    assert fleet.live("web")["status_text"] == "from a script"


def test_a_daemon_of_another_user_can_speak_and_others_cannot(fleet):
    if os.geteuid() != 0:
        pytest.skip("only root can run daemons as others")
    for folder in (fleet.dir, *fleet.dir.parents):
        if folder.stat().st_uid == 0 and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    shared = fleet.dir / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    source = shared / "talker.py"
    source.write_bytes(TALKER.read_bytes())
    command = [sys.executable, "-S", "-E", str(source), str(shared / "web.ctl"), "READY=1"]
    fleet.write(f'[unit.web]\ncommand = {toml(command)}\nuser = "nobody"\nready = "notify"\n')
    fleet.start()
    fleet.wait_state("web", "running")
    assert socket_of(fleet, "web").stat().st_uid != 0
    # Another user cannot even reach the socket.
    send = (f"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"
            f".sendto(b'STATUS=spoof', {str(socket_of(fleet, 'web'))!r})")
    done = subprocess.run([sys.executable, "-S", "-E", "-c", send], user=1, capture_output=True, text=True)
    assert "PermissionError" in done.stderr
