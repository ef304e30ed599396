#!/usr/bin/python3
"""A fake org.freedesktop.systemd1 for what a real one will not do on demand, and the private dbus-daemon that it sits on.

As a module: `with FakeSystemd() as fake:` starts both; fake.address is the bus, fake.ask("name flap") gives an order to the
fake and waits for its answer. As a program it is the fake itself: orders on stdin, one a line:
    mode WORD       how the next orders of jobs are answered: a result ("done", "skipped", …) = reply, then JobRemoved;
                    "early RESULT" = JobRemoved before the reply; "mute" = no JobRemoved; "silent" = no reply at all;
                    "error NAME" = an error; "odd" = a reply of another type; "twice" = JobRemoved two times
    read WORD       how GetAll is answered: "good", "odd" (another type), "wrong" (right names, wrong types), "empty",
                    "silent", "error NAME", "huge" (thousands of properties)
    set KEY VALUE   a string property of every unit
    change PATH     PropertiesChanged of that unit, both halves;   half PATH: only the special one
    stale PATH KEY  PropertiesChanged that only calls KEY stale
    odd             signals whose bodies are not what they should be
    flap N          gives the name away and takes it again, N times
    leave | join    gives the name away, takes it
    reloading 0|1   the signal
    calls           prints how many calls of each method came
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>
"""


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class FakeSystemd:
    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keepwell-fake-systemd-"))
        self.address, self.bus, self.fake = f"unix:path={self.folder}/bus", None, None
        (self.folder / "bus.conf").write_text(CONFIG.format(folder=self.folder))
        try:
            self.start_bus()
            self.start_fake()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in (self.fake, self.bus):
            if process:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_bus(self):
        self.bus = subprocess.Popen(["dbus-daemon", f"--config-file={self.folder}/bus.conf", "--nofork", "--print-address"],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True,
                                    preexec_fn=_die_with_parent)
        assert self.bus.stdout.readline().startswith("unix:"), "the bus daemon did not start"

    def kill_bus(self):
        self.bus.send_signal(signal.SIGKILL)
        self.bus.wait()
        (self.folder / "bus").unlink(missing_ok=True)

    def start_fake(self):
        if self.fake:
            self.fake.kill()
            self.fake.wait()
        self.fake = subprocess.Popen(["/usr/bin/python3", __file__, self.address], stdin=subprocess.PIPE, text=True,
                                     stdout=subprocess.PIPE, start_new_session=True)
        assert self.fake.stdout.readline() == "ready\n", "the fake did not start"

    def ask(self, order):
        self.fake.stdin.write(order + "\n")
        self.fake.stdin.flush()
        return json.loads(self.fake.stdout.readline())


# ---- the fake itself

NAME, MANAGER, UNIT = "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager", "org.freedesktop.systemd1.Unit"
SERVICE, TOP, UNITS = "org.freedesktop.systemd1.Service", "/org/freedesktop/systemd1", "/org/freedesktop/systemd1/unit/"


class Fake:
    def __init__(self, address):
        import dbus
        import dbus.lowlevel
        import dbus.mainloop.glib
        from gi.repository import GLib
        dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
        self.dbus, self.low, self.glib = dbus, dbus.lowlevel, GLib
        self.bus = dbus.bus.BusConnection(address)
        self.bus.add_message_filter(self.heard)
        self.job, self.mode, self.reading, self.calls = 100, "done", "good", {}
        self.values = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Result": "success"}
        self.bus.request_name(NAME)
        self.loop = GLib.MainLoop()
        GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, self.order)
        print("ready", flush=True)

    # -- calls

    def heard(self, _, m):
        if not isinstance(m, self.low.MethodCallMessage) or m.get_path() is None or not m.get_path().startswith(TOP):
            return self.low.HANDLER_RESULT_NOT_YET_HANDLED
        member = m.get_member()
        self.calls[member] = self.calls.get(member, 0) + 1
        answer = {"GetAll": self.get_all, "StartUnit": self.make_job, "StopUnit": self.make_job, "GetUnit": self.get_unit,
                  "RestartUnit": self.make_job, "ReloadUnit": self.make_job, "ListUnitsByPatterns": self.list}
        answer.get(member, self.agree)(m)
        return self.low.HANDLER_RESULT_HANDLED

    def agree(self, m):
        self.reply(m)

    def reply(self, m, signature=None, *values):
        r = self.low.MethodReturnMessage(m)
        if signature:
            r.append(*values, signature=signature)
        self.bus.send_message(r)

    def refuse(self, m, name):
        self.bus.send_message(self.low.ErrorMessage(m, name, "as the test wants it"))

    def get_unit(self, m):
        self.refuse(m, NAME + ".NoSuchUnit")

    def list(self, m):
        self.reply(m, "a(ssssssouso)", self.dbus.Array([], signature="(ssssssouso)"))

    def properties(self, path):
        name = path[len(UNITS):].replace("_2e", ".").replace("_40", "@")
        return {"Id": name, **self.values, "MainPID": self.dbus.UInt32(77), "NRestarts": self.dbus.UInt32(0)}

    def get_all(self, m):
        how, _, rest = self.reading.partition(" ")
        answer = self.properties(m.get_path())
        if how == "silent":
            return
        if how == "error":
            return self.refuse(m, rest)
        if how == "odd":
            return self.reply(m, "su", "surprise", 7)
        if how == "empty":
            return self.reply(m, "a{sv}", self.dbus.Dictionary({}, signature="sv"))
        if how == "wrong":
            answer = {**answer, "MainPID": "many", "SubState": self.dbus.UInt64(3), "Job": self.dbus.Array([1], signature="u"),
                      "InvocationID": "text", "RequiredBy": self.dbus.Boolean(True)}
        if how == "huge":
            answer |= {f"Junk{n}": self.dbus.Array(["x" * 200] * 5, signature="s") for n in range(3000)}
        self.reply(m, "a{sv}", self.dbus.Dictionary(answer, signature="sv"))

    def make_job(self, m):
        how, _, rest = self.mode.partition(" ")
        self.job += 1
        path, unit = f"{TOP}/job/{self.job}", m.get_args_list()[0]
        if how == "silent":
            return
        if how == "error":
            return self.refuse(m, rest)
        if how == "odd":
            return self.reply(m, "a{sv}", self.dbus.Dictionary({}, signature="sv"))
        if how == "early":
            self.removed(path, unit, rest)
        self.reply(m, "o", path)
        if how == "twice":
            self.removed(path, unit, "done")
            self.removed(path, unit, "failed")
        if how not in ("early", "mute", "twice"):
            self.removed(path, unit, how)

    # -- signals

    def emit(self, path, interface, member, signature, *values):
        s = self.low.SignalMessage(path, interface, member)
        s.append(*values, signature=signature)
        self.bus.send_message(s)

    def removed(self, path, unit, result):
        self.emit(TOP, MANAGER, "JobRemoved", "uoss", self.job, path, unit, result)

    def changed(self, path, interface, values, stale=()):
        self.emit(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", interface,
                  self.dbus.Dictionary(values, signature="sv"), self.dbus.Array(list(stale), signature="s"))

    def change(self, path):
        self.half(path)
        self.changed(path, UNIT, {k: v for k, v in self.values.items() if k != "Result"})

    def half(self, path):
        self.changed(path, SERVICE, {"Result": self.values["Result"]})

    def odd(self):
        for member in ("JobRemoved", "UnitNew", "UnitRemoved", "Reloading"):
            self.emit(TOP, MANAGER, member, "a{sv}", self.dbus.Dictionary({"a": 1}, signature="sv"))
        self.emit(UNITS + "web_2eservice", "org.freedesktop.DBus.Properties", "PropertiesChanged", "as", ["x"])
        self.emit(TOP, MANAGER, "JobRemoved", "uoss", 1, "/", "", "no such word")

    # -- orders

    def order(self, *_):
        line = sys.stdin.readline()
        if not line:
            self.loop.quit()
            return False
        verb, _, rest = line.strip().partition(" ")
        answer = True
        if verb == "mode":
            self.mode = rest
        elif verb == "read":
            self.reading = rest
        elif verb == "set":
            key, value = rest.split()
            self.values[key] = value
        elif verb in ("change", "half"):
            getattr(self, verb)(rest)
        elif verb == "stale":
            path, key = rest.split()
            self.changed(path, SERVICE, {}, [key])
        elif verb == "odd":
            self.odd()
        elif verb == "flap":
            for _ in range(int(rest)):
                self.bus.release_name(NAME)
                self.bus.request_name(NAME)
        elif verb == "leave":
            self.bus.release_name(NAME)
        elif verb == "join":
            self.bus.request_name(NAME)
        elif verb == "reloading":
            self.emit(TOP, MANAGER, "Reloading", "b", rest == "1")
        elif verb == "calls":
            answer = self.calls
        print(json.dumps(answer), flush=True)
        return True


if __name__ == "__main__":
    Fake(sys.argv[1]).loop.run()
    os._exit(0)
