"""The five older readers of status.json. Each of them is a function that takes the fields it always took, from the API and from
the file, and fails when one is missing; what stands in them is compared with what was done to the units."""
import datetime
import json
import os
import socket
import time

import pytest

from api_client import api_of
from conftest import FAST, Fleet, HealthServer, alive, wait_for

CHECK = 'interval = "200ms", retry_interval = "200ms", timeout = "5s", grace = "0s", failures = 1, heals = false'
ONCE = 'backoff = { initial = "50ms", max = "50ms", jitter = 0.0 }\nbudget = { restarts = 1, within = "10m", then = "stop" }\n'
# Of the units that should run, a third is down: between the default threshold and this one lies the word of the dashboard.
UNITS = ("web", "slow", "dead", "resting", "held", "shop", "teapot", "ghost")


class World:
    """A fleet in which every verdict is on show, and the servers that its checks ask."""

    def __init__(self, folder):
        self.fleet = Fleet(folder)
        self.good, self.bad, self.flaky, self.wrong = (HealthServer() for _ in range(4))
        self.bad.then, self.wrong.then = 503, 404
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.closed_port = s.getsockname()[1]

    def config(self, threshold):
        http = lambda server, more="": f'{{ type = "http", url = "{server.url}", {CHECK}{more} }}'
        component = lambda name, style: f', component = {{ name = "{name}", style = "{style}" }}'
        f = self.fleet
        return f.write("".join([
            f.unit("web", keys=FAST + f'name = "Flask Web"\ncheck.http = {http(self.good, component("web", "operational"))}\n'
                   f'check.port = {{ type = "tcp", port = {self.port}, {CHECK}{component("port", "updown")} }}\n'),
            f.unit("slow", keys=FAST + f'check.first = {http(self.good, component("slow_is_up", "bool"))}\n'
                   f'check.second = {http(self.bad, ", effect = " + chr(34) + "degraded" + chr(34) + "")}\n'),
            f.unit("dead", "--exit-after", 1, "--code", 3, keys=ONCE),
            f.unit("resting", keys=FAST),
            f.unit("held", keys=FAST + f'check.http = {http(self.flaky, ", effect = " + chr(34) + "none" + chr(34))}\n'),
            f'[unit.shop]\ncheck.http = {http(self.bad)}\n',
            f'[unit.teapot]\ncheck.http = {http(self.wrong, component("teapot", "operational"))}\n',
            f'[unit.ghost]\ncheck.port = {{ type = "tcp", port = {self.closed_port}, {CHECK}{component("ghost", "updown")} }}\n',
        ]), supervisor=f'status_interval = "1s"\nhealth_threshold = {threshold}\n'
            '[supervisor.metrics]\ninterval = "1s"\nper_unit = "1s"\n')

    def close(self):
        self.fleet.close()
        for server in (self.good, self.bad, self.flaky, self.wrong):
            server.close()
        self.listener.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("consumers"))
    try:
        world.config(0.7)
        world.fleet.start()
        settle(world.fleet)
        yield world
    finally:
        world.close()


def settle(fleet):
    fleet.wait_state("dead", "failed", 30)
    fleet.wait_healthy("web", "resting", "held", timeout=30)
    fleet.ok("stop", "resting")
    fleet.ok("pause", "held", "--for", "1h")
    verdicts = {"slow": "degraded", "dead": "down", "shop": "degraded", "teapot": "down", "ghost": "down"}
    fleet.wait_for(lambda: (s := fleet.live()["services"]) and all(s[k]["health"]["status"] == v for k, v in verdicts.items()),
                   f"the verdicts {verdicts}", 30)


def sources(world):
    """The document over the API and in the file; the file once it shows the same states."""
    api = api_of(world.fleet).json("/api/status")
    states = lambda d: {k: (s["state"], s["health"]["status"], s["paused"]) for k, s in d["services"].items()}
    world.fleet.wait_for(lambda: states(world.fleet.status()) == states(api_of(world.fleet).json("/api/status")), "the file to follow")
    return [api, world.fleet.status()]


def instant(text):
    assert text.endswith("Z"), text
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00").timestamp()


def fresh(text):
    assert abs(time.time() - instant(text)) < 600, text


# -- the daemon dashboard: status, data.daemons, data.logs, timestamp

def daemon_dashboard(document):
    assert document["status"] == "success"
    fresh(document["timestamp"])
    block, logs = document["data"]["daemons"], document["data"]["logs"]
    fresh(block["lastUpdate"])
    fresh(logs["lastUpdate"])
    assert isinstance(logs["logs"], dict)
    cards = {d["name"]: (d["running"], d["pid"], d["error"], d["lastCheck"]) for d in block["daemons"]}
    assert len(cards) == block["totalCount"] and sum(c[0] for c in cards.values()) == block["runningCount"]
    return cards, block["overallHealth"]


def test_the_daemon_dashboard(world):
    dead_pid = world.fleet.starts("dead")[-1].pid
    envelope = api_of(world.fleet).json("/api/status/daemons")
    envelope["data"] = {"daemons": envelope["data"], "logs": {"logs": {}, "lastUpdate": envelope["timestamp"]}}
    for document in [*sources(world), envelope]:
        cards, word = daemon_dashboard(document)
        assert set(cards) == set(UNITS)
        for name in ("web", "slow", "held"):
            running, pid, error, _ = cards[name]
            assert running and error is None
            assert isinstance(pid, str) and int(pid) == world.fleet.starts(name)[-1].pid and alive(int(pid))
        assert cards["dead"][:3] == (False, None, "Process not found") and not alive(dead_pid)
        assert cards["resting"][:3] == (False, None, None), "what was stopped on purpose is no error"
        assert cards["shop"][:2] == (True, None) and not cards["ghost"][0] and not cards["teapot"][0]
        assert "404" in cards["teapot"][2]
        fresh(cards["web"][3])
        # web, slow, held and shop of web, slow, dead, held, shop, teapot, ghost: four of seven.
        assert word == "critical"


def test_the_word_of_the_dashboard_follows_its_threshold(world):
    fleet, api = world.fleet, api_of(world.fleet)
    word = lambda: daemon_dashboard(api.json("/api/status"))[1]
    try:
        for threshold, expected in ((0.57, "warning"), (0.58, "critical")):
            world.config(threshold)
            fleet.ok("reload")
            assert word() == expected, threshold
    finally:
        world.config(0.7)
        fleet.ok("reload")


def test_one_daemon_and_one_word_for_scripts(world):
    api = api_of(world.fleet)
    for name, text in (("web", b"OK\n"), ("resting", b"OK\n"), ("held", b"OK\n"), ("dead", b"NOT_OK\n"), ("ghost", b"NOT_OK\n")):
        assert api.get(f"/api/status/daemon/{name}?format=text").body == text, name
        one = api.json(f"/api/status/daemon/{name}")["data"]
        assert one["name"] == name and set(one) == {"name", "running", "pid", "error", "lastCheck", "service"}
    assert api.json("/api/status/daemon/Flask%20Web")["data"]["name"] == "web"
    assert api.get("/api/status/daemon/nobody").status == 404


# -- the health endpoint: components, overall_status, system_metrics, timestamp, version

def health_endpoint(document):
    metrics = document["system_metrics"]
    figures = {
        "cpu": ("percent", "count", "load_average"), "memory": ("total", "available", "used", "percent"),
        "disk": ("total", "used", "free", "percent"), "network": ("bytes_sent", "bytes_recv", "packets_sent", "packets_recv")}
    for part, keys in figures.items():
        for key in keys:
            assert metrics[part][key] is not None or (part, key) == ("cpu", "percent"), f"{part}.{key}"
    fresh(document["timestamp"])
    assert document["version"]
    return document["components"], document["overall_status"], document["reasons"], metrics


def test_the_health_endpoint(world):
    api = api_of(world.fleet)
    own = api.json("/health")
    assert own["status"] == own["overall_status"], "here status is health"
    for document in [*sources(world), own]:
        components, word, reasons, metrics = health_endpoint(document)
        assert components == {"web": "operational", "port": "up", "slow_is_up": True, "teapot": "failing", "ghost": "down"}
        assert word == "degraded"
        told = {r["service"]: r for r in reasons}
        assert set(told) == {"slow", "dead", "held", "shop", "teapot", "ghost"} - ({"held"} - set(told))
        assert told["slow"]["check"] == "second" and told["slow"]["effect"] == "degraded" and "503" in told["slow"]["message"]
        assert told["dead"]["check"] == "process" and told["dead"]["effect"] == "down"
        assert metrics["cpu"]["count"] == os.cpu_count()
        total = int(open("/proc/meminfo").readline().split()[1]) * 1024
        assert metrics["memory"]["total"] == total and len(metrics["cpu"]["load_average"]) == 3
    assert api.get("/health").status == 200 and api.get("/health?strict=1").status == 503


def test_the_word_of_the_health_endpoint(tmp_path):
    """No failing check: healthy. One with effect none or unknown: unknown. One that degrades: degraded."""
    server, fleet = HealthServer(), Fleet(tmp_path)
    try:
        config = lambda effect: fleet.write(fleet.unit("web", keys=FAST + f'check.http = {{ url = "{server.url}", {CHECK}, effect = "{effect}" }}'))
        config("unknown")
        fleet.start()
        fleet.wait_healthy("web")
        api = api_of(fleet)
        word = lambda: health_endpoint(api.json("/health"))[1]
        assert word() == "healthy" and api.json("/health")["reasons"] == []
        assert api.get("/health?strict=1").status == 200
        server.then = 500
        fleet.wait_for(lambda: word() == "unknown", "the word of a check that knows nothing")
        config("degraded")
        fleet.ok("reload")
        fleet.wait_for(lambda: word() == "degraded", "the word of a check that degrades")
        server.then = 200
        fleet.wait_for(lambda: word() == "healthy", "the word once all is well")
    finally:
        fleet.close()
        server.close()


# -- the deployment monitor: services.<key>.health

def deployment_monitor(document):
    seen = {}
    for key, service in document["services"].items():
        health = service["health"]
        seen[key] = tuple(health[k] for k in ("status", "lastCheckAt", "responseTime", "uptime", "errorRate"))
    return seen


def test_the_deployment_monitor(world):
    started = {n: world.fleet.starts(n)[-1] for n in ("web", "slow")}
    for document in sources(world):
        seen = deployment_monitor(document)
        words = {k: v[0] for k, v in seen.items()}
        assert words == {"web": "healthy", "slow": "degraded", "dead": "down", "resting": words["resting"], "held": "healthy",
                         "shop": "degraded", "teapot": "down", "ghost": "down"}, "5xx degrades an external unit, 404 and a refusal do not"
        assert words["resting"] in ("unknown", "down", "healthy")
        status, last, response, uptime, rate = seen["web"]
        fresh(last)
        assert 0 < response < 5000 and rate == 0
        age = time.monotonic() - started["web"].ns / 1e9
        assert isinstance(uptime, int) and -1 <= age - uptime <= 60
        assert seen["dead"][3] is None and seen["resting"][3] is None, "no process, no uptime"
        assert seen["shop"][4] == 100 and seen["ghost"][4] == 100
        assert 0 < seen["slow"][4] < 100, "one of its two checks fails"
        assert seen["resting"][2] is None, "no check, no response time"


def test_the_error_rate_is_the_share_of_failed_checks(world):
    """Six of a hundred: counted at the server that was asked, compared while nothing is under way."""
    api = api_of(world.fleet)
    world.flaky.script = [500, 200, 500, 500, 200]

    def agree():
        before = list(world.flaky.answers)
        rate = deployment_monitor(api.json("/api/status"))["held"][4]
        checks = [s for _, s in before]
        failed = sum(s != 200 for s in checks)
        return failed == 3 and rate == pytest.approx(100 * failed / len(checks), abs=0.01)

    wait_for(agree, "the rate of the document to be that of the server", 30)


# -- the service dashboard: ok, http, port, systemd, process and the sums

def service_dashboard(document):
    rows = {}
    for key, s in document["services"].items():
        assert s["key"] == key
        rows[key] = {"name": s["name"], "ok": s["ok"],
                     "http": tuple(s["http"][k] for k in ("ok", "status_code", "latency_ms", "error", "expected_status")),
                     "port": tuple(s["port"][k] for k in ("ok", "error")), "systemd": tuple(s["systemd"][k] for k in ("state", "ok")),
                     "process": tuple(s["process"][k] for k in ("count", "pids")), "last_checked": s["last_checked"],
                     "auto_restart": (s["auto_restart_attempted"], s["auto_restart_result"])}
    assert document["ok_count"] + document["fail_count"] == document["total"] == len(rows)
    assert document["ok_count"] == sum(r["ok"] for r in rows.values())
    assert document["mode"] in ("production_monitoring", "development_fallback")
    fresh(document["generated_at"])
    assert document["version"]
    return rows, document["mode"], document["host"]


def test_the_service_dashboard(world):
    for document in sources(world):
        rows, mode, host = service_dashboard(document)
        assert (mode, host) == ("production_monitoring", socket.gethostname())
        assert {k: r["ok"] for k, r in rows.items()} == {
            "web": True, "slow": True, "dead": False, "resting": True, "held": True, "shop": False, "teapot": False, "ghost": False}
        assert rows["web"]["name"] == "Flask Web" and rows["slow"]["name"] == "slow"
        ok, code, latency, error, expected = rows["web"]["http"]
        assert (ok, code, error) == (True, 200, "") and latency > 0 and expected in (200, "200-299")
        ok, code, _, error, _ = rows["slow"]["http"]
        assert (ok, code) == (False, 503) and "503" in error, "the first http check that fails, not the first one"
        assert rows["web"]["port"] == (True, "") and rows["ghost"]["port"][0] is False and rows["ghost"]["port"][1]
        nothing = {"http": (None,) * 5, "port": (None,) * 2, "systemd": (None,) * 2}
        assert {k: rows["resting"][k] for k in nothing} == nothing, "what is not configured is null"
        pid = world.fleet.starts("web")[-1].pid
        assert rows["web"]["process"] == (1, [pid])
        assert rows["dead"]["process"] == (0, []) and rows["shop"]["process"] == (None, [])
        assert rows["dead"]["auto_restart"][0] is True and rows["dead"]["auto_restart"][1]["ok"] is False
        assert rows["web"]["auto_restart"] == (False, None)
        fresh(rows["web"]["last_checked"])


def test_a_paused_unit_keeps_its_real_verdict(world):
    for document in sources(world):
        held = document["services"]["held"]
        assert held["paused"] is True and held["health"]["status"] == "healthy" and held["ok"] is True
        assert instant(held["paused_until"]) > time.time() and held["paused_by"]


# -- the performance monitor: figures, restarts, history, alerts, system_metrics against thresholds

def performance_monitor(document):
    figures = {k: {f: s[f] for f in ("cpu_percent", "memory_bytes", "memory_percent", "uptime_s", "restarts", "last_exit", "history")}
               for k, s in document["services"].items()}
    for alert in document["alerts"]:
        assert alert["severity"] in ("info", "warning", "error", "critical")
        assert {"service", "message", "suggestion", "startsAt"} <= set(alert)
    words = {part: document["system_metrics"][part]["status"] for part in ("cpu", "memory", "disk")}
    assert set(words.values()) <= {"ok", "warning", "critical", None}
    return figures, words


def test_the_performance_monitor(world):
    measured = lambda: performance_monitor(world.fleet.status())[0]["web"]["cpu_percent"] is not None
    world.fleet.wait_for(measured, "the second sample of web")
    for document in sources(world):
        figures, words = performance_monitor(document)
        assert words["memory"] and words["disk"]
        web = figures["web"]
        resident = int(open(f"/proc/{world.fleet.starts('web')[-1].pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert 0 < web["memory_bytes"] < 50 << 20 and web["memory_bytes"] == pytest.approx(resident, rel=0.5)
        assert 0 < web["memory_percent"] < 100 and web["cpu_percent"] >= 0 and web["uptime_s"] >= 0
        assert web["restarts"]["total"] == 0 and web["last_exit"]["at"] is None
        dead = figures["dead"]
        assert dead["last_exit"]["code"] == 3 and dead["last_exit"]["at"]
        assert dead["restarts"]["total"] == len(world.fleet.starts("dead")) - 1
        assert set(web["history"]["states"]) <= set("UGDXP")
        for key in ("dead", "resting", "shop"):
            assert figures[key]["cpu_percent"] is None and figures[key]["memory_bytes"] is None


# -- the promises of every document that they share

def test_the_file_and_the_answer_are_the_same_document(world):
    """Under one sequence number stand the same bytes, whoever asks."""
    api = api_of(world.fleet)

    def same():
        answer = api.get("/api/status").body
        written = world.fleet.status_file.read_bytes()
        return json.loads(answer)["sequence"] == json.loads(written)["sequence"] and (answer, written)

    answer, written = wait_for(same, "an answer and a file of one sequence number", 30)
    assert answer == written


def test_not_modified_until_something_changed_and_then_at_once(world):
    api = api_of(world.fleet)
    first = api.get("/api/status")
    tag = first.headers["etag"]
    assert tag.startswith('"') and tag.endswith('"')
    # Figures come once a second here: the same tag says the same bytes, another tag other bytes.
    again = api.get("/api/status", {"If-None-Match": tag})
    if again.status == 304:
        assert again.body == b"" and again.headers["etag"] == tag
    else:
        assert again.status == 200 and again.body != first.body and again.headers["etag"] != tag
    for verb, paused in (("resume", False), ("pause", True)):
        tag = api.get("/api/status").headers["etag"]
        world.fleet.ok(verb, "held")
        changed = api.get("/api/status", {"If-None-Match": tag})
        assert changed.status == 200 and json.loads(changed.body)["services"]["held"]["paused"] is paused
