"""Logs that keepwell does not write: files of a daemon's own, and systemd's journal. Shown, followed, and looked into by log
checks, also while somebody else rotates them."""
import json
import os
import subprocess
import time

import pytest
import user_systemd
from conftest import FAST, never, toml

CHECK = 'check.log = { bad = "FATAL", interval = "100ms", retry_interval = "100ms", grace = "0s" }\n'


def with_files(fleet, *names, checks=""):
    """A daemon that goes into the background; the test writes its log files."""
    files = [fleet.dir / n for n in names]
    for file in files:
        file.touch()
    pidfile = fleet.dir / "web.pid"
    command = fleet.victim("web", "--double-fork", "--pidfile", pidfile)
    fleet.write(f'[unit.web]\npidfile = "{pidfile}"\nstart_command = {toml(command)}\n'
                f'log_files = {toml([str(f) for f in files])}\n{FAST}\n{checks}')
    return files


def append(file, text):
    with open(file, "a") as stream:
        stream.write(text)


class Following:
    """`keepwell logs -f`, its lines as they come."""

    def __init__(self, fleet, *arguments):
        self.out = fleet.dir / "followed"
        self.process = subprocess.Popen([str(fleet.program), "logs", "-f", *arguments], env=fleet.environment,
                                        stdout=open(self.out, "w"), stderr=subprocess.STDOUT)
        fleet.extra.append(self.process)
        self.fleet = fleet

    def begins(self, write):
        """What comes before it has opened the logs is not followed: so lines are written until one is seen."""
        def seen():
            write("are you there")
            return "are you there" in self.out.read_text()
        self.fleet.wait_for(seen, "the logs to be followed")

    def wait(self, text, timeout=10):
        self.fleet.wait_for(lambda: text in self.out.read_text(), f"{text!r} in what is followed", timeout)


def test_a_daemons_own_files_are_shown_and_followed_while_they_are_rotated(fleet):
    access, errors = with_files(fleet, "access.log", "error.log")
    fleet.start()
    fleet.wait_healthy("web")
    append(access, "2026-01-02T03:04:05Z GET /\n2026-01-02T03:04:09Z GET /b\n")
    append(errors, "2026-01-02T03:04:07Z ERROR no upstream\n")
    assert fleet.ok("logs", "web").splitlines() == ["access.log | 2026-01-02T03:04:05Z GET /", "error.log | 2026-01-02T03:04:07Z ERROR no upstream",
                                                     "access.log | 2026-01-02T03:04:09Z GET /b"]
    assert fleet.ok("logs", "web", "--level", "error") == "error.log | 2026-01-02T03:04:07Z ERROR no upstream\n"
    assert json.loads(fleet.ok("logs", "web", "-n", "1", "--json").splitlines()[-1])["stream"] == str(access)
    assert "no upstream" in fleet.ok("status", "web")
    following = Following(fleet, "web", "-n", "0")
    following.begins(lambda text: append(access, text + "\n"))
    append(access, "first\n")
    following.wait("access.log | first")
    os.rename(access, fleet.dir / "access.log.1")  # as logrotate does, and the daemon goes on in the old one
    append(fleet.dir / "access.log.1", "late\n")
    following.wait("access.log | late")
    append(access, "second\n")
    following.wait("access.log | second")
    assert following.out.read_text().count("first") == 1


def test_a_file_that_is_copied_and_truncated_is_followed_each_line_once(fleet):
    """logrotate's other way: the same file, empty again; the daemon notices nothing of it."""
    log, = with_files(fleet, "app.log")
    fleet.start()
    fleet.wait_healthy("web")
    append(log, "".join(f"before {n}\n" for n in range(100)))
    following = Following(fleet, "web", "-n", "0")
    following.begins(lambda text: append(log, text + "\n"))
    for round_ in range(3):
        append(log, f"round {round_} is long enough to be cut off\n")
        following.wait(f"round {round_} is")
        (fleet.dir / "app.log.1").write_bytes(log.read_bytes())
        os.truncate(log, 0)
        append(log, f"after {round_}\n")
        following.wait(f"after {round_}")
    assert [following.out.read_text().count(f"after {n}\n") for n in range(3)] == [1, 1, 1]
    assert fleet.ok("logs", "web") == "after 2\n", "what was copied away is shown as the file's"


def test_a_bad_line_in_a_daemons_own_file_heals_it(fleet):
    log, = with_files(fleet, "error.log", checks=CHECK)
    append(log, "FATAL of yesterday\n")
    fleet.start()
    fleet.wait_healthy("web")
    never(lambda: len(fleet.starts("web")) > 1, "an old line was held against it", 1)
    append(log, "FATAL out of memory\n")
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")
    assert "FATAL out of memory" in fleet.ok("why", "web")
    never(lambda: len(fleet.starts("web")) > 2, "the same line was held against it twice", 1)


class Journal:
    """Real journal files, written by systemd's own importer, where this machine's journal would be."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.write("nobody.service", "the journal begins")

    def write(self, unit, text, priority=6):
        stamp = time.time_ns() // 1000
        entry = (f"__REALTIME_TIMESTAMP={stamp}\n__MONOTONIC_TIMESTAMP={stamp}\n_BOOT_ID=6f5d2c1e9a8b4c7d8e9f0a1b2c3d4e5f\n"
                 f"MESSAGE={text}\nPRIORITY={priority}\n_SYSTEMD_UNIT={unit}\n\n")
        subprocess.run(["/lib/systemd/systemd-journal-remote", "--split-mode=none", "-o", self.folder / "system.journal", "-"],
                       input=entry.encode(), check=True, capture_output=True)


@pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not()))
def test_lines_of_a_systemd_unit_come_from_the_journal_and_a_bad_one_restarts_it_by_a_job(fleet, systemd):
    journal = Journal(fleet.dir / "journal")
    fleet.environment["KEEPWELL_JOURNAL_DIR"] = str(journal.folder)
    command = " ".join(fleet.victim("web"))
    systemd.write_unit("web.service", f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={command}\n")
    systemd.systemctl("daemon-reload")
    fleet.write(f'[unit.web]\nsystemd = "web.service"\nbus = "{systemd.bus_address}"\n{FAST}\n{CHECK}')
    journal.write("web.service", "FATAL of yesterday", 2)
    fleet.start()
    fleet.wait_healthy("web")
    journal.write("web.service", "hello", 6)
    journal.write("other.service", "of another", 6)
    assert fleet.ok("logs", "web").splitlines() == ["FATAL of yesterday", "hello"]
    assert fleet.ok("logs", "web", "--level", "error") == "FATAL of yesterday\n"
    assert fleet.ok("logs", "web", "--since", "1h", "-n", "1") == "hello\n"
    assert json.loads(fleet.ok("logs", "web", "-n", "1", "--json"))["stream"] == "journal"
    assert "hello" in fleet.ok("status", "web")
    assert len(fleet.starts("web")) == 1, "an old line was held against it"
    following = Following(fleet, "web", "-n", "0")
    following.begins(lambda text: journal.write("web.service", text))
    journal.write("web.service", "FATAL now", 2)
    following.wait("FATAL now")
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")
    assert "FATAL now" in fleet.ok("why", "web")
    never(lambda: len(fleet.starts("web")) > 2, "the same line was held against it twice", 1)


@pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not()))
def test_without_a_journal_logs_says_so_and_the_check_is_no_reason_to_heal(fleet, systemd):
    command = " ".join(fleet.victim("web"))
    systemd.write_unit("web.service", f"[Service]\nExecStart={command}\n")
    systemd.systemctl("daemon-reload")
    fleet.environment["KEEPWELL_JOURNAL_DIR"] = str(fleet.dir)
    fleet.write(f'[unit.web]\nsystemd = "web.service"\nbus = "{systemd.bus_address}"\n{FAST}\n{CHECK}'
                '[unit.talker]\nshell = "echo hello; exec sleep 1000"\n')
    fleet.start()
    fleet.wait_starts("web", 1)
    fleet.wait_for(lambda: b"hello" in fleet.log_text("talker"), "the line of the other unit")
    result = fleet.cli("logs", "web")
    assert result.returncode == 1
    assert "cannot read the journal: there are no journal files in" in result.stderr
    both = fleet.cli("logs", "web", "talker")
    assert both.returncode == 1 and "web: cannot read the journal" in both.stderr
    assert "talker | hello\n" in both.stdout, "the logs that can be read are not shown"
    never(lambda: len(fleet.starts("web")) > 1, "it was restarted for a log that cannot be read", 2)
