"""systemd_probe on a bus: what the library behind systemd units tells, for the tests with real and fake ones."""
import json
import os
import subprocess
import threading

from conftest import TOP, wait_for

PROBE = os.environ.get("SYSTEMD_PROBE_BIN") or next(
    (str(p) for p in (TOP / f"build/{preset}/bin/systemd_probe" for preset in ("dev", "asan")) if p.exists()), "")


class Probe:
    """systemd_probe on a bus: what it said, in order."""

    def __init__(self, address, call_deadline_ms=5000, **environment):
        assert PROBE, "systemd_probe is not built: contrib/dev build"
        self.said = []
        self.process = subprocess.Popen([PROBE, address, str(call_deadline_ms)], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment})
        self.errors = ""
        self._readers = [threading.Thread(target=f, daemon=True) for f in (self._read, self._read_errors)]
        for reader in self._readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def _read_errors(self):
        self.errors = self.process.stderr.read()

    def do(self, line):
        """Gives an order; the place in `said` from which its consequences follow."""
        mark = len(self.said)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return mark

    def wait(self, predicate, what, mark=0, timeout=10.0):
        return wait_for(lambda: next((s for s in self.said[mark:] if predicate(s)), None), what, timeout,
                        context=lambda: "\n".join(map(str, self.said[mark:][-15:])))

    def phase(self, name, mark=0, timeout=10.0):
        return self.wait(lambda s: s.get("phase") == name, f"phase {name}", mark, timeout)

    def state(self, unit, mark=0, **want):
        return self.wait(lambda s: "state" in s and s["state"]["name"] == unit
                         and all(s["state"][k] == v for k, v in want.items()), f"{unit} {want}", mark)["state"]

    def settled(self):
        """Waits for the phase that was told last to be up: orders are refused in others."""
        wait_for(lambda: [s["phase"] for s in self.said if "phase" in s][-1:] == ["up"], "the phase up")

    def states(self, unit, mark=0):
        return [s["state"] for s in self.said[mark:] if "state" in s and s["state"]["name"] == unit]

    def watch(self, unit):
        return self.state(unit, self.do(f"watch {unit}"))

    def job(self, line, timeout=20.0):
        verb, unit = line.split()[:2]
        return self.wait(lambda s: s.get("job") == verb and s["name"] == unit, line, self.do(line), timeout)

    def cpu_ms(self):
        return self.wait(lambda s: "cpu_ms" in s, "an answer of the loop", self.do("cpu"), 1.0)["cpu_ms"]

    def stop(self):
        self.process.stdin.close()
        try:
            code = self.process.wait(15)
        finally:
            self.process.kill()
        for reader in self._readers:
            reader.join(5)
        assert code == 0 and not self.errors, f"ended with {code}\n{self.errors}"
