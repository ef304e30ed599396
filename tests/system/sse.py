"""A client of server-sent events that reads in a thread of its own; over the control socket or TCP."""
import json
import socket
import threading
import time


class Event:
    def __init__(self, text):
        self.name, self.id, self.retry, data = "", None, None, []
        for line in text.split("\n"):
            key, _, value = line.partition(": ")
            if key == "event":
                self.name = value
            elif key == "id":
                self.id = value
            elif key == "retry":
                self.retry = int(value)
            elif key == "data":
                data.append(value)
        self.data = json.loads("\n".join(data)) if data else None


class Stream:
    """GET of a stream; `events` grows as they come. Reads nothing while `reads` is not set."""

    def __init__(self, where, target, headers=None, method="GET", reads=True):
        self.socket = socket.socket(socket.AF_INET if isinstance(where, tuple) else socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(where if isinstance(where, tuple) else str(where))
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *(f"{k}: {v}" for k, v in (headers or {}).items())]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.raw, self.events, self.ended, self.clean, self.status, self.headers = b"", [], False, False, None, {}
        self.text = b""
        self.reads = threading.Event()
        if reads:
            self.reads.set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while True:
                self.reads.wait()
                part = self.socket.recv(65536)
                if not part:
                    break
                self.raw += part
                self._parse()
        except (OSError, ValueError):
            pass
        self.ended = True

    def _parse(self):
        if self.status is None:
            if b"\r\n\r\n" not in self.raw:
                return
            head, self.raw = self.raw.split(b"\r\n\r\n", 1)
            first, *lines = head.decode().split("\r\n")
            self.headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
            self.status = int(first.split()[1])
        if self.headers.get("transfer-encoding") != "chunked":
            self.text = self.raw
            return
        while b"\r\n" in self.raw:
            size, rest = self.raw.split(b"\r\n", 1)
            n = int(size, 16)
            if len(rest) < n + 2:
                return
            self.text += rest[:n]
            self.raw = rest[n + 2:]
            if n == 0:
                self.clean = True
        *whole, self.text = self.text.split(b"\n\n")
        self.events.extend(Event(text.decode()) for text in whole)

    def lines(self, daemon=None):
        """Every log line so far, in the order of the events."""
        return [line for event in list(self.events) if event.name == "" and event.data
                for key, lines in event.data["logs"].items() if daemon in (None, key) for line in lines]

    def messages(self, daemon=None):
        return [line["message"] for line in self.lines(daemon)]

    def named(self, name):
        return [event for event in list(self.events) if event.name == name]

    def last_id(self):
        return next((event.id for event in reversed(list(self.events)) if event.id), None)

    def wait(self, predicate, what, timeout=30):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = predicate()
            if found:
                return found
            if self.ended:
                break
            time.sleep(0.02)
        found = predicate()
        assert found, f"not so: {what}; ended {self.ended}, status {self.status}, events {[(e.name, e.data) for e in self.events][-3:]}"
        return found

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.reads.set()
        self.thread.join(10)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
