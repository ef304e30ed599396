"""status.json: whole and valid at every instant."""
import json
import os
import subprocess
import threading
import time

import jsonschema
import pytest

from conftest import SCHEMA


def validator():
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


class Reader(threading.Thread):
    """Reads the file a thousand times a second and keeps each different document once."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.documents, self.reads, self.done = path, {}, 0, threading.Event()

    def run(self):
        while not self.done.wait(0.001):
            self.reads += 1
            self.documents.setdefault(self.path.read_bytes(), time.monotonic())

    def finish(self):
        self.done.set()
        self.join()


def test_every_read_of_a_1_khz_reader_is_valid_during_1000_changes(fleet):
    units = 20
    keys = 'backoff = { initial = "10ms", max = "10ms", jitter = 0.0 }\nbudget = { restarts = 10000, within = "1s" }'
    fleet.write("".join(fleet.unit(f"u{i}", "--exit-after", 100 + 7 * i, "--code", i, keys=keys) for i in range(units)),
                supervisor="max_parallel_starts = 20")
    fleet.start()
    fleet.wait_for(fleet.status_file.exists, "status.json")
    reader = Reader(fleet.status_file)
    reader.start()
    changes = lambda: sum(len(fleet.starts(f"u{i}")) for i in range(units))
    begin = changes()
    fleet.wait_for(lambda: changes() - begin >= 1000, "a thousand restarts", 90)
    reader.finish()
    assert reader.reads > 1000
    assert len(reader.documents) >= 5
    schema = validator()
    sequences = []
    for raw in reader.documents:
        document = json.loads(raw)
        error = next(schema.iter_errors(document), None)
        assert error is None, f"{error.json_path}: {error.message}"
        sequences.append(document["sequence"])
    assert sequences == sorted(set(sequences)), "the sequence of documents went back or stood still"


def test_the_document_on_the_socket_is_valid_too(fleet, health):
    fleet.write(fleet.unit("web", keys=f'check.http = {{ url = "{health.url}", interval = "200ms" }}') +
                f'[unit.shop]\ncheck.http = {{ url = "{health.url}", interval = "200ms" }}\n')
    fleet.start()
    fleet.wait_healthy()
    error = next(validator().iter_errors(fleet.live()), None)
    assert error is None, error


def test_mode_and_heartbeat(fleet):
    fleet.write(fleet.unit("web"), supervisor='status_interval = "1s"')
    fleet.start()
    fleet.wait_healthy()
    assert fleet.status_file.stat().st_mode & 0o777 == 0o644
    first = fleet.status()["sequence"]
    fleet.wait_for(lambda: fleet.status()["sequence"] >= first + 2, "the heartbeat")


def test_no_secret_and_no_command_line_is_in_the_document(fleet, health):
    url = health.url.replace("http://", "http://user:hunter2@")
    fleet.write(f'''[unit.web]
command = {json.dumps(fleet.victim("web", "--width", 4242))}
environment = {{ PASSWORD = "hunter3" }}
check.http = {{ url = "{url}", interval = "200ms" }}
''')
    fleet.start()
    fleet.wait_healthy()
    text = json.dumps(fleet.live()) + fleet.status_file.read_text()
    for secret in ("hunter2", "hunter3", "--width", "4242"):
        assert secret not in text
    documents = [fleet.cli(*v).stdout for v in (("status", "web"), ("why", "web"), ("checks",), ("events",), ("status", "web", "--json"))]
    assert not any("hunter" in d for d in documents)


def test_a_missing_folder_of_the_status_file_does_not_stop_supervision(fleet):
    fleet.status_file = fleet.dir / "missing" / "status.json"
    fleet.write(fleet.unit("web"), supervisor='status_interval = "1s"')
    fleet.start()
    fleet.wait_healthy("web")
    if not fleet.status_file.exists():
        assert str(fleet.status_file) in fleet.output.read_text()
        fleet.status_file.parent.mkdir()
        fleet.wait_for(fleet.status_file.exists, "status.json once its folder is there")


def test_a_full_disk_under_the_status_file_heals_by_itself(fleet):
    small = fleet.dir / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True).returncode:
        pytest.skip("may not mount here")
    try:
        (small / "filler").write_bytes(b"x" * 65536)
        fleet.status_file = small / "status.json"
        fleet.write(fleet.unit("web"), supervisor='status_interval = "1s"')
        fleet.start()
        fleet.wait_healthy("web")
        fleet.wait_for(lambda: "status.json" in fleet.output.read_text(), "a word about the full disk")
        os.unlink(small / "filler")
        fleet.wait_for(lambda: fleet.status_file.exists() and fleet.status()["services"], "status.json after the disk has space")
    finally:
        subprocess.run(["umount", "-l", small], check=True)
