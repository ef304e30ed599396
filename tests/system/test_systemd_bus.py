"""The library behind systemd units against a real systemd with its own bus (user_systemd.py). systemd_probe prints what the
library tells; the oracles are systemctl and the kernel."""
import os
import pathlib
import signal
import threading
import time

import pytest
from bus_probe import Probe
from conftest import SLOW, alive, never, wait_for
from user_systemd import why_not

SLEEP = "ExecStart=/bin/sleep infinity\n"
pytestmark = pytest.mark.skipif(bool(why_not()), reason=str(why_not()))


def end(pid, how=signal.SIGKILL):
    assert pid > 1, "no main process was told: this would end the tests"
    os.kill(pid, how)


@pytest.fixture
def probe(systemd):
    p = Probe(systemd.bus_address)
    try:
        p.phase("up")
        yield p
    finally:
        p.stop()


def test_start_restart_and_stop_end_with_done_and_the_states_say_so(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    assert probe.watch("web.service")["active"] == "inactive"
    mark = len(probe.said)
    assert probe.job("start web.service")["outcome"] == "done"
    first = probe.state("web.service", mark, active="active", sub="running")
    assert first["pid"] == int(systemd.show("web.service", "MainPID"))
    assert first["invocation"] == systemd.show("web.service", "InvocationID")
    probe.state("web.service", mark, active="active", cgroup=systemd.show("web.service", "ControlGroup"))
    mark = len(probe.said)
    assert probe.job("restart web.service")["outcome"] == "done"
    second = probe.wait(lambda s: "state" in s and s["state"]["sub"] == "running" and s["state"]["pid"] != first["pid"],
                        "another main process", mark)["state"]
    assert second["invocation"] != first["invocation"]
    assert second["restarts"] == 0
    assert probe.job("reload web.service")["error"] == "org.freedesktop.systemd1.JobTypeNotApplicable"
    mark = len(probe.said)
    assert probe.job("stop web.service")["outcome"] == "done"
    assert probe.state("web.service", mark, active="inactive")["result"] == "success"
    assert not alive(second["pid"])
    refused = probe.job("start nobody.service")
    assert (refused["outcome"], refused["error"]) == ("error", "org.freedesktop.systemd1.NoSuchUnit")


def test_a_change_is_told_whole(systemd, probe):
    """A change is two signals of systemd; what is told between them would run without a main process."""
    systemd.write_unit("web.service", "[Unit]\nStartLimitIntervalSec=0\n[Service]\n" + SLEEP)
    probe.watch("web.service")
    for _ in range(20):
        mark = len(probe.said)
        probe.job("start web.service")
        pid = probe.state("web.service", mark, sub="running", job=0)["pid"]
        mark = len(probe.said)
        end(pid)
        probe.state("web.service", mark, active="failed")
    torn = [s for s in probe.states("web.service") if s["sub"] == "running" and (not s["pid"] or s["result"] == "signal")]
    assert not torn, torn


def test_sigkill_of_the_main_process_is_told_with_its_signal(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    probe.watch("web.service")
    mark = len(probe.said)
    probe.job("start web.service")
    pid = probe.state("web.service", mark, active="active")["pid"]
    mark = len(probe.said)
    end(pid)
    dead = probe.state("web.service", mark, active="failed")
    assert (dead["result"], dead["code"], dead["status"], dead["pid"]) == ("signal", 2, 9, 0)
    assert probe.job("reset web.service")["outcome"] == "done"
    probe.state("web.service", mark, active="inactive")


def test_systemds_own_restart_is_seen_as_such(systemd, probe):
    systemd.write_unit("web.service", "[Service]\nRestart=always\nRestartSec=100ms\n" + SLEEP)
    probe.watch("web.service")
    mark = len(probe.said)
    probe.job("start web.service")
    before = probe.state("web.service", mark, active="active")
    assert (before["restart"], before["restart_usec"]) == ("always", 100_000)
    mark = len(probe.said)
    assert probe.job("kill web.service main 9")["outcome"] == "done"
    probe.state("web.service", mark, sub="auto-restart")
    after = probe.state("web.service", mark, active="active", restarts=1)
    assert after["invocation"] != before["invocation"]
    assert after["pid"] == int(systemd.show("web.service", "MainPID"))


def test_a_stop_by_hand_is_a_success(systemd, probe):
    systemd.write_unit("web.service", "[Service]\nRestart=always\n" + SLEEP)
    probe.watch("web.service")
    probe.job("start web.service")
    mark = len(probe.said)
    systemd.systemctl("stop", "web.service")
    stopped = probe.state("web.service", mark, active="inactive", sub="dead")
    assert stopped["result"] == "success"
    assert probe.states("web.service", mark)[-1]["restarts"] == 0


def test_a_unit_at_rest_costs_nothing(systemd, probe):
    """Reading it loads it and systemd unloads it again, which it signals: that must not go round."""
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    probe.watch("web.service")
    probe.watch("nobody.service")
    probe.do("pattern worker@*.service")
    systemd.write_unit("worker@.service", "[Service]\n" + SLEEP)
    systemd.systemctl("status", "web.service", "worker@1.service", check=False)
    before, said = probe.cpu_ms(), len(probe.said)
    never(lambda: any("state" in s for s in probe.said[said:]), "an idle unit was told", 1.0)
    assert probe.cpu_ms() - before < 30 * SLOW


def test_a_killed_bus_is_lost_then_up_with_everything_read_again(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    systemd.write_unit("slow.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 60\n")
    probe.watch("web.service")
    mark = len(probe.said)
    probe.job("start web.service")
    pid = probe.state("web.service", mark, active="active")["pid"]
    cpu, mark = probe.cpu_ms(), probe.do("start slow.service")
    wait_for(lambda: systemd.show("slow.service", "ActiveState") == "activating", "the slow job")
    bus = systemd.kill_bus()
    end(pid)  # nobody hears of it
    probe.phase("lost", mark)
    assert probe.wait(lambda s: s.get("job") == "start", "the job's end", mark)["outcome"] == "lost"
    probe.phase("up", mark, timeout=5.0)
    told = [next(iter(s)) if "state" not in s else s["state"]["active"] for s in probe.said[mark:]]
    assert "failed" in told and told.index("failed") < len(told) - 1, told
    up = max(i for i, s in enumerate(probe.said) if s.get("phase") == "up")
    assert probe.states("web.service", mark)[-1]["result"] == "signal"
    assert any("state" in s for s in probe.said[mark:up]), "the difference comes before up"
    assert systemd.bus_pid() != bus
    assert probe.cpu_ms() - cpu < 150 * SLOW
    assert probe.job("start web.service")["outcome"] == "done"


def test_the_bus_killed_again_and_again_never_ends_it(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    probe.watch("web.service")
    probe.job("start web.service")
    cpu, mark = probe.cpu_ms(), len(probe.said)
    for _ in range(4):
        lost = len(probe.said)
        systemd.kill_bus()
        probe.phase("lost", lost)
        probe.phase("up", lost, timeout=8.0)
    assert all(s["active"] == "active" for s in probe.states("web.service", mark))
    assert probe.cpu_ms() - cpu < 500 * SLOW
    assert probe.job("stop web.service")["outcome"] == "done"


def test_daemon_reload_freezes_then_tells_what_the_files_say_now(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    probe.watch("web.service")
    probe.job("start web.service")
    systemd.write_unit("web.service", "[Service]\nRestart=on-failure\n" + SLEEP)
    mark = len(probe.said)
    systemd.systemctl("daemon-reload")
    probe.phase("reloading", mark)
    probe.phase("up", mark)
    probe.state("web.service", mark, restart="on-failure", active="active")
    assert all(s["active"] == "active" and s["pid"] for s in probe.states("web.service", mark))


def test_daemon_reexec_is_lost_then_up_and_no_state_is_invented(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    probe.watch("web.service")
    probe.job("start web.service")
    pid, mark = int(systemd.show("web.service", "MainPID")), len(probe.said)
    systemd.systemctl("daemon-reexec", check=False)
    wait_for(lambda: [s["phase"] for s in probe.said[mark:] if "phase" in s][1:] and probe.said[-1].get("phase") == "up",
             "another up", 5.0, context=lambda: str(probe.said[mark:]))
    assert all(s["active"] == "active" and s["pid"] == pid for s in probe.states("web.service", mark))
    assert probe.job("restart web.service")["outcome"] == "done"


def test_a_removed_and_a_masked_file_are_told(systemd, probe):
    systemd.write_unit("gone.service", "[Service]\n" + SLEEP)
    systemd.write_unit("never.service", "[Service]\n" + SLEEP)
    for unit in ("gone.service", "never.service"):
        probe.watch(unit)
        probe.job(f"start {unit}")
    mark = len(probe.said)
    (systemd.units / "gone.service").unlink()
    systemd.systemctl("daemon-reload")
    systemd.systemctl("stop", "gone.service")
    systemd.systemctl("daemon-reload")
    probe.state("gone.service", mark, load="not-found")
    probe.settled()
    assert probe.job("start gone.service")["error"] == "org.freedesktop.systemd1.NoSuchUnit"
    mark = len(probe.said)
    (systemd.units / "never.service").unlink()
    systemd.systemctl("mask", "never.service")
    running = probe.state("never.service", mark, load="masked")
    assert running["active"] == "active"
    probe.settled()
    probe.job("stop never.service")
    assert probe.job("start never.service")["error"] == "org.freedesktop.systemd1.UnitMasked"


def test_an_alias_is_followed_under_its_own_name(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    (systemd.units / "shop.service").symlink_to("web.service")
    assert probe.watch("shop.service")["id"] == "web.service"
    mark = len(probe.said)
    systemd.systemctl("start", "web.service")
    probe.state("shop.service", mark, active="active", id="web.service")
    mark = len(probe.said)
    probe.phase("up")
    (systemd.units / "shop.service").unlink()
    systemd.write_unit("shop.service", "[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n")
    systemd.systemctl("daemon-reload")
    systemd.systemctl("stop", "web.service")
    probe.state("shop.service", mark, id="shop.service")
    probe.settled()
    assert probe.job("start shop.service")["outcome"] == "done"
    probe.state("shop.service", mark, id="shop.service", sub="exited")


@pytest.mark.parametrize("program, result", [("true", "start-limit-hit"), ("false", "exit-code")])
def test_what_systemd_gave_up_fails_to_start_until_its_failures_are_reset(systemd, probe, program, result):
    """A unit that ended well at last says start-limit-hit; one that failed keeps the result of its failure."""
    systemd.write_unit("crash.service", "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=3\n"
                       f"[Service]\nRestart=always\nRestartSec=10ms\nExecStart=/bin/{program}\n")
    probe.watch("crash.service")
    mark = len(probe.said)
    probe.job("start crash.service")
    probe.state("crash.service", mark, active="failed", sub="failed", result=result, restarts=3, job=0)
    again = probe.job("start crash.service")
    assert again["outcome"] == "failed"
    mark = len(probe.said)
    assert probe.job("reset crash.service")["outcome"] == "done"
    probe.state("crash.service", mark, active="inactive")
    assert probe.job("start crash.service")["outcome"] == "done"


def test_a_job_that_another_cancels_says_so(systemd, probe):
    systemd.write_unit("slow.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 60\n")
    mark = probe.do("start slow.service 30000")
    wait_for(lambda: systemd.show("slow.service", "ActiveState") == "activating", "the job to run")
    busy = probe.job("stop slow.service 10000 fail")
    assert busy["error"] == "org.freedesktop.systemd1.TransactionIsDestructive"
    assert probe.job("stop slow.service")["outcome"] == "done"
    assert probe.wait(lambda s: s.get("job") == "start", "the start's end", mark)["outcome"] == "canceled"


def test_a_failed_dependency_and_a_failed_start_are_told_apart(systemd, probe):
    systemd.write_unit("base.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    systemd.write_unit("top.service", "[Unit]\nRequires=base.service\nAfter=base.service\n[Service]\n" + SLEEP)
    systemd.write_unit("late.service", "[Service]\nType=notify\nTimeoutStartSec=300ms\n" + SLEEP)
    assert probe.job("start top.service")["outcome"] == "dependency"
    assert probe.job("start base.service")["outcome"] == "failed"
    assert probe.job("start late.service")["outcome"] in ("failed", "timeout")
    systemd.write_unit("sound.service", "[Service]\n" + SLEEP)
    systemd.write_unit("upper.service", "[Unit]\nRequires=sound.service\n[Service]\n" + SLEEP)
    assert probe.job("start upper.service")["outcome"] == "done"
    assert "upper.service" in probe.watch("sound.service")["required_by"]


def test_our_own_deadline_ends_an_order_and_not_the_job(systemd, probe):
    systemd.write_unit("slow.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 60\n")
    start = time.monotonic()
    assert probe.job("start slow.service 300")["outcome"] == "deadline"
    assert 0.25 < time.monotonic() - start < 2 * SLOW
    assert systemd.show("slow.service", "ActiveState") == "activating"


def test_a_pattern_follows_instances_as_they_come_and_go(systemd, probe):
    systemd.write_unit("worker@.service", "[Service]\n" + SLEEP)
    systemd.systemctl("start", "worker@early.service")
    probe.do("pattern worker@*.service")
    probe.state("worker@early.service", active="active")
    systemd.systemctl("start", "worker@1.service", "worker@2.service")
    for n in (1, 2):
        probe.state(f"worker@{n}.service", active="active")
    mark = len(probe.said)
    systemd.systemctl("stop", "worker@1.service")
    probe.state("worker@1.service", mark, active="inactive")
    probe.wait(lambda s: s.get("gone") == "worker@1.service", "worker@1 to go", mark)
    mark = len(probe.said)
    systemd.kill_bus()
    end(int(systemd.show("worker@2.service", "MainPID")), signal.SIGTERM)  # ends well, unseen
    probe.phase("up", mark)
    probe.wait(lambda s: s.get("gone") == "worker@2.service", "worker@2 to go", mark)
    systemd.systemctl("start", "worker@1.service")
    probe.state("worker@1.service", mark, active="active")


def test_a_bus_that_hangs_at_connect_blocks_nothing(systemd):
    bus = systemd.bus_pid()
    end(bus, signal.SIGSTOP)
    probe = Probe(systemd.bus_address)
    try:
        start = time.monotonic()
        while time.monotonic() - start < 1.0:
            asked = time.monotonic()
            probe.cpu_ms()
            assert time.monotonic() - asked < 0.2 * SLOW
        assert "does not answer" in probe.phase("lost", timeout=5.0)["text"]
        assert len(list(pathlib.Path(f"/proc/{probe.process.pid}/task").iterdir())) <= 12
        os.kill(bus, signal.SIGCONT)
        probe.phase("up", timeout=8.0)
        end(bus, signal.SIGSTOP)
        probe.do("again")
    finally:
        probe.stop() # also while it connects
        os.kill(bus, signal.SIGCONT)


def test_a_bus_that_hangs_later_is_found_out_by_the_deadline(systemd):
    probe = Probe(systemd.bus_address, call_deadline_ms=300)
    bus = systemd.bus_pid()
    try:
        systemd.write_unit("web.service", "[Service]\n" + SLEEP)
        probe.phase("up")
        probe.watch("web.service")
        end(bus, signal.SIGSTOP)
        mark = probe.do("refresh web.service")
        assert "does not answer" in probe.phase("lost", mark, 3.0)["text"]
        assert probe.wait(lambda s: "refreshed" in s, "the refresh's end", mark)["figures"] is None
        probe.cpu_ms()
        os.kill(bus, signal.SIGCONT)
        probe.phase("up", mark, 10.0)
    finally:
        os.kill(bus, signal.SIGCONT)
        probe.stop()


def test_a_manager_that_hangs_ends_calls_by_their_deadline(systemd):
    probe = Probe(systemd.bus_address, call_deadline_ms=400)
    try:
        systemd.write_unit("web.service", "[Service]\n" + SLEEP)
        probe.phase("up")
        probe.watch("web.service")
        os.kill(systemd.pid, signal.SIGSTOP)
        start, mark = time.monotonic(), probe.do("start web.service 20000")
        assert probe.wait(lambda s: s.get("job") == "start", "the order's end", mark)["outcome"] == "lost"
        assert 0.3 < time.monotonic() - start < 2.0 * SLOW
        assert "does not answer" in probe.phase("lost", mark)["text"]
        cpu = probe.cpu_ms()
        refused = probe.job("start web.service")
        assert refused["outcome"] == "error" and "Disconnected" in refused["error"] and refused["text"]
        probe.wait(lambda s: s.get("phase") == "lost" and "cannot reach" in s["text"], "a failed attempt", mark, 10.0)
        assert probe.cpu_ms() - cpu < 100 * SLOW
        os.kill(systemd.pid, signal.SIGCONT)
        probe.phase("up", mark, 12.0)
        assert probe.job("start web.service")["outcome"] == "done"
    finally:
        os.kill(systemd.pid, signal.SIGCONT)
        probe.stop()


def test_our_own_pause_is_not_taken_for_a_hang(systemd):
    probe = Probe(systemd.bus_address, call_deadline_ms=300)
    try:
        systemd.write_unit("web.service", "[Service]\n" + SLEEP)
        probe.phase("up")
        probe.watch("web.service")
        mark = probe.do("\n".join(["refresh web.service"] * 20))
        os.kill(probe.process.pid, signal.SIGSTOP)
        threading.Event().wait(0.7) # longer than the deadline; the answers arrive meanwhile
        os.kill(probe.process.pid, signal.SIGCONT)
        probe.wait(lambda s: s.get("figures"), "figures", mark)
        probe.cpu_ms()
        assert not [s for s in probe.said[mark:] if "phase" in s]
    finally:
        os.kill(probe.process.pid, signal.SIGCONT)
        probe.stop()


@pytest.mark.parametrize("name", ["web", "a b.service", "../../etc.service", "x/y.service", "worker@.service", "ä.service",
                                  ";rm -rf.service", "a" * 300 + ".service", "-", ".service", "/org/freedesktop.service"])
def test_hostile_names_never_reach_the_bus(systemd, probe, name):
    mark = probe.do(f"watch {name}")
    assert name[:100] in probe.wait(lambda s: "refused" in s, "a refusal", mark)["refused"]
    first = name.split()[0]
    mark = probe.do(f"start {first}")
    ended = probe.wait(lambda s: s.get("job") == "start", "an answer", mark)
    assert ended["outcome"] == "error"
    assert not [s for s in probe.said[mark:] if "phase" in s], "the connection holds"


def test_names_with_odd_letters_are_found(systemd, probe):
    for name in ("0-_.:x.service", "dev\\x2dfoo.service", "a@b-c:d.service", "x" * 240 + ".service"):
        systemd.write_unit(name.replace("@b-c:d", "@"), "[Service]\n" + SLEEP)
        assert probe.watch(name)["load"] == "loaded", name
        mark = len(probe.said)
        assert probe.job(f"start {name}")["outcome"] == "done"
        probe.state(name, mark, active="active")


def test_figures_come_by_refresh(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    probe.watch("web.service")
    probe.job("start web.service")
    asked = probe.do("refresh web.service")
    figures = probe.wait(lambda s: s.get("refreshed") == "web.service", "figures", asked)["figures"]
    assert figures["pid"] == int(systemd.show("web.service", "MainPID"))
    for name, prop in (("memory", "MemoryCurrent"), ("tasks", "TasksCurrent")):
        real = systemd.show("web.service", prop)
        assert (name in figures) == real.isdigit(), (name, real, figures)
    nobody = probe.do("refresh nobody.service")
    assert probe.wait(lambda s: s.get("refreshed") == "nobody.service", "null", nobody)["figures"] is None


def test_unwatched_units_are_told_no_more(systemd, probe):
    systemd.write_unit("web.service", "[Service]\n" + SLEEP)
    probe.watch("web.service")
    probe.do("unwatch web.service")
    mark = len(probe.said)
    probe.job("start web.service")
    assert not probe.states("web.service", mark)


def test_no_bus_is_lost_until_there_is_one(tmp_path):
    probe = Probe(f"unix:path={tmp_path}/bus")
    try:
        assert "No such file" in probe.phase("lost")["text"]
        never(lambda: probe.process.poll() is not None, "it ended", 0.5)
        assert probe.cpu_ms() < 300 * SLOW
    finally:
        probe.stop()


def test_a_thousand_units_are_watched_within_seconds_and_cost_nothing_at_rest(systemd, probe):
    systemd.write_unit("many@.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
    for hundred in range(10):
        systemd.systemctl("start", *(f"many@{hundred * 100 + n}.service" for n in range(100)))
    before, start, mark = probe.cpu_ms(), time.monotonic(), len(probe.said)
    probe.do("pattern many@*.service")
    wait_for(lambda: len({s["state"]["name"] for s in probe.said[mark:] if "state" in s}) == 1000, "1,000 states")
    took, cpu = time.monotonic() - start, probe.cpu_ms() - before
    print(f"1,000 units: first read in {took:.2f} s, {cpu} ms of CPU, JSON included")
    assert took < 10.0 * SLOW  # 1.6 s alone on two cores; tests run beside others
    before = probe.cpu_ms()
    never(lambda: False, "", 1.0)
    assert probe.cpu_ms() - before < 20 * SLOW
