"""docs/openapi.yaml against a running keepwell, in both directions: what is described is there, what is there is described; every
answer is as its schema says, every parameter is tried with a good and a bad value, every status is really produced."""
import json
import os
import re
import signal
import subprocess
import threading
import urllib.parse

import pytest

from api_client import CHANGE, Api, api_of
from conftest import FAST, Fleet, HealthServer, free_port
from openapi import Description
from test_pidfile import daemon

TRANSPORTS = ["unix", "tcp", "tls"]
STREAM = "text/event-stream; charset=utf-8"
ALL_SCOPES = "read,logs,metrics,control,heartbeat"
CHECK = 'interval = "300ms", retry_interval = "300ms", timeout = "5s", grace = "0s", heals = false'
# What a call needs that no parameter's example can tell.
KNOWN_BODIES = {"signal": {"signal": "HUP"}, "pause": {"for": "1h"}, "check": {"check": "http"}}


class Site:
    """A fleet with a child with checks, a PID-file daemon, a heartbeat, an external unit, one that failed for good, an incident."""

    def __init__(self, folder, tls=False):
        self.fleet = Fleet(folder)
        self.health = HealthServer()
        self.port = free_port()
        self.certificate = self.make_certificate() if tls else None
        self.config()
        (self.fleet.dir / "own.log").write_text("ERROR it went wrong once\n")
        # Without a token nobody may anything over TCP here, so that each route's refusal is seen.
        self.tokens = {scope: self.fleet.ok("token", "add", scope.replace(",", "-"), "--scope", scope, "-c", self.fleet.config).strip()
                       for scope in (ALL_SCOPES, "metrics", "read")}
        self.fleet.start()
        self.healthy()
        self.fleet.wait_state("dead", "failed", 30)
        os.kill(self.fleet.starts("web")[-1].pid, signal.SIGKILL)
        self.fleet.wait_starts("web", 2)
        self.healthy()

    def make_certificate(self):
        names = [str(self.fleet.dir / n) for n in ("key.pem", "cert.pem")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", names[0], "-out", names[1]], check=True, capture_output=True)
        os.chmod(names[0], 0o600)
        return names[1]

    def config(self, more="", supervisor=""):
        f = self.fleet
        pidfile, _, _ = daemon(f, "old", "--rate", 5)
        http = f'{{ url = "{self.health.url}", {CHECK}, failures = 1, component = {{ name = "site", style = "operational" }} }}'
        tls = f'tls = {{ cert = "{self.certificate}", key = "{f.dir}/key.pem" }}\n' if self.certificate else ""
        f.write("".join([
            f.unit("web", "--rate", 5, keys=FAST + f'name = "Web site"\ngroup = "sites"\ncheck.http = {http}\ncheck.beat = {{ type = "heartbeat", within = "1h" }}\n'
                   f'log_files = ["{f.dir}/own.log"]\n'),
            pidfile,
            f.unit("stubborn", "--ignore-term", keys=FAST + 'stop = { timeout = "4s" }\nrequires = ["old"]\n'),
            f.unit("dead", "--exit-after", 1, "--code", 3, keys='backoff = { initial = "50ms", max = "50ms", jitter = 0.0 }\n'
                   'budget = { restarts = 2, within = "1h", then = "stop" }\n'),
            f'[unit.shop]\ncheck.http = {http}\n', more]),
            supervisor=f'status_interval = "1s"\n{supervisor}\n[supervisor.api]\nredact = ["hunter2"]\nanonymous = []\n{tls}'
                       '[supervisor.metrics]\ninterval = "500ms"\nper_unit = "500ms"\n')
        f.config.write_text(f.config.read_text().replace("listen = []", f'listen = ["127.0.0.1:{self.port}"]'))

    def api(self, transport, scope=ALL_SCOPES, source=None):
        """A client that may everything, or what the scope says; nothing with None."""
        if transport == "unix":
            return api_of(self.fleet)
        headers = {"Authorization": f"Bearer {self.tokens.get(scope, scope)}"} if scope else {}
        return Api(f"{'https' if transport == 'tls' else 'http'}://127.0.0.1:{self.port}", self.certificate, headers, source=source)

    def healthy(self):
        self.fleet.wait_state("web", "running", 30)
        self.fleet.ok("beat", "web")  # it was never heard since its start
        self.fleet.wait_healthy("web", "old", "stubborn", "shop", timeout=30)

    def close(self):
        self.fleet.close()
        self.health.close()


class World:
    """One fleet for the unix socket and TCP, one more for TLS when it is needed; what was seen on all of them."""

    def __init__(self, factory):
        self.factory, self.sites = factory, {}
        self.description = Description()
        self.seen = {}  # (METHOD, path): {(status, transport)}

    def site(self, transport):
        kind = "tls" if transport == "tls" else "plain"
        if kind not in self.sites:
            self.sites[kind] = Site(self.factory.mktemp("description-" + kind), kind == "tls")
        return self.sites[kind]

    def api(self, transport):
        return self.site(transport).api(transport)

    @property
    def fleet(self):
        return self.site("unix").fleet

    def close(self):
        for site in self.sites.values():
            site.close()

    # -- calls

    def call(self, transport, method, template, path=None, expect=None, body=None, headers=None):
        """One request; its answer must be described and be as described. Gives the answer's document (or text)."""
        operation = self.description.operations()[method, template]
        api = self.api(transport)
        path = path or self.path(template, transport)
        stream = STREAM in self.description.responses(operation).get(200, {}).get("content", {})
        ask = api.post if method == "POST" else api.stream if stream else api.get
        answer = ask(path, body, headers=headers) if method == "POST" else ask(path, headers=headers)
        what = f"{transport}: {method} {path} {json.dumps(body)[:200]}: {answer.status} {answer.body[:300]}"
        assert expect is None or answer.status == expect, what
        schema = self.description.schema_of(operation, answer.status, answer.headers.get("content-type"))
        self.seen.setdefault((method, template), set()).add((answer.status, transport))
        for name in self.description.responses(operation)[answer.status].get("headers", {}):
            assert name.lower() in answer.headers, f"{what}: no header {name}"
        assert answer.headers["cache-control"] == "no-store" and answer.headers["x-content-type-options"] == "nosniff", what
        if schema is None:
            assert answer.body == b"", what
            return None
        is_json = answer.headers["content-type"] == "application/json"
        document = json.loads(answer.body) if is_json else answer.body.decode()
        self.description.check(schema, document, what)
        return document

    def path(self, template, transport="unix", **values):
        """The path with the examples of its parameters, or these values."""
        for method in ("GET", "POST"):
            operation = self.description.operations().get((method, template))
            for p in self.description.parameters(operation, "path") if operation else []:
                value = values.get(p["name"], p.get("example") or self.example(p, transport))
                template = template.replace("{%s}" % p["name"], urllib.parse.quote(str(value), safe=""))
        return template

    def example(self, parameter, transport):
        if parameter["name"] == "id":  # of an action; an alert's is as good as any
            answer = self.api(transport).post("/api/services/web/check")
            return json.loads(answer.body)["action_id"]
        return parameter["schema"]["enum"][0]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = World(tmp_path_factory)
    try:
        yield world
    finally:
        world.close()


def closed(node):
    return node.get("additionalProperties") is False or isinstance(node.get("additionalProperties"), dict)


def test_the_description_is_whole_in_itself():
    d = Description()
    assert re.match(r"3\.1\.", d.bundle["openapi"]) and d.bundle["info"]["title"] and d.bundle["info"]["version"]
    for (method, path), operation in d.operations().items():
        _, node = d.resolve(operation)
        where = f"{method} {path}"
        assert node["summary"] and node["x-scope"] and node["responses"], where
        names = [p["name"] for p in d.parameters(operation, "path")]
        assert names == re.findall(r"\{(\w+)\}", path), f"{where}: the parameters of the path are {names}"
        for p in d.parameters(operation):
            assert p["schema"], f"{where}: {p['name']} has no schema"
            if p["in"] != "header":
                assert "x-bad" in p and ("example" in p or p["in"] == "path"), f"{where}: {p['name']} has no bad or good value"
        assert (method == "POST") == ("requestBody" in node), where
        for status, response in d.responses(operation).items():
            assert response["description"], f"{where} {status}"
    for pointer, node in d.answer_schemas().items():
        if node.get("type") == "object" or "properties" in node:
            assert closed(node), f"{pointer}: more members than the described ones would be valid"


def test_routes_and_description_agree(world):
    routes = world.call("unix", "GET", "/api")["routes"]
    table = {(r["method"], r["path"]): r["scope"] for r in routes}
    assert len(table) == len(routes), "a route stands twice in the table"
    d = world.description
    described = {(m, re.sub(r"\{\w+\}", "*", path)): d.resolve(o)[1]["x-scope"] for (m, path), o in d.operations().items()}
    assert described == table


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_read(world, transport):
    for method, template in world.description.operations():
        if method == "GET" and 200 in world.description.responses(world.description.operations()[method, template]):
            world.call(transport, method, template, expect=200)
    for name in ("old", "stubborn", "dead", "shop", "Web%20site"):
        for template in ("/api/status/daemon/{name}", "/api/why/{name}", "/api/explain/{name}"):
            world.call(transport, "GET", template, template.replace("{name}", name), 200)
    assert world.call(transport, "GET", "/api/logs", "/api/logs?type=errors", 200)["data"]["logs"][0]["error"] is True
    etag = world.api(transport).get("/api/status").headers["etag"]
    for _ in range(50):  # figures of half a second may come in between
        if world.call(transport, "GET", "/api/status", headers={"If-None-Match": etag}) is None:
            break
        etag = world.api(transport).get("/api/status").headers["etag"]
    head = world.api(transport).request("HEAD", "/api/status")
    assert head.status == 200 and head.body == b"" and int(head.headers["content-length"]) > 1000


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_parameter_takes_the_good_and_refuses_the_bad(world, transport):
    d = world.description
    for (method, template), operation in d.operations().items():
        if method != "GET":
            continue
        path = world.path(template, transport)
        for p in d.parameters(operation, "query"):
            world.call(transport, method, template, f"{path}?{p['name']}={urllib.parse.quote(str(p['example']))}", 200)
            closed_set = "enum" in p["schema"] or p["schema"].get("type") == "integer"
            for bad in (urllib.parse.quote(p["x-bad"]), *(("%00", "..%2F") if closed_set else ())):
                world.call(transport, method, template, f"{path}?{p['name']}={bad}", p.get("x-bad-status", 400))
        for p in d.parameters(operation, "path"):
            for bad in (p["x-bad"], "%00", "a%2Fb", "%2E%2E", "x" * 300):
                answer = world.api(transport).get(world.path(template, transport, **{p["name"]: "BAD"}).replace("BAD", bad))
                assert answer.status == p.get("x-bad-status", 400), f"{template} with {bad[:20]}: {answer}"
            world.call(transport, method, template, world.path(template, transport, **{p["name"]: p["x-bad"]}), p.get("x-bad-status", 400))
    # What is not described is passed over.
    world.call(transport, "GET", "/api/status", "/api/status?_=1700000000", 200)
    for n in (0, 200):
        world.call(transport, "GET", "/api/status", f"/api/status?logs={n}", 200)
    for n in ("-1", "", "1.5", "99999999999999999999"):
        world.call(transport, "GET", "/api/status", f"/api/status?logs={n}", 400)


def test_the_document_with_logs_is_the_document_and_its_lines(world):
    """So many lines of all units together, by unit, in order; only for who may read logs."""
    site = world.site("tcp")
    wanted = lambda: len(json.loads(site.api("unix").get("/api/status?logs=7").body)["data"]["logs"]["logs"]) >= 2
    world.fleet.wait_for(wanted, "lines of two units")
    document = world.call("unix", "GET", "/api/status", "/api/status?logs=7", 200)
    logs = document["data"]["logs"]["logs"]
    lines = [line for lines in logs.values() for line in lines]
    assert len(lines) == 7 and set(logs) <= {"web", "old"} and all(line["daemon"] == unit for unit, lines in logs.items() for line in lines)
    for unit, of_unit in logs.items():
        numbers = [int(line["message"].split()[2]) for line in of_unit]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"{unit}: {numbers}"
    assert world.call("unix", "GET", "/api/status")["data"]["logs"]["logs"] == {}
    reader = site.api("tcp", "read")
    assert reader.get("/api/status").status == 200 and reader.get("/api/status?logs=0").status == 200
    assert reader.get("/api/status?logs=7").status == 403, "log lines need the scope of logs"


def events_of(text):
    """(name, data) of the events in the text, without comments and retry."""
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            yield fields.get("event", ""), json.loads(fields["data"])


def follow(world, transport, template, path, names, nudge=lambda: None):
    """Follows a stream until it has told each of these events; each event must be as described."""
    d = world.description
    operation = d.operations()["GET", template]
    seen = lambda text: {name for name, _ in events_of(text)}
    nudger = threading.Timer(0.5, nudge)
    nudger.start()
    answer = world.api(transport).stream(path, lambda text: text.endswith("\n\n") and names <= seen(text))
    nudger.join()
    assert answer.status == 200 and answer.headers["x-accel-buffering"] == "no"
    described = d.responses(operation)[200]["x-events"]
    for name, data in events_of(answer.body.decode()):
        assert name in described, f"{path}: an event {name!r} is not described"
        pointer, _ = d.below(operation, "responses", 200, "x-events", name)
        d.check(pointer, data, f"{path}: {name}")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_streams_send_what_is_described(world, transport):
    follow(world, transport, "/api/logs/stream", "/api/logs/stream?type=web&lines=3", {""})
    order = lambda: world.api(transport).post("/api/services/web/check")
    follow(world, transport, "/api/events/stream", "/api/events/stream", {"hello", "status", "action"}, order)


def test_streams_are_bounded_for_each_address(world):
    # An address each: the end of a stream is noticed a little later.
    for template, source in (("/api/logs/stream", "127.0.0.7"), ("/api/events/stream", "127.0.0.8")):
        api, open_ones = world.site("tcp").api("tcp", source=source), []
        try:
            for _ in range(8):
                connection = api.connection()
                open_ones.append(connection)
                connection.request("GET", template, headers=api.headers)
                assert connection.getresponse().status == 200
            refused = api.get(template)
            assert refused.status == 503 and int(refused.headers["retry-after"]) > 0 and json.loads(refused.body)["code"] == "too_many_streams"
            world.description.check(world.description.schema_of(world.description.operations()["GET", template], 503, "application/json"),
                                    json.loads(refused.body), template)
            world.seen.setdefault(("GET", template), set()).add((503, "tcp"))
        finally:
            for connection in open_ones:
                connection.close()


def finished(world, transport, action):
    while not (a := world.call(transport, "GET", "/api/actions/{id}", f"/api/actions/{action}?wait=10", 200))["finished"]:
        pass
    return a


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_change(world, transport):
    """Each of them with what it needs, with an unknown name, an unknown verb and a body that is none of its."""
    d = world.description
    order = ("stop", "start", "restart", "signal", "check", "pause", "resume", "reset")
    for verb in order:
        begun = world.call(transport, "POST", "/api/services/{name}/{verb}", f"/api/services/web/{verb}", 202, KNOWN_BODIES.get(verb, {}))
        assert finished(world, transport, begun["action_id"])["ok"], verb
    assert set(order) | {"reload"} == set(d.parameters(d.operations()["POST", "/api/services/{name}/{verb}"], "path")[1]["schema"]["enum"])
    world.call(transport, "POST", "/api/services/{name}/{verb}", "/api/services/web/reload", 400)  # it has no reload_command
    world.call(transport, "POST", "/api/services/{name}/{verb}", "/api/services/web/check", 404, {"check": "nothing"})
    begun = world.call(transport, "POST", "/api/actions", None, 202, {"verb": "check", "names": ["web", "sites:*"]})
    finished(world, transport, begun["action_id"])
    world.call(transport, "POST", "/api/actions", None, 404, {"verb": "stop", "names": ["nobody"]})
    world.call(transport, "POST", "/api/services/{name}/beat", None, 200)
    world.call(transport, "POST", "/api/heartbeat/{name}", None, 200)
    world.call(transport, "POST", "/api/heartbeat/{name}", "/api/heartbeat/old", 400)  # it has no heartbeat check
    for verb, status in (("disable", 200), ("enable", 200), ("run", 202)):
        world.call(transport, "POST", "/api/checks/{name}/{check}/{verb}", f"/api/checks/web/http/{verb}", status)
    world.call(transport, "POST", "/api/config/reload", None, 200, {"dry_run": True})
    world.call(transport, "POST", "/api/alerts/{id}/{verb}", "/api/alerts/1/silence", 404, {"for": "1h"})
    secret = world.site(transport).tokens[ALL_SCOPES]
    world.call(transport, "POST", "/api/login", None, 204, {"token": secret})
    world.call(transport, "POST", "/api/login", None, 401, {"token": "x" * 43})
    world.call(transport, "POST", "/api/logout", None, 204)
    for (method, template), operation in d.operations().items():
        if method != "POST":
            continue
        for body in ({"no_such_key": 1}, [], "text", {"for": 5, "verb": 5, "names": "web", "dry_run": "yes", "leave": "no"}):
            world.call(transport, method, template, None, 400, json.dumps(body))
        for body in ('{"verb":', "\x00", '{"a":' * 10000):
            world.call(transport, method, template, None, 400, body)
        for p in d.parameters(operation, "path"):
            world.call(transport, method, template, world.path(template, transport, **{p["name"]: p["x-bad"]}), p.get("x-bad-status", 400))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_every_route_refuses(world, transport):
    d, api = world.description, world.api(transport)
    error = "#/components/schemas/Error"
    general = d.bundle["x-every-route"]
    produced = set()

    def refused(answer, status, what):
        assert answer.status == status, f"{what}: {answer}"
        document = json.loads(answer.body)
        d.check(error, document, what)
        assert document["code"] in general[str(status)]["codes"], f"{what}: {document}"
        produced.add(str(status))
        return answer

    for path in ("/nothing", "/api/nothing", "/api/status/", "/api//status", "/api/why", "/api/why/a/b/c", "/status", "/../etc/passwd", "/api/status/../health"):
        refused(api.get(path), 404, path)
    paths = {path for _, path in d.operations()}
    for template in paths:
        methods = {m for m in ("GET", "POST") if (m, template) in d.operations()}
        for method in ("GET", "POST"):
            if method in methods or any((method, t) in d.operations() and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", t), template) for t in paths):
                continue
            answer = api.post(world.path(template, transport)) if method == "POST" else api.get(world.path(template, transport))
            assert "GET" in refused(answer, 405, f"{method} {template}").headers["allow"] or methods == {"POST"}
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "FOO"):
            refused(api.request(method, world.path(template, transport)), 405, f"{method} {template}")
        if "POST" in methods:
            path = world.path(template, transport)
            for lacking in CHANGE:
                headers = {k: v for k, v in CHANGE.items() if k != lacking}
                refused(api.request("POST", path, "{}", headers), 400, f"POST {path} without {lacking}")
            for form in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"):
                refused(api.request("POST", path, "{}", CHANGE | {"Content-Type": form}), 400, f"POST {path} as {form}")
            refused(api.post(path, "x" * (65 << 10)), 413, f"a large body for {path}")
        refused(api.get("/api/status", {"X-Long": "x" * 9000}), 431, "long headers")
        refused(api.get("/api/why/%zz"), 400, "a broken escape")
    if transport != "unix":
        refuse_strangers(world, transport, refused)
    assert produced == {status for status, answer in general.items() if transport in answer.get("x-transports", TRANSPORTS)}


def refuse_strangers(world, transport, refused):
    """Over TCP each route asks who one is, and every one of them for what host."""
    d, site = world.description, world.site(transport)
    nobody, meter = site.api(transport, None), site.api(transport, "metrics")
    for (method, template), operation in d.operations().items():
        scope = d.resolve(operation)[1]["x-scope"]
        path = world.path(template, transport)
        ask = lambda api, headers=None: api.post(path, headers=headers) if method == "POST" else api.get(path, headers)
        refused(ask(world.api(transport), {"Host": "evil.example"}), 421, f"{method} {path} for another host")
        if method == "POST":
            for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
                refused(ask(world.api(transport), headers), 403, f"{method} {path} from {headers}")
        if scope == "open":
            continue
        refused(ask(nobody), 401, f"{method} {path} without a token")
        if scope != "metrics":
            refused(ask(meter), 403, f"{method} {path} with a token for something else")
    # An address of its own: it is shut out for a minute.
    guesser = site.api(transport, "not-a-token", source="127.0.0.9")
    tried = [guesser.get("/api/status").status for _ in range(8)]
    assert tried[0] == 401 and tried[-1] == 429, tried
    assert int(refused(guesser.get("/api/status"), 429, "one guess too many").headers["retry-after"]) > 0
    answer = guesser.post("/api/login", {"token": "x"})
    world.seen.setdefault(("POST", "/api/login"), set()).add((refused(answer, 429, "a login after that").status, transport))
    assert world.api(transport).get("/api/status").status == 200, "other addresses are not shut out"


def test_a_configuration_that_is_wrong_and_one_that_changes(world):
    good = world.fleet.config.read_text()
    world.site("unix").config("[unit.broken]\ncomand = []\n")
    refusal = world.call("unix", "POST", "/api/config/reload", None, 400)
    assert len(refusal["errors"]) == 1 and "comand" in refusal["errors"][0]
    world.site("unix").config(world.fleet.unit("fresh"), supervisor="health_threshold = 0.5")
    told = world.call("unix", "POST", "/api/config/reload", None, 200)
    assert told["added"] == ["fresh"] and told["supervisor"] == ["health_threshold"]
    world.fleet.config.write_text(good)
    assert world.call("unix", "POST", "/api/config/reload", None, 200)["removed"] == ["fresh"]


def test_verdicts_have_their_words(world):
    """A sick fleet: its answers have what those of a healthy one lack."""
    world.call("unix", "GET", "/health", "/health?strict=1", 503)  # dead is dead
    world.site("unix").health.then = 500
    sick = lambda: world.api("unix").json("/api/status")["services"]["web"]["health"]["status"] == "down"
    world.fleet.wait_for(sick, "web to be down")
    for template in ("/health", "/api/status", "/api/checks", "/api/fleet", "/api/why/{name}", "/api/events"):
        world.call("unix", "GET", template, None, 200)
    host = lambda: world.api("unix").json("/api/fleet")["hosts"][0]
    world.fleet.wait_for(lambda: {"web", "dead", "shop"} <= {p["service"] for p in host()["problems"]}, "every problem")
    fleet = world.call("unix", "GET", "/api/fleet")["hosts"][0]
    assert fleet["verdict"] == "degraded"
    assert fleet["counts"]["total"] == 5 == fleet["counts"]["ok"] + fleet["counts"]["failing"]
    world.site("unix").health.then = 200


def test_the_last_things_in_their_order(world):
    """An upgrade, orders that come too late, the end."""
    pid = world.call("unix", "GET", "/api/runtime")["pid"]
    world.call("unix", "POST", "/api/upgrade", None, 202)

    def replaced():
        try:
            return world.api("unix").json("/api/runtime")["pid"] != pid
        except (OSError, AssertionError, ValueError):
            return False  # between the two

    world.fleet.wait_for(replaced, "another supervisor", 30)
    world.fleet.wait_state("stubborn", "running", 30)
    world.call("unix", "POST", "/api/shutdown", None, 202)
    # It takes as long as the stubborn one is waited for.
    world.call("unix", "POST", "/api/actions", None, 409, {"verb": "start", "names": ["web"]})
    world.call("unix", "POST", "/api/services/{name}/{verb}", "/api/services/web/start", 409)
    world.call("unix", "POST", "/api/upgrade", None, 409)
    assert world.fleet.keeper.wait(60) == 0


def test_nothing_that_is_described_was_left_out(world):
    """Runs last: each answer was produced on every transport where it may come, each member was in some answer."""
    d = world.description
    missing = []
    for (method, template), operation in d.operations().items():
        for status, response in d.responses(operation).items():
            if "x-conditional" in response:
                continue
            where = {t for s, t in world.seen.get((method, template), set()) if s == status}
            wanted = [t for t in response.get("x-transports", TRANSPORTS) if t in TRANSPORTS]
            if not where and wanted:
                missing.append(f"{method} {template}: no answer was {status}")
    for pointer, node in d.answer_schemas().items():
        for member, schema in node.get("properties", {}).items():
            reason = schema.get("x-conditional") or node.get("x-conditional")
            if (pointer, member) not in d.seen and not reason:
                missing.append(f"{pointer}: no answer had {member}")
    assert not missing, "\n".join(missing)
