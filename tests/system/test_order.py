"""Start order, reverse stop order, what a dependency's trouble does to those who need it, and reload."""
import os
import signal

from conftest import FAST, alive, free_port, never


def test_start_follows_requires_after_and_ready_and_stop_goes_back(fleet):
    port = free_port()
    fleet.write(
        fleet.unit("db", "--http", port, "--health", fleet.dir / "db.health", keys=FAST + f'''ready = "check:http"
check.http = {{ url = "http://127.0.0.1:{port}/", interval = "100ms", retry_interval = "100ms" }}''') +
        fleet.unit("app", "--rate", 10, keys=FAST + 'requires = ["db"]\nready = "log:L [0-9]+ 3"') +
        fleet.unit("web", keys=FAST + 'after = ["app"]'))
    (fleet.dir / "db.health").write_text("503")
    fleet.start()
    fleet.wait_starts("db", 1)
    never(lambda: fleet.starts("app") or fleet.starts("web"), "started before db is ready", 0.7)
    (fleet.dir / "db.health").write_text("200")
    fleet.wait_healthy()
    db, app, web = (fleet.starts(n)[0].ns for n in ("db", "app", "web"))
    assert db < app < web
    assert (web - app) / 1e6 >= 150, "web did not wait for the third line of app"
    fleet.keeper.terminate()
    fleet.keeper.wait(20)
    term = {n: next(x.ns for x in fleet.notes(n) if x.what == "term") for n in ("db", "app", "web")}
    gone = {n: next(x.ns for x in fleet.notes(n) if x.what == "exit") for n in ("db", "app", "web")}
    assert gone["web"] <= term["app"] and gone["app"] <= term["db"]


def test_a_dependent_of_a_dead_unit_is_not_restarted_for_it_and_a_dead_one_waits(fleet, health):
    gate = fleet.dir / "gate"
    gate.touch()
    fleet.write(
        fleet.unit("db", "--work-file", gate) +
        fleet.unit("app", keys=FAST + f'''requires = ["db"]
failures = 2
check.http = {{ url = "{health.url}", interval = "100ms", retry_interval = "100ms" }}'''))
    fleet.start()
    fleet.wait_healthy()
    gate.unlink()
    os.kill(fleet.starts("db")[0].pid, signal.SIGKILL)
    health.then = 503
    asked = len(health.answers)
    fleet.wait_for(lambda: len(health.answers) > asked + 8, "failing checks of app")
    assert len(fleet.starts("app")) == 1, "restarted for the failure of its dependency"
    os.kill(fleet.starts("app")[0].pid, signal.SIGKILL)
    fleet.wait_state("app", "waiting")
    assert "db" in fleet.cli("status").stdout
    never(lambda: len(fleet.starts("app")) > 1, "started without its dependency", 0.5)
    health.then = 200
    gate.touch()
    fleet.wait_healthy(timeout=20)
    assert len(fleet.starts("app")) == 2


def reloaded(fleet, *names):
    return {n: [s.pid for s in fleet.starts(n)] for n in names}


def test_reload_applies_only_what_changed(fleet, health):
    check = f'check.http = {{ url = "{health.url}", interval = "200ms" }}\n'
    fleet.write(fleet.unit("same") + fleet.unit("checked") + fleet.unit("changed") + fleet.unit("removed"))
    fleet.start()
    fleet.wait_healthy()
    names = ("same", "checked", "changed", "removed")
    before = reloaded(fleet, *names)
    fleet.write(fleet.unit("same") + fleet.unit("checked", keys=FAST + check) + fleet.unit("changed", "--width", 5) + fleet.unit("added"))
    plan = fleet.cli("reload", "--dry-run")
    assert plan.returncode == 0 and "changed" in plan.stdout
    assert reloaded(fleet, *names) == before, "--dry-run did something"
    fleet.ok("reload")
    fleet.wait_starts("added", 1)
    fleet.wait_starts("changed", 2)
    fleet.wait_for(lambda: not alive(before["removed"][0]), "the removed unit to end")
    fleet.wait_for(lambda: health.answers, "the new check")
    after = reloaded(fleet, *names)
    assert after["same"] == before["same"] and after["checked"] == before["checked"] and after["removed"] == before["removed"]
    assert len(after["changed"]) == 2
    assert set(fleet.live()["services"]) == {"same", "checked", "changed", "added"}


def test_a_bad_file_is_refused_whole_and_sighup_too(fleet):
    fleet.write(fleet.unit("web") + fleet.unit("other"))
    fleet.start()
    fleet.wait_healthy()
    before = reloaded(fleet, "web", "other")
    good = fleet.config.read_text()
    fleet.config.write_text(good.replace("[unit.\"web\"]", "[unit.\"renamed\"]") + "\n[unit.broken]\ncomand = []\n")
    done = fleet.cli("reload")
    assert done.returncode == 1
    assert "did you mean command?" in done.stderr + done.stdout
    fleet.keeper.send_signal(signal.SIGHUP)
    fleet.wait_for(lambda: "did you mean command?" in fleet.output.read_text(), "the refusal of SIGHUP in the log")
    assert reloaded(fleet, "web", "other") == before
    assert set(fleet.live()["services"]) == {"web", "other"}
    # The last good configuration carries a new supervisor as well.
    fleet.kill_supervisor()
    fleet.wait_healthy()
    assert reloaded(fleet, "web", "other") == before
    fleet.config.write_text(good + fleet.unit("added"))
    fleet.keeper.send_signal(signal.SIGHUP)
    fleet.wait_starts("added", 1)


def test_instances_and_templates(fleet):
    fleet.write(f'[template.worker]\ndirectory = "{fleet.dir}"\n' + fleet.unit("w", keys=FAST + 'template = "worker"\ninstances = 3').replace("w.record", "w{instance}.record"))
    fleet.start()
    fleet.wait_healthy("w@1", "w@2", "w@3")
    assert all(len(fleet.starts(f"w{i}")) == 1 for i in (1, 2, 3))
    fleet.ok("restart", "w@2")
    assert [len(fleet.starts(f"w{i}")) for i in (1, 2, 3)] == [1, 2, 1]
    fleet.ok("restart", "w")
    assert [len(fleet.starts(f"w{i}")) for i in (1, 2, 3)] == [2, 3, 2]
