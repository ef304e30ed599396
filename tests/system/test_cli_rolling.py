"""Verbs that look at several units: rolling restarts, the graph, what a reload would do."""
import json
import signal

import pytest

from conftest import FAST, alive, free_port

LONG = 'backoff = { initial = "20s", max = "20s", jitter = 0.0 }\n'


@pytest.fixture
def four(fleet, health):
    """Four instances with a check each, two at a time is two batches."""
    check = f'check.http = {{ url = "{health.url}", interval = "200ms", retry_interval = "100ms" }}\n'
    fleet.health = health
    fleet.write("".join(fleet.unit(f"w{i}", keys=FAST + 'group = "site"\n' + (check if i != 4 else "")) for i in range(1, 5)))
    fleet.start()
    fleet.wait_healthy()
    return fleet


def test_a_rolling_restart_waits_for_healthy_batch_by_batch(four):
    out = four.ok("restart", "site:*", "--rolling", "2")
    for name in ("w1", "w2", "w3", "w4"):
        assert len(four.starts(name)) == 2 and f"{name}  ok  healthy after" in out, out
    first = max(four.starts(n)[1].ns for n in ("w1", "w2"))
    second = min(four.starts(n)[1].ns for n in ("w3", "w4"))
    assert first < second, "the second batch begins when the first is done"
    healthy = [n for n in (four.health.answers) if first < n[0] < second and n[1] == 200]
    assert healthy, "a check passed between the batches"


def test_a_rolling_restart_stops_at_the_first_failure_and_says_what_is_untouched(four):
    # w2 cannot come up any more: its command is not there at the next start.
    binary = four.dir / "once"
    binary.write_text("#!/bin/sh\nexec sleep 1000\n")
    binary.chmod(0o755)
    four.write("".join(four.unit(f"w{i}", keys=FAST) for i in (1, 3, 4)) + f'[unit.w2]\ncommand = ["{binary}"]\n{LONG}')
    four.ok("reload")
    four.wait_for(lambda: four.live("w2")["state"] == "running", "the new command")
    starts = {n: len(four.starts(n)) for n in ("w1", "w3", "w4")}
    binary.unlink()
    done = four.cli("restart", "w1", "w2", "w3", "w4", "--rolling", "1")
    order = [k for k in four.live()["services"]]
    untouched = order[order.index("w2") + 1:]
    assert done.returncode == 1, done
    assert "stopped at the first failure: w2" in done.stderr and "keepwell why w2" in done.stderr, done
    assert f"not touched  {' '.join(untouched) or 'none'}" in done.stderr, done
    for name in untouched:
        assert len(four.starts(name)) == starts[name]


def test_a_unit_that_does_not_get_healthy_ends_it(four):
    four.health.then = 503
    done = four.cli("restart", "site:*", "--rolling", "1", "--timeout", "2s")
    assert done.returncode == 1 and "stopped at the first failure" in done.stderr, done
    assert "not touched" in done.stderr


def test_ctrl_c_stops_after_the_batch(four):
    four.health.then = 503  # nobody gets healthy, so the first batch waits
    four.wait_for(lambda: four.live("w1")["health"]["status"] != "healthy", "a failing check")
    rolling = four.popen("restart", "w1", "w3", "--rolling", "1", stderr=-1)
    before = len(four.starts("w1"))
    four.wait_for(lambda: len(four.starts("w1")) > before, "the first of the batch")
    rolling.send_signal(signal.SIGINT)
    assert "stopping after this batch" in rolling.stderr.readline()
    four.health.then = 200
    assert rolling.wait(15) in (130, 1)
    text = rolling.stderr.read()
    rolling.stderr.close()
    assert "not touched  w3" in text, text


def test_rolling_needs_a_number_and_waits(fleet):
    assert fleet.cli("restart", "w1", "--rolling", "0").returncode == 2
    assert fleet.cli("restart", "w1", "--rolling", "2", "--no-wait").returncode == 2


@pytest.fixture
def chain(fleet):
    port = free_port()
    fleet.write(fleet.unit("db", keys=LONG + f'check.tcp = {{ port = {port}, interval = "200ms", retry_interval = "100ms", heals = false, failures = 1, grace = "0s", effect = "down" }}\n') +
                fleet.unit("web", keys=FAST + 'requires = ["db"]\nafter = ["mq"]\n') + fleet.unit("mq", keys=FAST) + fleet.unit("cron", keys=FAST))
    fleet.start()
    fleet.wait_for(lambda: "held" if fleet.live("mq")["health"]["status"] == "healthy" and fleet.live("db")["health"]["status"] == "down" else None, "db to be down")
    return fleet


def test_the_graph_shows_who_holds_whom_back(chain):
    text = chain.ok("graph")
    lines = text.splitlines()
    assert lines[0].startswith("web  waiting  blocked by db"), text
    assert lines[1].startswith("  db  running, down"), text
    assert lines[2].startswith("  mq  running, healthy") and "(order only)" in lines[2], text
    assert "cron  running, healthy" in text and "db (running, down) holds back web" in text
    units = {u["key"]: u for u in json.loads(chain.ok("graph", "--json"))["units"]}
    assert units["web"]["requires"] == ["db"] and units["web"]["after"] == ["mq"] and units["web"]["blocked_by"] == "db"
    assert '"web" -> "db"' in chain.ok("graph", "--dot")
    assert "cron" not in chain.ok("graph", "web")
    assert chain.cli("graph", "wbe").returncode == 4


def test_a_dry_reload_says_what_would_happen_and_why_and_does_nothing(fleet):
    fleet.write(fleet.unit("same") + fleet.unit("env") + fleet.unit("policy") + fleet.unit("gone"))
    fleet.start()
    fleet.wait_healthy()
    pids = {n: fleet.starts(n)[0].pid for n in ("same", "env", "policy", "gone")}
    fleet.write(fleet.unit("same") + fleet.unit("env", keys=FAST + 'environment = { A = "1" }\n') +
                fleet.unit("policy", keys=FAST + "failures = 7\n") + fleet.unit("new"), f'log_level = "debug"\nmax_parallel_starts = 9')
    fleet.config.write_text(fleet.config.read_text().replace(str(fleet.log_dir), str(fleet.dir / "other-log")))
    text = " ".join(fleet.ok("reload", "--dry-run").split())
    for line in ("add new", "restart env environment", "change policy failures", "stop gone no longer", "keep supervisor.log_dir frozen",
                 "change supervisor.log_level", "change supervisor.max_parallel_starts", "1 unit unchanged"):
        assert line in text, text
    assert set(fleet.live()["services"]) == set(pids) and all(alive(p) for p in pids.values())
    diff = json.loads(fleet.ok("reload", "--dry-run", "--json"))
    assert diff["changed"] == {"env": ["environment"], "policy": ["failures"]} and diff["frozen"] == ["log_dir"]
    fleet.ok("reload")
    assert set(fleet.live()["services"]) == {"same", "env", "policy", "new"}
    assert alive(pids["same"]) and alive(pids["policy"]) and not alive(pids["env"])
