"""Reading the configuration anew while a name service does not answer: only the reload waits."""
import os
import pwd
import signal
import subprocess
import time

from conftest import FAST

# Looking a user up takes as long as the file is there, and says beside it that it has begun.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int getpwnam_r(const char *name, struct passwd *to, char *buffer, size_t size, struct passwd **result) {
    int (*real)(const char *, struct passwd *, char *, size_t, struct passwd **) = dlsym(RTLD_NEXT, "getpwnam_r");
    const char *slow = getenv("SLOW_NAMES");
    char asked[4096];
    snprintf(asked, sizeof asked, "%s.asked", slow);
    for (int i = 0; i < 2000 && access(slow, F_OK) == 0; ++i) {
        close(open(asked, O_WRONLY | O_CREAT, 0644));
        usleep(10000);
    }
    return real(name, to, buffer, size, result);
}
"""


def slow_names(fleet):
    (fleet.dir / "shim.c").write_text(SHIM)
    built = subprocess.run(["gcc", "-shared", "-fPIC", "-o", fleet.dir / "shim.so", fleet.dir / "shim.c", "-ldl"], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    slow = fleet.dir / "slow"
    fleet.environment |= {"LD_PRELOAD": str(fleet.dir / "shim.so"), "SLOW_NAMES": str(slow)}
    return slow, fleet.dir / "slow.asked"


def test_checks_restarts_and_the_api_go_on_while_a_reload_waits_for_names(fleet, health):
    slow, asked = slow_names(fleet)
    me = f'user = "{pwd.getpwuid(os.getuid()).pw_name}"\n'
    web = fleet.unit("web", keys=me + FAST + f'check.http = {{ url = "{health.url}", interval = "100ms" }}')
    fleet.write(web)
    fleet.start()
    fleet.wait_healthy()
    fleet.write(web + fleet.unit("new", keys=me + FAST))
    slow.touch()
    first = fleet.popen("reload")
    fleet.wait_for(asked.exists, "the reload to ask for a name")
    second = fleet.popen("reload", "--dry-run")
    for _ in range(3):
        fleet.keeper.send_signal(signal.SIGHUP)
    answers, starts = len(health.answers), len(fleet.starts("web"))
    os.kill(fleet.live("web")["pid"], signal.SIGKILL)
    fleet.wait_starts("web", starts + 1)
    fleet.wait_for(lambda: len(health.answers) >= answers + 3, "more checks")
    assert set(fleet.live()["services"]) == {"web"}, "the reload was not held"
    assert first.poll() is None and second.poll() is None, "a reload ended before its files were read"
    slow.unlink()
    assert first.wait(20) == 0, first.stdout.read()
    assert second.wait(20) == 0, second.stdout.read()
    assert "new" in first.stdout.read()
    fleet.wait_state("new", "running")
    reloads = lambda: [e for e in fleet.ok("events").splitlines() if "applied" in e]
    fleet.wait_for(lambda: sum("SIGHUP" in e for e in reloads()) >= 1, "the reload by signal")
    fleet.wait_healthy()
    assert len(fleet.starts("web")) == starts + 1


def test_a_shutdown_during_a_reload_refuses_it(fleet):
    slow, asked = slow_names(fleet)
    fleet.write(fleet.unit("web", keys=f'user = "{pwd.getpwuid(os.getuid()).pw_name}"\n' + FAST))
    fleet.start()
    fleet.wait_healthy()
    slow.touch()
    reload = fleet.popen("reload", stderr=subprocess.STDOUT)
    fleet.wait_for(asked.exists, "the reload to ask for a name")
    fleet.popen("shutdown")
    fleet.wait_for(lambda: fleet.notes("web") and fleet.notes("web")[-1].what in ("term", "exit"), "the unit to be stopped")
    slow.unlink()
    assert reload.wait(20) != 0
    fleet.keeper.wait(20)


def test_a_reload_that_is_asked_for_while_run_begins_ends_nothing(fleet):
    idle = "".join(fleet.unit(f"idle{i}", keys="autostart = false\n") for i in range(300))  # so that the beginning takes a while
    fleet.write(fleet.unit("web") + idle)
    fleet.start(wait=False)
    end = time.monotonic() + 20
    while not fleet.run_dir.exists():  # the configuration is read, the keeper is not there yet
        assert fleet.keeper.poll() is None and time.monotonic() < end
    fleet.keeper.send_signal(signal.SIGHUP)
    fleet.wait_for(fleet.answers, "an answer", 20)
    fleet.wait_healthy("web")
    assert fleet.keeper.poll() is None and len(fleet.starts("web")) == 1
