"""A machine with a real systemd as PID 1, booted from a Debian tree in a container: systemd-nspawn over an overlay of a
tree that debootstrap made once and that is kept in the user's cache. Mounts live in a namespace of their own and processes
in cgroups of their own, so that nothing is left behind, also when the test run itself is killed."""
import ctypes
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "keepwell" / "booted"
PACKAGES = "systemd,systemd-sysv,libpam-systemd,dbus"
WORK, PREFIX, CONSOLE = "/var/tmp", "keepwell-boot-", ".console"
PROGRAMS = ("debootstrap", "systemd-nspawn", "unshare", "nsenter", "setpriv", "apt-get")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PR_SET_PDEATHSIG = 1


class Trouble(Exception):
    """The machine could not be made or booted; the text says what to do."""


def why_not():
    """What keeps this machine from booting another, or None."""
    if os.geteuid() != 0:
        return "booting a container needs root"
    missing = [p for p in PROGRAMS if not shutil.which(p, path=PATH)]
    if missing:
        return "missing " + ", ".join(missing) + ": contrib/dev deps installs them"
    if not hierarchies():
        return "no cgroup hierarchy can be written below /sys/fs/cgroup"
    return None


# ---- the tree


def _with_parent(before=lambda: None):
    """For preexec_fn: a session of its own that dies with this process, and what else is to be done first."""
    libc = ctypes.CDLL(None, use_errno=True)

    def prepare():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        before()

    return prepare


def _own_namespaces(script, *arguments, timeout):
    """Runs a shell script whose mounts and processes end with it, whatever happens."""
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-euc", script, "bash", *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        timeout=timeout, preexec_fn=_with_parent(), env={"PATH": PATH, "LC_ALL": "C", **_proxies()})
    if done.returncode:
        raise Trouble("cannot make the tree for the booted tests; its last words:\n" + done.stdout[-3000:])


def _proxies():
    return {k: v for k, v in os.environ.items() if k.lower() in ("http_proxy", "https_proxy", "no_proxy")}


def _mirror():
    """(code name, mirror) of the Debian this machine was installed from."""
    release = dict(line.strip().split("=", 1) for line in open("/etc/os-release") if "=" in line)
    name = release.get("VERSION_CODENAME", "").strip('"')
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(ORIGIN) $(COMPONENT) $(REPO_URI)",
         "Created-By: Packages"], text=True, stdout=subprocess.PIPE, check=True).stdout
    for line in targets.splitlines():
        words = line.split(" ")
        if words[:3] == [name, "Debian", "main"]:
            return name, words[3]
    raise Trouble(f"cannot find a mirror: apt's sources name no Debian {name}; run apt-get update")


# apt inside uses this machine's own settings, sources, keys and certificates. Only Debian's sources: others may want
# transports that the small tree has not.
_MAKE_BASE = r"""
tree=$1 name=$2 mirror=$3 packages=$4
debootstrap --variant=minbase --include="$packages" "$name" "$tree" "$mirror"
rm -f "$tree/etc/apt/sources.list"
for part in sources.list sources.list.d apt.conf.d preferences preferences.d trusted.gpg trusted.gpg.d keyrings; do
    if [ -e "/etc/apt/$part" ]; then cp -a "/etc/apt/$part" "$tree/etc/apt/"; fi
done
grep -rLE '/debian(-security)?/?( |$)' "$tree"/etc/apt/sources.list* | xargs -r rm -f
mkdir -p "$tree/usr/share/keyrings" "$tree/etc/ssl/certs"
cp -a /usr/share/keyrings/. "$tree/usr/share/keyrings/"
cp -L /etc/ssl/certs/ca-certificates.crt "$tree/etc/ssl/certs/" || :
# Nobody logs in there, and no timer is to run beside a test.
for unit in getty.target console-getty.service timers.target; do
    ln -sf /dev/null "$tree/etc/systemd/system/$unit"
done
"""

_ADD_PACKAGES = r"""
tree=$1 depends=$2 base=$3
cp -a --reflink=auto "$base" "$tree"
cp -L /etc/resolv.conf /etc/hosts "$tree/etc/" || :
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"
printf '#!/bin/sh\nexit 101\n' >"$tree/usr/sbin/policy-rc.d"
chmod 755 "$tree/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive
chroot "$tree" apt-get -q update
chroot "$tree" apt-get -q -y --no-install-recommends satisfy "$depends"
chroot "$tree" apt-get clean
rm -rf "$tree/usr/sbin/policy-rc.d" "$tree"/var/lib/apt/lists/*
: >"$tree/etc/machine-id"
"""


def _cached(kind, script, *arguments, keep):
    """The tree that this script makes from these arguments; the `keep` ones used last stay."""
    tree = CACHE / (kind + "-" + hashlib.sha256("\0".join((script, *arguments)).encode()).hexdigest()[:16])
    if not tree.exists():
        partial = CACHE / (tree.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _own_namespaces(script, partial, *arguments, timeout=600)
            partial.rename(tree)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    os.utime(tree)
    others = sorted(CACHE.glob(kind + "-*"), key=lambda t: t.stat().st_mtime, reverse=True)
    for old in others[keep:]:
        shutil.rmtree(old)
    return tree


def tree_with(depends):
    """The cached tree in which these dependencies (as in a control file) are installed; made at the first use."""
    name, mirror = _mirror()
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        base = _cached("base", _MAKE_BASE, name, mirror, PACKAGES, keep=1)
        return _cached("tree", _ADD_PACKAGES, depends, str(base), keep=3)


# ---- cgroups


def hierarchies():
    """The root of every hierarchy that can be written: one for cgroup v2 alone, many beside v1."""
    top = pathlib.Path("/sys/fs/cgroup")
    roots = [top] if (top / "cgroup.procs").exists() else sorted(p for p in top.glob("*") if not p.is_symlink())
    return [r for r in roots if os.access(r / "cgroup.procs", os.W_OK)]


class _Cgroups:
    """A folder in each hierarchy, so that the booted systemd finds a root of its own in each."""

    def __init__(self, name):
        self.folders = [root / name for root in hierarchies()]

    def make(self):
        for folder in self.folders:
            folder.mkdir()
            for limit in ("cpuset.cpus", "cpuset.mems"):
                if (folder / limit).exists() and not (folder / limit).read_text().strip():
                    (folder / limit).write_text((folder.parent / limit).read_text())

    def join(self):
        for folder in self.folders:
            (folder / "cgroup.procs").write_text("0")

    def processes(self):
        found = set()
        for folder in self.folders:
            for where, _, files in os.walk(folder):
                if "cgroup.procs" in files:
                    try:
                        found |= {int(p) for p in pathlib.Path(where, "cgroup.procs").read_text().split()}
                    except OSError:
                        pass
        return found

    def remove(self):
        """Kills what is left in them and removes them; what stays after ten seconds is an error."""
        end = time.monotonic() + 10
        while True:
            for pid in self.processes():
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            left = [f for f in self.folders if not _remove_folders(f)]
            if not left:
                return
            if time.monotonic() > end:
                raise Trouble("cannot remove " + ", ".join(map(str, left)))
            time.sleep(0.02)


def _remove_folders(folder):
    for where, _, _ in os.walk(folder, topdown=False):
        try:
            os.rmdir(where)
        except OSError:
            pass
    return not folder.exists()


def _children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _is_init(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


# ---- the machine

# nspawn takes its cgroups as the root of the container's; the overlay's upper half is in memory. With --keep-unit a reboot
# inside ends nspawn with 133, and who started it is to start it again.
_BOOT = r"""
mount -t tmpfs -o mode=0755,size=75% keepwell-boot "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay -o lowerdir="$1",upperdir="$2/upper",workdir="$2/work" keepwell-boot "$2/root"
code=133
while [ $code = 133 ]; do
    code=0
    setpriv --pdeathsig KILL systemd-nspawn --quiet -D "$2/root" --register=no --keep-unit --private-network \
        --link-journal=no --console=pipe -b systemd.show_status=0 || code=$?
done
exit $code
"""


def _sweep():
    """Removes what a run left that was killed itself: its processes died with it, its folders and cgroups did not."""
    for console in pathlib.Path(WORK).glob(PREFIX + "*" + CONSOLE):
        with open(console) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # that machine runs
            folder = pathlib.Path(str(console).removesuffix(CONSOLE))
            _Cgroups(folder.name).remove()
            if folder.exists():
                folder.rmdir()
            console.unlink(missing_ok=True)


class Machine:
    """One booted machine. Use it in a `with` block: whatever happens, the end of the block is its end."""

    def __init__(self, tree):
        self.tree, self.process, self.cgroups, self.folder, self.console = tree, None, None, None, None

    def __enter__(self):
        _sweep()
        try:
            self.folder = tempfile.mkdtemp(prefix=PREFIX, dir=WORK)
            self.console = open(self.folder + CONSOLE, "w+")
            fcntl.flock(self.console, fcntl.LOCK_EX)  # held by all that has it as its output: see _sweep
            self.cgroups = _Cgroups(os.path.basename(self.folder))
            self.cgroups.make()
            self.process = subprocess.Popen(
                ["unshare", "--mount", "bash", "-euc", _BOOT, "bash", str(self.tree), self.folder],
                stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console, start_new_session=True,
                preexec_fn=_with_parent(self.cgroups.join), env={"PATH": PATH, "LC_ALL": "C"})
            self.wait_until_up()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.process:
            self.process.kill()  # nspawn and PID 1 of the container die with it
            self.process.wait()
        if self.cgroups:
            self.cgroups.remove()
        if self.folder:
            os.rmdir(self.folder)
        if self.console:
            self.console.close()
            os.unlink(self.console.name)

    @property
    def leader(self):
        """The container's PID 1 as this machine knows it; None while there is none."""
        shell = self.process.pid
        return next((pid for nspawn in _children(shell) for pid in _children(nspawn) if _is_init(pid)), None)

    def wait_until_up(self, timeout=60.0):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Trouble("the container ended while it booted:\n" + self.last_words())
            if self.leader and self.run("systemctl", "is-system-running", check=False).stdout.strip() in (
                    "running", "degraded"):
                return
            time.sleep(0.05)
        raise Trouble(f"the container did not boot within {timeout:g} s:\n" + self.last_words())

    def kill(self, pid, name):
        """Sends a signal to a process inside; the small tree has no kill(1) but the shell's."""
        self.run("sh", "-c", f"kill -{name} {pid}")

    def reboot(self):
        """Ends when the machine is up again."""
        before = self.leader
        self.run("systemctl", "reboot", check=False)
        end = time.monotonic() + 120
        while self.leader in (before, None):
            if time.monotonic() > end or self.process.poll() is not None:
                raise Trouble("the container did not reboot:\n" + self.last_words())
            time.sleep(0.02)
        self.wait_until_up()

    def path(self, name):
        """A file inside, as this machine can open it; no part of the name may be a link to an absolute path."""
        return pathlib.Path(f"/proc/{self.leader}/root") / name.lstrip("/")

    def processes(self):
        """{pid: arguments} of all that live inside, by the pids in there."""
        found = {}
        for folder in self.path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX":
                        found[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
                except OSError:
                    pass
        return found

    def last_words(self):
        self.console.flush()
        return pathlib.Path(self.console.name).read_text(errors="replace")[-3000:]

    def run(self, *argv, check=True, timeout=60.0):
        """A command inside, by root; the result's stdout has both streams."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", "env", "-i", "PATH=" + PATH, "LC_ALL=C.UTF-8", "SYSTEMD_PAGER=",
             "DEBIAN_FRONTEND=noninteractive", *map(str, argv)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=timeout, preexec_fn=_with_parent())
        if check and done.returncode:
            raise Trouble(f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stdout}")
        return done
