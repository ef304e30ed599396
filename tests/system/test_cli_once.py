"""status --once: every check run now, with nobody running."""
import json
import socket
import time

import pytest

from conftest import SCHEMA


@pytest.fixture
def listening():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(16)
        yield s.getsockname()[1]


def config(fleet, health, port, extra=""):
    fleet.write(f"""
[unit.web]
command = ["/bin/false"]
check.http = {{ url = "{health.url}" }}
check.port = {{ type = "tcp", port = {port} }}
[unit.job]
command = ["/bin/false"]
check.script = {{ type = "exec", command = ["/bin/sh", "-c", "echo all fine"] }}
[unit.shop]
check.http = {{ url = "{health.url}" }}
{extra}""")
    return fleet


def test_all_checks_pass_and_nothing_is_started(fleet, health, listening):
    config(fleet, health, listening)
    begun = time.monotonic()
    done = fleet.cli("status", "--once", "-c", fleet.config)
    assert done.returncode == 0, done
    assert "3 units: 3 healthy" in done.stdout and len(health.answers) == 2
    assert time.monotonic() - begun < 3, "it ends when the last check ends"
    assert not fleet.run_dir.exists() and not fleet.state_dir.exists(), "and leaves nothing behind"


def test_the_document_keeps_the_contract(fleet, health, listening):
    import jsonschema
    config(fleet, health, listening, "[unit.bare]\ncommand = [\"/bin/false\"]\n")
    done = fleet.cli("status", "--once", "--json", "-c", fleet.config)
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    assert document["mode"] == "development_fallback"
    services = document["services"]
    assert services["web"]["state"] == "unknown" and services["web"]["health"]["status"] == "healthy"
    assert services["web"]["http"]["ok"] is True and services["web"]["port"]["ok"] is True
    assert services["job"]["checks"][0]["output"] == "all fine"
    assert services["shop"]["state"] == "running"
    assert services["bare"]["health"]["status"] == "unknown" and done.returncode == 3


def test_one_failure_counts_and_a_timeout_of_an_external_unit_only_degrades(fleet, health, listening):
    health.then = 404
    config(fleet, health, listening, """
[unit.slow]
check.script = { type = "exec", command = ["/bin/sleep", "30"], timeout = "300ms" }
[unit.wrong]
check.script = { type = "exec", command = ["/nonexistent/program"] }
""")
    done = fleet.cli("status", "--once", "-c", fleet.config)
    assert done.returncode == 3, done
    assert "http 404" in done.stdout and "timed out" in done.stdout and "3 down" in done.stdout and "1 degraded" in done.stdout, done.stdout
    assert fleet.cli("status", "--once", "web", "-c", fleet.config).returncode == 3
    assert fleet.cli("status", "--once", "job", "-c", fleet.config).returncode == 0


def test_a_broken_configuration_is_said(fleet):
    fleet.config.write_text("[unit.x]\ncomand = []\n")
    done = fleet.cli("status", "--once", "-c", fleet.config)
    assert done.returncode == 1 and "comand" in done.stderr


def test_without_a_supervisor_json_is_the_old_file_with_its_age_and_a_warning(fleet):
    import jsonschema
    fleet.write(fleet.unit("web"))
    env = {"KEEPWELL_STATUS_FILE": str(fleet.status_file)}
    done = fleet.cli("status", "--json", env=env)
    assert (done.returncode, done.stdout) == (5, ""), "neither a supervisor nor a file"
    fleet.start()
    fleet.wait_healthy("web")
    live = json.loads(fleet.ok("status", "--json", env=env))
    assert live["mode"] == "production_monitoring" and not {"_file", "_warning"} & set(live), "who runs answers himself"
    fleet.keeper.terminate()
    assert fleet.keeper.wait(20) == 0
    written = fleet.status()
    done = fleet.cli("status", "--json", env=env)
    assert done.returncode == 5 and "not running" in done.stderr
    old = json.loads(done.stdout)
    source, warning = old.pop("_file"), old.pop("_warning")
    assert old == written
    assert source["path"] == str(fleet.status_file) and 0 <= source["age_seconds"] < 600
    assert "not running" in warning and str(fleet.status_file) in warning
    jsonschema.validate(old | {"_file": source, "_warning": warning}, json.loads(SCHEMA.read_text()))
    # An hour later it says so; one unit is only the unit.
    later = written | {"generated_at": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 3600))}
    fleet.status_file.write_text(json.dumps(later))
    old = json.loads(fleet.cli("status", "--json", env=env).stdout)
    assert 3600 <= old["_file"]["age_seconds"] < 4200 and "silent" in old["_warning"]
    one = json.loads(fleet.cli("status", "web", "--json", env=env).stdout)
    assert one["key"] == "web" and "_file" not in one
    fleet.status_file.write_text("half a docu")
    done = fleet.cli("status", "--json", env=env)
    assert (done.returncode, done.stdout) == (5, ""), "what is no document is not passed on"
    assert fleet.cli("status", env=env).returncode == 5, "a table is only of what runs"


def test_once_needs_no_file_and_says_what_it_is_without_a_source(fleet, health, listening):
    config(fleet, health, listening)
    done = fleet.cli("status", "--once", "--json", "-c", fleet.config, env={"KEEPWELL_STATUS_FILE": "/nonexistent"})
    document = json.loads(done.stdout)
    assert document["mode"] == "development_fallback" and "no supervisor" in document["note"]
    assert not {"_file", "_warning"} & set(document)
