"""Counting, backoff, budget, cooldown: what the man page promises about healing, on the clock of real processes."""
import os
import signal

from conftest import alive, free_port


def sick_unit(fleet, health, failures=3, extra=""):
    fleet.write(fleet.unit("web", keys=f'''
failures = {failures}
backoff = {{ initial = "50ms", max = "200ms", jitter = 0.0 }}
check.http = {{ url = "{health.url}", interval = "100ms", retry_interval = "100ms", timeout = "2s" }}
{extra}'''))


def requests_before(health, ns):
    return [status for when, status in health.answers if when <= ns]


def test_exactly_n_consecutive_failures_restart_and_a_pass_in_between_resets_the_count(fleet, health):
    sick_unit(fleet, health, failures=3)
    health.script = [200, 503, 503, 200, 503, 503, 200, 503, 503, 503]
    fleet.start()
    fleet.wait_starts("web", 2, 20)
    term = next(n for n in fleet.notes("web") if n.what == "term")
    assert requests_before(health, term.ns)[-4:] == [200, 503, 503, 503]
    assert len(requests_before(health, term.ns)) == 10, "restarted after something else than the third failure in a row"
    fleet.wait_healthy("web")
    assert len(fleet.starts("web")) == 2
    story = fleet.ok("why", "web")
    for step in ("503", "(1/3)", "(2/3)", "(3/3)", "SIGTERM"):
        assert step in story, f"why does not tell of {step}:\n{story}"


def test_one_failure_less_than_the_threshold_never_restarts(fleet, health):
    sick_unit(fleet, health, failures=4)
    health.script = [200] + [503, 503, 503, 200] * 8
    fleet.start()
    fleet.wait_for(lambda: not health.script, "all scripted answers", 30)
    fleet.wait_healthy("web")
    assert len(fleet.starts("web")) == 1


def test_a_check_that_does_not_answer_in_time_restarts_too(fleet):
    fleet.write(fleet.unit("web", "--http", port := free_port(), "--health", fleet.dir / "web.health",
                           keys=f'''
failures = 2
backoff = {{ initial = "50ms", jitter = 0.0 }}
check.http = {{ url = "http://127.0.0.1:{port}/", interval = "100ms", retry_interval = "100ms", timeout = "200ms" }}'''))
    fleet.start()
    fleet.wait_healthy("web")
    (fleet.dir / "web.health").write_text("hang")
    fleet.wait_starts("web", 2)
    (fleet.dir / "web.health").write_text("200")
    fleet.wait_healthy("web")


def test_a_frozen_daemon_is_restarted(fleet):
    port = free_port()
    fleet.write(fleet.unit("web", "--http", port, keys=f'''
failures = 2
stop = {{ timeout = "300ms" }}
backoff = {{ initial = "50ms", jitter = 0.0 }}
check.http = {{ url = "http://127.0.0.1:{port}/", interval = "100ms", retry_interval = "100ms", timeout = "200ms" }}'''))
    fleet.start()
    fleet.wait_healthy("web")
    os.kill(fleet.starts("web")[0].pid, signal.SIGSTOP)
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")


def test_backoff_doubles_up_to_its_cap(fleet):
    fleet.write(fleet.unit("loop", "--exit-after", 0, "--code", 1, keys='''
backoff = { initial = "100ms", factor = 2.0, max = "800ms", jitter = 0.0, reset_after = "1h" }
budget = { restarts = 1000, within = "1h" }'''))
    fleet.start()
    fleet.wait_starts("loop", 8, 20)
    notes = [n for n in fleet.notes("loop") if n.what in ("exit", "start")]
    gaps = [(b.ns - a.ns) / 1e6 for a, b in zip(notes, notes[1:]) if a.what == "exit" and b.what == "start"]
    for wanted, gap in zip([100, 200, 400, 800, 800, 800], gaps):
        assert wanted * 0.95 <= gap <= wanted + 250, f"gaps between exit and start: {gaps}"


def test_after_the_budget_comes_cooldown_with_the_time_of_the_next_try_and_it_comes_back_by_itself(fleet):
    repaired = fleet.dir / "repaired"
    fleet.write(fleet.unit("db", "--work-file", repaired, keys='''
backoff = { initial = "20ms", max = "20ms", jitter = 0.0 }
budget = { restarts = 3, within = "1h", cooldown = "700ms" }'''))
    fleet.start()
    unit = fleet.wait_state("db", "cooldown")
    assert unit["restarts"]["next_attempt_at"] and unit["restarts"]["cooldown_until"]
    assert "cooldown" in fleet.cli("status").stdout
    refusals = fleet.wait_for(lambda: len(r := fleet.notes("db")) >= 7 and r, "tries in cooldown")
    slow = [(b.ns - a.ns) / 1e6 for a, b in zip(refusals[3:], refusals[4:])]
    # The first start and the three restarts of the budget are fast; every later one keeps the slow pace.
    assert all(gap >= 650 for gap in slow), f"gaps in cooldown: {slow}"
    assert [n.what for n in refusals[:4]] == ["refused"] * 4
    repaired.touch()
    fleet.wait_healthy("db")
    assert len(fleet.starts("db")) == 1


def test_budget_then_stop_ends_in_failed_and_a_manual_start_leaves_it(fleet):
    repaired = fleet.dir / "repaired"
    fleet.write(fleet.unit("db", "--work-file", repaired, keys='''
backoff = { initial = "20ms", max = "20ms", jitter = 0.0 }
budget = { restarts = 2, within = "1h", then = "stop" }'''))
    fleet.start()
    fleet.wait_state("db", "failed")
    assert len(fleet.notes("db")) == 3
    assert fleet.cli("health").returncode == 3
    repaired.touch()
    fleet.ok("start", "db")
    fleet.wait_healthy("db")


def test_a_clean_end_with_restart_on_failure_is_completed_and_counts_as_fine(fleet):
    fleet.write(fleet.unit("job", "--exit-after", 50, keys='restart = "on-failure"'))
    fleet.start()
    fleet.wait_state("job", "completed")
    assert fleet.cli("health").returncode == 0
    assert len(fleet.starts("job")) == 1


def test_paused_checks_go_on_but_nothing_is_done(fleet, health):
    sick_unit(fleet, health, failures=2)
    fleet.start()
    fleet.wait_healthy("web")
    fleet.ok("pause", "web")
    health.then = 503
    fleet.wait_for(lambda: fleet.live("web")["health"]["status"] == "down", "the verdict of a paused unit to go down")
    asked = len(health.answers)
    fleet.wait_for(lambda: len(health.answers) > asked + 5, "more checks while paused")
    assert len(fleet.starts("web")) == 1
    fleet.ok("resume", "web")
    fleet.wait_starts("web", 2)


def test_an_exec_check_is_killed_with_its_group_at_the_deadline(fleet):
    fleet.write(fleet.unit("web", keys='''
failures = 2
backoff = { initial = "50ms", jitter = 0.0 }
check.probe = { type = "exec", command = ["/bin/sh", "-c", "echo $$$$ >> probes; sleep 1000 & wait"], interval = "100ms", timeout = "200ms", grace = "0s" }
directory = "%s"''' % fleet.dir))
    fleet.start()
    fleet.wait_starts("web", 2)
    first = int((fleet.dir / "probes").read_text().split()[0])
    fleet.wait_for(lambda: not alive(first), "the late probe to be killed")
