"""What people see: real terminals (tmux) at 80 and 200 columns."""
import os
import re
import shlex
import shutil
import signal
import subprocess
import uuid

import pytest

from conftest import FAST, KEEPWELL, alive, children, command_line

pytestmark = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


SHOWN = re.compile("4 units.*q quit", re.S)  # the table and not the wait for it


class Screen:
    """A tmux server of its own with one window."""

    def __init__(self, fleet, width, height=24, term="xterm-256color", colour=False):
        self.fleet, self.socket = fleet, f"keepwell-test-{uuid.uuid4().hex[:8]}"
        self.env = {k: v for k, v in fleet.environment.items() if k not in ("TMUX", "NO_COLOR")}
        self.env |= {"LC_ALL": "C.UTF-8", "PS1": "$ ", "TMUX_TMPDIR": str(fleet.dir)} | ({} if colour else {"NO_COLOR": "1"})
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), "-s", "t",
                  f"TERM={term} PS1='$ ' exec sh")
        self.tmux("set", "-g", "status", "off")
        fleet.wait_for(lambda: "$" in self.text(), "a prompt")

    def tmux(self, *arguments):
        done = subprocess.run(["tmux", "-L", self.socket, *arguments], env=self.env, cwd=self.fleet.dir, capture_output=True, text=True,
                              timeout=20)
        return done.stdout

    def type(self, *words):
        self.tmux("send-keys", "-t", "t", "-l", " ".join(shlex.quote(str(w)) for w in words))
        self.press("Enter")

    def press(self, *keys):
        self.tmux("send-keys", "-t", "t", *keys)

    def text(self, colour=False):
        return self.tmux("capture-pane", "-p", "-t", "t", *(["-e"] if colour else []))

    def wait(self, words, timeout=10):
        """The screen once it shows this text or fits this pattern."""
        def found():
            text = self.text()
            return text if (words.search(text) if hasattr(words, "search") else words in text) else None
        return self.fleet.wait_for(found, f"{words!r} on the screen; it shows:\n{self.text()}", timeout)

    def resize(self, width, height):
        self.tmux("resize-window", "-t", "t", "-x", str(width), "-y", str(height))

    def program(self, word):
        """The pid of the keepwell that runs this verb here."""
        for pid in map(int, self.tmux("list-panes", "-F", "#{pane_pid}").split()):
            for child in children(pid):
                if word.encode() in command_line(child):
                    return child
        return None

    def close(self):
        self.tmux("kill-server")


@pytest.fixture
def screens(fleet):
    opened = []

    def open_screen(*arguments, **keys):
        opened.append(Screen(fleet, *arguments, **keys))
        return opened[-1]

    yield open_screen
    for screen in opened:
        screen.close()


@pytest.fixture
def troubled(fleet, health):
    """A calm unit, one with a long name, one that always dies, one that waits for it."""
    fleet.health = health
    slow = 'backoff = { initial = "60s", max = "60s", jitter = 0.0 }\n'
    fleet.write(fleet.unit("web", keys=FAST + f'name = "Web"\ngroup = "front"\ncheck.http = {{ url = "{health.url}", interval = "200ms" }}\n') +
                fleet.unit("a-name-that-is-much-too-long-for-a-table", keys=FAST) +
                f'[unit.broken]\nshell = "echo this is why; exit 7"\n{slow}' +
                fleet.unit("held", keys=FAST + 'requires = ["broken"]\n'))
    fleet.start()
    fleet.wait_for(lambda: fleet.live("broken")["state"] == "backoff" and fleet.live("web")["health"]["status"] == "healthy", "trouble")
    return fleet


@pytest.mark.parametrize("width", [80, 200])
def test_the_table_never_wraps(troubled, screens, width):
    screen = screens(width)
    screen.type(KEEPWELL, "status")
    lines = screen.wait("4 units:").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("NAME"))
    table = lines[start:start + 5]
    assert [line.split()[1].rstrip("…") for line in table[1:]][0] == "broken", table
    assert all(re.match(r"[●▲✖◌‖] ", line) for line in table[1:]), "one line for each unit:\n" + "\n".join(table)
    assert "exit 7" in "\n".join(table) and "needs broken" in "\n".join(table)
    assert lines[start + 5].startswith("4 units: 2 healthy, 1 down, 1 waiting")
    assert ("KIND" in table[0]) == (width == 200)


@pytest.mark.parametrize("width", [80, 200])
def test_why_and_restart_fit(troubled, screens, width):
    screen = screens(width)
    screen.type(KEEPWELL, "why", "broken")
    story = screen.wait("next:")
    assert "exit" in story and "broken" in story
    screen.type("clear")
    screen.type(KEEPWELL, "restart", "web")
    text = screen.wait("● web  ok")
    assert text.count("web  ok") == 1, "the line is rewritten in place:\n" + text


def test_colours_stand_beside_words(troubled, screens):
    screen = screens(120, colour=True)
    screen.type(KEEPWELL, "status")
    screen.wait("4 units:")
    coloured = screen.text(colour=True)
    assert "\x1b[31m" in coloured and "\x1b[32m" in coloured
    assert not re.search(r"\x1b\[[0-9;]*(?:4[0-7]|3[07]|9[07])m", coloured), "nothing that only reads on a light or a dark ground"
    for env in ("NO_COLOR=1", "TERM=dumb"):
        screen.type("clear")
        screen.tmux("send-keys", "-t", "t", "-l", f"env {env} {KEEPWELL} status")
        screen.press("Enter")
        screen.wait("4 units:")
        assert "\x1b[3" not in screen.text(colour=True), env


@pytest.mark.parametrize("width", [80, 200])
def test_top_shows_problems_first_sorts_filters_and_explains(troubled, screens, width):
    screen = screens(width)
    screen.type(KEEPWELL, "top")
    text = screen.wait(SHOWN)
    rows = [line.split()[1].rstrip("…") for line in text.splitlines() if re.match(r"[●▲✖◌‖] ", line)]
    assert rows[0] == "broken" and rows[1] == "held" and len(rows) == 4, text
    above = text.split("NAME")[0]
    assert "1 service down, 1 waiting. " in above and "✖ broken  down" in above and "◌ held  waiting" in above, text
    assert "exit 7" in above and re.search(r"since \d\d:\d\d", above), text
    assert "Starts by itself when broken is healthy" in above, text
    screen.press("n")
    screen.wait("sort: name")
    screen.press("/")
    screen.press("w", "e", "b")
    screen.wait("show only: web_")
    screen.press("Enter")
    screen.wait("filter: web")
    assert "broken" not in screen.text().split("NAME")[1]
    screen.press("w")
    screen.wait("up down scroll")
    screen.press("q")
    screen.press("Escape")
    screen.wait("broken")
    screen.press("?")
    screen.wait("show only what matches")
    screen.press("q")
    screen.wait(re.compile(r"\n\$\s*$"))
    assert "q quit" not in screen.text(), "the screen from before is back"


def test_top_restarts_after_a_yes(troubled, screens):
    screen = screens(100)
    screen.type(KEEPWELL, "top", "web")
    screen.wait(SHOWN)
    before = len(troubled.starts("web"))
    screen.press("r")
    screen.wait("restart web? y / n")
    screen.press("n")
    screen.wait("not restarted")
    screen.press("r")
    screen.wait("restart web? y / n")
    screen.press("y")
    troubled.wait_starts("web", before + 1)
    screen.wait("web: running, pid")
    screen.press("q")


def test_top_follows_changes_resizes_and_survives_the_supervisor(troubled, screens):
    screen = screens(100)
    screen.type(KEEPWELL, "top")
    screen.wait("2 healthy")
    troubled.health.then = 404
    screen.wait("http 404", 20)
    troubled.health.then = 200
    screen.resize(80, 12)
    troubled.wait_for(lambda: len(screen.text().splitlines()) <= 12 and "q quit" in screen.text(), "a smaller table")
    screen.resize(140, 30)
    screen.wait("RESTARTS")
    os.kill(troubled.supervisor(), signal.SIGSTOP)
    screen.wait("supervisor is silent since", 20)
    os.kill(troubled.supervisor(), signal.SIGCONT)
    troubled.wait_for(lambda: "silent" not in screen.text(), "the table again", 20)
    troubled.kill_supervisor()
    troubled.wait_for(lambda: "silent" not in screen.text() and "4 units" in screen.text(), "the table of the successor", 20)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGSEGV", "SIGABRT"])
def test_top_gives_the_terminal_back(troubled, screens, name):
    screen = screens(80)
    screen.type("echo", "before")
    screen.type(KEEPWELL, "top")
    screen.wait(SHOWN)
    pid = screen.program("top")
    os.kill(pid, getattr(signal, name))
    troubled.wait_for(lambda: not alive(pid), f"top to end by {name}")
    text = screen.wait("before")
    assert "q quit" not in text
    screen.type("echo", "typed", "again")  # echo of keys works again
    assert "echo typed again" in screen.wait(re.compile(r"^typed again", re.M))


def test_top_without_a_terminal_says_so(troubled):
    done = troubled.cli("top")
    assert done.returncode == 2 and "needs a terminal" in done.stderr
    assert troubled.cli("top", "--sort", "colour").returncode == 2


def test_top_waits_instead_of_asking_all_the_time(troubled, screens):
    screen = screens(80)
    screen.type(KEEPWELL, "top", "held")
    screen.wait(SHOWN)
    pid = screen.program("top")

    def ticks():
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def switches():
        return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", open(f"/proc/{pid}/status").read(), re.M)[1])

    begun, cpu = switches(), ticks()
    seconds = 3
    import time
    time.sleep(seconds)  # a figure over a time, not a wait
    assert switches() - begun < 40 * seconds and ticks() - cpu < 20 * seconds
