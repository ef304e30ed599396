"""keepwell upgrade: the installed program takes the running one's place; no daemon and no log line notices."""
import os
import shutil
import signal

import pytest

import conftest
from conftest import FAST, alive
from test_survival import assert_lines_once_and_in_order

NAMES = [f"u{i}" for i in range(10)]


@pytest.fixture
def installed(fleet):
    """keepwell run from a folder of its own, where its files can be replaced."""
    folder = fleet.dir / "bin"
    folder.mkdir()
    for name in ("keepwell", "keepwell-keeper"):
        shutil.copy2(conftest.KEEPWELL.parent / name, folder / name)
    fleet.program = folder / "keepwell"
    keys = FAST + 'log = { max_size = "32K", keep = 2000, compress = false }'
    fleet.write("".join(fleet.unit(n, "--rate", 200, "--width", 100, keys=keys) for n in NAMES), supervisor="max_parallel_starts = 10")
    fleet.start()
    fleet.wait_healthy()
    return folder


def replace(file, content=None):
    """As a package manager does it: a new file over the name, while the old one runs."""
    new = file.with_name(file.name + ".new")
    if content is None:
        shutil.copy2(conftest.KEEPWELL.parent / file.name, new)
    else:
        new.write_text(content)
        new.chmod(0o755)
    os.rename(new, file)


def test_an_upgrade_keeps_every_pid_and_every_line(fleet, installed):
    pids = {n: fleet.starts(n)[0].pid for n in NAMES}
    keeper = fleet.keeper.pid
    for _ in range(3):
        supervisor = fleet.supervisor()
        for name in ("keepwell", "keepwell-keeper"):
            replace(installed / name)
        assert os.readlink(f"/proc/{keeper}/exe").endswith(" (deleted)")
        said = fleet.ok("upgrade")
        assert "10 of 10 daemons with the same pid" in said and f"keeper {keeper} stays" in said
        assert os.readlink(f"/proc/{keeper}/exe") == str(installed / "keepwell-keeper")
        assert fleet.supervisor() not in (None, supervisor)
    assert fleet.keeper.poll() is None
    assert {n: u["pid"] for n, u in fleet.live()["services"].items()} == pids
    # They are children still: an exit is known, healed and told.
    os.kill(pids["u0"], signal.SIGSEGV)
    fleet.wait_starts("u0", 2)
    assert fleet.live("u0")["last_exit"]["signal"] == signal.SIGSEGV
    fleet.ok("stop", "all", timeout=60)
    assert not any(alive(p) for p in pids.values())
    for n in NAMES[1:]:
        assert len(fleet.starts(n)) == 1
        fleet.wait_for(lambda: fleet.log_text(n).count(b"\n") >= fleet.notes(n)[-1].sequence, "the last lines", 20)
        assert_lines_once_and_in_order(fleet, n)


@pytest.mark.parametrize("file, script, why", [
    ("keepwell-keeper", '#!/bin/sh\necho "this state is not for me" >&2\nexit 1\n', "this state is not for me"),
    ("keepwell-keeper", "#!/nowhere\n", "cannot run"),
    ("keepwell", "#!/bin/sh\necho keepwell 99\n", "is not of this keeper's version"),
])
def test_a_program_that_cannot_take_over_is_refused_and_everything_runs_on(fleet, installed, file, script, why):
    pids = {n: fleet.starts(n)[0].pid for n in NAMES}
    supervisor = fleet.supervisor()
    fleet.program = conftest.KEEPWELL
    replace(installed / file, script)
    done = fleet.cli("upgrade")
    assert done.returncode == 1 and why in done.stderr, done
    assert "runs on as it was" in done.stderr
    assert fleet.supervisor() == supervisor and fleet.keeper.poll() is None
    assert {n: u["pid"] for n, u in fleet.live()["services"].items()} == pids
    replace(installed / file)
    fleet.ok("upgrade")
    assert {n: u["pid"] for n, u in fleet.live()["services"].items()} == pids


def test_shutdown_leave_ends_keepwell_and_the_next_run_takes_over(fleet, installed):
    fleet.ok("stop", "u9")
    pids = {n: fleet.starts(n)[0].pid for n in NAMES}
    supervisor = fleet.supervisor()
    assert "run on" in fleet.ok("shutdown", "--leave")
    assert fleet.keeper.wait(10) == 0 and not alive(supervisor)
    assert all(alive(pids[n]) for n in NAMES[:9])
    assert "left its daemons running" in fleet.status()["note"]
    fleet.start()
    fleet.wait_healthy(*NAMES[:9])
    services = fleet.live()["services"]
    assert {n: services[n]["pid"] for n in NAMES[:9]} == {n: pids[n] for n in NAMES[:9]}
    assert services["u9"]["state"] == "stopped"
    assert all(len(fleet.starts(n)) == 1 for n in NAMES)
    fleet.ok("stop", "all", timeout=60)
    for n in NAMES[:9]:
        fleet.wait_for(lambda: fleet.log_text(n).count(b"\n") >= fleet.notes(n)[-1].sequence, "the last lines", 20)
        assert_lines_once_and_in_order(fleet, n)
