#!/usr/bin/env python3
"""Guards what clang-format cannot see: length of files, opening comments of headers, nothing left unfinished, and that
every example a document names exists. Prints every breach and ends with 1 if there is one."""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
MOST_LINES = 500
# Spelled in two halves so that this file passes its own test.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
SOURCES = (".cpp", ".h", ".c", ".py", ".sh", ".js", ".css", ".html")
NAMED_PATH = re.compile(r"(?<![\w/.-])((?:contrib|docs|tests)/[\w./@-]*\w)")


def tracked():
    out = subprocess.run(["git", "ls-files", "-z"], cwd=TOP, capture_output=True, text=True)
    if out.returncode == 0 and out.stdout:
        return [pathlib.Path(p) for p in out.stdout.split("\0") if p and (TOP / p).is_file()]
    return [p.relative_to(TOP) for p in TOP.rglob("*") if p.is_file() and "build" not in p.parts and ".git" not in p.parts]


def length(path, lines):
    if path.suffix not in (".cpp", ".h", ".js", ".py"):
        return
    if len(lines) > MOST_LINES:
        yield f"{path}: {len(lines)} lines, more than {MOST_LINES}: has it one job?"


def opening(path, lines):
    if path.suffix == ".h" and not (lines and lines[0].startswith("//")):
        yield f"{path}:1: a header opens with a comment on its one job and its promises"


def unfinished(path, lines):
    if path.suffix not in SOURCES and path.name not in ("dev", "run", "CMakeLists.txt"):
        return
    for number, line in enumerate(lines, 1):
        match = UNFINISHED.search(line)
        if match:
            yield f"{path}:{number}: {match.group(1)}"


def named_paths(path, lines):
    """Documents name files; a reader must find them."""
    if path.suffix != ".md" or path.name == "CHANGELOG.md":
        return
    for number, line in enumerate(lines, 1):
        for name in NAMED_PATH.findall(line):
            name = name.rstrip(".")
            if not (TOP / name).exists() and not list(TOP.glob(name + ".*")):
                yield f"{path}:{number}: {name} does not exist"


def main():
    found, files = [], tracked()
    for path in files:
        try:
            lines = (TOP / path).read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for guard in (length, opening, unfinished, named_paths):
            found += guard(path, lines)
    print("\n".join(found) or f"style: {len(files)} files, nothing to mend")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
