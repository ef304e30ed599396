"""Bad configurations and bad surroundings: one clear message, the exit code of the command line's page, nothing lost."""
import json
import os
import re
import socket

import pytest

POSITION = re.compile(r"^\S*?:\d+:\d+: cannot .+", re.M)


def as_nobody():
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def validate(fleet, text=None, path=None):
    if text is not None:
        fleet.config.write_text(text)
    return fleet.cli("validate", "-c", path or fleet.config)


def test_validate_reports_five_mistakes_of_one_file_in_one_run_each_with_line_and_column(fleet):
    fleet.write('''[unit.web]
comand = ["/bin/true"]
check.http = { url = "http://127.0.0.1:1/", interval = "10 parsecs" }

[unit.worker]
command = ["/bin/sleep", "1"]
requires = ["redsi"]
nice = "very"
failures = -3

[unit.redis]
command = ["/bin/sleep", "1"]
''')
    done = validate(fleet)
    text = done.stdout + done.stderr
    assert done.returncode == 1
    found = POSITION.findall(text)
    assert len(found) >= 5, text
    for part in ("command?", "parsecs", "redis?", "nice", "failures"):
        assert part in text, text
    lines = fleet.config.read_text().splitlines()
    for message in found:
        _, line, column, _ = message.split(":", 3)
        assert 1 <= int(line) <= len(lines) and 1 <= int(column) <= len(lines[int(line) - 1]) + 1, message


BAD = {
    "empty value": ('[unit.web]\ncommand = \n', r":2:"),
    "half written": ('[unit.web]\ncommand = ["/bin/sl', r":2:"),
    "unknown key": ('[unit.web]\ncomand = ["x"]\n', r":2:1: .*did you mean command\?"),
    "unknown section": ('[unti.web]\ncommand = ["x"]\n', r":1:"),
    "wrong type": ('[unit.web]\ncommand = ["x"]\nnice = "high"\n', r":3:"),
    "bad duration": ('[unit.web]\ncommand = ["x"]\ncheck.http = { url = "http://x", interval = "soon" }\n', r":3:.*soon"),
    "negative number": ('[unit.web]\ncommand = ["x"]\nfailures = -1\n', r":3:"),
    "duplicate unit": ('[unit.web]\ncommand = ["x"]\n[unit.web]\ncommand = ["y"]\n', r":3:"),
    "bad name": ('[unit."Web/../x"]\ncommand = ["x"]\n', r":1:"),
    "unknown policy": ('[unit.web]\ncommand = ["x"]\npolicy = "wbe"\n', r":3:.*wbe"),
    "unknown dependency": ('[unit.web]\ncommand = ["x"]\nafter = ["nobody"]\n', r":3:.*nobody"),
    "cycle": ('[unit.a]\ncommand = ["x"]\nrequires = ["b"]\n[unit.b]\ncommand = ["x"]\nrequires = ["a"]\n', r":6:.*a -> b -> a"),
    "unset variable": ('[unit.web]\ncommand = ["${KEEPWELL_SURELY_UNSET}"]\n', r":2:.*KEEPWELL_SURELY_UNSET"),
    "unknown check type": ('[unit.web]\ncommand = ["x"]\ncheck.x = { type = "htpp" }\n', r":3:.*htpp"),
    "unknown user": ('[unit.web]\ncommand = ["x"]\nuser = "nobody-of-this-name"\n', r":3:.*nobody-of-this-name"),
    "missing file": ('[unit.web]\ncommand = ["x"]\nenv_file = "/nonexistent/env"\n', r":3:"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_its_position(fleet, case):
    text, wanted = BAD[case]
    for verb in ("validate", "run"):
        fleet.config.write_text(text)
        done = fleet.cli(verb, "-c", fleet.config)
        said = done.stdout + done.stderr
        assert done.returncode == 1, f"{verb}: {done}"
        assert re.search(wanted, said), f"{verb}: {said}"
        assert "cannot" in said


def test_no_file_an_unreadable_file_and_a_folder_are_named(fleet):
    done = validate(fleet, path=fleet.dir / "none.toml")
    assert done.returncode == 1 and "none.toml" in done.stdout + done.stderr
    done = validate(fleet, path=fleet.dir)
    assert done.returncode == 1 and str(fleet.dir) in done.stdout + done.stderr


def test_an_empty_file_is_valid_and_says_that_it_has_no_unit(fleet):
    done = validate(fleet, "")
    assert done.returncode == 0
    assert "cannot find any unit" in done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_file_that_may_not_be_read_is_named(fleet):
    fleet.write(fleet.unit("web"))
    for folder in (fleet.dir, *fleet.dir.parents[:3]):
        os.chmod(folder, 0o755)
    fleet.config.chmod(0o600)
    done = fleet.cli("validate", "-c", fleet.config, preexec_fn=as_nobody)
    assert done.returncode == 1
    assert str(fleet.config) in done.stderr + done.stdout and "Permission denied" in done.stderr + done.stdout


def test_a_socket_that_another_program_serves_is_left_alone_and_named(fleet):
    fleet.run_dir.mkdir(mode=0o700)
    path = str(fleet.run_dir / "control.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        fleet.write(fleet.unit("web"))
        fleet.start(wait=False)
        fleet.wait_for(lambda: path in fleet.output.read_text(), "a word about the socket")
        assert os.path.exists(path)
    assert "cannot" in fleet.output.read_text()


def test_run_without_any_configuration_explains_how_to_get_one(fleet):
    done = fleet.cli("run", env={"KEEPWELL_CONFIG": str(fleet.dir / "none.toml"), "XDG_CONFIG_HOME": str(fleet.dir), "HOME": str(fleet.dir)})
    assert done.returncode == 1
    assert "none.toml" in done.stderr + done.stdout


def test_an_include_loop_is_an_error(fleet):
    (fleet.dir / "a.toml").write_text('include = ["b.toml"]\n')
    (fleet.dir / "b.toml").write_text('include = ["a.toml"]\n')
    done = validate(fleet, path=fleet.dir / "a.toml")
    assert done.returncode == 1
    assert "include" in done.stdout + done.stderr


def test_truncated_at_every_byte_it_never_crashes(fleet):
    whole = '[policy.web]\nfailures = 2\n[unit.web]\ncommand = ["/bin/true"]\ncheck.http = { url = "http://127.0.0.1:1/" }\n'
    for length in range(0, len(whole), 3):
        done = validate(fleet, whole[:length])
        assert done.returncode in (0, 1), f"{whole[:length]!r}: {done}"


@pytest.mark.parametrize("command, word", [
    (["/nonexistent/daemon"], "No such file"),
    (["./not-executable"], "Permission denied"),
    (["./no-program"], "Exec format error"),
    (["./wrong-interpreter"], "No such file"),
])
def test_a_command_that_cannot_start_is_named_and_the_others_run(fleet, command, word):
    script = fleet.dir / "wrong-interpreter"
    script.write_text("#!/nonexistent/interpreter\n")
    script.chmod(0o755)
    (fleet.dir / "not-executable").write_text("#!/bin/sh\n")
    (fleet.dir / "no-program").write_text("\n")
    (fleet.dir / "no-program").chmod(0o755)
    fleet.write(f'[unit.bad]\ncommand = {json.dumps(command)}\ndirectory = "{fleet.dir}"\n' + fleet.unit("good"))
    fleet.start()
    fleet.wait_healthy("good")
    reason = fleet.wait_for(lambda: fleet.cli("status", "bad").stdout, "the long block")
    fleet.wait_for(lambda: word in fleet.cli("status", "bad").stdout, f"the reason {word} in:\n{reason}")
    assert "cannot" in fleet.cli("why", "bad").stdout


def test_a_missing_directory_is_a_failed_start_that_heals_when_it_is_there(fleet):
    place = fleet.dir / "later"
    fleet.write(fleet.unit("web", keys=f'directory = "{place}"\nbackoff = {{ initial = "50ms", max = "100ms" }}\nbudget = {{ restarts = 10000, within = "1m" }}'))
    fleet.start()
    fleet.wait_for(lambda: str(place) in fleet.cli("why", "web").stdout, "the missing directory in the story")
    place.mkdir()
    fleet.wait_healthy("web")


def test_a_second_instance_names_the_first_and_harms_nothing(fleet):
    fleet.write(fleet.unit("web"))
    fleet.start()
    fleet.wait_healthy("web")
    done = fleet.cli("run", "-c", fleet.config)
    assert done.returncode == 1
    assert str(fleet.keeper.pid) in done.stderr + done.stdout
    assert len(fleet.starts("web")) == 1
    fleet.wait_healthy("web")


def test_a_stale_socket_is_replaced(fleet):
    fleet.run_dir.mkdir(mode=0o700)
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(fleet.run_dir / "control.sock"))
    left.close()
    fleet.write(fleet.unit("web"))
    fleet.start()
    fleet.wait_healthy("web")


def test_without_a_supervisor_read_verbs_end_with_5_and_without_permission_they_read_the_file(fleet):
    fleet.write(fleet.unit("web"))
    for verb in ("status", "health", "checks", "events"):
        assert fleet.cli(verb).returncode == 5, verb


def test_an_unknown_unit_is_4_and_a_wrong_option_2(fleet):
    fleet.write(fleet.unit("web"))
    fleet.start()
    for verb in ("status", "why", "explain", "start", "stop", "restart", "logs", "pause", "reset"):
        done = fleet.cli(verb, "nobody")
        assert done.returncode == 4, f"{verb}: {done}"
        assert "nobody" in done.stderr
    assert fleet.cli("status", "--colour-of-the-sky").returncode == 2
    assert fleet.cli("frobnicate").returncode == 2
    assert fleet.cli("why", "wbe").stderr.count("web"), "no did-you-mean"


@pytest.mark.parametrize("count, size", [(1, 200000), (20, 120000)], ids=["one variable", "all together"])
def test_an_environment_too_large_is_refused_at_load(fleet, count, size):
    table = ", ".join(f'V{i} = "{"x" * size}"' for i in range(count))
    done = validate(fleet, f'[unit.web]\ncommand = ["/bin/sleep", "100"]\nenvironment = {{ {table} }}\n')
    assert done.returncode == 1 and "unit.web.environment" in done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user")
def test_a_runtime_folder_without_permission_is_named(fleet):
    fleet.write(fleet.unit("web"))
    os.chmod(fleet.dir, 0o755)
    done = fleet.cli("run", "-c", fleet.config, preexec_fn=as_nobody)
    assert done.returncode == 1
    assert "cannot" in done.stderr + done.stdout
