"""The library behind systemd units against a manager that does what a real one will not do on demand (fake_systemd.py)."""
import pytest
from bus_probe import Probe
from conftest import SLOW, never, wait_for
from fake_systemd import FakeSystemd

WEB = "/org/freedesktop/systemd1/unit/web_2eservice"


@pytest.fixture
def fake():
    with FakeSystemd() as f:
        yield f


@pytest.fixture
def probe(fake):
    p = Probe(fake.address, call_deadline_ms=500)
    try:
        p.phase("up")
        yield p
    finally:
        p.stop()


@pytest.mark.parametrize("word, outcome", [
    ("done", "done"), ("failed", "failed"), ("canceled", "canceled"), ("timeout", "timeout"), ("dependency", "dependency"),
    ("skipped", "skipped"), ("assert", "failed"), ("no-such-word", "failed")])
def test_every_result_of_a_job_is_told(fake, probe, word, outcome):
    fake.ask(f"mode {word}")
    ended = probe.job("restart web.service")
    assert ended["outcome"] == outcome and (outcome == "done" or word in ended["text"])


@pytest.mark.parametrize("word", ["done", "dependency"])
def test_a_result_that_comes_before_the_reply_counts(fake, probe, word):
    fake.ask(f"mode early {word}")
    assert probe.job("start web.service")["outcome"] == word


def test_a_result_that_comes_twice_counts_once(fake, probe):
    fake.ask("mode twice")
    mark = probe.do("start web.service")
    assert probe.wait(lambda s: s.get("job"), "a result", mark)["outcome"] == "done"
    probe.job("stop web.service")
    assert len([s for s in probe.said[mark:] if s.get("job") == "start"]) == 1


def test_a_job_that_is_never_removed_ends_by_our_deadline(fake, probe):
    fake.ask("mode mute")
    assert probe.job("start web.service 200")["outcome"] == "deadline"
    fake.ask("mode done")
    assert probe.job("start web.service")["outcome"] == "done"


@pytest.mark.parametrize("error", [
    "org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
    "org.freedesktop.systemd1.UnitMasked", "org.freedesktop.systemd1.NoSuchUnit", "org.example.Never.Heard.Of"])
def test_a_refusal_is_told_by_its_name_and_costs_no_connection(fake, probe, error):
    fake.ask(f"mode error {error}")
    mark = len(probe.said)
    ended = probe.job("restart web.service")
    assert (ended["outcome"], ended["error"], ended["text"]) == ("error", error, "as the test wants it")
    assert fake.ask("calls")["RestartUnit"] == 1, "tried once"
    assert not [s for s in probe.said[mark:] if "phase" in s]


def test_a_reply_of_another_type_is_an_error_and_nothing_worse(fake, probe):
    fake.ask("mode odd")
    assert probe.job("start web.service")["outcome"] == "error"
    fake.ask("mode done")
    assert probe.job("start web.service")["outcome"] == "done"


def test_an_order_that_is_never_answered_loses_the_bus_and_says_so(fake, probe):
    fake.ask("mode silent")
    mark = probe.do("start web.service 60000")
    assert probe.wait(lambda s: s.get("job"), "its end", mark)["outcome"] == "lost"
    assert "does not answer (StartUnit)" in probe.phase("lost", mark)["text"]
    probe.phase("up", mark)


@pytest.mark.parametrize("how", ["odd", "empty", "error org.freedesktop.DBus.Error.AccessDenied"])
def test_a_unit_that_cannot_be_read_is_told_with_the_error(fake, probe, how):
    fake.ask(f"read {how}")
    assert probe.state("web.service", probe.do("watch web.service"))["error"]
    fake.ask("read good")
    mark = probe.do("refresh web.service")
    assert probe.state("web.service", mark, active="active")["error"] == ""


def test_a_unit_that_cannot_be_read_does_not_hold_up_the_others(fake, probe):
    probe.watch("web.service")
    fake.ask("read odd")
    fake.ask("flap 1")
    probe.phase("lost")
    probe.state("web.service", len(probe.said) - 1 if "state" in probe.said[-1] else 0)
    wait_for(lambda: [s["phase"] for s in probe.said if "phase" in s][-1] == "up", "up")
    assert probe.states("web.service")[-1]["error"]


def test_properties_of_another_type_are_passed_over(fake, probe):
    fake.ask("read wrong")
    state = probe.watch("web.service")
    assert (state["active"], state["pid"], state["sub"], state["error"]) == ("active", 0, "", "")


def test_a_huge_answer_is_read(fake, probe):
    fake.ask("read huge")
    assert probe.watch("web.service")["active"] == "active"


def test_a_manager_that_never_answers_a_read_is_lost_without_spinning(fake, probe):
    fake.ask("read silent")
    cpu, mark = probe.cpu_ms(), probe.do("watch web.service")
    assert "does not answer (GetAll)" in probe.phase("lost", mark)["text"]
    wait_for(lambda: [s.get("phase") for s in probe.said[mark:]].count("lost") >= 1 and fake.ask("calls")["Subscribe"] > 2,
             "other attempts")
    assert probe.cpu_ms() - cpu < 100 * SLOW
    fake.ask("read good")
    probe.phase("up", mark)
    probe.state("web.service", mark, active="active")


def test_signals_tell_only_what_changed(fake, probe):
    probe.watch("web.service")
    mark = len(probe.said)
    for _ in range(50):
        fake.ask(f"change {WEB}")
    fake.ask("set ActiveState failed")
    fake.ask("set Result signal")
    fake.ask(f"change {WEB}")
    probe.state("web.service", mark, active="failed", result="signal")
    assert len(probe.states("web.service", mark)) == 1


def test_half_a_change_is_told_too_after_a_moment(fake, probe):
    probe.watch("web.service")
    fake.ask("set Result watchdog")
    mark = len(probe.said)
    fake.ask(f"half {WEB}")
    probe.state("web.service", mark, result="watchdog")


def test_a_property_that_is_only_called_stale_is_read(fake, probe):
    probe.watch("web.service")
    fake.ask("set Result oom-kill")
    mark = len(probe.said)
    fake.ask(f"stale {WEB} Irrelevant")
    fake.ask(f"stale {WEB} Result")
    probe.state("web.service", mark, result="oom-kill")
    assert fake.ask("calls")["GetAll"] == 2


def test_signals_with_odd_bodies_are_passed_over(fake, probe):
    probe.watch("web.service")
    mark = len(probe.said)
    fake.ask("odd")
    assert probe.job("start web.service")["outcome"] == "done"
    probe.cpu_ms()
    assert not [s for s in probe.said[mark:] if "phase" in s or "state" in s]


def test_signals_of_a_stranger_are_not_the_managers(fake, probe):
    probe.watch("web.service")
    fake.ask("mode mute")
    mark = probe.do("start web.service 400")
    wait_for(lambda: fake.ask("calls").get("StartUnit"), "the order to arrive")
    stranger = FakeStranger(fake.address)
    stranger.emit("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "JobRemoved", "uoss", 101,
                  "/org/freedesktop/systemd1/job/101", "web.service", "done")
    stranger.emit("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "Reloading", "b", True)
    assert probe.wait(lambda s: s.get("job"), "the order's end", mark)["outcome"] == "deadline"
    assert not [s for s in probe.said[mark:] if "phase" in s]


def test_a_name_that_flaps_is_lost_then_up_and_costs_little(fake, probe):
    probe.watch("web.service")
    cpu, mark = probe.cpu_ms(), len(probe.said)
    fake.ask("flap 200")
    probe.phase("lost", mark)
    probe.phase("up", mark)
    assert probe.cpu_ms() - cpu < 200 * SLOW
    assert len([s for s in probe.said[mark:] if "phase" in s]) < 12
    assert probe.job("start web.service")["outcome"] == "done"


def test_a_manager_that_leaves_is_lost_until_it_is_back(fake, probe):
    probe.watch("web.service")
    mark = len(probe.said)
    fake.ask("leave")
    assert "left the bus" in probe.phase("lost", mark)["text"]
    fake.ask("set ActiveState failed")
    probe.wait(lambda s: "no systemd on it" in s.get("text", ""), "an attempt", mark)
    assert not probe.states("web.service", mark)
    fake.ask("join")
    probe.phase("up", mark)
    assert [s for s in probe.said[mark:] if "state" in s or s.get("phase") == "up"][-1].get("phase") == "up"
    assert probe.states("web.service", mark)[-1]["active"] == "failed"


def test_another_manager_is_read_anew(fake, probe):
    probe.watch("web.service")
    mark = len(probe.said)
    fake.start_fake()
    fake.ask("set ActiveState deactivating")
    probe.phase("lost", mark)
    probe.phase("up", mark)
    wait_for(lambda: fake.ask("calls").get("GetAll"), "a read")


def test_while_it_reloads_nothing_is_told_and_orders_are_refused(fake, probe):
    probe.watch("web.service")
    mark = len(probe.said)
    fake.ask("reloading 1")
    probe.phase("reloading", mark)
    fake.ask("set ActiveState inactive")
    fake.ask(f"change {WEB}")
    assert probe.job("start web.service")["outcome"] == "error"
    never(lambda: probe.states("web.service", mark), "a dip was told", 0.2)
    fake.ask("set ActiveState active")
    fake.ask("reloading 0")
    probe.phase("up", mark)
    assert not probe.states("web.service", mark), "after all nothing had changed"


def test_a_slow_reload_is_waited_for(fake, probe):
    probe.watch("web.service")
    mark = len(probe.said)
    fake.ask("reloading 1")
    fake.ask("read silent")
    probe.phase("reloading", mark)
    probe.do("refresh web.service")
    never(lambda: any(s.get("phase") == "lost" for s in probe.said[mark:]), "taken for a hang", 1.0)
    fake.ask("read good")
    fake.ask("reloading 0")
    probe.phase("lost", mark)  # the read of before is never answered
    probe.phase("up", mark)


def test_a_bus_killed_every_200_ms_never_ends_it(fake, probe):
    probe.watch("web.service")
    cpu = probe.cpu_ms()
    for _ in range(8):
        fake.kill_bus()
        fake.start_bus()
        fake.start_fake()
        never(lambda: probe.process.poll() is not None, "it ended", 0.2)
    mark = len(probe.said) - 1
    probe.phase("up", mark, 12.0)
    assert probe.cpu_ms() - cpu < 500 * SLOW
    assert probe.job("start web.service")["outcome"] == "done"


def test_a_hundred_orders_at_once_each_end(fake, probe):
    mark = probe.do("\n".join(f"start u{n}.service" for n in range(300)))
    wait_for(lambda: len([s for s in probe.said[mark:] if s.get("job")]) == 300, "300 results")
    assert {s["outcome"] for s in probe.said[mark:] if s.get("job")} == {"done"}


class FakeStranger:
    """Somebody else on the bus, by a connection of its own."""

    def __init__(self, address):
        import dbus
        import dbus.bus
        import dbus.lowlevel
        self.low, self.bus = dbus.lowlevel, dbus.bus.BusConnection(address)

    def emit(self, path, interface, member, signature, *values):
        s = self.low.SignalMessage(path, interface, member)
        s.append(*values, signature=signature)
        self.bus.send_message(s)
        self.bus.flush()
