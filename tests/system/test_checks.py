"""Checks that look at this host, on real processes: port, file, process, resource, unix."""
import os
import socket
import ssl
import subprocess
import threading

import pytest

from conftest import free_port

SOON = 'interval = "100ms", retry_interval = "100ms", grace = "0s", timeout = "2s"'
POLICY = 'failures = 2\nbackoff = { initial = "50ms", max = "100ms", jitter = 0.0 }\n'


def check(fleet, name, id):
    return next(c for c in fleet.live(name)["checks"] if c["id"] == id)


def test_every_local_check_passes_on_a_healthy_unit(fleet):
    port, path = free_port(), fleet.dir / "app.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(16)
    (fleet.dir / "beat").write_text("alive")
    fleet.write(fleet.unit("web", "--tcp", port, keys=POLICY + f'''
check.port = {{ port = {port}, own = true, {SOON} }}
check.unix = {{ path = "{path}", {SOON} }}
check.file = {{ path = "{fleet.dir}/beat", contains = "alive", max_age = "1h", {SOON} }}
check.space = {{ type = "file", path = "{fleet.dir}", writable = true, {SOON} }}
check.process = {{ match = "{fleet.record('web')}", max = 1, {SOON} }}
check.resource = {{ memory = "1G", fds = 500, threads = 50, children = 5, {SOON} }}'''))
    fleet.start()
    fleet.wait_healthy("web")
    fleet.wait_for(lambda: all(c["status"] == "pass" for c in fleet.live("web")["checks"]), "all checks to pass")
    assert check(fleet, "web", "port")["output"] == f"port {port} is bound by this unit"
    assert check(fleet, "web", "process")["output"] == "1 process matches"
    server.close()


def test_fault_61_an_old_instance_on_the_port_is_found_out_by_own(fleet):
    """The check asks who listens, not only whether somebody does: here a stranger answers in the unit's place."""
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        fleet.write(fleet.unit("web", keys=POLICY + f'''
check.tcp = {{ port = {port}, {SOON} }}
check.own = {{ type = "port", port = {port}, own = true, {SOON} }}'''))
        fleet.start()
        fleet.wait_starts("web", 2)
        story = fleet.ok("why", "web")
        assert f"port {port} is held by" in story and f"({os.getpid()})" in story, story


def test_a_file_that_gets_old_restarts(fleet):
    beat = fleet.dir / "beat"
    beat.touch()
    fleet.write(fleet.unit("web", keys=POLICY + f'check.file = {{ path = "{beat}", max_age = "1h", {SOON} }}'))
    fleet.start()
    fleet.wait_healthy("web")
    os.utime(beat, (1, 1))
    fleet.wait_starts("web", 2)
    beat.touch()
    fleet.wait_healthy("web")


def test_a_tree_that_grows_is_restarted_after_the_time_it_is_given(fleet):
    fleet.write(fleet.unit("web", "--fork-children", 6, keys=POLICY + f'''
stop = {{ timeout = "500ms" }}
check.resource = {{ children = 3, for = "400ms", {SOON} }}'''))
    fleet.start()
    first = fleet.wait_starts("web", 1)[0]
    second = fleet.wait_starts("web", 2)[1]
    assert second.ns - first.ns > 400e6
    assert "children 6 > 3 for" in fleet.ok("why", "web")


@pytest.fixture
def certificate(tmp_path):
    """A server certificate that ends in two days."""
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


@pytest.fixture
def tls_server(certificate):
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as s:
                    if s.recv(100).startswith(b"GET"):
                        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    else:
                        s.sendall(b"PONG\n")
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], cert
    listener.close()


def test_a_certificate_that_ends_soon_degrades_and_never_restarts(fleet, tls_server):
    port, cert = tls_server
    fleet.write(fleet.unit("web", keys=POLICY + f'''
check.http = {{ url = "https://localhost:{port}/", tls = {{ ca = "{cert}", expires_within = "7d" }}, {SOON} }}
check.tcp = {{ host = "localhost", port = {port}, send = "PING", expect = "PONG", tls = {{ ca = "{cert}", expires_within = "7d" }}, {SOON} }}
check.fine = {{ type = "tcp", host = "localhost", port = {port}, send = "PING", expect = "PONG", tls = {{ ca = "{cert}", expires_within = "1d" }}, {SOON} }}
check.strange = {{ type = "tcp", host = "localhost", port = {port}, tls = true, effect = "none", heals = false, {SOON} }}'''))
    fleet.start()
    fleet.wait_for(lambda: fleet.live("web")["health"]["status"] == "degraded", "the unit to be degraded")
    fleet.wait_for(lambda: [check(fleet, "web", i)["status"] for i in ("http", "tcp", "fine", "strange")] ==
                   ["warn", "warn", "pass", "fail"], "the verdicts of the four checks")
    assert "certificate expires in 1d" in check(fleet, "web", "http")["output"]
    assert check(fleet, "web", "tcp")["cert_expires_at"] == check(fleet, "web", "http")["cert_expires_at"]
    assert "self-signed" in check(fleet, "web", "strange")["output"]
    assert len(fleet.starts("web")) == 1
