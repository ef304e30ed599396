"""The steps of the escalation ladder, each on a real daemon: in order, with cooldown and timeout."""
import os
import socket
import subprocess
import sys
import time

from conftest import alive, free_port

CHECK = 'interval = "100ms", retry_interval = "100ms", timeout = "2s", grace = "0s"'
BACKOFF = 'backoff = { initial = "50ms", max = "100ms", jitter = 0.0 }\n'


def unit(fleet, health, ladder, extra=""):
    return fleet.unit("web", keys=f'''failures = 2
{BACKOFF}ladder = {ladder}
directory = "{fleet.dir}"
check.http = {{ url = "{health.url}", {CHECK} }}
{extra}''')


def test_steps_are_taken_in_order_and_the_restart_comes_last(fleet, health):
    fleet.write(unit(fleet, health, '[{ exec = ["/bin/sh", "-c", "echo step >> steps"] }, "reload", "restart"]',
                     'reload_command = ["/bin/sh", "-c", "kill -HUP $MAINPID; echo reload >> steps"]'))
    fleet.start()
    fleet.wait_healthy("web")
    health.then = 503
    fleet.wait_starts("web", 2, 20)
    health.then = 200
    assert (fleet.dir / "steps").read_text().split()[:2] == ["step", "reload"]
    assert [n.what for n in fleet.notes("web")][:3] == ["start", "hup", "term"]
    fleet.wait_healthy("web")


def test_a_cooldown_keeps_the_next_step_back(fleet, health):
    fleet.write(unit(fleet, health, '[{ exec = ["/bin/sh", "-c", "date +%s%N > stepped"], cooldown = "1500ms" }, "restart"]'))
    fleet.start()
    fleet.wait_healthy("web")
    health.then = 503
    fleet.wait_for(lambda: (fleet.dir / "stepped").exists() and (fleet.dir / "stepped").read_text(), "the first step")
    stepped = (fleet.dir / "stepped").stat().st_mtime
    term = fleet.wait_for(lambda: [n for n in fleet.notes("web") if n.what == "term"], "the restart")[0]
    when = time.time() - (time.monotonic_ns() - term.ns) / 1e9
    assert when - stepped >= 1.3, "the restart came within the cooldown of the step before"


def test_a_step_that_hangs_is_killed_at_its_timeout_and_the_next_one_follows(fleet, health):
    fleet.write(unit(fleet, health, '[{ exec = ["/bin/sh", "-c", "echo $$$$ > pid; sleep 1000"], timeout = "300ms" }, "restart"]'))
    fleet.start()
    fleet.wait_healthy("web")
    health.then = 503
    fleet.wait_starts("web", 2)
    health.then = 200
    pid = int((fleet.dir / "pid").read_text())
    fleet.wait_for(lambda: not alive(pid), "the step to be killed")
    assert "timed out after 300ms" in fleet.ok("events")


def test_another_unit_is_restarted(fleet, health):
    fleet.write(fleet.unit("db", keys=BACKOFF) + unit(fleet, health, '[{ restart = "db" }, "restart"]'))
    fleet.start()
    fleet.wait_healthy("web", "db")
    health.then = 503
    fleet.wait_starts("db", 2)
    health.then = 200
    fleet.wait_healthy("web", "db")
    assert "the ladder of web" in fleet.ok("events")


HOLD = """import signal, socket, sys, time
signal.signal(signal.SIGTERM, signal.SIG_DFL)
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
print("ready", flush=True)
time.sleep(1000)"""


def hold_port(port, **environment):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(port)], env=dict(os.environ) | environment,
                              stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "ready\n"
    return holder


def test_free_port_ends_a_left_over_of_the_same_unit_so_that_it_can_start(fleet):
    port = free_port()
    holder = hold_port(port, KEEPWELL_UNIT="web", KEEPWELL_FLEET=str(fleet.run_dir.resolve()))
    try:
        fleet.write(fleet.unit("web", "--tcp", port, keys=f'{BACKOFF}ladder = ["free-port", "restart"]\n'
                               f'check.port = {{ port = {port}, own = true, {CHECK} }}'))
        fleet.start()
        assert holder.wait(10) == -15
        fleet.wait_healthy("web")
        assert f"({holder.pid}), a left-over of this unit: SIGTERM" in fleet.ok("why", "web")
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def test_free_port_leaves_strangers_alone_and_names_them(fleet):
    port = free_port()
    strangers = [{}, {"KEEPWELL_UNIT": "web"}, {"KEEPWELL_UNIT": "web", "KEEPWELL_FLEET": "/elsewhere"},
                 {"KEEPWELL_UNIT": "other", "KEEPWELL_FLEET": str(fleet.run_dir.resolve())}]
    fleet.write(fleet.unit("web", "--tcp", port, keys=f'{BACKOFF}autostart = false\nladder = ["free-port", "restart"]\n'
                           f'check.port = {{ port = {port}, {CHECK} }}'))
    fleet.start()
    for number, marks in enumerate(strangers):
        holder = hold_port(port, **marks)
        try:
            fleet.popen("start", "web")
            fleet.wait_for(lambda: f"({holder.pid}), which is no left-over" in fleet.cli("events").stdout,
                           f"stranger {number} to be named")
            assert f"port {port} is held by" in fleet.live("web")["reason"]
            assert holder.poll() is None, f"stranger {number} was killed"
            fleet.ok("stop", "web")
        finally:
            holder.kill()
            holder.wait()
            holder.stdout.close()
    fleet.ok("start", "web")
    fleet.wait_healthy("web")
