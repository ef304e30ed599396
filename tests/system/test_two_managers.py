"""Units of several managers of systemd in one configuration, each on its own bus: what happens to one bus is nobody else's
business."""
import os
import signal

import pytest
import user_systemd
from conftest import FAST, never

pytestmark = pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not()))


@pytest.fixture
def managers():
    with user_systemd.UserSystemd() as one, user_systemd.UserSystemd() as two:
        yield {"one": one, "two": two}


def write_service(fleet, manager, record):
    """A service of the same name in each manager, told apart by what it records."""
    command = " ".join(fleet.victim(record))
    manager.write_unit("web.service", f"[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart={command}\n")
    manager.systemctl("daemon-reload")
    manager.systemctl("start", "web.service")


def main_pid(manager):
    return int(manager.show("web.service", "MainPID"))


def test_two_buses_are_watched_healed_and_lost_apart(fleet, managers):
    for name, manager in managers.items():
        write_service(fleet, manager, name)
    # One by its address, one by the name that root's system bus has.
    fleet.environment["DBUS_SYSTEM_BUS_ADDRESS"] = managers["two"].bus_address
    fleet.write(f'[unit.one]\nsystemd = "web.service"\nbus = "{managers["one"].bus_address}"\n{FAST}\n'
                f'[unit.two]\nsystemd = "web.service"\nbus = "system"\n{FAST}\n')
    fleet.start()
    fleet.wait_healthy("one", "two")
    for name, manager in managers.items():
        assert fleet.live(name)["pid"] == main_pid(manager)
    # Each is healed by its own manager, and the other one's unit of that name is left alone.
    for round_, (name, manager) in enumerate(managers.items()):
        os.kill(main_pid(manager), signal.SIGKILL)
        fleet.wait_starts(name, 2)
        fleet.wait_healthy("one", "two")
        assert fleet.live(name)["pid"] == main_pid(manager)
        assert len(fleet.starts("two")) == 1 + round_
    # Orders by hand reach the right manager.
    fleet.ok("stop", "two")
    assert managers["two"].show("web.service", "ActiveState") == "inactive"
    assert managers["one"].show("web.service", "ActiveState") == "active"
    fleet.ok("start", "two")
    # One bus is lost: the other's unit is seen and healed all the same.
    hidden = managers["one"].runtime / "hidden"
    bus = managers["one"].bus_pid()
    (managers["one"].runtime / "bus").rename(hidden)
    try:
        os.kill(bus, signal.SIGKILL)
        fleet.wait_state("one", "unknown")
        starts = len(fleet.starts("two"))
        os.kill(main_pid(managers["two"]), signal.SIGKILL)
        fleet.wait_starts("two", starts + 1)
        fleet.wait_healthy("two")
        assert fleet.live("one")["state"] == "unknown"
    finally:
        hidden.rename(managers["one"].runtime / "bus")
    fleet.wait_healthy("one", "two", timeout=30)
    never(lambda: len(fleet.starts("one")) > 2, "the lost bus cost a restart", 1)
