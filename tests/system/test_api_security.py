"""The API over TCP: who may see and do what, and what each rule of docs/api.md refuses. One keepwell on loopback for most
of it; rules about its start and about TLS have their own."""
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import stat
import subprocess
import time

import pytest

from conftest import Fleet, free_port
from sse import Stream

CHANGE = {"Content-Type": "application/json", "X-Keepwell-Request": "1"}
UNIT = '[unit.web]\ncommand = ["/bin/sleep", "600"]\n'


class Site:
    """A keepwell on one TCP port, with tokens of every scope."""

    def __init__(self, folder, api="", tls=None):
        self.fleet = Fleet(folder)
        self.tls = tls
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        self.fleet.write(UNIT, "")
        self.configure(api)

    def configure(self, api, listen=None):
        text = self.fleet.write(UNIT, "").read_text()
        self.fleet.config.write_text(text.replace("listen = []", f'listen = {json.dumps(listen or [self.host])}\n{api}'))

    def start(self):
        self.fleet.start()
        self.fleet.wait_for(self.listens, "the port", 30)
        return self

    def listens(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0

    def token(self, name, scope):
        return self.fleet.ok("token", "add", name, "--scope", scope, "-c", self.fleet.config).strip()

    def raw(self, data, read=True, timeout=30):
        """The whole answer to these bytes; b"" when the connection ends without one."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            s.sendall(data)
            answer = b""
            while read:
                try:
                    more = s.recv(65536)
                except ConnectionResetError:
                    break
                if not more:
                    break
                answer += more
                head, found, body = answer.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                if found and length and len(body) >= int(length[1]):
                    break
            return answer

    def ask(self, method, path, body=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.tls:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.tls)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body="{}", token=None, **headers):
        if token:
            headers["Authorization"] = "Bearer " + token
        return self.ask("POST", path, body, **({k: v for k, v in CHANGE.items() if k.replace("-", "_") not in headers} | headers))

    def said(self):
        return self.fleet.output.read_text()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("api"), '[supervisor.api]\norigins = ["https://listed.example"]\nallowed_hosts = ["name.example"]\n')
    site.tokens = {scope: site.token("t-" + scope, scope) for scope in ("read", "logs", "control", "heartbeat")}
    site.start()
    yield site
    site.fleet.close()


def code(answer):
    return json.loads(answer.text)["code"]


# -- who may do what

def test_reading_is_open_on_loopback_and_control_is_not(site):
    assert json.loads(site.get("/api/status").text)["services"]["web"]
    refused = site.post("/api/services/web/check")
    assert (refused.status, code(refused)) == (401, "unauthorized")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert site.get("/api/runtime").status == 401


def test_a_token_allows_its_scopes_and_nothing_else(site):
    assert site.post("/api/services/web/check", token=site.tokens["control"]).status == 202
    for scope in ("read", "logs", "heartbeat"):
        refused = site.post("/api/services/web/check", token=site.tokens[scope])
        assert (refused.status, code(refused)) == (403, "forbidden"), scope


def test_a_revoked_token_is_nobody_within_seconds(site):
    token = site.token("brief", "control,logs")
    assert site.post("/api/services/web/check", token=token).status == 202  # a new one counts at once
    login = site.post("/api/login", json.dumps({"token": token}))
    cookie = login.headers["Set-Cookie"].split(";")[0]
    assert site.post("/api/services/web/check", Cookie=cookie).status == 202
    with Stream(("127.0.0.1", site.port), "/api/logs/stream", {"Authorization": f"Bearer {token}"}) as stream, \
            Stream(("127.0.0.1", site.port), "/api/logs/stream", {"Cookie": cookie}) as by_login, \
            Stream(("127.0.0.1", site.port), "/api/logs/stream", {"Authorization": f"Bearer {site.tokens['logs']}"}) as other:
        for each in (stream, by_login, other):
            each.wait(lambda: each.status == 200 and each.events, "the streams")
        site.fleet.ok("token", "revoke", "brief", "-c", site.fleet.config)
        site.fleet.wait_for(lambda: site.post("/api/services/web/check", Cookie=cookie).status == 401, "the login to end", 20)
        assert site.post("/api/services/web/check", token=token).status == 401
        site.fleet.wait_for(lambda: stream.ended or stream.clean, "the end of the stream", 30)
        site.fleet.wait_for(lambda: by_login.ended or by_login.clean, "the end of the login's stream", 30)
        assert not other.ended and not other.clean


def test_tokens_are_kept_as_hashes_for_their_owner_alone(site):
    path = site.fleet.state_dir / "tokens"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert all(token not in text for token in site.tokens.values())
    listed = json.loads(site.fleet.ok("token", "list", "--json", "-c", site.fleet.config))
    assert {t["name"] for t in listed} >= {"t-read", "t-control"}
    again = site.fleet.cli("token", "add", "t-read", "-c", site.fleet.config)
    assert again.returncode == 1 and "there is one" in again.stderr


def test_the_login_cookie_is_out_of_reach_for_scripts_and_other_sites(site):
    login = site.post("/api/login", json.dumps({"token": site.tokens["control"]}))
    assert login.status == 204
    flags = [f.strip() for f in login.headers["Set-Cookie"].split(";")]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(flags) and "Secure" not in flags
    assert site.tokens["control"] not in flags[0]
    session = json.loads(site.get("/api/session", Cookie=flags[0]).text)
    assert session["name"] == "t-control" and "control" in session["scopes"] and session["login"] is True
    assert site.post("/api/logout", Cookie=flags[0]).status == 204
    assert json.loads(site.get("/api/session", Cookie=flags[0]).text)["name"] is None


# -- where a request comes from

@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "169.254.1.1", ""])
def test_a_rebound_host_gets_nothing_even_for_reading(site, host):
    for path in ("/api/status", "/", "/nowhere"):
        answer = site.get(path, Host=host)
        assert answer.status in (400, 421) and "services" not in answer.text


def test_a_host_of_ours_or_a_listed_one_is_served(site):
    for host in ("localhost", f"localhost:{site.port}", "[::1]", "name.example"):
        assert site.get("/api/status", Host=host).status == 200, host


@pytest.mark.parametrize("headers", [{"Content_Type": "text/plain"}, {"Content_Type": "application/x-www-form-urlencoded"},
                                     {"X_Keepwell_Request": "0"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}])
def test_what_a_page_of_another_site_can_send_changes_nothing(site, headers):
    answer = site.post("/api/services/web/pause", token=site.tokens["control"], **headers)
    assert answer.status in (400, 403)
    assert site.fleet.live("web")["paused"] is False


def test_a_page_of_ours_may_change(site):
    answer = site.post("/api/services/web/check", token=site.tokens["control"], Origin=f"http://{site.host}", Sec_Fetch_Site="same-origin")
    assert answer.status == 202


def test_only_listed_pages_may_read_answers(site):
    assert site.get("/api/status", Origin="https://evil.example").headers["Access-Control-Allow-Origin"] is None
    listed = site.get("/api/status", Origin="https://listed.example")
    assert listed.headers["Access-Control-Allow-Origin"] == "https://listed.example"
    assert "Origin" in listed.headers.get_all("Vary")


# -- what a request may look like

@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_other_methods_are_not_allowed(site, method):
    answer = site.ask(method, "/api/status")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("path", ["/../etc/passwd", "/%2e%2e/etc/passwd", "/..%2fetc%2fpasswd", "/api/../../etc/passwd", "/.git/config",
                                  "/api/why/..%2f..%2fetc%2fpasswd", "/api/why/%2e%2e", "/%252e%252e/etc/passwd", "/api/why/web%00",
                                  "/panel.js/..", "//etc/passwd", "/api/status/daemon/..%5c..%5cetc"])
def test_no_path_leaves_the_table_of_routes(site, path):
    head, _, body = site.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).partition(b"\r\n\r\n")
    assert head.split()[1] == b"404" and b"root:" not in body


def test_two_lengths_are_refused(site):
    head = "POST /api/services/web/stop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Keepwell-Request: 1\r\n" \
           f"Authorization: Bearer {site.tokens['control']}\r\n"
    answer = site.raw((head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").encode())
    assert answer.split()[1] == b"400"
    assert site.fleet.live("web")["desired_state"] == "running"


def test_large_headers_and_bodies_are_refused(site):
    assert site.get("/api/status", X_Long="x" * 9000).status == 431
    assert site.post("/api/services/web/check", " " * 70_000, token=site.tokens["control"]).status == 413
    assert site.get("/api/status").status == 200


def test_every_answer_has_the_security_headers(site):
    for answer in (site.get("/api/status"), site.get("/nowhere"), site.post("/api/shutdown"), site.get("/", Host="evil.example"),
                   site.ask("PUT", "/")):
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "require-trusted-types-for 'script'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_no_answer_names_a_path_of_the_machine(site):
    for answer in (site.get("/nowhere"), site.post("/api/login", "{"), site.get("/api/why/nobody"), site.post("/api/shutdown")):
        assert str(site.fleet.dir) not in answer.text and "Traceback" not in answer.text


# -- the unix socket beside it

def test_the_control_socket_is_its_owners(site):
    mode = (site.fleet.run_dir / "control.sock").stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) in (0o600, 0o660)


def test_each_change_leaves_an_audit_line(site):
    site.post("/api/services/web/check", token=site.tokens["control"])
    site.post("/api/services/web/stop", token=site.tokens["read"])
    site.fleet.ok("check", "web")
    site.fleet.wait_for(lambda: re.search(r"audit: uid \d+ \(pid \d+\): /api/actions .*: 202", site.said()), "the line of the socket")
    assert re.search(r"audit: token t-control \(127\.0\.0\.1\): /api/services/web/check \{\}: 202", site.said())
    assert re.search(r"audit: token t-read \(127\.0\.0\.1\): /api/services/web/stop \{\}: 403", site.said())
    for path in ("/login", "/api/log%69n", "/api/login?x=/beat"):
        site.post(path, json.dumps({"token": site.tokens["read"]}))
    site.post("/api/services/web/check?x=/beat", token=site.tokens["control"])
    site.fleet.wait_for(lambda: re.search(r"audit: token t-control .*: /api/services/web/check\?x=/beat \{\}: 202", site.said()), "that line, too")
    assert all(token not in site.said() for token in site.tokens.values())
    assert "token t-control (127.0.0.1)" in site.fleet.ok("events", "-n", "200")


def test_hundreds_of_slow_clients_leave_the_control_socket_free(site):
    clients = []
    try:
        for _ in range(500):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", site.port))
            clients.append(s)
        for s in clients:
            try:
                s.send(b"GET /api/status HT")
            except OSError:
                pass
        times = []
        for _ in range(20):
            begin = time.monotonic()
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(30)
                s.connect(str(site.fleet.run_dir / "control.sock"))
                s.sendall(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
                assert s.recv(4096).startswith(b"HTTP/1.1 200")
            times.append(time.monotonic() - begin)
        assert sorted(times)[10] < 1
    finally:
        for s in clients:
            s.close()
    site.fleet.wait_for(lambda: site.get("/api/health").status == 200, "TCP to answer again", 30)


def test_a_header_that_drips_is_cut(site):
    with socket.create_connection(("127.0.0.1", site.port)) as s:
        begin = time.monotonic()
        s.sendall(b"GET /api/health HTTP/1.1\r\nX: ")
        s.settimeout(0.5)
        while time.monotonic() - begin < 40:
            try:
                s.sendall(b"x")
                if not s.recv(10):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("a header that never ends was waited for")
        assert time.monotonic() - begin > 5


def test_five_wrong_tokens_a_minute_are_enough(site):  # the last one: the address stays refused for a minute
    answers = [site.post("/api/services/web/check", token="wrong").status for _ in range(7)]
    assert answers[0] == 401 and answers[-1] == 429 and set(answers) == {401, 429}
    refused = site.post("/api/login", json.dumps({"token": site.tokens["control"]}))
    assert refused.status == 429 and 0 < int(refused.headers["Retry-After"]) <= 60
    assert site.get("/api/status").status == 200
    assert site.fleet.cli("check", "web").returncode == 0


# -- the start, and TLS

def certificate(folder, name):
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-out", cert, "-keyout", key],
                   check=True, capture_output=True)
    return cert, key


def refusal(site):
    done = site.fleet.cli("run", "-c", site.fleet.config)
    assert done.returncode != 0, done
    return done.stderr


def test_what_others_reach_needs_encryption_and_a_token(tmp_path):
    site = Site(tmp_path)
    everywhere = [f"0.0.0.0:{site.port}"]
    site.configure("", everywhere)
    assert "is open to other machines: encrypt it" in refusal(site)
    cert, key = certificate(tmp_path, "keepwell")
    site.configure(f'[supervisor.api]\ntls = {{ cert = "{cert}", key = "{key}" }}\n', everywhere)
    assert "without a token" in refusal(site)
    assert site.fleet.cli("validate", "-c", site.fleet.config).returncode == 1
    site.token("one", "read")
    assert site.fleet.cli("validate", "-c", site.fleet.config).returncode == 0


def test_a_taken_port_a_bad_key_and_an_open_tokens_file_are_said_at_the_start(tmp_path):
    site = Site(tmp_path)
    with socket.create_server(("127.0.0.1", site.port)):
        assert "another program has that port" in refusal(site)
    cert, _ = certificate(tmp_path, "one")
    _, other = certificate(tmp_path, "two")
    site.configure(f'[supervisor.api]\ntls = {{ cert = "{cert}", key = "{other}" }}\n')
    assert f"{other}: it is not the key of {cert} (supervisor.api.tls.key)" in refusal(site)
    site.configure(f'[supervisor.api]\ntls = {{ cert = "{tmp_path}/none.pem", key = "{other}" }}\n')
    assert "none.pem" in refusal(site) and "supervisor.api.tls.cert" in refusal(site)


def test_a_second_run_says_that_keepwell_runs_and_blames_nobody_for_its_port(site):
    said = refusal(site)
    assert f"keepwell is already running as pid {site.fleet.keeper.pid} ({site.fleet.run_dir}/lock)" in said, said
    assert "another program" not in said and site.listens()


def test_https_takes_a_new_certificate_at_a_reload(tmp_path):
    cert, key = certificate(tmp_path, "served")
    context = ssl._create_unverified_context()
    site = Site(tmp_path, f'[supervisor.api]\ntls = {{ cert = "{cert}", key = "{key}" }}\n', context)
    token = site.token("me", "control")
    try:
        site.start()
        assert json.loads(site.get("/api/status").text)["services"]["web"]
        flags = site.post("/api/login", json.dumps({"token": token})).headers["Set-Cookie"]
        assert "; Secure" in flags
        assert site.post("/api/services/web/check", token=token, Origin=f"https://{site.host}").status == 202
        assert site.post("/api/services/web/check", token=token, Origin=f"http://{site.host}").status == 403
        first = ssl.get_server_certificate(("127.0.0.1", site.port))
        with pytest.raises((http.client.HTTPException, OSError)):
            plain = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
            plain.request("GET", "/api/status")
            plain.getresponse()
        certificate(tmp_path, "served")
        site.fleet.ok("reload")
        site.fleet.wait_for(lambda: ssl.get_server_certificate(("127.0.0.1", site.port)) == cert.read_text(), "the new certificate", 30)
        assert first != cert.read_text()
        cert.write_text("broken")
        site.fleet.ok("reload")
        site.fleet.wait_for(lambda: "going on with the one of before" in site.said(), "the complaint", 20)
        assert site.get("/api/status").status == 200
        served = ssl.get_server_certificate(("127.0.0.1", site.port))
        certificate(tmp_path, "served")
        good = cert.read_text()
        cert.write_text(good + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        site.fleet.ok("reload")
        site.fleet.wait_for(lambda: site.said().count("going on with the one of before") == 2, "the library's complaint", 20)
        assert ssl.get_server_certificate(("127.0.0.1", site.port)) == served
        cert.write_text(good)
        site.fleet.ok("reload")
        site.fleet.wait_for(lambda: ssl.get_server_certificate(("127.0.0.1", site.port)) == good, "the certificate mended", 30)
    finally:
        site.fleet.close()


def test_ipv6_loopback(tmp_path):
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no ::1 here")
    site = Site(tmp_path)
    site.configure("", [f"[::1]:{site.port}"])
    try:
        site.fleet.start()
        connection = http.client.HTTPConnection("::1", site.port, timeout=30)
        connection.request("GET", "/api/status", headers={"Host": f"[::1]:{site.port}"})
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        site.fleet.close()
