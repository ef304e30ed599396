"""keepwell import: the commands of docs/import.md as they stand there, and imported services that really run."""
import re
import shlex

import pytest

from conftest import TOP, free_port

GOLDEN = TOP / "tests/import/golden"
# What the documents name, and what a test has in its place.
SOURCES = {"/etc/supervisor/supervisord.conf": "supervisord-site/supervisord.conf", "/etc/monit/monitrc": "monit-web/monitrc",
           "Procfile": "procfile-app/Procfile", "monitor.yml": "monitor-site/monitor.yml"}
TOKEN = {"IMPORT_TOKEN": "sesame"}


def documented():
    """Every command of the first two examples of docs/import.md, as words without "keepwell"."""
    blocks = re.findall(r"```sh\n(.*?)```", (TOP / "docs/import.md").read_text(), re.S)
    lines = [shlex.split(line, comments=True)[1:] for block in blocks for line in block.strip().splitlines()]
    imports = [words for words in lines if words[0] == "import"]
    return imports, [words for words in lines if words[0] != "import"]


IMPORTS, AFTERWARDS = documented()


def test_the_document_has_a_command_for_each_format():
    assert sorted(words[1] for words in IMPORTS) == ["monit", "monitor", "procfile", "supervisord"]
    assert [words[0] for words in AFTERWARDS] == ["validate", "status"]


@pytest.mark.parametrize("words", IMPORTS, ids=lambda words: words[1])
def test_every_command_of_the_document_works_and_its_result_is_valid(fleet, words):
    words = [str(GOLDEN / SOURCES[w]) if w in SOURCES else w for w in words]
    done = fleet.cli(*words, env=TOKEN)
    assert done.returncode == 0 and done.stdout == "", done
    assert "then: keepwell validate -c keepwell.toml" in done.stderr
    assert "will not load" not in done.stderr
    notes = [line for line in done.stderr.splitlines() if not line.startswith("keepwell: ")]
    assert notes and all(re.match(r"/.*:\d+: cannot import .*: ", line) for line in notes), notes
    valid = fleet.cli(*AFTERWARDS[0], env=TOKEN)
    assert valid.returncode == 0, valid


def test_what_was_imported_runs(fleet):
    app = fleet.dir / "app"
    app.mkdir()
    (app / "Procfile").write_text('web: echo "port $PORT in $(pwd) with $WORD"; exec sleep 1000\n')
    (app / ".env").write_text("WORD=sesame\n")
    (app / "supervisord.conf").write_text(
        "[supervisord]\nenvironment=WORD=open\n"
        "[program:once]\ncommand=/bin/sh -c 'echo \"$WORD $0 %%\"' %(program_name)s ; a comment\nautorestart=false\nstartsecs=0\n"
        "[program:many]\ncommand=/bin/sleep 1000\nnumprocs=2\nprocess_name=%(program_name)s_%(process_num)02d\nstopsignal=INT\n")
    units = fleet.ok("import", "procfile", app / "Procfile") + fleet.ok("import", "supervisord", app / "supervisord.conf")
    fleet.write(units)
    fleet.start()
    fleet.wait_healthy("web", "many@1", "many@2")
    fleet.wait_state("once", "completed")
    assert b"port 5000 in %s with sesame\n" % str(app).encode() in fleet.log_text("web")
    assert b"open once %\n" in fleet.log_text("once")


def test_the_checks_of_an_import_are_tried_without_a_supervisor(fleet, health):
    (fleet.dir / "monitor.yml").write_text(f"- key: here\n  url: {health.url}\n  expected_http: 200\n- key: gone\n  port: {free_port()}\n")
    fleet.ok("import", "monitor", "monitor.yml", "-o", "keepwell.toml")
    done = fleet.cli(*AFTERWARDS[1])
    assert done.returncode == 3, done
    assert re.search(r"^here +external .* healthy", done.stdout, re.M) and re.search(r"^gone +external .* d(own|egraded)", done.stdout, re.M), done


def test_a_file_that_is_there_is_never_overwritten(fleet):
    (fleet.dir / "Procfile").write_text("web: sleep 1000\n")
    fleet.ok("import", "procfile", "Procfile", "-o", "new.toml")
    text = (fleet.dir / "new.toml").read_text()
    assert '[unit.web]\nshell = "exec sleep 1000"\n' in text
    again = fleet.cli("import", "procfile", "Procfile", "-o", "new.toml")
    assert again.returncode == 1 and 'cannot write "new.toml": File exists (remove it' in again.stderr
    assert (fleet.dir / "new.toml").read_text() == text
    nowhere = fleet.cli("import", "procfile", "Procfile", "-o", "no/such/folder")
    assert nowhere.returncode == 1 and "cannot write" in nowhere.stderr


def test_what_this_host_lacks_is_said_and_does_not_stop_the_import(fleet):
    (fleet.dir / "s.conf").write_text("[program:x]\ncommand=/bin/x %(ENV_NOBODY_SET_THIS)s\nuser=nobody-at-all\n")
    done = fleet.cli("import", "supervisord", "s.conf")
    assert done.returncode == 0 and "${NOBODY_SET_THIS}" in done.stdout
    assert "the result will not load here yet: line " in done.stderr
    assert "nobody-at-all" in done.stderr and "NOBODY_SET_THIS" in done.stderr


@pytest.mark.parametrize("words, code, says", [
    (("monit", "nowhere"), 1, "keepwell: cannot read nowhere: No such file"), (("monit", "/"), 1, "cannot read /"),
    (("monit", "/dev/null"), 1, "cannot read /dev/null"), (("teleport", "x"), 2, "teleport"), (("monit",), 2, "file"),
    (("procfile", "empty"), 1, "empty: cannot import anything"), (("monitor", "broken.yml"), 1, "broken.yml:2:1: cannot read it as YAML")])
def test_a_source_that_is_none_is_an_error(fleet, words, code, says):
    (fleet.dir / "empty").write_text("")
    (fleet.dir / "broken.yml").write_text("services: [\n")
    done = fleet.cli("import", *words)
    assert done.returncode == code and says in done.stderr and done.stdout == "", done


def test_control_characters_of_the_source_reach_no_terminal(fleet):
    (fleet.dir / "Procfile").write_bytes(b"we\x1b]0;x\x07b not a line\nweb: sleep \x1b[2J 1\n")
    done = fleet.cli("import", "procfile", "Procfile")
    assert done.returncode == 0 and "\x1b" not in done.stderr + done.stdout and "\\u001B[2J" in done.stdout


def test_the_shell_completes_formats_and_files(fleet):
    formats = fleet.ok("__complete", "fish", "import", "").split()
    assert formats == ["monitor", "supervisord", "monit", "procfile"]
    assert fleet.ok("__complete", "fish", "import", "monit", "").startswith(":files")


def test_the_man_page_names_every_format():
    page = (TOP / "docs/man/keepwell.1").read_text()
    entry = page.split(".It Cm import")[1].split(".It Cm ")[0]
    assert all(name in entry for name in ("supervisord", "monit", "procfile", "monitor"))
