"""Server-sent events: log lines and what happens, followed over restarts of the supervisor, by slow clients and by many."""
import contextlib
import json
import time

import pytest
from conftest import FAST, Fleet, free_port, never, toml
from sse import Stream
from test_api_logs import Unix, ask, logs

PYTHON = "/usr/bin/python3"
COUNTING = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done"


def shell(name, script, keys=""):
    return f'[unit."{name}"]\nshell = {toml(script)}\n{FAST}{keys}\n'


def told(fleet, name):
    """A unit that says what is appended to a file."""
    file = fleet.dir / f"{name}.say"
    file.touch()
    return shell(name, f"exec tail -n +1 -s 0.05 -f {file}"), file


def say(file, *lines):
    with open(file, "a") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def follow(fleet, target="/api/logs/stream", **keys):
    return Stream(fleet.run_dir / "control.sock", target, **keys)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    fleet = Fleet(tmp_path_factory.mktemp("streams"))
    web, fleet.web = told(fleet, "web")
    db, fleet.db = told(fleet, "db")
    fleet.write(web + db + shell("quiet", "exec sleep 1000") + fleet.unit("victim"), "[supervisor.api]\nredact = ['password=\\S+']")
    say(fleet.web, *(f"old {i}" for i in range(30)))
    say(fleet.db, "db old")
    fleet.start()
    fleet.wait_for(lambda: b"old 29" in fleet.log_text("web") and b"db old" in fleet.log_text("db"), "the old lines")
    fleet.idle = follow(fleet, "/api/logs/stream?type=quiet")
    yield fleet
    fleet.idle.close()
    fleet.close()


def test_a_stream_begins_with_retry_and_a_backlog_and_goes_on_with_what_is_new(house):
    with follow(house, "/api/logs/stream?type=web") as stream:
        stream.wait(lambda: len(stream.lines()) >= 10, "the backlog")
        assert stream.status == 200 and stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert stream.headers["cache-control"] == "no-store" and stream.headers["x-accel-buffering"] == "no"
        assert stream.events[0].retry == 3000 and stream.events[0].data is None
        assert stream.messages() == [f"old {i}" for i in range(20, 30)]
        say(house.web, "new <script>alert(1)</script>", "ERROR \033[31m password=hunter2")
        stream.wait(lambda: len(stream.lines()) >= 12, "the new lines")
        first, second = stream.lines()[10:]
        assert first["message"] == "new <script>alert(1)</script>" and first["level"] is None and "error" not in first
        assert second["message"] == "ERROR ␛[31m [redacted]" and second["level"] == "error" and second["error"] is True
        assert set(first) == {"timestamp", "message", "type", "level", "daemon", "stream"}
        assert (first["type"], first["daemon"], first["stream"]) == ("log", "web", "stdout")
        event = [e for e in stream.events if e.name == "" and e.data][-1]
        assert set(event.data) == {"logs", "lastUpdate"} and list(event.data["logs"]) == ["web"] and "-" in event.id


def test_all_units_and_filters(house):
    with follow(house, "/api/logs/stream?lines=1") as every, follow(house, "/api/logs/stream?type=errors") as errors, \
            follow(house, "/api/logs/stream?type=all&q=NEEDLE&lines=1") as needle:
        for stream in (every, errors, needle):
            stream.wait(lambda: stream.last_id(), "an id")
        say(house.web, "of web needle", "ERROR of web")
        say(house.db, "of db")
        every.wait(lambda: {"of web needle", "ERROR of web", "of db"} <= set(every.messages()), "lines of both")
        errors.wait(lambda: "ERROR of web" in errors.messages(), "the error")
        needle.wait(lambda: "of web needle" in needle.messages(), "the needle")
        assert {line["daemon"] for line in every.lines()} >= {"web", "db"}
        assert {line["level"] for line in errors.lines()} == {"error"}
        assert needle.messages() == ["of web needle"]


def test_two_clients_share_what_is_new_and_the_first_line_after_a_pause_comes_soon(house):
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(follow(house, "/api/logs/stream?type=db&lines=1")) for _ in range(5)]
        for stream in streams:
            stream.wait(lambda: stream.last_id(), "an id")
        say(house.db, *(f"shared {i}" for i in range(450)))
        for stream in streams:
            stream.wait(lambda: "shared 449" in stream.messages(), "every line")
            assert stream.messages()[-450:] == [f"shared {i}" for i in range(450)]
            assert max(len(e.data["logs"]["db"]) for e in stream.events if e.name == "" and e.data) <= 200


def test_a_client_comes_back_by_its_last_id_without_loss_or_repeat(house):
    with follow(house, "/api/logs/stream?type=web&lines=1") as stream:
        say(house.web, "before")
        stream.wait(lambda: "before" in stream.messages(), "the line")
        last = stream.last_id()
    say(house.web, *(f"missed {i}" for i in range(300)))
    house.wait_for(lambda: b"missed 299" in house.log_text("web"), "the missed lines")
    for target, headers in (("", {"Last-Event-ID": last}), (f"&last_event_id={last}", {})):
        with follow(house, "/api/logs/stream?type=web" + target, headers=headers) as stream:
            stream.wait(lambda: "missed 299" in stream.messages(), "what was missed")
            assert stream.messages() == [f"missed {i}" for i in range(300)] and stream.named("gap") == []
    for bad in ("nonsense", "a-b", last[:-3]):
        answer, body = ask(house, "/api/logs/stream", type="web", last_event_id=bad)
        assert answer.status == 400 and json.loads(body)["code"] == "bad_request"
    assert ask(house, "/api/logs/stream", type="nobody")[0].status == 404


def test_head_of_a_stream_answers_headers_only(house):
    for target in ("/api/logs/stream", "/api/events/stream"):
        connection = Unix(house)
        connection.request("HEAD", target)
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read() == b""
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        connection.request("GET", "/api/health")
        assert connection.getresponse().status == 200, "the connection is kept"
        connection.close()


def test_the_event_stream_tells_hello_what_changed_and_how_actions_get_on(house):
    with follow(house, "/api/events/stream") as stream:
        hello = stream.wait(lambda: stream.named("hello"), "hello")[0].data
        assert {"version", "boot", "sequence", "generated_at", "started_at", "host"} <= set(hello)
        old = house.wait_healthy("victim") or house.live("victim")["pid"]
        house.ok("restart", "victim")
        stream.wait(lambda: any(e.data["finished"] and e.data["ok"] for e in stream.named("action")), "the end of the action")
        assert stream.named("action")[-1].data["units"][0]["key"] == "victim"

        def new_pid():
            pids = [e.data["services"]["victim"]["pid"] for e in stream.named("status") if "victim" in e.data["services"]]
            return pids and pids[-1] not in (None, old)

        stream.wait(new_pid, "the new process")
        status = stream.named("status")[-1].data
        assert {"sequence", "generated_at", "overall_status", "reasons", "ok_count", "fail_count", "total", "services", "components",
                "system_metrics"} <= set(status)
        live = house.live("victim")
        assert set(stream.named("status")[-1].data["services"].get("victim", live)) == set(live)


def test_a_supervisor_that_is_killed_loses_and_repeats_no_line(fleet):
    fleet.write(shell("web", COUNTING, 'log = { max_size = "4K", keep = 200 }\n') + shell("db", COUNTING))
    fleet.start()
    got = {"web": [], "all": []}
    last = {}
    for _ in range(3):
        with contextlib.ExitStack() as stack:
            streams = {kind: stack.enter_context(follow(fleet, f"/api/logs/stream?type={kind}&lines=1",
                                                        headers={"Last-Event-ID": last[kind]} if kind in last else {})) for kind in got}
            for stream in streams.values():
                stream.wait(lambda: len(stream.messages("web")) >= 50, "fifty lines")
            fleet.kill_supervisor()
            for kind, stream in streams.items():
                fleet.wait_for(lambda: stream.ended, "the end of the stream")
                assert stream.named("gap") == []
                got[kind] += [line["daemon"] + " " + line["message"] for line in stream.lines()]
                last[kind] = stream.last_id()
    for kind, names in (("web", ["web"]), ("all", ["web", "db"])):
        for name in names:
            numbers = [int(text.split()[-1]) for text in got[kind] if text.startswith(name + " ")]
            assert len(numbers) > 100
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"{name} of {kind}"


def test_what_is_gone_is_one_gap(fleet):
    web, file = told(fleet, "web")
    fleet.write(web + 'log = { max_size = "16K", keep = 5 }\n')
    fleet.start()
    with follow(fleet, "/api/logs/stream?type=web") as stream:
        say(file, "first")
        stream.wait(lambda: "first" in stream.messages(), "the line")
        last = stream.last_id()
    for part in range(12):
        say(file, *(f"line {part * 500 + i} that is long enough to fill a file" for i in range(500)))
        fleet.wait_for(lambda: f"line {part * 500 + 499} ".encode() in fleet.log_text("web"), "every line")
    with follow(fleet, "/api/logs/stream?type=web", headers={"Last-Event-ID": last}) as stream:
        stream.wait(lambda: any(m.startswith("line 5999 ") for m in stream.messages()), "the last line")
        numbers = [int(m.split()[1]) for m in stream.messages()]
        assert numbers == list(range(numbers[0], 6000)) and numbers[0] > 0
        gap, = stream.named("gap")
        # Whoever counts may itself have been too slow for six files; then no number is made up.
        assert gap.data["lines"] in (numbers[0], None)
        assert gap.data | {"lines": 0} == {"lines": 0, "reason": "rotated", "daemons": ["web"]}
        assert [e.name for e in stream.events[1:3]] == ["gap", ""]


def test_a_slow_reader_gets_a_gap_and_nobody_waits_for_it(fleet):
    program = ("import sys, time\nn = 0\nwhile True:\n"
               "    sys.stdout.write(''.join('%d %s\\n' % (n + i, 'x' * 1000) for i in range(100)))\n"
               "    sys.stdout.flush()\n    n += 100\n    time.sleep(0.1)\n")
    fleet.write(f'[unit.web]\ncommand = {toml([PYTHON, "-c", program])}\n{FAST}')
    fleet.start()
    with follow(fleet, "/api/logs/stream?lines=1", reads=False) as slow, follow(fleet, "/api/logs/stream?lines=1") as fast:
        fast.wait(lambda: len(fast.lines()) >= 3000, "three thousand lines", 60)
        numbers = [int(m.split()[0]) for m in fast.messages()]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and fast.named("gap") == []
        assert logs(fleet, type="web", lines=1)["data"]["logs"]
        slow.reads.set()
        gap = slow.wait(lambda: slow.named("gap"), "a gap")[0]
        slow.wait(lambda: slow.events[-1].name == "" and slow.events[-1] is not gap, "lines after the gap")
        at = slow.events.index(gap)
        slow.wait(lambda: len(slow.events) > at + 1, "lines after the gap")

        def edge(event, which):
            return int(event.data["logs"]["web"][which]["message"].split()[0])

        assert gap.data["reason"] == "slow" and gap.data["lines"] == edge(slow.events[at + 1], 0) - edge(slow.events[at - 1], -1) - 1


def test_streams_are_capped_in_all_and_for_each_address(fleet):
    port = free_port()
    fleet.write(shell("web", "exec sleep 1000"),
                '[supervisor.api]\nmax_streams = 4\nmax_streams_per_address = 2\nanonymous = ["read", "logs"]')
    fleet.config.write_text(fleet.config.read_text().replace("listen = []", f'listen = ["127.0.0.1:{port}"]'))
    fleet.start()

    def open_some(stack, where, count):
        streams = [stack.enter_context(Stream(where, target)) for target in ["/api/logs/stream", "/api/events/stream"][:count]]
        for stream in streams:
            stream.wait(lambda: stream.status == 200 and stream.events, "every stream")
        return streams

    def is_refused(where, key):
        with Stream(where, "/api/logs/stream") as stream:
            stream.wait(lambda: stream.status and stream.text, "an answer")
            document = json.loads(stream.text)
            assert stream.status == 503 and int(stream.headers["retry-after"]) > 0
            assert document["code"] == "too_many_streams" and document["error"].endswith(f"raise supervisor.api.{key}")

    with contextlib.ExitStack() as stack:
        first, _ = open_some(stack, ("127.0.0.1", port), 2)
        is_refused(("127.0.0.1", port), "max_streams_per_address")
        open_some(stack, fleet.run_dir / "control.sock", 2)
        is_refused(fleet.run_dir / "control.sock", "max_streams")
        assert ask(fleet, "/api/health")[0].status == 200
        assert b"\nkeepwell_sse_clients 4\n" in ask(fleet, "/metrics")[1]
        first.close()
        fleet.wait_for(lambda: opened(fleet), "room for another stream", 40)


def opened(fleet):
    with follow(fleet) as stream:
        stream.wait(lambda: stream.status, "an answer")
        return stream.status == 200


def test_streams_end_cleanly_when_keepwell_does_and_go_on_after_an_upgrade(fleet):
    web, file = told(fleet, "web")
    fleet.write(web)
    fleet.start()
    with follow(fleet, "/api/logs/stream?type=web") as stream, follow(fleet, "/api/events/stream") as events:
        say(file, "one")
        stream.wait(lambda: "one" in stream.messages(), "the line")
        fleet.ok("upgrade")
        fleet.wait_for(lambda: stream.ended and events.ended, "the end of the streams")
        assert stream.clean and events.clean
        last = stream.last_id()
    say(file, "two")
    with follow(fleet, "/api/logs/stream?type=web", headers={"Last-Event-ID": last}) as stream:
        stream.wait(lambda: "two" in stream.messages(), "the line")
        assert stream.messages() == ["two"]
        fleet.ok("shutdown")
        fleet.wait_for(lambda: stream.ended, "the end of the stream")
        assert stream.clean


def test_an_idle_stream_beats_every_fifteen_seconds(house):
    house.idle.wait(lambda: len(house.idle.named("heartbeat")) >= 2, "a heartbeat", 60)
    assert house.idle.lines() == [] and house.idle.named("heartbeat")[-1].data["timestamp"]
    never(lambda: house.idle.named("gap"), "a gap", 0.1)
