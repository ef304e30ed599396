"""The package and its unit on a machine with a real systemd. Each test boots a machine of its own (booted.py) and installs
the package there; the oracles are what the daemons wrote about themselves and what the kernel says, not keepwell's words."""
import json
import os
import pathlib
import re
import subprocess
import time

import booted
import pytest
from conftest import wait_for

pytestmark = pytest.mark.alone
DEB = os.environ.get("KEEPWELL_DEB", "")
# What every daemon does first: one line for each start, with its pid ($$ is a dollar in a configuration).
NOTE = "echo $$$$ >>/var/tmp/starts/$KEEPWELL_UNIT;"
FLEET = f"""
[unit.plain]
shell = '{NOTE} exec sleep infinity'
[unit.other-user]
user  = "nobody"
shell = '{NOTE} exec sleep infinity'
[unit.tree]
shell = '{NOTE} sleep infinity & (sleep infinity & sleep infinity) & wait'
[unit.slow]
requires = ["plain"]
shell = '{NOTE} trap "sleep 1; exit 0" TERM; while :; do sleep 0.1; done'
"""
UNITS = {"plain", "other-user", "tree", "slow"}


def setup_module():
    """Once asked for (KEEPWELL_DEB), only what a machine cannot do is skipped: a missing program is a failure."""
    if not DEB:
        pytest.skip("KEEPWELL_DEB names no package; contrib/dev package makes one")
    if os.geteuid() != 0 or not booted.hierarchies():
        pytest.skip(booted.why_not())
    assert not booted.why_not(), booted.why_not()


@pytest.fixture(scope="module")
def tree():
    depends = subprocess.run(["dpkg-deb", "-f", DEB, "Depends"], text=True, check=True, stdout=subprocess.PIPE).stdout
    return booted.tree_with(depends.strip())


@pytest.fixture
def machine(tree):
    """A machine on which the package is installed and keepwell looks after the fleet."""
    with booted.Machine(tree) as m:
        install(m, DEB)
        m.run("mkdir", "-m", "1777", "/var/tmp/starts")
        m.path("/etc/keepwell/conf.d/fleet.toml").write_text(FLEET)
        m.run("systemctl", "reload", "keepwell")
        wait_for(lambda: set(pids(m)) == UNITS and healthy(m), "every daemon to be well", context=lambda: journal(m))
        yield m


def install(m, package):
    m.path("/root/keepwell.deb").write_bytes(pathlib.Path(package).read_bytes())
    said = m.run("dpkg", "-i", "/root/keepwell.deb").stdout
    assert show(m, "ActiveState") == "active", said + journal(m)
    return said


def pids(m):
    """{unit: pid} of the daemons whose last start, by their own notes, still lives."""
    found, living = {}, m.processes()
    for note in m.path("/var/tmp/starts").iterdir():
        lines = note.read_text().split()
        if lines and int(lines[-1]) in living:
            found[note.name] = int(lines[-1])
    return found


def starts(m):
    return {note.name: len(note.read_text().split()) for note in m.path("/var/tmp/starts").iterdir()}


def fleet_processes(m):
    """What belongs to keepwell or to its daemons."""
    return {pid: words for pid, words in m.processes().items()
            if words and re.search(r"keepwell|infinity|/var/tmp/starts", " ".join(words))}


def journal(m):
    return m.run("journalctl", "-n", "60", "--no-pager", check=False).stdout


def show(m, name):
    return m.run("systemctl", "show", "keepwell", "-p", name, "--value").stdout.strip()


def main_pid(m):
    return int(show(m, "MainPID"))


def supervisor_pid(m):
    found = [pid for pid, words in m.processes().items() if words[1:2] == ["supervise"]]
    return found[0] if found else None


def healthy(m):
    return m.run("keepwell", "health", check=False).returncode == 0


def same_daemons(m, before):
    """Every daemon of `before` lives, under the same pid, and no other was started beside it."""
    assert pids(m) == before, journal(m)
    assert set(starts(m).values()) == {1}, journal(m)


def test_installs_and_is_active_once_it_is_ready(machine):
    assert show(machine, "ActiveState") == "active"
    assert machine.processes()[main_pid(machine)][0].endswith("keepwell-keeper")
    assert machine.run("systemctl", "is-enabled", "keepwell").stdout.strip() == "enabled"
    assert machine.run("stat", "-c", "%G %a", "/run/keepwell/control.sock").stdout.split() == ["keepwell", "660"]
    machine.run("systemctl", "stop", "keepwell")
    machine.run("systemctl", "start", "keepwell")
    machine.run("keepwell", "checks")  # no waiting: "started" means that it answers


def test_the_units_have_no_mistakes(machine):
    folder = "/usr/lib/systemd"
    assert machine.run("systemd-analyze", "verify", "--man=no", f"{folder}/system/keepwell.service").stdout == ""
    assert machine.run("env", "XDG_RUNTIME_DIR=/tmp", "systemd-analyze", "verify", "--man=no", "--user",
                       f"{folder}/user/keepwell.service").stdout == ""


def test_the_hardened_unit_keeps_a_fleet_well(machine):
    machine.run("cp", "/usr/share/doc/keepwell/examples/hardening.conf", "/root/")
    drop_in(machine, machine.path("/root/hardening.conf").read_text().split("[Service]\n", 1)[1])
    figure = float(re.search(r"level for keepwell.service: ([0-9.]+)",
                             machine.run("systemd-analyze", "security", "--no-pager", "keepwell").stdout)[1])
    assert figure < 5


def test_status_says_how_the_units_are(machine):
    wait_for(lambda: "4 healthy" in show(machine, "StatusText"), "the status text",
             context=lambda: machine.run("systemctl", "status", "keepwell", check=False).stdout)


def test_a_broken_configuration_fails_the_start_until_it_is_mended(machine):
    machine.run("systemctl", "stop", "keepwell")
    broken = machine.path("/etc/keepwell/conf.d/broken.toml")
    broken.write_text("[unit.broken]\ncomand = 1\n")
    assert machine.run("systemctl", "start", "keepwell", check=False).returncode != 0
    assert "unknown key (did you mean command?)" in journal(machine)
    broken.unlink()
    wait_for(lambda: set(pids(machine)) == UNITS, "systemd's next try", context=lambda: journal(machine))


def test_reload_starts_what_is_new_and_refuses_what_is_broken(machine):
    before, fleet = pids(machine), machine.path("/etc/keepwell/conf.d/fleet.toml")
    fleet.write_text(FLEET + f"[unit.fresh]\nshell = '{NOTE} exec sleep infinity'\n")
    machine.run("systemctl", "reload", "keepwell")
    wait_for(lambda: "fresh" in pids(machine), "the new unit")
    assert {**pids(machine), **before} == pids(machine)
    fleet.write_text("[unit.broken]\ncomand = 1\n")
    assert machine.run("systemctl", "reload", "keepwell", check=False).returncode != 0
    assert show(machine, "ActiveState") == "active"
    assert set(pids(machine)) == UNITS | {"fresh"}


def test_a_killed_keeper_costs_no_daemon(machine):
    before, old = pids(machine), main_pid(machine)
    machine.kill(old, "KILL")
    wait_for(lambda: main_pid(machine) not in (0, old) and show(machine, "ActiveState") == "active", "another keeper",
             context=lambda: journal(machine))
    wait_for(lambda: healthy(machine), "every unit to be well again", context=lambda: journal(machine))
    same_daemons(machine, before)
    assert show(machine, "NRestarts") == "1"


def test_a_hung_supervisor_is_replaced_within_the_watchdog_time(machine):
    drop_in(machine, "WatchdogSec=4s")
    before, keeper, old = pids(machine), main_pid(machine), supervisor_pid(machine)
    machine.kill(old, "STOP")
    wait_for(lambda: supervisor_pid(machine) not in (None, old), "another supervisor", context=lambda: journal(machine))
    wait_for(lambda: healthy(machine), "every unit to be well again", context=lambda: journal(machine))
    assert main_pid(machine) == keeper and show(machine, "NRestarts") == "0"
    assert pids(machine) == before


def test_a_hung_keeper_is_replaced_by_systemd(machine):
    drop_in(machine, "WatchdogSec=2s")
    before, old = pids(machine), main_pid(machine)
    machine.kill(old, "STOP")
    wait_for(lambda: main_pid(machine) not in (0, old) and show(machine, "ActiveState") == "active", "another keeper",
             timeout=20, context=lambda: journal(machine))
    wait_for(lambda: healthy(machine), "every unit to be well again", context=lambda: journal(machine))
    assert pids(machine) == before


def drop_in(m, line):
    """A setting of the unit that needs a restart; the fleet's notes begin anew."""
    m.run("mkdir", "-p", "/etc/systemd/system/keepwell.service.d")
    m.path("/etc/systemd/system/keepwell.service.d/test.conf").write_text(f"[Service]\n{line}\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "restart", "keepwell")
    wait_for(lambda: set(pids(m)) == UNITS and healthy(m), "every daemon to be well", context=lambda: journal(m))


def test_stop_ends_every_process_in_time(machine):
    begin = time.monotonic()
    machine.run("systemctl", "stop", "keepwell")
    assert time.monotonic() - begin < 8
    assert fleet_processes(machine) == {}
    assert show(machine, "Result") == "success"
    assert starts(machine) == dict.fromkeys(UNITS, 1)


def test_restart_stops_and_starts_everything(machine):
    before = pids(machine)
    machine.run("systemctl", "restart", "keepwell")
    wait_for(lambda: set(pids(machine)) == UNITS, "every daemon", context=lambda: journal(machine))
    assert not set(before.values()) & set(pids(machine).values())
    assert starts(machine) == dict.fromkeys(UNITS, 2)


def test_a_reboot_brings_back_what_was_wanted(machine):
    machine.run("keepwell", "stop", "tree")
    machine.reboot()
    wait_for(lambda: set(pids(machine)) == UNITS - {"tree"} and healthy(machine), "the daemons after the reboot",
             context=lambda: journal(machine))
    assert starts(machine) == {"plain": 2, "other-user": 2, "slow": 2, "tree": 1}


def test_an_upgrade_of_the_package_costs_no_daemon(machine, tmp_path):
    newer = repacked(DEB, tmp_path, "+1")
    before, keeper = pids(machine), main_pid(machine)
    said = install(machine, newer)
    assert "could not be replaced" not in said
    assert machine.run("dpkg-query", "-W", "-f", "${Version}", "keepwell").stdout.endswith("+1")
    wait_for(lambda: healthy(machine), "every unit to be well", context=lambda: journal(machine))
    same_daemons(machine, before)
    assert main_pid(machine) == keeper
    assert show(machine, "NRestarts") == "0"
    # Keeper and supervisor run what is installed now, not the files that dpkg replaced.
    for pid in (keeper, supervisor_pid(machine)):
        assert "(deleted)" not in os.readlink(machine.path(f"/proc/{pid}/exe"))


def test_a_version_that_cannot_take_over_leaves_the_running_one_alone(machine, tmp_path):
    before, keeper = pids(machine), main_pid(machine)
    said = install(machine, repacked(DEB, tmp_path, "+1", "#!/bin/sh\necho the state is from the future >&2\nexit 1\n"))
    assert "the state is from the future" in said
    assert "could not be replaced" in said
    same_daemons(machine, before)
    assert main_pid(machine) == keeper and healthy(machine)
    install(machine, repacked(DEB, tmp_path, "+2"))
    same_daemons(machine, before)
    assert main_pid(machine) == keeper


def repacked(package, folder, suffix, keeper=None):
    """The same package as a later version, so that dpkg replaces every file; with another keeper, if one is given."""
    where = folder / ("package" + suffix)
    subprocess.run(["dpkg-deb", "-R", package, where], check=True)
    if keeper:
        (where / "usr/libexec/keepwell/keepwell-keeper").write_text(keeper)
    control = where / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1" + suffix, control.read_text(), flags=re.M))
    out = folder / f"newer{suffix}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", where, out], check=True,
                   stdout=subprocess.DEVNULL)
    return out


def test_what_was_left_running_is_taken_over_by_the_next_start(machine):
    before = pids(machine)
    machine.run("keepwell", "shutdown", "--leave")
    wait_for(lambda: show(machine, "ActiveState") == "inactive", "the end of the unit", context=lambda: journal(machine))
    same_daemons(machine, before)
    machine.run("systemctl", "start", "keepwell")
    wait_for(lambda: healthy(machine), "every unit to be well", context=lambda: journal(machine))
    same_daemons(machine, before)


def test_a_user_has_a_keepwell_of_their_own(machine):
    machine.run("useradd", "--create-home", "fred")
    machine.run("loginctl", "enable-linger", "fred")
    user = machine.run("id", "-u", "fred").stdout.strip()
    as_fred = ("runuser", "-u", "fred", "--", "env", f"XDG_RUNTIME_DIR=/run/user/{user}", "HOME=/home/fred")
    machine.run(*as_fred, "mkdir", "-p", "/home/fred/.config/keepwell")
    machine.path("/home/fred/.config/keepwell/keepwell.toml").write_text(
        f"[unit.mine]\nshell = '{NOTE} exec sleep infinity'\n")
    wait_for(lambda: machine.run(*as_fred, "systemctl", "--user", "is-system-running", check=False).stdout.strip() == "running",
             "fred's systemd", context=lambda: journal(machine))
    machine.run(*as_fred, "systemctl", "--user", "start", "keepwell")
    wait_for(lambda: "mine" in pids(machine), "fred's daemon", context=lambda: journal(machine))
    before, mine = pids(machine), machine.run(*as_fred, "systemctl", "--user", "show", "keepwell", "-p", "MainPID", "--value").stdout.strip()
    machine.kill(mine, "KILL")
    wait_for(lambda: machine.run(*as_fred, "keepwell", "health", check=False).returncode == 0, "another keeper",
             context=lambda: journal(machine))
    same_daemons(machine, before)
    assert machine.run(*as_fred, "keepwell", "status", "--json").stdout.count('"tree_certainty":"cgroup"') == 1
    machine.run(*as_fred, "systemctl", "--user", "stop", "keepwell")
    before.pop("mine")
    assert pids(machine) == before


def test_remove_stops_all_and_purge_takes_all(machine):
    machine.run("dpkg", "--remove", "keepwell")
    assert fleet_processes(machine) == {}
    assert machine.path("/etc/keepwell/keepwell.toml").exists()
    assert machine.path("/var/lib/keepwell").is_dir()
    machine.path("/etc/keepwell/conf.d/fleet.toml").unlink()
    machine.run("dpkg", "--purge", "keepwell")
    for path in ("/etc/keepwell", "/var/lib/keepwell", "/var/log/keepwell", "/run/keepwell"):
        assert not machine.path(path).exists(), path
    assert machine.run("find", "/usr", "/etc", "-xdev", "-name", "*keepwell*").stdout == ""
    assert machine.run("systemctl", "--failed", "--no-legend").stdout == ""


def test_systemds_own_units_and_daemons_are_healed_by_jobs_and_their_journal_is_shown(machine):
    """A unit, and a daemon with a PID file that lives in a service, with the system's own manager and journal."""
    m = machine
    m.path("/root/forker").write_text("#!/bin/sh\nsetsid sleep 86400 &\necho $! >/run/forker.pid\n")
    m.path("/etc/systemd/system/hello.service").write_text(
        "[Service]\nExecStart=/bin/sh -c 'echo hello of the journal; exec sleep 86400'\n")
    m.path("/etc/systemd/system/forker.service").write_text(
        "[Service]\nType=forking\nPIDFile=/run/forker.pid\nExecStart=/bin/sh /root/forker\n")
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "start", "forker")
    m.path("/etc/keepwell/conf.d/kinds.toml").write_text('[unit.hello]\nsystemd = "hello"\n[unit.forker]\npidfile = "/run/forker.pid"\n')
    m.run("systemctl", "reload", "keepwell")

    def value(unit, name):
        return m.run("systemctl", "show", unit, "-p", name, "--value").stdout.strip()

    def unit(name):
        return json.loads(m.run("keepwell", "status", "--json", check=False).stdout)["services"].get(name, {})

    def running(name, other_than=None):
        pid = unit(name).get("pid")
        return unit(name).get("state") == "running" and pid not in (None, other_than) and str(pid) == value(name, "MainPID")

    for name in ("hello", "forker"):
        wait_for(lambda: running(name), f"{name} to run", 30, context=lambda: journal(m))
    assert "forker.service" in m.run("keepwell", "status", "forker", check=False).stdout
    wait_for(lambda: "hello of the journal" in m.run("keepwell", "logs", "hello").stdout, "its line", context=lambda: journal(m))
    for name in ("hello", "forker"):
        before = unit(name)["pid"]
        m.run("systemctl", "kill", "--kill-who=main", "-s", "KILL", name)
        wait_for(lambda: running(name, before), f"{name} to be back", 30, context=lambda: journal(m))
        assert value(name, "NRestarts") == "0", "systemd started it, not a job of keepwell's"
    wait_for(lambda: m.run("keepwell", "logs", "hello").stdout.count("hello of the journal") == 2, "its second line", context=lambda: journal(m))
