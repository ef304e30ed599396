"""The verbs as people and scripts use them, and every command that the documents show."""
import json
import os
import re
import shlex
import signal
import subprocess

import pytest

from conftest import FAST, TOP, alive


@pytest.fixture
def web(fleet, health):
    fleet.health = health
    check = f'check.http = {{ url = "{health.url}", interval = "200ms", retry_interval = "100ms" }}\n'
    fleet.write(fleet.unit("web", "--rate", 20, keys=FAST + check + 'name = "Web front"\ngroup = "front"\nreload_command = ["/bin/true"]\n') +
                fleet.unit("worker", keys=FAST + 'group = "back"\n') + f'[unit.shop]\n{check}')
    fleet.start()
    fleet.wait_healthy()
    return fleet


READ_VERBS = [("status",), ("status", "web"), ("list",), ("ls",), ("summary",), ("health",), ("checks",), ("why", "web"),
              ("explain", "web"), ("events",), ("version",)]


@pytest.mark.parametrize("verb", READ_VERBS, ids=" ".join)
def test_json_of_every_read_verb_parses(web, verb):
    json.loads(web.ok(*verb, "--json"))


def test_the_table_has_its_columns_and_no_decoration_when_piped(web):
    text = web.ok("status")
    assert text.splitlines()[0].split() == "NAME KIND STATE HEALTH PID UPTIME RESTARTS CPU MEM REASON".split()
    assert "\033" not in text
    assert "3 units: 3 healthy" in text
    assert str(web.starts("web")[0].pid) in text


def test_exit_codes_of_status_and_health(web):
    assert web.cli("status").returncode == 0 and web.cli("health").returncode == 0
    web.ok("stop", "worker")
    assert web.cli("health").returncode == 0, "stopped on purpose is fine"
    web.health.then = 404
    web.wait_for(lambda: web.cli("health").returncode == 3, "health to end with 3")
    assert web.cli("status").returncode == 3


def test_start_stop_restart_wait_for_the_result(web):
    first = web.starts("web")[0].pid
    web.ok("restart", "web")
    assert not alive(first) and alive(web.starts("web")[-1].pid) and len(web.starts("web")) == 2
    web.ok("stop", "web")
    assert not alive(web.starts("web")[-1].pid) and web.live("web")["desired_state"] == "stopped"
    web.ok("start", "Web front")
    assert alive(web.starts("web")[-1].pid) and len(web.starts("web")) == 3
    web.ok("restart", "back:*")
    assert len(web.starts("worker")) == 2 and len(web.starts("web")) == 3
    web.ok("stop", "w*")
    assert not alive(web.starts("web")[-1].pid) and not alive(web.starts("worker")[-1].pid)


def test_signal_reload_check_pause_and_reset(web):
    web.ok("signal", "HUP", "web")
    web.wait_for(lambda: any(n.what == "hup" for n in web.notes("web")), "the signal")
    web.ok("reload", "web")
    assert web.cli("reload", "worker").returncode == 1, "reload without a reload_command is an error"
    asked = len(web.health.answers)
    web.ok("check", "web/http")
    assert len(web.health.answers) > asked
    web.ok("pause", "web", "--for", "30m")
    assert web.live("web")["paused"] is True
    assert "paused" in web.cli("status").stdout
    web.ok("resume", "web")
    assert web.live("web")["paused"] is False
    web.ok("reset", "web")
    web.health.then = 503
    assert web.cli("check", "web/http").returncode == 3


def test_a_check_can_be_switched_off_and_on(web):
    web.ok("check", "--disable", "web/http")
    assert "http" in web.ok("checks")
    web.health.then = 500
    assert web.live("web")["health"]["status"] == "healthy"
    web.ok("check", "--enable", "web/http")
    web.wait_for(lambda: web.live("web")["health"]["status"] != "healthy", "the check to count again")


def test_why_tells_of_a_kill(web):
    pid = web.starts("web")[0].pid
    os.kill(pid, signal.SIGKILL)
    new = web.wait_starts("web", 2)[1].pid
    web.wait_healthy("web")
    story = web.ok("why", "web")
    for word in ("SIGKILL", str(pid), str(new), "healthy"):
        assert word in story, f"{word} is not in:\n{story}"
    assert "worker" not in story


def test_explain_lists_the_schedule_before_it_happens(web):
    text = web.ok("explain", "web")
    for word in ("trip", "stop", "SIGTERM", "restarts", "then", "cooldown"):
        assert word in text, text


def test_logs_shows_the_last_lines_and_follows(web):
    web.wait_for(lambda: len(web.log_text("web").splitlines()) >= 10, "ten lines")
    lines = web.ok("logs", "-n", "5", "web").splitlines()
    assert len(lines) == 5 and all("L " in line for line in lines)
    follower = web.popen("logs", "-f", "-n", "1", "web")
    numbers = [int(re.search(r"L \d+ (\d+)", follower.stdout.readline())[1]) for _ in range(15)]
    assert numbers == list(range(numbers[0], numbers[0] + 15))


def test_logs_f_follows_over_rotation(fleet):
    fleet.write(fleet.unit("web", "--rate", 200, "--width", 100, keys=FAST + 'log = { max_size = "8K", keep = 100, compress = false }'))
    fleet.start()
    fleet.wait_healthy("web")
    follower = fleet.popen("logs", "-f", "-n", "1", "web")
    numbers = [int(re.search(r"L \d+ (\d+)", follower.stdout.readline())[1]) for _ in range(400)]
    assert numbers == list(range(numbers[0], numbers[0] + 400))


def test_status_falls_back_to_the_file_where_the_socket_may_not_be_opened(web):
    if os.geteuid() != 0:
        pytest.skip("needs another user")
    for folder in (web.dir, *web.dir.parents[:3]):
        os.chmod(folder, 0o755)
    nobody = dict(preexec_fn=lambda: (os.setgroups([]), os.setgid(65534), os.setuid(65534)))
    os.chmod(web.run_dir, 0o755)
    web.wait_for(lambda: all(u["health"]["status"] == "healthy" for u in web.status()["services"].values()), "a file that says so too")
    done = web.cli("status", env={"KEEPWELL_STATUS_FILE": str(web.status_file)}, **nobody)
    assert done.returncode == 0, done
    assert "web" in done.stdout and "status.json" in done.stderr
    assert web.cli("stop", "web", **nobody).returncode == 1


def shown_commands():
    """Every `keepwell …` line of the documents' shell blocks, without the output that follows."""
    for path in [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]:
        if not path.exists() or path.name == "import.md":  # test_import.py runs these, on files of theirs
            continue
        for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", path.read_text(), re.S | re.M):
            for line in block.splitlines():
                line = line.removeprefix("$ ").split(" #")[0].strip()
                if line.startswith("keepwell "):
                    yield f"{path.name}: {line}"


@pytest.mark.parametrize("shown", sorted(set(shown_commands())))
def test_a_command_that_the_documents_show_is_understood(web, shown):
    words = shlex.split(shown.split(": ", 1)[1])[1:]
    if words[0] in ("run", "top") or "-f" in words:
        words = [words[0], "--help"]
    if words[0] == "token":  # of this fleet, not of the machine
        words += ["-c", str(web.config)]
    words = [str(web.config) if w.endswith(".toml") else w for w in words]
    done = web.cli(*words)
    assert done.returncode in (0, 3), f"{shown}: {done}"


def toml_blocks():
    for path in [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]:
        if path.exists():
            for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```", path.read_text(), re.S | re.M)):
                yield pytest.param(block, id=f"{path.name}-{number}")


@pytest.mark.parametrize("block", toml_blocks())
def test_a_configuration_that_the_documents_show_is_valid(fleet, block):
    fleet.config.write_text(block)
    done = fleet.cli("validate", "-c", fleet.config)
    assert done.returncode == 0, done


@pytest.mark.parametrize("path", sorted((TOP / "contrib/examples").glob("*.toml")), ids=lambda p: p.name)
def test_an_example_is_valid(fleet, path):
    text = path.read_text()
    if "/etc/keepwell/tls" in text:  # it has a certificate and a token
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=web1",
                        "-out", fleet.dir / "cert.pem", "-keyout", fleet.dir / "key.pem"], check=True, capture_output=True)
        path = fleet.dir / path.name
        path.write_text(text.replace("/etc/keepwell/tls", str(fleet.dir)).replace("[supervisor]\n", f'[supervisor]\nstate_dir = "{fleet.state_dir}"\n'))
        fleet.ok("token", "add", "deploy", "-c", path)
    done = fleet.cli("validate", "-c", path)
    assert done.returncode == 0, done
