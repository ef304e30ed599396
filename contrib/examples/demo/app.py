#!/usr/bin/env python3
"""The demo's web app: counts its visitors in redis. GET / says how many, GET /health how it feels, POST /sick makes the
health page answer 500 until the process is started again. usage: app.py PORT REDIS_PORT"""
import http.server
import json
import socket
import sys
import time

PORT, REDIS_PORT = int(sys.argv[1]), int(sys.argv[2])
STARTED = time.monotonic()
sick = False


def count_visit():
    with socket.create_connection(("127.0.0.1", REDIS_PORT), timeout=1) as redis:
        redis.sendall(b"INCR visits\r\n")
        return int(redis.recv(64).strip().lstrip(b":"))


class App(http.server.BaseHTTPRequestHandler):
    def answer(self, code, **fields):
        body = json.dumps(fields).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/health":
            word, code = ("sick", 500) if sick else ("healthy", 200)
            self.answer(code, status=word, uptime=round(time.monotonic() - STARTED, 3))
        elif self.path == "/":
            try:
                self.answer(200, visits=count_visit())
            except (OSError, ValueError) as error:
                self.answer(502, error=f"cannot count the visit: {error}")
        else:
            self.answer(404, error="no such page")

    def do_POST(self):
        global sick
        if self.path != "/sick":
            return self.answer(404, error="no such page")
        sick = True
        print("somebody made me sick", flush=True)
        self.answer(200, status="sick")

    def log_message(self, text, *words):
        if self.path != "/health":  # one line a second would hide the others
            print(text % words, flush=True)


http.server.ThreadingHTTPServer.allow_reuse_address = True
print(f"listening on 127.0.0.1:{PORT}", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", PORT), App).serve_forever()
