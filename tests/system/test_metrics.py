"""What units and the host use, as status.json tells it."""
import os

from conftest import children, toml
from test_status import validator

QUICK = 'status_interval = "500ms"\n[supervisor.metrics]\ninterval = "500ms"\nper_unit = "500ms"\n'
BURN = "x = b'1' * (100 << 20)\nwhile True: pass"
# The unit's work is done by a child of its main process.
NEST = f"import os\nif os.fork() == 0:\n exec({BURN!r})\nos.wait()"
MIB = 1 << 20


def python(name, program, keys=""):
    return f'[unit.{name}]\ncommand = {toml(["/usr/bin/python3", "-c", program])}\n{keys}\n'


def test_a_child_that_burns_is_seen_with_its_whole_tree(fleet):
    fleet.write(python("burns", NEST) + fleet.unit("idle") + "[unit.outside]\ncheck.f = { type = \"file\", path = \"/\" }\n", supervisor=QUICK)
    fleet.start()
    fleet.wait_state("burns", "running")
    fleet.wait_for(fleet.status_file.exists, "status.json")
    burning = lambda: (u := fleet.status()["services"]["burns"]) and (u["cpu_percent"] or 0) > 20 and u["memory_bytes"] > 100 * MIB and u
    unit = fleet.wait_for(burning, "the figures of the burning unit")
    assert unit["process"]["count"] == 2 and unit["pid"] == unit["process"]["pids"][0]
    assert unit["process"]["pids"][1:] == children(unit["pid"])
    assert unit["threads"] == 2 and unit["open_fds"] >= 6 and unit["memory_percent"] > 0 and unit["uptime_s"] >= 0
    document = fleet.status()
    idle = document["services"]["idle"]
    assert idle["cpu_percent"] < 20 and idle["memory_bytes"] < 50 * MIB and idle["process"]["count"] == 1
    outside = document["services"]["outside"]
    for key in ("cpu_percent", "memory_bytes", "memory_percent", "open_fds", "threads", "uptime_s"):
        assert outside[key] is None, f"an external unit has no process, yet {key} = {outside[key]}"
    assert next(validator().iter_errors(document), None) is None
    row = next(line for line in fleet.cli("status").stdout.splitlines() if " burns " in f" {line} ")
    assert "%" in row and "M" in row, row
    assert "% CPU" in fleet.ok("show", "burns") and "open file" in fleet.ok("show", "burns")


def test_a_restarted_unit_has_the_figures_of_its_new_process(fleet):
    fleet.write(fleet.unit("web"), supervisor=QUICK)
    fleet.start()
    fleet.wait_healthy()
    measured = lambda: (u := fleet.live("web"))["cpu_percent"] is not None and u
    before = fleet.wait_for(measured, "the first figures")
    os.kill(before["pid"], 9)
    fleet.wait_for(lambda: fleet.live("web")["pid"] not in (None, before["pid"]), "a new process")
    after = fleet.wait_for(measured, "the figures of the new process")
    assert after["process"]["pids"] == [after["pid"]] != [before["pid"]]


def statuses(document):
    return {part: document["system_metrics"][part]["status"] for part in ("cpu", "memory", "disk")}


def test_thresholds_turn_the_status_of_the_host_and_reload_applies_them(fleet):
    lowest = "cpu = { warning = 0, critical = 0 }\nmemory = { warning = 0, critical = 100 }\ndisk = { warning = 0, critical = 100 }\n"
    highest = lowest.replace("warning = 0", "warning = 100").replace("critical = 0", "critical = 100")
    fleet.write(fleet.unit("web"), supervisor=QUICK + lowest)
    fleet.start()
    fleet.wait_for(fleet.status_file.exists, "status.json")
    wanted = {"cpu": "critical", "memory": "warning", "disk": "warning"}
    fleet.wait_for(lambda: statuses(fleet.status()) == wanted, "the statuses")
    fleet.write(fleet.unit("web"), supervisor=QUICK + highest + 'paths = ["/", "/nowhere-at-all"]\n')
    fleet.ok("reload")
    calm = lambda: statuses(fleet.status()) == {"cpu": "ok", "memory": "ok", "disk": "ok"} and fleet.status()
    fleet.wait_for(calm, "the statuses after the reload")
    # The new paths are looked at by the next sample.
    two = lambda: (d := fleet.status()["system_metrics"]["disk"]) and len(d["paths"]) == 2 and d
    disk = fleet.wait_for(two, "the second path")
    assert disk["path"] == "/" and disk["paths"][1] == {"total": 0, "used": 0, "free": 0, "percent": None, "path": "/nowhere-at-all", "status": None}
    history = lambda: (h := fleet.status()["system_metrics"]["history"]) and len(h["cpu_percent"]) >= 3 and h
    steps = fleet.wait_for(history, "three steps of the host's history")
    assert steps["step_s"] == 0.5
    assert len({len(steps[k]) for k in steps if k != "step_s"}) == 1
    assert steps["network_rx_bytes_per_s"][1] is not None
    assert next(validator().iter_errors(fleet.status()), None) is None


def test_a_slow_answer_is_compared_with_the_response_thresholds(fleet, health):
    health.delay = 0.1
    fleet.write(fleet.unit("web", keys=f'check.http = {{ url = "{health.url}", interval = "200ms" }}') + fleet.unit("mute"),
                supervisor=QUICK + 'response = { warning = "50ms", critical = "1h" }\n')
    fleet.start()
    fleet.wait_for(lambda: fleet.live("web")["health"]["responseStatus"] == "warning", "the slow answer")
    assert fleet.live("mute")["health"]["responseStatus"] is None
    fleet.write(fleet.unit("web", keys=f'check.http = {{ url = "{health.url}", interval = "200ms" }}') + fleet.unit("mute"),
                supervisor=QUICK + 'response = { warning = "1ms", critical = "50ms" }\n')
    fleet.ok("reload")
    assert fleet.live("web")["health"]["responseStatus"] == "critical"
