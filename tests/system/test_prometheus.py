"""GET /metrics as Prometheus sees it: promtool's rules for names, a real Prometheus that scrapes over TCP, the alerts, the
dashboard and the table of docs/metrics.md, all compared with a fleet that runs."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from conftest import INTERVALS, TOP, Fleet, HealthServer, free_port

RULES = TOP / "contrib/prometheus/rules.yml"
QUICK = '[supervisor.metrics]\ninterval = "500ms"\nper_unit = "500ms"\n'
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
NAME = re.compile(r"\b(?:keepwell|process)_[a-z_]+\b")
# Nobody here has a certificate or is turned away, so these have no sample in this fleet.
WITHOUT_SAMPLE = {"keepwell_check_tls_cert_expiry_timestamp_seconds", "keepwell_http_requests_rejected_total"}


class World:
    """A fleet with a checked unit, one that only runs, one that belongs to others and one that fails."""

    def __init__(self, folder):
        self.health = HealthServer()
        self.fleet = Fleet(folder)
        self.fleet.write(
            self.fleet.unit("web", "--rate", 50, "--lines", 20) + f'group = "shop"\ncheck.http = {{ type = "http", url = "{self.health.url}", {INTERVALS} }}\n'
            + self.fleet.unit("worker")
            + f'[unit.outside]\ncheck.http = {{ type = "http", url = "{self.health.url}", {INTERVALS} }}\n'
            + '[unit.broken]\ncommand = ["/bin/false"]\nautostart = false\n', supervisor=QUICK)
        address = f"127.0.0.1:{free_port()}"
        self.base = "http://" + address
        self.fleet.config.write_text(self.fleet.config.read_text().replace("listen = []", f'listen = ["{address}"]'))
        self.fleet.start()
        self.fleet.wait_healthy("web", "worker")

    def page(self):
        with urllib.request.urlopen(self.base + "/metrics", timeout=20) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.read().decode()

    def fresh(self, predicate, what):
        """The first page of which the predicate holds."""
        return self.fleet.wait_for(lambda: predicate(page := Page(self.page())) and page, what, 30)

    def close(self):
        self.fleet.close()
        self.health.close()


class Page:
    def __init__(self, text):
        self.text, self.types, self.help, self.samples = text, {}, {}, []
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line[7:].split()
                self.types[name] = kind
            elif line.startswith("# HELP "):
                name, words = line[7:].split(" ", 1)
                self.help[name] = words
            else:
                match = SAMPLE.fullmatch(line)
                assert match, f"no sample: {line!r}"
                self.samples.append((match[1], dict(LABEL.findall(match[2] or "")), float(match[3])))

    def family(self, name):
        """A histogram's samples have the names of its parts."""
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        return base if self.types.get(base) == "histogram" else name

    def sum(self, name, **labels):
        return sum(v for n, have, v in self.samples if n == name and labels.items() <= have.items())

    def value(self, name, **labels):
        found = [v for n, have, v in self.samples if n == name and labels.items() <= have.items()]
        assert len(found) == 1, f"{name} {labels}: {found}"
        return found[0]

    def has(self, name, **labels):
        return any(n == name and labels.items() <= have.items() for n, have, _ in self.samples)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("prometheus"))
    yield made
    made.close()


def promtool(*arguments, **keys):
    program = shutil.which("promtool")
    assert program, "promtool is not here: contrib/dev deps installs it"
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, **keys)


def sampled(page):
    return page.has("keepwell_service_memory_bytes", service="web") and page.has("process_cpu_seconds_total") \
        and page.sum("keepwell_log_bytes_total", service="web") > 0 and page.has("keepwell_status_file_last_write_timestamp_seconds") \
        and page.value("keepwell_checks_total", service="outside", check="http", result="pass") > 0


def test_promtool_finds_nothing_to_complain_about(world):
    page = world.fresh(sampled, "a page with every figure")
    done = promtool("check", "metrics", input=page.text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    assert len(page.samples) == len({(n, tuple(sorted(labels.items()))) for n, labels, _ in page.samples}), "a sample comes twice"
    assert all(page.family(name) in page.types for name, _, _ in page.samples)


def test_the_page_says_what_status_says(world):
    page = world.fresh(sampled, "a page with every figure")
    services = world.fleet.live()["services"]
    for key in ("web", "worker", "outside", "broken"):
        unit = services[key]
        states = {labels["state"]: v for n, labels, v in page.samples if n == "keepwell_service_state" and labels["service"] == key}
        assert [s for s, v in states.items() if v] == [unit["state"]] and len(states) == 10
        assert page.value("keepwell_service_health", service=key, health=unit["health"]["status"]) == 1
        assert page.value("keepwell_service_up", service=key) == (1 if key != "broken" else 0)
    assert page.value("keepwell_service_info", service="web", group="shop", kind="child", unit="") == 1
    assert page.value("keepwell_service_info", service="outside") == 1
    assert page.value("keepwell_check_success", service="web", check="http") == 1
    assert page.value("keepwell_check_http_status_code", service="web", check="http") == 200
    assert page.value("keepwell_service_processes", service="web") == 1
    assert page.sum("keepwell_services") == 4
    assert page.value("keepwell_config_last_reload_successful") == 1
    assert not page.has("keepwell_service_start_time_seconds", service="broken")
    supervisor = world.fleet.supervisor()
    assert page.value("process_open_fds") > 5 and page.value("process_resident_memory_bytes") > 1 << 20
    ticks = int(pathlib.Path(f"/proc/{supervisor}/stat").read_text().rsplit(")", 1)[1].split()[19])
    boot = int(re.search(r"^btime (\d+)", pathlib.Path("/proc/stat").read_text(), re.M)[1])
    assert abs(page.value("process_start_time_seconds") - boot - ticks / os.sysconf("SC_CLK_TCK")) < 2
    pids = {str(u["pid"]) for u in services.values() if u["pid"]} | {str(supervisor)}
    assert not pids & {v for _, labels, _ in page.samples for v in labels.values()}
    assert "/bin/false" not in page.text and str(world.fleet.dir) not in page.text


def test_the_table_of_the_documentation_is_what_is_exported(world):
    page = world.fresh(sampled, "a page with every figure")
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) \| (.*) \|$", (TOP / "docs/metrics.md").read_text(), re.M)
    table = {name: (kind, set(re.findall(r"`(\w+)`", labels)), words) for name, kind, labels, words in rows}
    assert set(table) - WITHOUT_SAMPLE - {"keepwell_service_last_exit_code"} <= set(page.types) <= set(table)
    for name, kind in page.types.items():
        assert table[name][0] == kind and table[name][2] == page.help[name], name
    for name, labels, _ in page.samples:
        assert set(labels) - {"le"} == table[page.family(name)][1], (name, labels)


def test_rules_and_dashboard_ask_for_nothing_that_is_not_exported(world):
    yaml = pytest.importorskip("yaml")
    page = world.fresh(sampled, "a page with every figure")
    known = set(page.types) | WITHOUT_SAMPLE | {"keepwell_service_last_exit_code"}
    known |= {name + part for name, kind in page.types.items() if kind == "histogram" for part in ("_bucket", "_sum", "_count")}
    rules = [r for g in yaml.safe_load(RULES.read_text())["groups"] for r in g["rules"]]
    dashboard = json.loads((TOP / "contrib/grafana/keepwell.json").read_text())
    panels = [t["expr"] for p in dashboard["panels"] for t in p["targets"]]
    variables = [v["definition"] for v in dashboard["templating"]["list"] if "definition" in v]
    assert len(rules) > 15 and len(panels) > 20
    assert len({p["id"] for p in dashboard["panels"]}) == len(dashboard["panels"])
    asked = {name for e in [r["expr"] for r in rules] + panels + variables for name in NAME.findall(e)}
    assert asked <= known, asked - known
    for rule in rules:
        assert {"summary", "description"} <= set(rule["annotations"]) and rule["labels"]["severity"] in ("info", "warning", "critical"), rule


def test_promtool_accepts_the_rules_their_test_and_the_example():
    for verb, what in (("check", "rules"), ("test", "rules"), ("check", "config")):
        file = {"check rules": "rules.yml", "test rules": "rules_test.yml", "check config": "prometheus.yml"}[f"{verb} {what}"]
        done = promtool(verb, what, file, cwd=RULES.parent)
        assert done.returncode == 0 and "SUCCESS" in done.stdout, done


class Prometheus:
    """Debian's own, scraping twice a second, with our rules."""

    def __init__(self, folder, target):
        program = shutil.which("prometheus")
        assert program, "prometheus is not here: contrib/dev deps installs it"
        self.url = f"http://127.0.0.1:{free_port()}"
        config = folder / "prometheus.yml"
        config.write_text(f"global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms }}\nrule_files: [{RULES}]\n"
                          f"scrape_configs: [{{ job_name: keepwell, static_configs: [{{ targets: ['{target}'] }}] }}]\n")
        with open(folder / "prometheus.out", "wb") as out:
            self.process = subprocess.Popen([program, f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
                                             f"--web.listen-address={self.url.removeprefix('http://')}"], stdout=out, stderr=out, cwd=folder)

    def query(self, expression):
        """The result of an instant query as {labels: value}; nothing while it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression}), timeout=10) as answer:
                result = json.load(answer)["data"]["result"]
        except OSError:
            return []
        return [(r["metric"], float(r["value"][1])) for r in result]

    def number(self, expression):
        result = self.query(expression)
        return result[0][1] if len(result) == 1 else None

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def prometheus(world, tmp_path):
    made = Prometheus(tmp_path, world.base.removeprefix("http://"))
    yield made
    made.close()


def test_a_real_prometheus_sees_a_daemon_die_and_come_back(world, prometheus):
    fleet = world.fleet
    waits = lambda expression, wanted, what: fleet.wait_for(lambda: wanted(prometheus.number(expression)), what, 30)
    waits('up{job="keepwell"}', lambda v: v == 1, "a scrape")
    waits('keepwell_service_up{service="worker"}', lambda v: v == 1, "a unit that is up")
    restarts = 'sum(keepwell_service_restarts_total{service="worker"})'
    before = prometheus.number(restarts)
    counted = fleet.live("worker")["restarts"]["total"]
    os.kill(fleet.live("worker")["pid"], 9)
    waits(restarts, lambda v: v == before + 1, "the restart")
    waits('keepwell_service_restarts_total{service="worker",trigger="exit",result="success"}', lambda v: v and v >= 1, "its cause and result")
    waits('keepwell_service_exits_total{service="worker",reason="signal"}', lambda v: v and v >= 1, "the end")
    waits('keepwell_service_last_exit_code{service="worker"}', lambda v: v == 137, "how it ended")
    assert fleet.live("worker")["restarts"]["total"] == counted + 1
    # One that stays down for as long as we look.
    fleet.ok("stop", "worker")
    waits('keepwell_service_up{service="worker"}', lambda v: v == 0, "a unit that is down")
    waits('keepwell_service_state{service="worker",state="stopped"}', lambda v: v == 1, "its state")
    waits('keepwell_service_desired_state{service="worker"}', lambda v: v == 0, "that it shall be")
    fleet.ok("start", "worker")
    waits('keepwell_service_up{service="worker"}', lambda v: v == 1, "it up again")
    assert fleet.live("worker")["state"] == "running"


def test_failing_checks_reach_prometheus_and_counters_survive_a_supervisor(world, prometheus):
    fleet = world.fleet
    waits = lambda expression, wanted, what: fleet.wait_for(lambda: wanted(prometheus.number(expression)), what, 30)
    waits('keepwell_check_success{service="outside"}', lambda v: v == 1, "a check that passes")
    world.health.then = 503
    waits('keepwell_check_success{service="outside"}', lambda v: v == 0, "a check that fails")
    waits('keepwell_check_http_status_code{service="outside"}', lambda v: v == 503, "its status")
    waits('keepwell_checks_total{service="outside",result="fail"}', lambda v: v and v > 0, "its results")
    world.health.then = 200
    waits('keepwell_check_success{service="outside"}', lambda v: v == 1, "the check to pass again")
    waits('keepwell_service_health{service="outside",health="healthy"}', lambda v: v == 1, "a healthy unit")
    began = prometheus.number("keepwell_start_time_seconds")
    fleet.kill_supervisor()
    waits("keepwell_start_time_seconds", lambda v: v and v > began, "the next supervisor")
    # rate() and increase() take a counter that begins anew for what it is.
    waits('resets(keepwell_http_requests_total{handler="/metrics"}[5m])', lambda v: v == 1, "one reset")
    waits('increase(keepwell_http_requests_total{handler="/metrics",code="200"}[5m])', lambda v: v and v > 0, "an increase over it")


def test_a_refused_reload_is_seen(world):
    fleet = world.fleet
    good = fleet.config.read_text()
    try:
        fleet.config.write_text(good + "\n[unit.web\n")
        assert fleet.cli("reload").returncode != 0
        refused = world.fresh(lambda p: p.value("keepwell_config_last_reload_successful") == 0, "a refused reload")
        since = refused.value("keepwell_config_last_reload_success_timestamp_seconds")
    finally:
        fleet.config.write_text(good)
    fleet.ok("reload")
    taken = world.fresh(lambda p: p.value("keepwell_config_last_reload_successful") == 1, "a good reload")
    assert taken.value("keepwell_config_last_reload_success_timestamp_seconds") > since


def test_what_is_turned_away_is_counted_by_its_reason_and_no_path_is_a_label(world):
    request = urllib.request.Request(world.base + "/metrics", headers={"Host": "elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=20)
    assert refused.value.code == 421
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(world.base + "/api/why/no-such-unit", timeout=20)
    page = world.fresh(lambda p: p.has("keepwell_http_requests_rejected_total", reason="misdirected"), "the refusal")
    assert page.value("keepwell_http_requests_total", handler="/api/why/*", method="GET", code="404") >= 1
    assert page.value("keepwell_http_request_duration_seconds_count", handler="/api/why/*") >= 1
    assert "no-such-unit" not in page.text and "elsewhere" not in page.text


def test_a_scrape_collects_nothing_and_the_page_is_made_once_a_second(world):
    pages = [Page(world.page()) for _ in range(20)]
    counted = [p.sum("keepwell_http_requests_total", handler="/metrics") for p in pages]
    assert len(set(counted)) < len(pages), "a page is kept for a while"
    assert counted == sorted(counted)
    assert all(p.value("process_cpu_seconds_total") >= 0 for p in pages)
