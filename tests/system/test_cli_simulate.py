"""simulate: a configuration through scripted failures, in virtual time and without any process."""
import json
import re
import time

import pytest

from conftest import TOP

SCENARIOS = TOP / "contrib/examples/scenarios"


def play(fleet, *words):
    return json.loads(fleet.ok("simulate", "-c", SCENARIOS / "shop.toml", *words, "--json"))


def test_a_failover_restarts_nobody(fleet):
    begun = time.monotonic()
    story = play(fleet, SCENARIOS / "failover.scenario")
    assert time.monotonic() - begun < 5, "virtual time"
    units = {u["key"]: u for u in story["units"]}
    assert units["web"]["restarts"] == 0 and units["db"]["restarts"] == 0
    assert units["web"]["health"] == "healthy" and units["db"]["health"] == "healthy"
    assert 150_000 < units["db"]["unwell_ms"] < 220_000
    assert any(line["service"] == "db" and "3/3" in line["text"] for line in story["lines"])


def test_a_crash_loop_backs_off_spends_its_budget_and_recovers(fleet):
    story = play(fleet, SCENARIOS / "crash-loop.scenario")
    web = next(u for u in story["units"] if u["key"] == "web")
    assert web["state"] == "running" and web["health"] == "healthy" and web["restarts"] > 10
    backoffs = [line["text"].split()[0] for line in story["lines"] if line["kind"] == "backoff"]
    assert backoffs[:5] == ["500ms", "1s", "2s", "4s", "8s"], backoffs
    assert any(line["kind"] == "cooldown" for line in story["lines"])


def test_the_story_for_people(fleet):
    text = fleet.ok("simulate", "-c", SCENARIOS / "shop.toml", SCENARIOS / "failover.scenario")
    assert re.search(r"^0:00:30\.000 +db +scenario +check port fails from now on", text, re.M), text
    assert text == fleet.ok("simulate", "-c", SCENARIOS / "shop.toml", SCENARIOS / "failover.scenario"), "same input, same story"
    assert "db  running, healthy, 0 restarts, not well for" in text.split("at the end")[1]


def test_stops_signals_and_exits(fleet):
    script = fleet.dir / "s.scenario"
    script.write_text("10s exit web 7\n20s kill web SEGV\n30s pause web\n40s exit web\n50s resume web\n1m stop web\n2m end\n")
    story = play(fleet, script)
    texts = " | ".join(line["text"] for line in story["lines"] if line["service"] == "web")
    assert "exit 7" in texts and "SIGSEGV" in texts
    assert next(u for u in story["units"] if u["key"] == "web")["state"] == "stopped"


@pytest.mark.parametrize("step, says", [("10s fail web/htp", 'web has no check "htp"'), ("10s exit wbe", 'no unit has the key "wbe"'),
                                        ("soon exit web", "is no time"), ("10s explode web", "is no step"), ("10s fail web", "UNIT/CHECK"),
                                        ("10s exit web\n5s exit web", "time goes back"), ("10s kill web BOO", "no signal"), ("", "no steps")])
def test_a_mistake_names_its_line(fleet, step, says):
    script = fleet.dir / "s.scenario"
    script.write_text(step + "\n")
    done = fleet.cli("simulate", "-c", SCENARIOS / "shop.toml", script)
    assert done.returncode == 1 and says in done.stderr and "s.scenario" in done.stderr, done
