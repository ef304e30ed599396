"""What keepwell costs while nothing happens."""
import os
import pathlib
import time

import pytest

pytestmark = pytest.mark.alone
QUICK = 'backoff = { initial = "20ms", max = "20ms", jitter = 0.0 }\n'


def sleeps_ended(pid):
    """How often the process' threads have gone to sleep until now, each of which ends in a wake-up."""
    found = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        text = pathlib.Path(f"/proc/{pid}/task/{thread}/status").read_text()
        found += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("voluntary_ctxt"))
    return found


def test_at_rest_keeper_and_supervisor_wake_at_most_twice_a_second(fleet):
    fleet.write(fleet.unit("running") + fleet.unit("stopped", keys="autostart = false") + fleet.unit("waiting", keys='requires = ["stopped"]') +
                fleet.unit("completed", "--exit-after", 0, keys='restart = "on-failure"') +
                fleet.unit("failed", "--exit-after", 0, "--code", 1, keys=QUICK + 'budget = { restarts = 2, within = "1h", then = "stop" }') +
                fleet.unit("cooling", "--exit-after", 0, "--code", 1, keys=QUICK + 'budget = { restarts = 2, within = "1h", cooldown = "1h" }') +
                fleet.unit("grandchild", "--hold-pipe"))
    fleet.start()
    for name, state in (("running", "running"), ("stopped", "stopped"), ("waiting", "waiting"), ("completed", "completed"),
                        ("failed", "failed"), ("cooling", "cooldown"), ("grandchild", "running")):
        fleet.wait_state(name, state)
    fleet.wait_healthy("running", "grandchild")
    pids = (fleet.keeper.pid, fleet.supervisor())
    # A rate: it takes a span of time to measure. The first span may still hold the end of the start.
    rates = []
    while len(rates) < 3 and (not rates or min(rates) > 2.0):
        begin, before = time.monotonic(), sum(map(sleeps_ended, pids))
        time.sleep(10)
        rates.append((sum(map(sleeps_ended, pids)) - before) / (time.monotonic() - begin))
    assert min(rates) <= 2.0, f"wake-ups a second: {rates}"
