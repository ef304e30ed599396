"""Checks that ask: logs of the unit, name servers, this host, systemd; and what a health page reports."""
import http.server
import json
import shutil
import socket
import threading

from conftest import FAST

SOON = 'interval = "100ms", retry_interval = "100ms", grace = "0s", timeout = "2s"'
QUICK = 'backoff = { initial = "50ms", max = "100ms", jitter = 0.0 }\n'


def check(fleet, name, id):
    return next(c for c in fleet.live(name)["checks"] if c["id"] == id)


def teller(fleet, name, keys):
    """A unit that prints what is appended to the file."""
    told = fleet.dir / f"{name}.told"
    told.touch()
    command = json.dumps([shutil.which("tail"), "-n0", "-f", str(told)])
    return told, f'[unit.{name}]\ncommand = {command}\n{keys}\n'


def say(told, text):
    with open(told, "a", encoding="utf-8") as f:
        f.write(text)


def test_a_bad_line_restarts_and_is_quoted_without_its_secrets(fleet):
    told, unit = teller(fleet, "web", QUICK + f'check.log = {{ bad = "^FATAL", {SOON} }}')
    fleet.write(unit, 'api.redact = ["password=\\\\S+"]')
    fleet.start()
    fleet.wait_healthy("web")
    say(told, "all is well, not FATAL\n")
    before = fleet.live("web")["generation"]
    fleet.wait_for(lambda: check(fleet, "web", "log")["status"] == "pass", "a run")
    assert fleet.live("web")["generation"] == before
    say(told, "FATAL cannot log in with password=hunter2 at db\n")
    fleet.wait_for(lambda: fleet.live("web")["generation"] > before, "a restart")
    fleet.wait_healthy("web")
    story = fleet.ok("why", "web")
    assert '"FATAL cannot log in with [redacted] at db"' in story, story
    assert "hunter2" not in story + fleet.status_file.read_text()


def test_a_log_is_followed_over_rotation_and_compression(fleet):
    told, unit = teller(fleet, "web", QUICK + f'log = {{ max_size = "64K", keep = 50 }}\n'
                        f'check.log = {{ bad = "^FATAL", effect = "degraded", heals = false, {SOON} }}')
    fleet.write(unit)
    fleet.start()
    fleet.wait_healthy("web")
    for i in range(3):
        say(told, ("x" * 1000 + "\n") * 200)
        fleet.wait_for(lambda: len(list(fleet.log_dir.glob("web.log.*.gz"))) > 2 * i, "a compressed file")
        say(told, f"FATAL {i}\n")
        fleet.wait_for(lambda: f'"FATAL {i}"' in fleet.ok("events"), "the line to be found")
        # A failure that goes on is told once.
        fleet.wait_for(lambda: fleet.live("web")["health"]["status"] == "healthy", "the run after it")
    assert fleet.ok("events").count('"FATAL') == 3


def test_the_first_line_of_a_start_is_seen(fleet):
    command = json.dumps([shutil.which("sh"), "-c", "echo FATAL at once; exec sleep 1000"])
    fleet.write(f'[unit.web]\ncommand = {command}\ncheck.log = {{ bad = "^FATAL", heals = false, {SOON} }}\n')
    fleet.start()
    fleet.wait_for(lambda: '"FATAL at once"' in fleet.ok("events"), "the line to be found")


def test_a_good_line_must_come_in_time(fleet):
    told, unit = teller(fleet, "job", QUICK + f'check.log = {{ good = "done$", within = "700ms", failures = 1, heals = false, {SOON} }}')
    fleet.write(unit)
    fleet.start()
    fleet.wait_for(lambda: check(fleet, "job", "log")["status"] == "fail", "no line to be missed")
    assert check(fleet, "job", "log")["output"].startswith('no line matches "done$" for ')
    say(told, "work done\n")
    fleet.wait_for(lambda: check(fleet, "job", "log")["status"] == "pass", "the line to be seen")


def test_host_checks_tell_and_never_restart(fleet):
    fleet.write(fleet.unit("web", keys=FAST + f'''
check.host = {{ disk = 100, inodes = 100, memory = 100, swap = 100, load = 1000, {SOON} }}
check.full = {{ type = "host", disk = {{ path = "/", max = 0 }}, failures = 1, {SOON} }}
check.psi = {{ type = "host", pressure = {{ io = 100 }}, effect = "none", {SOON} }}'''))
    fleet.start()
    fleet.wait_for(lambda: check(fleet, "web", "full")["status"] == "fail", "the disk to be full")
    assert check(fleet, "web", "full")["output"].startswith("disk / ")
    fleet.wait_for(lambda: check(fleet, "web", "host")["status"] == "pass", "the others to pass")
    fleet.wait_for(lambda: check(fleet, "web", "psi")["status"] in ("pass", "warn"), "pressure to be looked at")
    assert len(fleet.starts("web")) == 1


class Page:
    """A health page with this body."""

    def __init__(self, body):
        self.body, outer = body, self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                data = outer.body.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_what_a_health_page_says_is_reported_and_rubbish_changes_nothing(fleet):
    with Page('{"status":"ok","uptime":3600,"version":"3.1.1","secret":"x"}') as page:
        fleet.write(f'[unit.shop]\ncheck.http = {{ url = "{page.url}", {SOON} }}\n')
        fleet.start()
        fleet.wait_for(lambda: fleet.live("shop")["reported"], "the page to be reported")
        assert fleet.live("shop")["reported"] == {"status": "ok", "version": "3.1.1", "uptime": 3600}
        assert fleet.live("shop")["health"]["uptime"] == 3600
        for rubbish in ('{"status":', "<html>", "[1]", '{"other":1}'):
            page.body = rubbish
            at = check(fleet, "shop", "http")["time"]
            fleet.wait_for(lambda: check(fleet, "shop", "http")["time"] > at, "another run")
            assert fleet.live("shop")["reported"]["version"] == "3.1.1"
        page.body = '{"status":"worse"}'
        fleet.wait_for(lambda: fleet.live("shop")["reported"] == {"status": "worse"}, "the new page")
        assert fleet.live("shop")["health"]["uptime"] is None


def silent_server():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    return s


def test_the_commands_know_the_new_checks(fleet):
    with silent_server() as server:
        fleet.write(f'''[unit.net]
check.host = {{ disk = 100, {SOON} }}
check.dns = {{ name = "a.example", server = "127.0.0.1:{server.getsockname()[1]}", timeout = "300ms", interval = "10m", failures = 1 }}
check.systemd = {{ unit = "nginx.service", interval = "10m" }}
''')
        fleet.start()
        fleet.wait_for(lambda: check(fleet, "net", "dns")["status"] == "fail", "the name server to be missed")
        listed = fleet.ok("checks")
        assert all(word in listed for word in ("dns", "host", "systemd", "timed out after 300ms")), listed
        fleet.ok("check", "net/host")
        failed = fleet.cli("check", "net/dns")
        assert failed.returncode != 0 and "timed out after 300ms" in failed.stdout + failed.stderr
        unknown = fleet.cli("check", "net/systemd")
        assert unknown.returncode != 0 and "no result: " in unknown.stdout + unknown.stderr
        fleet.ok("check", "--disable", "net/dns")
        assert "host" in fleet.ok("explain", "net")
        fleet.ok("check", "--enable", "net/dns")


def test_status_once_runs_what_can_be_asked(fleet):
    with silent_server() as server:
        told, unit = teller(fleet, "web", 'check.log = { bad = "x" }\ncheck.host = { disk = 100 }')
        fleet.write(unit + f'[unit.net]\ncheck.dns = {{ name = "a.example", server = "127.0.0.1:{server.getsockname()[1]}", timeout = "300ms" }}\n'
                    'check.systemd = { unit = "nginx.service" }\n')
        once = json.loads(fleet.cli("status", "--once", "--json", "-c", str(fleet.config)).stdout)
        found = {c["id"]: c for s in once["services"].values() for c in s["checks"]}
        assert found["dns"]["output"] == "timed out after 300ms"
        assert found["host"]["status"] == "pass"
        assert found["log"]["status"] == found["systemd"]["status"] == "unknown"
