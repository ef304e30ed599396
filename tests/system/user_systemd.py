"""A real systemd for tests: `systemd --user` with a bus of its own, in cgroups of its own.

    with UserSystemd() as systemd:                      # or start() … stop()
        systemd.write_unit("web.service", "[Service]\\nExecStart=/bin/sleep infinity\\n")
        systemd.systemctl("daemon-reload")
        systemd.systemctl("start", "web.service")       # CompletedProcess; check=False lets failures pass
        systemd.show("web.service", "MainPID")          # one property
        systemd.bus_address                             # "unix:path=…", for clients
        systemd.environment                             # what a client's environment needs to find it
        systemd.pid, systemd.bus_pid()                  # the manager's and the real dbus-daemon's
        systemd.kill_bus()                              # at most four times in ten seconds: systemd's own start limit

It needs root, since a systemd that finds itself in the root cgroup moves every process of the machine into its init.scope,
below a limit of processes: so each hierarchy gets a folder of ours first, and the manager is started inside. stop() kills
whatever is left in these folders, removes them, and is also called when start() fails. Nothing of it outlives the test
process: the manager is killed with its parent, and the next start() removes what a killed test run left behind.

The bus daemon is systemd's own, started by dbus.socket: do not start another one at that address, it would be replaced.
"""
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

CGROUPS = pathlib.Path("/sys/fs/cgroup")
PREFIX = "keepwell-user-systemd-"
PROGRAM = "/usr/lib/systemd/systemd"
PR_SET_PDEATHSIG = 1
# What a user's systemd would start by itself and no test wants.
MASKED = ("systemd-tmpfiles-setup.service", "systemd-tmpfiles-clean.timer", "gpg-agent.socket", "dirmngr.socket",
          "gpg-agent-ssh.socket", "gpg-agent-extra.socket", "gpg-agent-browser.socket", "ssh-agent.service")


def why_not():
    """What keeps this machine from running one, or None."""
    if os.geteuid() != 0:
        return "a systemd of our own needs root, for cgroups of its own"
    missing = [p for p in (PROGRAM, "/usr/bin/systemctl", "/usr/bin/dbus-daemon", "/usr/lib/systemd/user/dbus.socket")
               if not os.path.exists(p)]
    if missing:
        return "missing " + ", ".join(missing) + ": contrib/dev deps installs them"
    if not _hierarchies():
        return "no cgroup hierarchy can be written below /sys/fs/cgroup"
    return None


def _hierarchies():
    """Every cgroup hierarchy that takes processes: the one of version 2, or each of version 1."""
    found = [CGROUPS] if (CGROUPS / "cgroup.procs").exists() else []
    found += [d for d in sorted(CGROUPS.iterdir()) if (d / "cgroup.procs").exists() and not d.is_symlink()
              and os.path.ismount(d)] if CGROUPS.is_dir() else []
    return [d for d in found if os.access(d, os.W_OK)]


def _folders(top):
    """The folder and all below, deepest first."""
    return [pathlib.Path(d) for d, _, _ in os.walk(top, topdown=False)]


def _kill_and_remove(top, deadline=5.0):
    """Ends every process of a cgroup and removes it; False if something did not go away."""
    end = time.monotonic() + deadline
    while top.exists():
        for folder in _folders(top):
            try:
                for pid in (folder / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
                folder.rmdir()
            except OSError:
                pass
        if time.monotonic() > end:
            return False
        if top.exists():
            time.sleep(0.01)
    return True


def _remove_left_overs():
    """Folders of test processes that are no more."""
    temporary = pathlib.Path(tempfile.gettempdir())
    for top in (*_hierarchies(), temporary):
        for folder in top.glob(PREFIX + "*"):
            owner = re.match(re.escape(PREFIX) + r"(\d+)-", folder.name)
            if not owner or os.path.exists(f"/proc/{owner.group(1)}"):
                continue
            if top == temporary:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                _kill_and_remove(folder)


class UserSystemd:
    """See the top of this file."""
    _count = 0

    def __init__(self):
        self.process = None
        self.folder = None
        self._cgroups = []

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # ---- life

    def start(self, timeout=15.0):
        """Returns once systemctl and the bus answer."""
        trouble = why_not()
        if trouble:
            raise RuntimeError(f"cannot start a systemd: {trouble}")
        try:
            _remove_left_overs()
            self._make_folders()
            self._make_cgroups()
            os.makedirs("/run/systemd/system", exist_ok=True)
            self._launch()
            self._await(timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """Ends everything and removes every trace; may be called again."""
        if self.process:
            self.process.kill()
        stuck = [str(c) for c in self._cgroups if not _kill_and_remove(c)]
        if self.process:
            self.process.wait(10)
        self.process, self._cgroups = None, []
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None
        if stuck:
            raise RuntimeError("cannot remove " + ", ".join(stuck))

    def _make_folders(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.runtime, self.home = self.folder / "run", self.folder / "home"
        self.config = self.home / ".config"
        self.units = self.config / "systemd/user"
        for folder in (self.runtime, self.home, self.units):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in MASKED:
            (self.units / name).symlink_to("/dev/null")
        self.bus_address = f"unix:path={self.runtime}/bus"
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
            "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime), "XDG_CONFIG_HOME": str(self.config),
            "DBUS_SESSION_BUS_ADDRESS": self.bus_address}

    def _make_cgroups(self):
        UserSystemd._count += 1
        name = f"{PREFIX}{os.getpid()}-{UserSystemd._count}"
        for hierarchy in _hierarchies():
            folder = hierarchy / name
            folder.mkdir()
            self._cgroups.append(folder)
            for setting in ("cpuset.mems", "cpuset.cpus"):
                if (hierarchy / setting).exists():
                    (folder / setting).write_text((hierarchy / setting).read_text())

    def _launch(self):
        libc, cgroups = ctypes.CDLL(None, use_errno=True), [str(c / "cgroup.procs") for c in self._cgroups]

        def prepare():
            for procs in cgroups:
                with open(procs, "w") as f:
                    f.write(str(os.getpid()))
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        self.log = open(self.folder / "systemd.log", "w+")
        self.process = subprocess.Popen(
            [PROGRAM, "--user", "--log-target=console", "--unit=basic.target"], env=self.environment, cwd="/",
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=prepare)

    def _await(self, timeout):
        end = time.monotonic() + timeout
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"systemd --user ended with {self.process.returncode}:\n{self.words()}")
            if self.systemctl("is-active", "dbus.socket", check=False).stdout.strip() == "active":
                if self.systemctl("start", "dbus.service", check=False).returncode == 0 and self.bus_pid():
                    return
            if time.monotonic() > end:
                raise RuntimeError(f"systemd --user was not ready within {timeout:g} s:\n{self.words()}")
            time.sleep(0.02)

    # ---- use

    @property
    def pid(self):
        return self.process.pid

    def bus_pid(self):
        """The real dbus-daemon, 0 while there is none."""
        return int(self.show("dbus.service", "MainPID") or 0)

    def kill_bus(self, timeout=5.0):
        """SIGKILL for the bus daemon; returns once systemd has reaped it. Asked anything before that (systemctl, too),
        systemd 252 waits for the dead daemon's answer, for 90 seconds, and starts no other meanwhile."""
        pid = self.bus_pid()
        if not pid:
            raise RuntimeError("cannot kill the bus daemon: there is none")
        os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + timeout
        while os.path.exists(f"/proc/{pid}"):
            if time.monotonic() > end:
                raise RuntimeError(f"the dead bus daemon {pid} was not reaped within {timeout:g} s")
            time.sleep(0.005)
        return pid

    def words(self):
        """What the manager said last."""
        return (self.folder / "systemd.log").read_text(errors="replace")[-3000:]

    def write_unit(self, name, text):
        """Writes a unit file; systemd sees a new one when it is started, a changed one after daemon-reload."""
        (self.units / name).write_text(text)

    def systemctl(self, *args, check=True, timeout=30):
        done = subprocess.run(["/usr/bin/systemctl", "--user", "--no-pager", *args], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"systemctl {' '.join(args)} ended with {done.returncode}: {done.stderr}{done.stdout}")
        return done

    def show(self, unit, prop):
        return self.systemctl("show", unit, "-p", prop, "--value", check=False).stdout.strip()
