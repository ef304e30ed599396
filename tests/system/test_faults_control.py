"""Faults of the control plane: many clients, slow clients, contradicting orders, reloads. docs/faults.md, section I."""
import json
import os
import random
import signal
import socket
import threading
import time

from api_client import api_of
from conftest import FAST, alive


def clients_of(fleet, count, send=b""):
    clients = []
    for _ in range(count):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(str(fleet.run_dir / "control.sock"))
        if send:
            client.sendall(send)
        clients.append(client)
    return clients


def test_slow_clients_delay_no_answer(fleet):
    fleet.write(fleet.unit("web"))
    fleet.start()
    fleet.wait_healthy("web")
    slow = []
    try:
        slow += clients_of(fleet, 60, b"GET /api/status HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        slow += clients_of(fleet, 30, b"GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n")  # and never reads
        slowest = 0.0
        for _ in range(10):
            begin = time.monotonic()
            assert fleet.cli("health").returncode == 0
            slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 2, f"an answer took {slowest:.2f} s"
        os.kill(fleet.starts("web")[0].pid, signal.SIGKILL)
        fleet.wait_starts("web", 2)
    finally:
        for client in slow:
            client.close()


def post(fleet, path, body):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(str(fleet.run_dir / "control.sock"))
        text = json.dumps(body)
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Keepwell-Request: 1\r\nConnection: close\r\n"
                  f"Content-Length: {len(text)}\r\n\r\n{text}".encode())
        answer = b""
        while part := s.recv(65536):
            answer += part
    return answer


def test_64_threads_of_contradicting_orders_end_in_the_last_wish(fleet):
    units = [f"u{i}" for i in range(4)]
    fleet.write("".join(fleet.unit(u, "--lock", fleet.dir / f"{u}.lock", keys=FAST + 'stop = { timeout = "1s" }') for u in units))
    fleet.start()
    fleet.wait_healthy()
    seed = random.randrange(1 << 32)
    print("seed", seed)
    statuses = []

    def give_orders(n):
        rng = random.Random(seed + n)
        for _ in range(6):
            verb, unit = rng.choice(("start", "stop", "restart", "pause", "resume", "reset")), rng.choice(units + ["gone"])
            answer = post(fleet, f"/api/services/{unit}/{verb}", {"for": "1m"} if verb == "pause" else {})
            statuses.append(int(answer.split(b" ")[1]) if answer else 0)

    threads = [threading.Thread(target=give_orders, args=(n,)) for n in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads)
    assert statuses and not [s for s in statuses if s >= 500 or s == 0], f"answers {sorted(set(statuses))}"
    assert any(s in (200, 202) for s in statuses), f"no order was taken: {sorted(set(statuses))}"
    fleet.ok("resume", "all")
    fleet.ok("start", "u0", "u1", timeout=60)
    fleet.ok("stop", "u2", "u3", timeout=60)
    services = fleet.live()["services"]
    for u, state in (("u0", "running"), ("u1", "running"), ("u2", "stopped"), ("u3", "stopped")):
        assert services[u]["state"] == state
        living = [s.pid for s in fleet.starts(u) if alive(s.pid)]
        assert len(living) == (1 if state == "running" else 0), f"{u}: {living} live"
        assert services[u]["pid"] == (living[0] if living else None)
        assert not [n for n in fleet.notes(u) if n.what == "double"], f"{u}: two instances at a time"


def test_orders_for_a_unit_that_a_reload_removes_have_an_end(fleet):
    """Each order has an id and a last word, also when what it was for goes away meanwhile; the other unit never notices."""
    stays, goes = fleet.unit("stays"), fleet.unit("goes", "--ignore-term", keys=FAST + 'stop = { timeout = "1s" }')
    fleet.write(stays + goes)
    fleet.start()
    fleet.wait_healthy()
    pid = fleet.starts("stays")[-1].pid
    ids, refused = [], []

    def give_orders(verb):
        for _ in range(15):
            answer = post(fleet, f"/api/services/goes/{verb}", {})
            head, _, body = answer.partition(b"\r\n\r\n")
            (ids if b" 202 " in head.split(b"\r\n")[0] else refused).append(json.loads(body))

    threads = [threading.Thread(target=give_orders, args=(verb,)) for verb in ("restart", "stop", "start", "restart")]
    for t in threads:
        t.start()
    fleet.write(stays)
    fleet.ok("reload")
    for t in threads:
        t.join(60)
    assert not any(t.is_alive() for t in threads) and len(ids) + len(refused) == 60
    fleet.wait_for(lambda: "goes" not in fleet.live()["services"], "the unit to be gone", 30)
    assert json.loads(post(fleet, "/api/services/goes/start", {}).partition(b"\r\n\r\n")[2])["code"] == "unknown_service"
    assert all(r["code"] in ("unknown_service", "conflict") for r in refused), refused
    client = api_of(fleet)
    for order in ids:
        done = lambda: (a := client.json(f"/api/actions/{order['action_id']}"))["finished"] and a
        action = fleet.wait_for(done, f"the end of {order}", 30)
        assert [u["key"] for u in action["units"]] == ["goes"] and action["units"][0]["message"], action
    assert not [s for s in fleet.starts("goes") if alive(s.pid)]
    assert fleet.starts("stays")[-1].pid == pid and alive(pid)


def random_units(fleet, rng):
    text, shape = "", {}
    for name in rng.sample("abcdef", rng.randint(1, 5)):
        width, tag = rng.choice((20, 40)), rng.choice(("x", "y"))
        keys = f'tags = ["{tag}"]\ncritical = {rng.choice(("true", "false"))}\ngroup = "{rng.choice("gh")}"\n'
        if rng.random() < 0.4:
            keys += 'check.port = { type = "tcp", port = 1, interval = "1h", effect = "none" }\n'
        text += fleet.unit(name, "--width", width, keys=FAST + keys)
        shape[name] = width
    return text, shape


def picture(fleet):
    """What a configuration decides in the document, without what time and chance decide."""
    keys = ("name", "group", "tags", "critical", "state", "desired_state", "kind", "should_run", "enabled", "requires")
    return {k: {f: u[f] for f in keys} | {"checks": [c["id"] for c in u["checks"]]} for k, u in fleet.live()["services"].items()}


def settled(fleet, shape):
    def so():
        services = fleet.live()["services"]
        return set(services) == set(shape) and all(u["state"] == "running" for u in services.values())

    fleet.wait_for(so, f"exactly {sorted(shape)} to run", 20)


def test_reload_from_a_to_b_ends_as_a_start_with_b(fleet):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    text, shape = random_units(fleet, rng)
    fleet.write(text)
    fleet.start()
    settled(fleet, shape)
    for _ in range(5):
        before, pids = shape, {n: fleet.starts(n)[-1].pid for n in shape}
        text, shape = random_units(fleet, rng)
        fleet.write(text)
        fleet.ok("reload")
        settled(fleet, shape)
        for name in shape:
            kept = fleet.starts(name)[-1].pid == pids.get(name)
            assert kept == (before.get(name) == shape[name]), f"{name}: {'kept' if kept else 'restarted'}"
        for name in before:
            if name not in shape:
                fleet.wait_for(lambda: not alive(pids[name]), f"{name} to end")
    reloaded = picture(fleet)
    good = fleet.config.read_text()
    fleet.config.write_text(good + "\n[unit.broken]\ncomand = []\n")
    assert fleet.cli("reload").returncode == 1
    assert picture(fleet) == reloaded, "a refused reload changed something"
    fleet.config.write_text(good)
    fleet.keeper.terminate()
    assert fleet.keeper.wait(20) == 0
    fleet.start()
    settled(fleet, shape)
    assert picture(fleet) == reloaded
