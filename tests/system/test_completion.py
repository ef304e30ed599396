"""Completion as the shells do it: real bash, zsh and fish ask the scripts that keepwell prints."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from conftest import FAST, KEEPWELL

SHELLS = ("bash", "zsh", "fish")


def shell(name, script, environment, folder):
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    flags = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    env = environment | {"PATH": f"{KEEPWELL.parent}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb"}
    done = subprocess.run([name, *flags, "-c", script], env=env, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done
    return done


BASH = """
source <(keepwell completion bash)
compopt() {{ :; }}
one() {{
    COMP_LINE=$1 COMP_POINT=${{#1}} COMPREPLY=()
    _keepwell keepwell
    printf '%s\\n' "${{COMPREPLY[@]}}"
}}
{calls}
"""


def bash(environment, folder, *lines):
    """What bash would offer behind each line."""
    calls = "\n".join(f"one {json.dumps(line)}; echo ==" for line in lines)
    out = shell("bash", BASH.format(calls=calls), environment, folder).stdout
    return [block.split() for block in out.split("==\n")[:-1]]


@pytest.fixture
def running(fleet):
    fleet.write(fleet.unit("web", keys=FAST + 'group = "front"\ncheck.up = { type = "exec", command = ["/bin/true"] }\n') +
                fleet.unit("wo@1", keys=FAST) + fleet.unit("db", keys=FAST))
    fleet.start()
    fleet.wait_for(lambda: len(fleet.live()["services"]) == 3, "three units")
    return fleet


def test_bash_completes_names_groups_and_checks_of_the_running_supervisor(running):
    offers = bash(running.environment, running.dir, "keepwell restart ", "keepwell why w", "keepwell check --disable ",
                  "keepwell restart fro", "keepwell restart front:", "keepwell stop wo@", "keepwell signal H")
    assert offers == [["web", "wo@1", "db", r"front:\*", "all"], ["web", "wo@1"], ["web/up"], [r"front:\*"], [r"\*"], ["1"], ["HUP"]]


def test_bash_completes_every_verb_and_option_that_help_shows(fleet):
    verbs = re.findall(r"^  ([a-z]+)(?:,|  )", fleet.ok("help"), re.M)
    assert len(verbs) > 20
    pages = {verb: fleet.ok("help", verb) for verb in verbs}
    offers = bash(fleet.environment, fleet.dir, "keepwell ", *(f"keepwell {verb} --" for verb in verbs))
    assert sorted(offers[0]) == sorted(verbs)
    for verb, offered in zip(verbs, offers[1:]):
        shown = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", pages[verb], re.M))
        assert shown == set(offered), verb


@pytest.mark.parametrize("name", SHELLS)
def test_completion_is_silent_without_a_supervisor(fleet, name):
    script = {"bash": BASH.format(calls='one "keepwell restart "'),
              "zsh": 'autoload -U compinit; compinit -D; source <(keepwell completion zsh); keepwell __complete zsh restart ""',
              "fish": 'keepwell completion fish | source; complete -C "keepwell restart "'}[name]
    done = shell(name, script, fleet.environment, fleet.dir)
    assert done.stdout.strip() == "" and done.stderr == ""


def test_fish_completes_verbs_options_and_names(running):
    def offers(line):
        script = f'keepwell completion fish | source; complete -C {json.dumps(line)}'
        return [x.split("\t")[0] for x in shell("fish", script, running.environment, running.dir).stdout.splitlines()]

    assert set(offers("keepwell res")) == {"restart", "resume", "reset"}
    assert offers("keepwell logs --fo") == ["--follow"]
    assert offers("keepwell why w") == ["web", "wo@1"]


ZPTY = r"""
zmodload zsh/zpty
zpty z 'PS1= zsh -f -i'
zpty -w z 'autoload -U compinit; compinit -D -u; zstyle ":completion:*" list-separator "--"; source <(keepwell completion zsh); bindkey "^I" complete-word; echo rea""dy'
zpty -r -m z seen '*ready*' || exit 3
zpty -w -n z "keepwell $1"$'\t'
zpty -r -m z seen "*$2*" || exit 4
zpty -d z
"""


@pytest.mark.parametrize("typed, completed", [("why wo", "why wo@1"), ("exp", "explain"), ("logs --fo", "--follow"), ("restart fr", "front:")])
def test_zsh_completes_at_a_terminal(running, typed, completed):
    if not shutil.which("zsh"):
        pytest.skip("zsh is not installed")
    env = running.environment | {"PATH": f"{KEEPWELL.parent}:{os.environ['PATH']}", "HOME": str(running.dir), "TERM": "dumb"}
    done = subprocess.run(["zsh", "-f", "-c", ZPTY, "zsh", typed, completed], env=env, cwd=running.dir, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=30)
    assert done.returncode == 0, done


def test_names_come_from_status_json_where_nobody_answers(running):
    environment = running.environment | {"KEEPWELL_SOCKET": str(running.dir / "none/control.sock"),
                                         "KEEPWELL_STATUS_FILE": str(running.status_file)}
    running.wait_for(lambda: pathlib.Path(running.status_file).exists(), "status.json")
    assert bash(environment, running.dir, "keepwell why d") == [["db"]]
