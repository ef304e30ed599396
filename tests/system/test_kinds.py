"""One configuration with units of every kind, all real: one table, one status.json, one way to heal."""
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

import pytest
import user_systemd
from conftest import FAST, HealthServer, alive, free_port, never

PG = pathlib.Path("/usr/lib/postgresql/15/bin")
NGINX = pathlib.Path("/usr/sbin/nginx")
pytestmark = [pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not())),
              pytest.mark.skipif(not PG.exists() or not NGINX.exists(), reason="postgresql or nginx is missing: contrib/dev deps")]
CHECK = 'interval = "100ms", retry_interval = "100ms", timeout = "2s", grace = "0s"'
FAILURES = 3


@pytest.fixture
def cluster():
    """An empty PostgreSQL cluster of the user postgres."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="keepwell-pg-"))
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    folder.chmod(0o755)
    subprocess.run([str(PG / "initdb"), "-D", str(folder / "data"), "-A", "trust", "--no-sync"], check=True, cwd="/", user=user.pw_uid,
                   group=user.pw_gid, extra_groups=[], stdout=subprocess.DEVNULL)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def nginx(fleet, port):
    config = fleet.dir / "nginx.conf"
    paths = "".join(f"{n}_temp_path {fleet.dir}/{n}; " for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    config.write_text(f"daemon on; user root; worker_processes 1; pid {fleet.dir}/nginx.pid; error_log {fleet.dir}/error.log;\n"
                      f"events {{ worker_connections 64; }}\nhttp {{ access_log off; {paths}\n"
                      f'server {{ listen 127.0.0.1:{port}; return 200 "ok"; }} }}\n')
    return config


def test_every_kind_is_healed_the_same_way_and_nothing_starts_twice(fleet, systemd, cluster):
    servers = {name: HealthServer() for name in ("child", "nginx", "postgres", "one", "two")}
    port = free_port()
    config = nginx(fleet, free_port())
    for name in ("one", "two"):
        command = " ".join(fleet.victim(name, "--lock", fleet.dir / f"{name}.lock"))
        systemd.write_unit(f"{name}.service", f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={command}\n")
    systemd.systemctl("daemon-reload")
    systemd.systemctl("start", "one.service")

    def common(name):
        return f'{FAST}failures = {FAILURES}\ncheck.http = {{ url = "{servers[name].url}", {CHECK} }}\n'

    units = [fleet.unit("child", "--lock", fleet.dir / "child.lock", keys=common("child")),
             f'[unit.nginx]\npidfile = "{fleet.dir}/nginx.pid"\nstart_command = ["{NGINX}", "-c", "{config}"]\n{common("nginx")}',
             f'''[unit.postgres]
pidfile = "{cluster}/data/postmaster.pid"
start_command = ["{PG}/pg_ctl", "-D", "{cluster}/data", "-l", "{cluster}/log", "-o", "-p {port} -k {cluster}", "start"]
user = "postgres"
directory = "/"
stop = {{ signal = "INT" }}
{common("postgres")}''']
    units += [f'[unit.{n}]\nsystemd = "{n}.service"\nbus = "{systemd.bus_address}"\n{common(n)}' for n in ("one", "two")]
    fleet.write("\n".join(units))
    try:
        fleet.start()
        fleet.wait_healthy(*servers, timeout=30)
        kinds = {n: fleet.live(n)["kind"] for n in servers}
        assert kinds == {"child": "child", "nginx": "pidfile", "postgres": "pidfile", "one": "systemd", "two": "systemd"}
        shapes = {n: set(fleet.live(n)) for n in servers}
        assert len({frozenset(s) for s in shapes.values()}) == 1, "not the same fields for every kind"
        table = fleet.ok("status")
        for name in servers:
            assert name in table, table
        for name in servers:  # killed
            pid = fleet.live(name)["pid"]
            os.kill(pid, signal.SIGKILL)
            fleet.wait_for(lambda: fleet.live(name)["pid"] not in (pid, None), f"{name} to be back", 20)
            fleet.wait_healthy(name, timeout=20)
            story = fleet.ok("why", name)
            for word in ("exit", "backoff", "start", "healthy"):
                assert word in story, f"{name}:\n{story}"
        for name, server in servers.items():  # sick: exactly N failures, and a pass in between resets the count
            pid, answers = fleet.live(name)["pid"], len(server.answers)
            server.script = [503] * (FAILURES - 1) + [200] + [503] * FAILURES
            fleet.wait_for(lambda: fleet.live(name)["pid"] not in (pid, None), f"{name} to be restarted", 20)
            fleet.wait_healthy(name, timeout=20)
            story = fleet.ok("why", name)
            for word in (f"(1/{FAILURES})", f"({FAILURES}/{FAILURES})", "stop", "backoff", "start", "healthy"):
                assert word in story, f"{name}:\n{story}"
            bad = [s for _, s in server.answers[answers:] if s == 503]
            assert len(bad) == 2 * FAILURES - 1, f"{name} was restarted after {len(bad)} failures"
        for name in ("child", "one", "two"):
            assert not [n for n in fleet.notes(name) if n.what == "double"], f"two instances of {name} at once"
            assert len(fleet.starts(name)) == 3, f"{name} was started {len(fleet.starts(name))} times, for a kill and a sickness"
        masters = [p for p in os.listdir("/proc") if p.isdigit() and b"nginx: master" in _command(p) and str(config).encode() in _command(p)]
        assert len(masters) == 1, masters
        never(lambda: any(fleet.live(n)["state"] != "running" for n in servers), "something was still going on", 1)
        fleet.ok("shutdown")
        fleet.keeper.wait(30)
        assert alive(int(systemd.show("one.service", "MainPID"))), "keepwell ended a unit of systemd"
        assert not (cluster / "data/postmaster.pid").exists(), "PostgreSQL, started by keepwell, outlived it"
    finally:
        for server in servers.values():
            server.close()


def _command(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_dashboards_monitor_yml_imports_and_its_fields_are_in_the_status(fleet, systemd, health):
    """The service dashboard of docs/status.md reads these fields, whatever a service has configured."""
    command = " ".join(fleet.victim("api"))
    systemd.write_unit("api.service", f"[Service]\nExecStart={command}\n")
    systemd.systemctl("daemon-reload")
    port = health.server.server_port
    (fleet.dir / "monitor.yml").write_text(f'''services:
  - key: api
    name: The API
    url: {health.url}
    expected_http: 200
    systemd: api.service
    description: answers
  - key: web
    name: Web
    host: 127.0.0.1
    port: {port}
  - key: runner
    name: Runner
    process_match: {fleet.record("api")}
''')
    imported = fleet.ok("import", "monitor", fleet.dir / "monitor.yml")
    fleet.write(imported.replace('systemd = "api.service"', f'systemd = "api.service"\nbus = "{systemd.bus_address}"')
                .replace("interval = \"30s\"", "interval = \"200ms\"").replace("retry_interval = \"30s\"", "retry_interval = \"200ms\""))
    fleet.ok("validate", "-c", fleet.config)
    fleet.start()
    fleet.wait_healthy(timeout=30)
    document = fleet.live()
    for field in ("ok_count", "fail_count", "total", "mode", "generated_at", "host", "version"):
        assert field in document, field
    assert document["ok_count"] == document["total"] == 3 and document["fail_count"] == 0
    for key in ("api", "web", "runner"):
        service = document["services"][key]
        for field in ("key", "name", "ok", "last_checked", "auto_restart_attempted", "auto_restart_result"):
            assert field in service, field
        for field in ("ok", "status_code", "latency_ms", "error", "expected_status"):
            assert field in service["http"], field
        for part, fields in (("port", ("ok", "error")), ("systemd", ("state", "ok")), ("process", ("count", "pids"))):
            for field in fields:
                assert field in service[part], (part, field)
    api = document["services"]["api"]
    assert api["http"]["status_code"] == 200 and api["systemd"] | {"error": ""} == api["systemd"]
    assert api["systemd"]["state"] == "active" and api["systemd"]["ok"] is True
    assert document["services"]["web"]["port"]["ok"] is True
    assert document["services"]["runner"]["process"]["count"] == 1
    health.script = [503, 503]  # two failures heal, as in that system
    fleet.wait_starts("api", 2, 20)
