"""GET /api/logs: paged back to the very beginning over rotated and compressed files, filtered, redacted, of every kind of unit."""
import http.client
import json
import re
import socket
import urllib.parse

import pytest
import user_systemd
from conftest import FAST, Fleet, toml
from test_other_logs import Journal

MANY = 3000


class Unix(http.client.HTTPConnection):
    def __init__(self, fleet):
        super().__init__("keepwell", timeout=60)
        self.path = str(fleet.run_dir / "control.sock")

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


def ask(fleet, target="/api/logs", **query):
    connection = Unix(fleet)
    connection.request("GET", target + ("?" + urllib.parse.urlencode(query) if query else ""))
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def logs(fleet, **query):
    answer, body = ask(fleet, **query)
    assert answer.status == 200, body
    return json.loads(body)


def messages(document):
    return [line["message"] for line in document["data"]["logs"]]


def all_pages(fleet, **query):
    """Every line, oldest first, by going back page by page."""
    pages, before = [], None
    for _ in range(1000):
        document = logs(fleet, **query, **({"before": before} if before else {}))
        assert document["gaps"] == []
        pages.insert(0, document["data"]["logs"])
        before = document["cursor"]["before"]
        if before is None:
            return [line for page in pages for line in page]
    pytest.fail("the pages do not end")


def shell(name, script, keys=""):
    return f'[unit."{name}"]\nshell = {toml(script)}\n{FAST}{keys}\n'


@pytest.fixture(scope="module")
def talkers(tmp_path_factory):
    fleet = Fleet(tmp_path_factory.mktemp("talkers"))
    many = f"i=0; while [ $i -lt {MANY} ]; do i=$((i+1)); echo line $i of many that fill a file; done; exec sleep 1000"
    odd = (r"printf '<script>alert(1)</script>\n\033[31mred\007\n\377broken\nERROR bad password=hunter2\n  its trace\n"
           r'{"level":"warn","msg":"slow"}\n'
           r"2026-01-02T03:04:05Z INFO old\nlast without end'; exec sleep 1000")
    fleet.write(shell("many", many, 'log = { max_size = "16K", keep = 200 }\n') + shell("odd", odd) +
                shell("split", "i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo out $i; echo err $i >&2; done; exec sleep 1000",
                      'log.stderr = "separate"\n') +
                shell("silent", "exec sleep 1000") + '[unit.named]\nname = "Named One"\nshell = "echo hello; exec sleep 1000"\n',
                "[supervisor.api]\nredact = ['password=\\S+']")
    fleet.start()
    fleet.wait_for(lambda: len(fleet.log_text("many").splitlines()) == MANY, "every line", 30)
    fleet.wait_for(lambda: not list(fleet.log_dir.glob("many.log.*[0-9]")), "rotated files to be compressed", 30)
    fleet.wait_for(lambda: b"without end" in fleet.log_text("odd") and b"err 50" in fleet.log_text("split.err"), "the others")
    yield fleet
    fleet.close()


def test_rotated_and_compressed_files_are_paged_to_the_very_beginning_with_every_line_once(talkers):
    assert len(list(talkers.log_dir.glob("many.log.*.gz"))) > 3  # on a busy host much is moved at once
    lines = all_pages(talkers, type="many", lines=777)
    assert [line["message"] for line in lines] == [f"line {i + 1} of many that fill a file" for i in range(MANY)]
    assert {(line["type"], line["daemon"], line["stream"], line["level"]) for line in lines} == {("log", "many", "stdout", None)}
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"]) for line in lines)
    times = [line["timestamp"] for line in lines]
    assert times == sorted(times)


def test_the_answer_has_the_shape_that_dashboards_read(talkers):
    document = logs(talkers, type="many")
    assert document["status"] == "success" and set(document["data"]) == {"logs", "lastUpdate"}
    assert messages(document) == [f"line {i + 1} of many that fill a file" for i in range(MANY - 50, MANY)]
    assert document["unreadable"] == [] and document["timestamp"]
    assert messages(logs(talkers, type="many", lines=1)) == [f"line {MANY} of many that fill a file"]


def test_lines_are_data_control_characters_are_shown_and_secrets_are_not(talkers):
    document = logs(talkers, type="odd")
    assert messages(document) == ["<script>alert(1)</script>", "␛[31mred␇", "\ufffdbroken", "ERROR bad [redacted]", "  its trace",
                                  '{"level":"warn","msg":"slow"}', "2026-01-02T03:04:05Z INFO old", "last without end"]
    lines = document["data"]["logs"]
    assert [line["level"] for line in lines] == [None, None, None, "error", "error", "warn", "info", None]
    assert [line.get("error") for line in lines] == [None, None, None, True, True, None, None, None]
    assert lines[6]["timestamp"] == "2026-01-02T03:04:05.000Z"
    answer, body = ask(talkers, type="odd")
    assert b"hunter2" not in body and answer.headers["Content-Type"] == "application/json"
    assert messages(logs(talkers, type="odd", q="hunter")) == [], "what is redacted can be guessed at"


def test_filters(talkers):
    assert messages(logs(talkers, type="odd", level="error")) == ["ERROR bad [redacted]", "  its trace"]
    assert messages(logs(talkers, type="odd", level="warning"))[-1] == '{"level":"warn","msg":"slow"}'
    assert messages(logs(talkers, type="odd", q="<SCRIPT>")) == ["<script>alert(1)</script>"]
    assert messages(logs(talkers, type="many", q=".* 77 ")) == [], "q is literal"
    assert [line["message"] for line in all_pages(talkers, type="many", re="line (77|2501) ")] == [
        "line 77 of many that fill a file", "line 2501 of many that fill a file"]
    assert "2026-01-02T03:04:05Z INFO old" not in messages(logs(talkers, type="odd", since="1h"))
    assert all_pages(talkers, type="many", until="2h") == []
    assert messages(logs(talkers, type="many", since="2h", lines=2))[-1] == f"line {MANY} of many that fill a file"


def test_all_units_are_merged_and_errors_are_a_view_of_them(talkers):
    lines = all_pages(talkers, type="all", lines=1000)
    assert {line["daemon"] for line in lines} == {"many", "odd", "split", "named"}
    assert len(lines) == MANY + 8 + 100 + 1
    split = [line["message"] for line in lines if line["daemon"] == "split"]
    assert [m for m in split if m.startswith("out")] == [f"out {i + 1}" for i in range(50)]
    assert {line["stream"] for line in lines if line["daemon"] == "split"} == {"stdout", "stderr"}
    assert [line["message"] for line in all_pages(talkers, type="errors")] == ["ERROR bad [redacted]", "  its trace"]
    assert messages(logs(talkers, type="Named One")) == ["hello"]
    assert logs(talkers, type="silent")["data"]["logs"] == []


def test_text_is_a_download(talkers):
    answer, body = ask(talkers, type="odd", format="text", lines=3)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="odd-[-0-9TZ]+\.log"', answer.headers["Content-Disposition"])
    assert body.decode().splitlines()[1] == "2026-01-02T03:04:05.000Z odd 2026-01-02T03:04:05Z INFO old"
    assert answer.headers["X-Keepwell-Before"]


@pytest.mark.parametrize("query", [{"lines": 0}, {"lines": 1001}, {"lines": "x"}, {"level": "loud"}, {"since": "soon"}, {"re": "("},
                                   {"re": "x" * 1001}, {"before": "AAAA"}, {"before": "not a cursor"}, {"format": "xml"}])
def test_bad_questions_are_refused_with_what_is_allowed(talkers, query):
    answer, body = ask(talkers, type="many", **query)
    document = json.loads(body)
    assert answer.status == 400 and document["code"] == "bad_request"
    assert list(query)[0] in document["error"] and str(talkers.dir) not in document["error"]


def test_a_cursor_belongs_to_its_question_and_an_unknown_unit_is_404(talkers):
    cursor = logs(talkers, type="many")["cursor"]["before"]
    assert ask(talkers, type="odd", before=cursor)[0].status == 400
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    assert ask(talkers, type="many", before=changed[::-1])[0].status == 400
    answer, body = ask(talkers, type="nobody")
    assert answer.status == 404 and json.loads(body)["code"] == "unknown_service"


def test_a_cursor_outlives_rotation_compression_and_the_supervisor_and_what_is_gone_is_said(fleet):
    go = fleet.dir / "go"
    script = (f"i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line $i of many that fill a file; done; while [ ! -e {go} ]; do sleep 0.05; done; "
              "while [ $i -lt 5000 ]; do i=$((i+1)); echo line $i of many that fill a file; done; exec sleep 1000")
    fleet.write(shell("web", script, 'log = { max_size = "16K", keep = 20 }\n'))
    fleet.start()
    fleet.wait_for(lambda: len(fleet.log_text("web").splitlines()) == 400, "the first lines", 30)
    document = logs(fleet, type="web", lines=100)
    assert messages(document)[0] == "line 301 of many that fill a file"
    cursor = document["cursor"]["before"]
    go.touch()
    fleet.wait_for(lambda: b"line 5000 " in fleet.log_text("web"), "the others", 30)
    fleet.wait_for(lambda: not list(fleet.log_dir.glob("web.log.*[0-9]")), "rotated files to be compressed", 30)
    fleet.kill_supervisor()
    older = logs(fleet, type="web", lines=300, before=cursor)
    assert messages(older) == [f"line {i + 1} of many that fill a file" for i in range(300)] and older["gaps"] == []
    for path in fleet.log_dir.glob("web.log.1.*"):
        path.unlink()
    gone = logs(fleet, type="web", lines=300, before=cursor)
    assert gone["data"]["logs"] == [] and gone["gaps"] == [{"daemon": "web", "stream": "stdout"}] and gone["cursor"]["before"] is None


def test_a_daemons_own_files_are_paged_like_the_others(fleet):
    files = [fleet.dir / "access.log", fleet.dir / "error.log"]
    files[0].write_text("".join(f"2026-01-02T03:{i // 60:02}:{i % 60:02}Z GET /{i}\n" for i in range(500)))
    files[1].write_text("2026-01-02T03:00:30.500Z ERROR no upstream\n")
    pidfile = fleet.dir / "web.pid"
    command = fleet.victim("web", "--double-fork", "--pidfile", pidfile)
    fleet.write(f'[unit.web]\npidfile = "{pidfile}"\nstart_command = {toml(command)}\nlog_files = {toml([str(f) for f in files])}\n{FAST}')
    fleet.start()
    lines = [line for line in all_pages(fleet, type="web", lines=100) if line["stream"] != "stdout"]
    until = messages(logs(fleet, type="web", until="2026-01-02T03:00:30.600Z", lines=2))
    assert [m.split(" ", 1)[1] for m in until] == ["GET /30", "ERROR no upstream"]
    assert [line["message"].split()[-1] for line in lines if line["stream"] == "access.log"] == [f"/{i}" for i in range(500)]
    at = [line["stream"] for line in lines].index("error.log")
    assert lines[at - 1]["message"].endswith("GET /30") and lines[at + 1]["message"].endswith("GET /31")


@pytest.mark.skipif(user_systemd.why_not() is not None, reason=str(user_systemd.why_not()))
def test_a_systemd_unit_is_paged_back_through_the_journal(fleet, systemd):
    journal = Journal(fleet.dir / "journal")
    fleet.environment["KEEPWELL_JOURNAL_DIR"] = str(journal.folder)
    systemd.write_unit("web.service", f"[Service]\nExecStart={' '.join(fleet.victim('web'))}\n")
    systemd.systemctl("daemon-reload")
    fleet.write(f'[unit.web]\nsystemd = "web.service"\nbus = "{systemd.bus_address}"\n{FAST}')
    for i in range(12):
        journal.write("web.service", f"entry {i}", 3 if i == 5 else 6)
        journal.write("other.service", "of another")
    fleet.start()
    lines = all_pages(fleet, type="web", lines=5)
    assert [line["message"] for line in lines] == [f"entry {i}" for i in range(12)]
    assert {line["stream"] for line in lines} == {"journal"}
    assert messages(logs(fleet, type="errors")) == ["entry 5"]
    for path in journal.folder.glob("*.journal"):
        path.unlink()
    document = logs(fleet, type="web")
    assert document["data"]["logs"] == [] and "cannot read the journal" in document["unreadable"][0]["error"]
