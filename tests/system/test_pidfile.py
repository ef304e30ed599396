"""Daemons that put themselves into the background and leave a PID file: real ones, and files that lie."""
import os
import pathlib
import signal
import subprocess

import pytest
from conftest import FAST, INTERVALS, alive, free_port, never, toml
from test_faults_children import inside_namespaces


def daemon(fleet, name, *options, keys=FAST, start=True):
    """A unit whose start command is a victim that forks into the background and leaves a PID file."""
    pidfile = fleet.dir / f"{name}.pid"
    command = fleet.victim(name, "--double-fork", "--pidfile", pidfile, "--lock", fleet.dir / f"{name}.lock", *options)
    lines = f'start_command = {toml(command)}\n' if start else ""
    return f'[unit.{name}]\npidfile = "{pidfile}"\n{lines}{keys}\n', pidfile, command


def start_by_hand(fleet, command):
    """As an init script would: in the test's cgroup, by nobody of keepwell's."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, preexec_fn=fleet.cgroup.join)


def pid_in(pidfile):
    return int(pathlib.Path(pidfile).read_text().split()[0])


def no_double(fleet, name):
    assert not [n for n in fleet.notes(name) if n.what == "double"], "two instances at once"


def test_without_cgroups_a_daemon_that_left_its_tree_before_it_was_seen_is_no_failed_start(fleet):
    fleet.environment["KEEPWELL_NO_CGROUP"] = "1"
    pidfile, waits, go = (fleet.dir / name for name in ("web.pid", "waits", "go"))
    # No mark, no parent and a session of its own: nothing tells whose it is but the file.
    daemon = f"while ! test -e {go}; do sleep 0.01; done; echo \\$\\$ >{pidfile}; exec sleep 1000"
    script = f'env -i setsid /bin/sh -c "{daemon}" &\necho $$$$ >{waits}\nwhile ! test -s {pidfile}; do sleep 0.01; done'
    fleet.write(f'[unit.web]\npidfile = "{pidfile}"\nstart_command = {toml(["/bin/sh", "-c", script])}\n{FAST}')
    fleet.start()
    fleet.wait_for(lambda: waits.exists() and waits.read_text().strip(), "the start command")
    supervisor = fleet.supervisor()
    os.kill(supervisor, signal.SIGSTOP)  # so that the file, the exit and the end of the tree are one piece of news
    try:
        go.touch()
        fleet.wait_for(lambda: not alive(pid_in(waits)), "the start command to end")
        never(lambda: not alive(pid_in(pidfile)), "the daemon ended with its start command", 0.3)
    finally:
        os.kill(supervisor, signal.SIGCONT)
    fleet.wait_state("web", "running")
    try:
        assert fleet.live("web")["pid"] == pid_in(pidfile)
        assert fleet.live("web")["restarts"]["total"] == 0 and "cannot start" not in fleet.ok("events"), fleet.ok("events")
    finally:
        os.kill(pid_in(pidfile), signal.SIGKILL)


def test_a_daemon_that_is_not_there_is_started_and_healed_with_its_real_exit_status(fleet):
    text, pidfile, _ = daemon(fleet, "web")
    fleet.write(text)
    fleet.start()
    fleet.wait_healthy("web")
    first = fleet.live("web")
    assert first["pid"] == pid_in(pidfile) and first["kind"] == "pidfile"
    os.kill(first["pid"], signal.SIGKILL)
    fleet.wait_for(lambda: fleet.live("web")["pid"] not in (None, first["pid"]), "the next instance")
    fleet.wait_healthy("web")
    assert fleet.live("web")["last_exit"]["signal"] == 9
    assert fleet.live("web")["pid"] == pid_in(pidfile)
    no_double(fleet, "web")
    story = fleet.ok("why", "web")
    for word in ("SIGKILL", "backoff", "recovered"):
        assert word in story, story


def test_what_runs_already_is_taken_up_and_goes_on_when_keepwell_ends(fleet):
    text, pidfile, command = daemon(fleet, "web")
    fleet.write(text)
    start_by_hand(fleet, command)
    fleet.wait_for(pidfile.exists, "the PID file")
    fleet.wait_starts("web", 1)
    pid = pid_in(pidfile)
    fleet.start()
    fleet.wait_healthy("web")
    assert fleet.live("web")["pid"] == pid
    assert len(fleet.starts("web")) == 1, "it was started again"
    fleet.kill_supervisor()
    fleet.wait_healthy("web")
    assert fleet.live("web")["pid"] == pid and fleet.live("web")["generation"] == 1
    fleet.ok("shutdown")
    fleet.keeper.wait(20)
    assert alive(pid), "keepwell ended what it had not started"
    assert len(fleet.starts("web")) == 1


def test_one_that_was_found_is_healed_too_and_its_left_overs_end_first(fleet):
    text, pidfile, command = daemon(fleet, "web", "--fork-children", "2", keys=FAST + 'stop = { timeout = "500ms" }')
    fleet.write(text)
    start_by_hand(fleet, command)
    fleet.wait_starts("web", 1)
    fleet.start()
    fleet.wait_healthy("web")
    pid = fleet.live("web")["pid"]
    os.kill(pid, signal.SIGKILL)
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")
    no_double(fleet, "web")
    assert fleet.live("web")["last_exit"]["signal"] in (9, None)


def test_a_sick_one_is_restarted_after_exactly_n_failures(fleet, health):
    text, _, _ = daemon(fleet, "web", keys=f'{FAST}failures = 3\ncheck.http = {{ url = "{health.url}", {INTERVALS} }}')
    health.script = [200, 503, 503, 200, 503, 503, 503]
    fleet.write(text)
    fleet.start()
    fleet.wait_starts("web", 2, 20)
    fleet.wait_healthy("web")
    term = next(n for n in fleet.notes("web") if n.what == "term")
    assert [s for when, s in health.answers if when <= term.ns] == [200, 503, 503, 200, 503, 503, 503]
    no_double(fleet, "web")


@pytest.mark.parametrize("crash", ["supervisor", "keeper"])
def test_a_crash_of_keepwell_touches_no_daemon_and_its_end_is_still_known(fleet, crash):
    text, pidfile, _ = daemon(fleet, "web")
    fleet.write(text)
    fleet.start()
    fleet.wait_healthy("web")
    pid = fleet.live("web")["pid"]
    if crash == "supervisor":
        fleet.kill_supervisor()
    else:
        fleet.kill_keeper()
        fleet.start()
    fleet.wait_healthy("web")
    assert fleet.live("web")["pid"] == pid == pid_in(pidfile)
    assert len(fleet.starts("web")) == 1
    os.kill(pid, signal.SIGKILL)
    fleet.wait_starts("web", 2)
    fleet.wait_healthy("web")
    no_double(fleet, "web")


def test_start_stop_and_restart_wait_for_the_real_result(fleet):
    text, pidfile, _ = daemon(fleet, "web", "--fork-children", "2")
    fleet.write(text)
    fleet.start()
    fleet.wait_healthy("web")
    pid = fleet.live("web")["pid"]
    fleet.ok("stop", "web")
    assert not alive(pid)
    assert fleet.live("web")["state"] == "stopped"
    fleet.ok("start", "web")
    assert fleet.live("web")["pid"] == pid_in(pidfile) != pid
    before = fleet.live("web")["pid"]
    fleet.ok("restart", "web")
    assert fleet.live("web")["pid"] not in (before, None)
    no_double(fleet, "web")
    fleet.ok("shutdown")
    fleet.keeper.wait(20)
    assert not alive(fleet.starts("web")[-1].pid), "what keepwell started outlived it"


def test_a_start_command_that_fails_and_one_that_leaves_no_daemon_are_named(fleet):
    fleet.write(f'''[unit.bad]
pidfile = "{fleet.dir}/bad.pid"
start_command = ["/bin/sh", "-c", "exit 3"]
{FAST}
[unit.nothing]
pidfile = "{fleet.dir}/nothing.pid"
start_command = ["/bin/true"]
start_timeout = "1s"
{FAST}
[unit.late]
pidfile = "{fleet.dir}/late.pid"
start_command = ["/bin/sh", "-c", "sleep 600 & exit 0"]
start_timeout = "500ms"
{FAST}''')
    fleet.start()
    fleet.wait_for(lambda: "exit 3" in fleet.live("bad")["reason"], "the exit code")
    fleet.wait_for(lambda: "PID" in fleet.live("nothing")["reason"], "the missing PID file")
    fleet.wait_for(lambda: "no daemon after 500ms" in fleet.live("late")["reason"], "the late daemon")


def test_a_new_pid_in_the_file_is_a_new_instance_and_no_failure(fleet):
    text, pidfile, command = daemon(fleet, "web")
    fleet.write(text)
    start_by_hand(fleet, command)
    fleet.wait_starts("web", 1)
    fleet.start()
    fleet.wait_healthy("web")
    old = fleet.live("web")["pid"]
    # A rolling upgrade: the successor writes the file, then the old one goes.
    successor = list(command)
    successor.remove("--lock")
    successor.remove(str(fleet.dir / "web.lock"))
    start_by_hand(fleet, successor)
    fleet.wait_for(lambda: fleet.live("web")["pid"] not in (old, None), "the successor to be taken up")
    os.kill(old, signal.SIGTERM)
    never(lambda: fleet.live("web")["state"] not in ("running", "starting"), "a failure was counted", 1.5)
    now = fleet.live("web")
    assert now["pid"] == pid_in(pidfile)
    assert now["restarts"]["attempts_left"] == now["restarts"]["budget"]
    assert len(fleet.starts("web")) == 2


LIES = {
    "one": lambda f: f.write_text("1\n"),
    "nothing": lambda f: f.write_text(""),
    "words": lambda f: f.write_text("hello\n"),
    "two numbers": lambda f: f.write_text("12\n34\n"),
    "negative": lambda f: f.write_text("-1\n"),
    "too large": lambda f: f.write_text("99999999999\n"),
    "a mebibyte": lambda f: f.write_text("7" * (1 << 20)),
    "a FIFO": lambda f: os.mkfifo(f),
    "a folder": lambda f: f.mkdir(),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_is_never_believed(fleet, lie):
    """A stranger lives under a number that the file could be read as; it is never signalled."""
    text, pidfile, _ = daemon(fleet, "web", start=False, keys='heal = false')
    LIES[lie](pidfile)
    fleet.write(text + fleet.unit("child"))
    fleet.start()
    fleet.wait_healthy("child")
    fleet.wait_for(lambda: fleet.live("web")["state"] in ("failed", "backoff", "cooldown"), "the verdict")
    assert fleet.live("web")["pid"] is None


def stranger(fleet, **keys):
    process = subprocess.Popen(["/bin/sleep", "600"], preexec_fn=keys.pop("prepare", None), **keys)
    fleet.extra.append(process)
    return process.pid


def test_files_of_others_symbolic_links_and_reused_numbers_name_nobody(fleet):
    pid = stranger(fleet)
    foreign, writable, link, reused = (fleet.dir / n for n in ("foreign", "writable", "link", "reused"))
    for file in (foreign, writable, reused):
        file.write_text(f"{pid}\n")
    os.chown(foreign, 65534, 65534)
    writable.chmod(0o666)
    (fleet.dir / "target").write_text(f"{pid}\n")
    link.symlink_to(fleet.dir / "target")
    os.utime(reused, (1_000_000_000, 1_000_000_000))  # written long before the process began
    fleet.write("".join(f'[unit.{f.name}]\npidfile = "{f}"\nheal = false\n' for f in (foreign, writable, link, reused))
                + fleet.unit("child"))
    fleet.start()
    fleet.wait_healthy("child")
    for name, word in (("foreign", "65534"), ("writable", "others"), ("link", "symbolic"), ("reused", "reused")):
        fleet.wait_for(lambda: fleet.live(name)["state"] == "failed", f"{name} to be judged")
        assert fleet.live(name)["pid"] is None
        assert word in fleet.ok("why", name), fleet.ok("why", name)
    fleet.ok("stop", "all", timeout=40)
    assert alive(pid), "a stranger was signalled"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces of its own")
@pytest.mark.parametrize("held", [True, False])
def test_a_reused_pid_in_the_file_is_never_signalled(tmp_path, held):
    """The daemon dies, a stranger gets exactly its number, and the file still names it: while keepwell looks, and before."""
    inside_namespaces(tmp_path, ["-pf", "--mount-proc", "--kill-child"], f'''
pidfile = fleet.dir / "web.pid"
command = fleet.victim("web", "--double-fork", "--pidfile", pidfile)
unit = "[unit.web]\\npidfile = " + json.dumps(str(pidfile)) + "\\nstart_command = " + json.dumps(command) + "\\n" + FAST
fleet.write(unit + 'stop = {{ "kill" = "tree", timeout = "1s" }}\\n')
subprocess.run(command, check=True)
wait_for(lambda: fleet.starts("web") and pidfile.exists(), "the daemon")
pid = int(pidfile.read_text())
assert pid == fleet.starts("web")[0].pid
if {held}:
    fleet.start()
    fleet.wait_healthy("web")
    assert fleet.live("web")["pid"] == pid
    os.kill(fleet.supervisor(), signal.SIGSTOP)  # so that it cannot look before the number is taken
# A file is believed for processes that began up to 0.1 s after it.
wait_for(lambda: time.time() > pidfile.stat().st_mtime + 0.15, "the file to be old")
os.kill(pid, signal.SIGKILL)
wait_for(lambda: reap() or not os.path.exists(f"/proc/{{pid}}"), "the pid to be free")
pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
decoy = subprocess.Popen(["/bin/sleep", "1000"])
assert decoy.pid == pid, f"the decoy is {{decoy.pid}}, not {{pid}}"
if {held}:
    os.kill(fleet.supervisor(), signal.SIGCONT)
else:
    fleet.start()
starts = fleet.wait_starts("web", 2)
fleet.wait_healthy("web")
assert fleet.live("web")["pid"] == starts[-1].pid != pid
fleet.ok("restart", "web")
fleet.ok("stop", "web")
assert decoy.poll() is None, "a stranger was signalled"
decoy.kill()
''')


@pytest.mark.skipif(not os.path.exists("/usr/sbin/nginx"), reason="no nginx here")
def test_a_real_nginx_is_started_healed_reloaded_and_upgraded_in_place(fleet):
    port = free_port()
    config = fleet.dir / "nginx.conf"
    config.write_text(f'''daemon on; user root; worker_processes 2; pid {fleet.dir}/nginx.pid; error_log {fleet.dir}/error.log;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path {fleet.dir}/b; proxy_temp_path {fleet.dir}/p; fastcgi_temp_path {fleet.dir}/f;
uwsgi_temp_path {fleet.dir}/u; scgi_temp_path {fleet.dir}/s; server {{ listen 127.0.0.1:{port}; return 200 "ok"; }} }}''')
    fleet.write(f'''[unit.nginx]
pidfile = "{fleet.dir}/nginx.pid"
start_command = ["/usr/sbin/nginx", "-c", "{config}"]
reload_command = ["/usr/sbin/nginx", "-c", "{config}", "-s", "reload"]
stop = {{ signal = "QUIT", timeout = "5s" }}
check.http = {{ url = "http://127.0.0.1:{port}/", interval = "200ms", retry_interval = "100ms" }}
{FAST}''')
    fleet.start()
    fleet.wait_healthy("nginx")
    pid = fleet.live("nginx")["pid"]
    assert pid == pid_in(fleet.dir / "nginx.pid")
    os.kill(pid, signal.SIGKILL)  # its workers hold the port
    fleet.wait_for(lambda: fleet.live("nginx")["pid"] not in (pid, None), "the next nginx")
    fleet.wait_healthy("nginx")
    fleet.ok("reload", "nginx")
    old = fleet.live("nginx")["pid"]
    os.kill(old, signal.SIGUSR2)  # nginx's own way to put a new program in place
    fleet.wait_for(lambda: (fleet.dir / "nginx.pid.oldbin").exists(), "the renamed PID file")
    fleet.wait_for(lambda: fleet.live("nginx")["pid"] not in (old, None), "the successor")
    os.kill(old, signal.SIGQUIT)
    fleet.wait_for(lambda: not alive(old), "the old nginx to go")
    never(lambda: fleet.live("nginx")["state"] not in ("running", "starting"), "the upgrade was taken for a failure", 1)
    fleet.wait_healthy("nginx")
    new = fleet.live("nginx")["pid"]
    fleet.ok("stop", "nginx")
    assert not alive(new)


def test_daemons_come_back_after_a_crash_between_the_start_command_and_its_pid(fleet):
    """The supervisor dies while the PID file is still to come: its successor waits for it, and starts nothing twice."""
    pidfile = fleet.dir / "slow.pid"
    inner = " ".join(fleet.victim("slow", "--lock", fleet.dir / "slow.lock"))
    script = f"({inner} & echo $! >{fleet.dir}/early; sleep 3; mv {fleet.dir}/early {pidfile}; wait) & exit 0"
    fleet.write(f'[unit.slow]\npidfile = "{pidfile}"\nstart_command = {toml(["/bin/sh", "-c", script])}\n{FAST}')
    fleet.start()
    fleet.wait_starts("slow", 1)
    fleet.kill_supervisor()
    fleet.wait_healthy("slow", timeout=20)
    assert len(fleet.starts("slow")) == 1
    assert fleet.live("slow")["pid"] == pid_in(pidfile)
    no_double(fleet, "slow")
