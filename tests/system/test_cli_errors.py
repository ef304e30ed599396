"""What the command line says when something is wrong, and every exit code of its table."""
import json
import re
import signal
import time

import pytest

from conftest import FAST


@pytest.fixture
def one(fleet):
    fleet.write(fleet.unit("web", keys=FAST + 'name = "Web front"\ngroup = "site"\ncheck.up = { type = "exec", command = ["/bin/true"] }\n'))
    fleet.start()
    fleet.wait_healthy()
    return fleet


def test_without_a_verb_there_is_a_short_page(fleet):
    done = fleet.cli()
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) < 20 and "keepwell help VERB" in done.stderr


@pytest.mark.parametrize("words, says", [
    (("satus",), "did you mean status?"), (("restrat", "web"), "did you mean restart?"), (("status", "--jsn"), "did you mean --json?"),
    (("logs", "--folow"), "did you mean --follow?"), (("help", "wyh"), "did you mean why?"), (("restart",), "keepwell help restart"),
    (("pause", "web", "--for", "ever"), "is not a duration"), (("signal", "BOO", "web"), "is not a signal"),
(("completion", "tcsh"), "tcsh"), (("graph", "--json", "--dot"), "--dot")])
def test_wrong_usage_is_2_and_one_line_with_a_guess(fleet, words, says):
    done = fleet.cli(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert says in done.stderr and done.stderr.count("\n") == 1 and done.stderr.startswith("keepwell: "), done


@pytest.mark.parametrize("verb", ["status", "show", "why", "explain", "logs", "graph", "checks", "start", "stop", "restart", "reload",
                                  "check", "pause", "resume", "reset", "signal HUP", "restart --rolling 1"])
def test_an_unknown_unit_is_4_with_a_guess(one, verb):
    done = one.cli(*verb.split(), "wbe")
    assert done.returncode == 4 and "did you mean web?" in done.stderr, done


def test_an_unknown_check_is_4(one):
    assert one.cli("check", "web/upp").returncode == 4
    assert one.cli("check", "--disable", "web/upp").returncode == 4


@pytest.mark.parametrize("verb", ["status", "health", "checks", "why web", "events", "graph", "restart web", "restart web --rolling 1", "reload",
                                  "shutdown", "check web", "pause web"])
def test_nobody_running_is_5(fleet, verb):
    done = fleet.cli(*verb.split())
    assert done.returncode == 5 and "keepwell is not running" in done.stderr and "keepwell run" in done.stderr, done


def test_the_other_codes_of_the_table(one):
    assert one.cli("status").returncode == 0
    one.config.write_text("nonsense = 1\n")
    assert one.cli("reload").returncode == 1 and one.cli("validate", "-c", one.config).returncode == 1
    one.write(one.unit("web", keys=FAST + 'check.up = { type = "exec", command = ["/bin/false"] }\n'))
    one.ok("reload")
    assert one.cli("check", "web").returncode == 3
    one.wait_for(lambda: one.cli("health").returncode == 3, "health to say 3")
    assert one.cli("status", "web").returncode == 3


def test_ctrl_c_while_waiting_is_130_and_the_action_goes_on(fleet):
    fleet.write(fleet.unit("web", "--ignore-term", keys=FAST + 'stop = { timeout = "2s" }\n'))
    fleet.start()
    fleet.wait_healthy()
    waiting = fleet.popen("stop", "web", stderr=-1)
    fleet.wait_for(lambda: fleet.live("web")["state"] == "stopping", "the stop")
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(10) == 130
    assert "the action goes on" in waiting.stderr.read()
    waiting.stderr.close()
    fleet.wait_for(lambda: fleet.live("web")["state"] == "stopped", "the end of the stop")


def test_events_since(one):
    one.ok("restart", "web")
    all_lines = one.ok("events", "--since", "1h").splitlines()
    assert any("start" in line for line in all_lines)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    assert one.ok("events", "--since", stamp) == ""
    assert one.cli("events", "--since", "soon").returncode == 2
    events = json.loads(one.ok("events", "--since", "1h", "-n", "2", "--json"))["events"]
    assert len(events) == 2 and re.match(r"\d{4}-", all_lines[0])
