"""The history: what it counts, and what happens to its file. Python's own SQLite is the oracle of what is on the disk."""
import http.client
import json
import os
import signal
import socket
import sqlite3
import time

from conftest import FAST, SLOW
from test_faults_supervisor import fill, small_disk


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("x", timeout=30 * SLOW)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(fleet, path):
    connection = UnixConnection(fleet.run_dir / "control.sock")
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def history(fleet, name, span="1h"):
    status, document = ask(fleet, f"/api/history/{name}?range={span}")
    assert status == 200, document
    return document


def total(document, key):
    return sum(p[key] for p in document["points"])


def database(fleet):
    return fleet.state_dir / "history.db"


def rows(fleet, sql, *values):
    db = sqlite3.connect(database(fleet), timeout=20)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def written(fleet, table, count=1):
    """Are so many rows of it on the disk? The file and its tables come a moment after the start."""
    try:
        return rows(fleet, f"SELECT count(*) FROM {table}")[0][0] >= count
    except sqlite3.OperationalError:
        return False


def stop(fleet):
    fleet.keeper.terminate()
    assert fleet.keeper.wait(30 * SLOW) == 0


SLOW_BACKOFF = 'backoff = { initial = "3s", max = "3s", jitter = 0.0 }\n'


def test_down_time_is_counted_and_a_killed_supervisor_leaves_a_readable_file_and_goes_on(fleet):
    fleet.write(fleet.unit("web", keys=SLOW_BACKOFF) + fleet.unit("calm"))
    fleet.start()
    fleet.wait_healthy()
    began = time.monotonic()
    os.kill(fleet.starts("web")[0].pid, signal.SIGKILL)
    fleet.wait_starts("web", 2, 20)
    fleet.wait_healthy("web")
    took = time.monotonic() - began
    seen = history(fleet, "web")
    assert 2.5 <= total(seen, "down_s") <= took + 0.5, seen
    assert total(seen, "restarts") == 1
    assert [c["health"] for c in seen["changes"]].count("down") >= 1
    assert 0 < seen["uptime_ratio"] < 1
    assert history(fleet, "calm")["uptime_ratio"] == 1
    # The running minute belongs to every range.
    for span in ("24h", "7d", "90d"):
        assert total(history(fleet, "web", span), "down_s") >= 2.5

    fleet.wait_for(lambda: written(fleet, "change", 5), "changes on disk", 30)
    fleet.kill_supervisor()
    assert rows(fleet, "PRAGMA integrity_check") == [("ok",)]
    events = json.loads(fleet.ok("events", "--since", "1h", "--json"))["events"]
    assert sum(e["kind"] == "keepwell" for e in events) == 2, "the beginnings of both supervisors"
    fleet.wait_for(lambda: total(history(fleet, "web"), "ok_s") > 0, "the new one to count")
    assert any(c["health"] == "down" for c in history(fleet, "web")["changes"]), "what the old one saw is kept"

    assert ask(fleet, "/api/history/web?range=1y")[0] == 400
    assert ask(fleet, "/api/history/nobody?range=1h")[0] == 404
    text = fleet.ok("history", "web", "--range", "1h")
    assert text.startswith("web  last 1h  ") and "RESTARTS" in text
    assert all(len(line) <= 80 for line in text.splitlines()), text
    assert json.loads(fleet.ok("history", "web", "--json"))["range"] == "24h"
    assert fleet.cli("history", "nobody").returncode == 4


def test_what_an_earlier_keepwell_wrote_is_read_back(fleet):
    """Hours, steps and events that are put into the file while nothing runs."""
    fleet.write(fleet.unit("web"))
    fleet.start()
    fleet.wait_healthy()
    fleet.wait_for(lambda: written(fleet, "unit"), "the file", 30)
    stop(fleet)
    (unit,), = rows(fleet, "SELECT id FROM unit WHERE key = 'web'")
    now = int(time.time() * 1000)
    db = sqlite3.connect(database(fleet))
    columns = [c[1] for c in db.execute("PRAGMA table_info(hour)")]
    hour = dict.fromkeys(columns, 0) | {"bucket": now // 3_600_000 - 5, "unit": unit, "ok": 3_240_000, "down": 360_000}
    db.execute(f"INSERT INTO hour ({','.join(hour)}) VALUES ({','.join('?' * len(hour))})", list(hour.values()))
    db.executemany("INSERT INTO event VALUES (?, ?, 'web', 'check', 'http', ?, '')",
                   [(now - 7_200_000 + i, 1_000_000 + i, f"number {i}") for i in range(12_000)])
    letter = unit.to_bytes(4, "little")
    for i in range(32):
        db.execute("INSERT INTO step VALUES (?, ?)", (now - 25_000 - 30_000 * (31 - i), letter + (b"D" if i == 3 else b"U")))
    db.commit()
    db.close()

    fleet.start()
    fleet.wait_healthy()
    ratio = fleet.wait_for(lambda: fleet.live("web")["uptime_ratio"]["24h"], "the uptime ratio")
    assert 0.89 < ratio < 0.91
    assert 0.89 < fleet.live("web")["uptime_ratio"]["30d"] < 0.91
    # The step that was running when the supervisor ended is made, too, and in time: not 30 s from now.
    states = fleet.wait_for(lambda: len(s := fleet.live("web")["history"]["states"]) >= 33 and s, "the step after 32", 25)
    assert states.startswith("UUUD" + "U" * 28)
    # The memory of the supervisor keeps 4,096 events; an answer has 10,000 at most.
    events = json.loads(fleet.ok("events", "--since", "3h", "--json"))["events"]
    numbers = [e["text"] for e in events if e["kind"] == "check"]
    assert numbers == [f"number {i}" for i in range(12_000)]
    assert len(fleet.ok("events", "--since", "3h", "-n", "20").splitlines()) == 20
    status, page = ask(fleet, "/api/events?since_time=3h&limit=10")
    assert status == 200 and page["more"] and len(page["events"]) == 10
    stop(fleet)


def test_a_damaged_file_is_put_aside_and_a_switched_off_history_says_so(fleet):
    fleet.write(fleet.unit("web"))
    fleet.state_dir.mkdir()
    database(fleet).write_bytes(b"this is no database" * 1000)
    fleet.start()
    fleet.wait_healthy()
    aside = fleet.state_dir / "history.db.corrupt-1"
    fleet.wait_for(aside.exists, "the damaged file to be moved aside")
    assert aside.read_bytes().startswith(b"this is no database")
    fleet.wait_for(lambda: "a new history begins" in fleet.output.read_text(), "a warning")
    assert len(history(fleet, "web")["points"]) == 60
    fleet.write(fleet.unit("web"), supervisor="[supervisor.history]\nenabled = false")
    fleet.ok("reload")
    status, document = ask(fleet, "/api/history/web")
    assert (status, document["code"]) == (503, "no_history")
    assert fleet.cli("history", "web").returncode == 1
    fleet.ok("events", "--since", "1h")  # from memory


def test_a_full_disk_under_the_history_delays_nobody_and_heals(fleet):
    fleet.state_dir = fleet.dir / "s"
    with small_disk(fleet.state_dir, "4m"):
        fleet.write(fleet.unit("web", keys=FAST))
        fleet.start()
        fleet.wait_healthy()
        fleet.wait_for(lambda: written(fleet, "event"), "the first events", 30)
        fill(fleet.state_dir)

        def restart():
            count = len(fleet.starts("web"))
            os.kill(fleet.starts("web")[-1].pid, signal.SIGKILL)
            fleet.wait_starts("web", count + 1)

        restart()
        fleet.wait_for(lambda: "nothing else waits for it" in fleet.output.read_text(), "the warning", 20)
        for _ in range(3):
            restart()
        fleet.wait_healthy()
        fleet.ok("status")
        assert history(fleet, "web")["service"] == "web", "what is there can be read"
        assert fleet.output.read_text().count("nothing else waits for it") == 1
        (fleet.state_dir / "filler").unlink()
        fleet.wait_for(lambda: "the history is written again" in fleet.output.read_text(), "the recovery", 30)
        assert rows(fleet, "SELECT count(*) FROM event WHERE kind = 'exit' OR text LIKE '%SIGKILL%'")[0][0] >= 4, \
            "what happened meanwhile is there"
        stop(fleet)
