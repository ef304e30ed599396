"""A small HTTP client for the control API that shows what came over the wire: over the unix socket, TCP or TLS."""
import http.client
import json
import socket
import ssl
from collections import namedtuple

Answer = namedtuple("Answer", "status headers body")
CHANGE = {"Content-Type": "application/json", "X-Keepwell-Request": "1"}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Api:
    """`where`: the path of a socket, or http://HOST:PORT or https://HOST:PORT (with the CA's file); one connection a request."""

    def __init__(self, where, ca=None, headers=None, timeout=30, source=None):
        self.where, self.ca, self.headers, self.timeout = str(where), ca, headers or {}, timeout
        self.source = (source, 0) if source else None  # the address to come from

    def connection(self):
        if self.where.startswith("/"):
            return UnixConnection(self.where, self.timeout)
        scheme, _, address = self.where.partition("://")
        if scheme == "https":
            return http.client.HTTPSConnection(address, timeout=self.timeout, source_address=self.source, context=ssl.create_default_context(cafile=self.ca))
        return http.client.HTTPConnection(address, timeout=self.timeout, source_address=self.source)

    def request(self, method, path, body=None, headers=None):
        connection = self.connection()
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, self.headers | (headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body=None, headers=None):
        return self.request("POST", path, {} if body is None else body, CHANGE | (headers or {}))

    def stream(self, path, enough=lambda text: text.startswith("retry: "), headers=None):
        """As get(), but the body is what came until it was enough; the connection is then left."""
        connection = self.connection()
        try:
            connection.request("GET", path, headers=self.headers | (headers or {}))
            answer = connection.getresponse()
            headers = {k.lower(): v for k, v in answer.getheaders()}
            if not headers.get("content-type", "").startswith("text/event-stream"):
                return Answer(answer.status, headers, answer.read())
            body = b""
            while not enough(body.decode()):
                part = answer.read1(65536)
                assert part, f"the stream of {path} ended after {body[-500:]}"
                body += part
            return Answer(answer.status, headers, body)
        finally:
            connection.close()

    def json(self, path, status=200):
        """The document of a GET that must give this status."""
        answer = self.get(path)
        assert answer.status == status, f"GET {path}: {answer.status} {answer.body[:500]}"
        return json.loads(answer.body)


def api_of(fleet, **keys):
    return Api(fleet.run_dir / "control.sock", **keys)
