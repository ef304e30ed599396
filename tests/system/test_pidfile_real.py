"""Real daemons that leave a PID file, started as an init script would: taken up, killed, healed, and nothing twice."""
import os
import pathlib
import signal
import subprocess

import pytest
from conftest import FAST, alive, command_line, free_port, never, toml
from test_pidfile import pid_in, start_by_hand

MEMCACHED = pathlib.Path("/usr/bin/memcached")
HAPROXY = pathlib.Path("/usr/sbin/haproxy")
CRON = pathlib.Path("/usr/sbin/cron")
# What cron has at fixed places, as mounts that only its own namespace has: no job of this machine runs there.
PRIVATE = """
mount -t tmpfs none /run && mount -t tmpfs none /var/spool/cron && mkdir -m 1730 /var/spool/cron/crontabs
mount -t tmpfs none /etc/cron.d && mount --bind /dev/null /etc/crontab
exec sleep infinity
"""


def processes_with(word):
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and word.encode() in b" ".join(command_line(p)) and alive(p)]


def kill_and_wait(fleet, name):
    pid = fleet.live(name)["pid"]
    os.kill(pid, signal.SIGKILL)
    fleet.wait_for(lambda: fleet.live(name)["pid"] not in (pid, None), f"the next {name}")
    fleet.wait_healthy(name)
    return fleet.live(name)["pid"]


def take_up(fleet, name, command, pidfile, check):
    """Starts it by hand and keepwell after it; its pid, which stays what it was."""
    start_by_hand(fleet, command)
    fleet.wait_for(lambda: pidfile.exists() and pidfile.read_text().strip(), "the PID file")
    first = pid_in(pidfile)
    fleet.write(f'''[unit.{name}]
pidfile = "{pidfile}"
start_command = {toml(command)}
{check}
{FAST}''')
    fleet.start()
    fleet.wait_healthy(name)
    assert fleet.live(name)["pid"] == first


@pytest.mark.skipif(not MEMCACHED.exists(), reason="no memcached here: contrib/dev deps")
def test_memcached_is_taken_up_killed_and_healed(fleet):
    port, pidfile = free_port(), fleet.dir / "memcached.pid"
    command = [str(MEMCACHED), "-d", "-u", "root", "-l", "127.0.0.1", "-p", str(port), "-m", "8", "-t", "1", "-P", str(pidfile)]
    take_up(fleet, "memcached", command, pidfile, f'check.tcp = {{ port = {port}, interval = "200ms", retry_interval = "100ms" }}')
    second = kill_and_wait(fleet, "memcached")
    third = kill_and_wait(fleet, "memcached")
    assert second != third == pid_in(pidfile)
    assert processes_with(str(pidfile)) == [third], "not exactly one instance"
    fleet.ok("stop", "memcached")
    assert not processes_with(str(pidfile))


@pytest.mark.skipif(not HAPROXY.exists(), reason="no haproxy here: contrib/dev deps")
def test_haproxy_is_taken_up_healed_and_its_reload_counts_no_failure(fleet):
    port, pidfile, config = free_port(), fleet.dir / "haproxy.pid", fleet.dir / "haproxy.cfg"
    config.write_text(f'''global
    maxconn 64
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend ok
    bind 127.0.0.1:{port}
    http-request return status 200
''')
    command = [str(HAPROXY), "-D", "-f", str(config), "-p", str(pidfile)]
    take_up(fleet, "haproxy", command, pidfile, f'check.http = {{ url = "http://127.0.0.1:{port}/", interval = "200ms", retry_interval = "100ms" }}')
    healed = kill_and_wait(fleet, "haproxy")
    before = fleet.live("haproxy")["restarts"]
    # haproxy's own reload: the successor writes the file and asks the old one to finish.
    start_by_hand(fleet, [*command, "-sf", str(healed)])
    fleet.wait_for(lambda: fleet.live("haproxy")["pid"] not in (healed, None), "the successor to be taken up")
    fleet.wait_for(lambda: not alive(healed), "the old haproxy to go")
    never(lambda: fleet.live("haproxy")["state"] not in ("running", "starting"), "the reload was taken for a failure", 1)
    now = fleet.live("haproxy")
    assert now["pid"] == pid_in(pidfile) and processes_with(str(pidfile)) == [now["pid"]]
    assert now["restarts"]["attempts_left"] == before["attempts_left"], "a failure was counted"
    assert kill_and_wait(fleet, "haproxy") == pid_in(pidfile)
    assert len(processes_with(str(pidfile))) == 1


@pytest.fixture
def private():
    """The pid of a process whose mount namespace has nothing of this machine's cron."""
    held = subprocess.Popen(["unshare", "--mount", "sh", "-euc", PRIVATE], stdin=subprocess.DEVNULL)
    yield held.pid
    held.kill()
    held.wait()


@pytest.mark.skipif(not CRON.exists() or os.geteuid() != 0, reason="no cron here (contrib/dev deps), or no root for its mounts")
def test_cron_is_taken_up_killed_and_healed(fleet, private):
    pidfile = pathlib.Path(f"/proc/{private}/root/run/crond.pid")
    fleet.wait_for(lambda: command_line(private)[:1] == [b"sleep"], "the private mounts")
    inside = ["nsenter", "-t", str(private), "--mount"]
    start_by_hand(fleet, [*inside, str(CRON)])
    # It writes the file twice: before it forks, and then as the one that stays.
    fleet.wait_for(lambda: pidfile.exists() and pidfile.read_text().strip() and alive(pid_in(pidfile)), "the PID file of a cron that lives")
    first = pid_in(pidfile)
    fleet.write(f'[unit.cron]\npidfile = "/run/crond.pid"\nstart_command = ["{CRON}"]\n{FAST}')
    fleet.start(prefix=inside)
    fleet.wait_healthy("cron")
    assert fleet.live("cron")["pid"] == first
    # It leaves its file behind each time, with a lock that ended with it.
    second = kill_and_wait(fleet, "cron")
    third = kill_and_wait(fleet, "cron")
    assert len({first, second, third}) == 3 and third == pid_in(pidfile)
    fleet.kill_supervisor()
    fleet.wait_healthy("cron")
    assert fleet.live("cron")["pid"] == third, "it was started again"
    fleet.ok("restart", "cron")
    fleet.wait_healthy("cron")
    ours = [p for p in processes_with(str(CRON)) if os.path.samefile(f"/proc/{p}/ns/mnt", f"/proc/{private}/ns/mnt")]
    assert ours == [fleet.live("cron")["pid"]] == [pid_in(pidfile)], "not exactly one instance"
    fleet.ok("stop", "cron")
    fleet.wait_for(lambda: not alive(ours[0]), "it to be gone")
