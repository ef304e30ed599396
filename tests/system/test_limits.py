"""Limits of a whole tree and what happens at them: memory with the OOM killer, pids, and where there is no controller."""
import os
import pathlib
import signal
import sys

import pytest

from conftest import FAST, alive, never, toml

EAT = "import time\nhoard=[]\nwhile True:\n hoard.append(bytearray(1 << 20)); time.sleep(0.002)"


def own_group(controller):
    """The folder of our own group in the v1 hierarchy of a controller that we may write, or None."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        kind, _, options = rest.split()[:3]
        if kind == "cgroup" and controller in options.split(","):
            mount = fields.split()[4]
            for group in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
                _, names, path = group.split(":", 2)
                if controller in names.split(","):
                    folder = pathlib.Path(mount + path)
                    return folder if os.access(folder / "cgroup.procs", os.W_OK) else None
    return None


def needs(controller):
    return pytest.mark.skipif(not own_group(controller), reason=f"no {controller} controller that this user may write")


def groups(controller):
    """Folders of keepwell's units in the v1 hierarchy."""
    return {p for p in own_group(controller).glob("keepwell-*/*") if p.is_dir()}


def eater(name, keys):
    return f'[unit.{name}]\ncommand = {toml([sys.executable, "-c", EAT])}\n{keys}\n'


@needs("memory")
def test_what_the_oom_killer_ends_is_told_apart_from_a_plain_sigkill(fleet):
    before = groups("memory")
    fleet.write(eater("hog", 'limits = { memory = "40M" }\nbackoff = { initial = "1h", max = "1h" }\n') +
                fleet.unit("calm", keys=FAST + 'limits = { memory = "64M" }'))
    fleet.start()
    unit = fleet.wait_for(lambda: (u := fleet.live("hog"))["last_exit"]["oom"] is not None and u, "the end of the hog", 20)
    assert unit["last_exit"]["signal"] == signal.SIGKILL and unit["last_exit"]["oom"] is True
    assert "killed by the OOM killer (memory limit 40M)" in fleet.live("hog")["reason"]
    assert "killed by the OOM killer" in fleet.ok("why", "hog")
    fleet.wait_healthy("calm")
    os.kill(fleet.starts("calm")[0].pid, signal.SIGKILL)
    fleet.wait_starts("calm", 2)
    assert fleet.live("calm")["last_exit"] | {"at": 0} == {"code": None, "signal": 9, "core": False, "oom": False, "at": 0}
    assert "warnings" not in fleet.live("calm")
    assert len(groups("memory") - before) == 1, "the group of a unit whose tree is gone has gone too"
    fleet.keeper.terminate()
    fleet.keeper.wait(20)
    assert groups("memory") == before, "a clean end leaves no groups"


@needs("memory")
def test_a_worker_that_the_oom_killer_ended_long_ago_does_not_explain_a_later_kill(fleet):
    parent = ("import os,sys,time\npid=os.fork()\nif pid==0:\n" + "".join(f" {l}\n" for l in EAT.splitlines()) +
              "os.waitpid(pid,0)\nopen(sys.argv[1],'w').write(str(os.getpid()))\ntime.sleep(1000)")
    told = fleet.dir / "told"
    fleet.write(f'[unit.web]\ncommand = {toml([sys.executable, "-c", parent, str(told)])}\n{FAST}\nlimits = {{ memory = "40M" }}\n')
    fleet.start()
    fleet.wait_for(lambda: told.exists() and told.read_text(), "the worker to be killed", 20)
    # Signs of life come every five seconds; two of them make the kill an old story.
    first = int(told.read_text())
    group = next(p for p in groups("memory") if str(first) in (p / "cgroup.procs").read_text().split())
    assert "oom_kill 1" in (group / "memory.oom_control").read_text()
    never(lambda: not alive(first), "the main process ended with its worker", 11)
    os.kill(first, signal.SIGKILL)
    unit = fleet.wait_for(lambda: (u := fleet.live("web"))["last_exit"]["signal"] and u, "the exit to be known")
    assert unit["last_exit"]["oom"] is False


@needs("memory")
def test_groups_of_a_killed_keeper_are_found_again_and_removed(fleet):
    before = groups("memory")
    fleet.write(fleet.unit("web", keys=FAST + 'limits = { memory = "64M" }'))
    fleet.start()
    fleet.wait_healthy("web")
    mine = groups("memory") - before
    assert len(mine) == 1
    fleet.kill_keeper()
    fleet.start()
    fleet.wait_healthy("web")
    assert len(fleet.starts("web")) == 1, "adopted, not started again"
    assert groups("memory") - before == mine
    fleet.ok("stop", "web")
    fleet.wait_for(lambda: groups("memory") == before, "the group to go with its tree")


@needs("pids")
def test_a_limit_of_processes_holds_for_the_whole_tree(fleet):
    script = 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done 2>/dev/null; wait'
    fleet.write(f'[unit.many]\ncommand = ["/bin/bash", "-c", {toml(script)}]\n{FAST}\nlimits = {{ pids = 4 }}\n')
    fleet.start()
    fleet.wait_for(lambda: fleet.live("many")["pid"], "the unit to run")
    group = fleet.wait_for(lambda: [p for p in groups("pids") if str(fleet.live("many")["pid"]) in
                                    (p / "cgroup.procs").read_text().split()], "its group")[0]
    fleet.wait_for(lambda: "max 0" not in (group / "pids.events").read_text(), "a fork to be refused")
    assert int((group / "pids.current").read_text()) <= 4


@needs("cpu")
def test_a_limit_of_cpu_is_in_percent_of_one_core(fleet):
    fleet.write(fleet.unit("web", keys=FAST + "limits = { cpu = 150 }"))
    fleet.start()
    fleet.wait_healthy("web")
    pid = str(fleet.live("web")["pid"])
    group = next(p for p in groups("cpu") if pid in (p / "cgroup.procs").read_text().split())
    quota, period = (int((group / f"cpu.cfs_{n}_us").read_text()) for n in ("quota", "period"))
    assert quota / period == 1.5


def test_without_a_controller_the_unit_runs_and_the_status_says_so(fleet):
    fleet.environment["KEEPWELL_NO_CGROUP"] = "1"
    fleet.write(fleet.unit("web", keys=FAST + 'limits = { memory = "64M", pids = 100 }'))
    fleet.start()
    fleet.wait_healthy("web")
    assert fleet.live("web")["warnings"] == ["memory limit is not enforced here: no delegated memory controller",
                                            "pids limit is not enforced here: no delegated pids controller"]
    assert "memory limit is not enforced" in fleet.ok("status", "web")


READ_ONLY_CGROUPS = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
                     "mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup/unified && "
                     'mount -o remount,bind,ro /sys/fs/cgroup/unified && exec "$@"', "sh")


def test_where_no_cgroup_can_be_made_units_run_and_are_healed_without(fleet):
    fleet.write(fleet.unit("web", "--fork-children", "2"))
    fleet.start(prefix=READ_ONLY_CGROUPS)
    fleet.wait_healthy("web")
    assert fleet.live("web")["tree_certainty"] == "best_effort"
    fleet.wait_for(lambda: len(fleet.live("web")["process"]["pids"]) == 3, "the whole tree to be known")
    first = fleet.live("web")["process"]["pids"]
    os.kill(fleet.live("web")["pid"], signal.SIGKILL)
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")
    assert not [pid for pid in first if alive(pid)], "what the dead instance left"
    fleet.wait_for(lambda: len(fleet.live("web")["process"]["pids"]) == 3, "the whole new tree to be known")
    second = fleet.live("web")["process"]["pids"]
    fleet.ok("stop", "web")
    assert not [pid for pid in second if alive(pid)], "what the stop left"


def test_other_limits_in_a_reload_start_the_unit_again_with_them(fleet):
    fleet.write(fleet.unit("web", keys=FAST + 'limits = { memory = "64M" }'))
    fleet.start()
    fleet.wait_healthy("web")
    fleet.write(fleet.unit("web", keys=FAST + 'limits = { memory = "65M" }'))
    assert "web" in fleet.ok("reload")
    fleet.wait_starts("web", 2)


@needs("pids")
def test_fault_19_a_host_without_free_processes_costs_no_budget_and_stop_still_works(fleet):
    """keepwell sits in a pids group that is full: a fork fails with EAGAIN, again and again, until there is room."""
    group = own_group("pids") / f"keepwell-test-{os.getpid()}-full"
    group.mkdir()
    try:
        fleet.write(fleet.unit("first", keys=FAST) + fleet.unit("second", keys='autostart = false\nbudget = { restarts = 1, within = "1h" }\n'
                    'backoff = { initial = "50ms", max = "100ms", jitter = 0.0 }'))
        fleet.start(before=lambda: (group / "cgroup.procs").write_text("0"))
        fleet.wait_healthy("first")
        (group / "pids.max").write_text((group / "pids.current").read_text())
        fleet.popen("start", "second")
        unit = fleet.wait_for(lambda: (u := fleet.live("second"))["state"] == "backoff" and u, "the start to fail")
        assert "host busy: fork: Resource temporarily unavailable" in unit["reason"], unit["reason"]
        refused = lambda: int((group / "pids.events").read_text().split()[1])
        fleet.wait_for(lambda: refused() >= 4, "more tries than the budget has")
        assert fleet.live("second")["restarts"]["attempts_left"] == 1, "the host's fault is not the unit's"
        fleet.ok("stop", "first")
        assert fleet.live("first")["state"] == "stopped"
        (group / "pids.max").write_text("max")
        fleet.wait_healthy("second")
    finally:
        fleet.close()
        group.rmdir()
