#!/usr/bin/env python3
"""Runs clang-tidy on the sources that the build folder's compile_commands.json knows. Most of its time goes to the headers
of libraries; so the sources of one library are read as one, and each header once for all of them. A source passes without
being read when it, every header of ours that it sees, its flags, the checks and the packages were the same before.

tests/tidy.py [--jobs N] BUILD-FOLDER SOURCE…    Prints what clang-tidy found, then a line "FAILED: clang-tidy FILE" for every
file with one; nothing when all is well. Ends with 1 if a file failed."""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "keepwell-tidy"
# Together they need as long as the longest of them: so a large library is more than one.
MOST_TOGETHER = 12
SECONDS = 900
INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.M)
FINDING = re.compile(r"^(/[^:\n]+):\d+:\d+: (?:warning|error): ", re.M)
ANY_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"][^>"]+[>"])')


def sources_of(build, wanted):
    """(library, flags) of each wanted source, in the order in which the build has them."""
    found = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = os.path.relpath(entry["file"], TOP)
        if path not in wanted or path in found:
            continue
        words = shlex.split(entry["command"])
        words = words[2 if words[0].endswith("ccache") else 1:]
        out = words.index("-o")
        library = pathlib.Path(words[out + 1]).parent
        flags = [w for i, w in enumerate(words) if i not in (out, out + 1) and w not in ("-c", entry["file"])]
        found[path] = (str(library), tuple(flags))
    return found


def seen(path, closure):
    """The headers of ours that this file includes, and those include, and so on."""
    for name in INCLUDE.findall((TOP / path).read_bytes()):
        for base in (TOP, (TOP / path).parent):
            header = os.path.relpath(base / os.fsdecode(name), TOP)
            if (TOP / header).is_file():
                if header not in closure:
                    closure.add(header)
                    seen(header, closure)
                break
    return closure


def outer_world():
    """What is not ours: the tool, and the packages whose headers are read."""
    said = [subprocess.run(["clang-tidy", "--version"], capture_output=True, check=True).stdout]
    try:
        said.append(subprocess.run(["dpkg-query", "-W", "*-dev", "libstdc++*", "clang-tidy*"], capture_output=True).stdout)
    except OSError:
        pass
    return b"".join(said) + (TOP / ".clang-tidy").read_bytes() + pathlib.Path(__file__).read_bytes()


def key_of(path, flags, world):
    digest = hashlib.sha256(world)
    for name in [path, *sorted(seen(path, set()))]:
        digest.update(f"\0{name}\0".encode() + (TOP / name).read_bytes())
    digest.update("\0".join(flags).encode())
    return digest.hexdigest()[:40]


def parts(paths):
    """As many equal parts as are needed for none to be too large."""
    number = -(-len(paths) // MOST_TOGETHER)
    return [paths[i * len(paths) // number:(i + 1) * len(paths) // number] for i in range(number)]


class Together:
    """Sources one after the other in one file: the static analyzer does not look into what is included. A header that an
    earlier source includes is left out the first time, so that what is included twice is what one source includes twice."""

    def __init__(self, where, paths):
        self.where = where
        self.begins = []  # (first line, source)
        lines, before = [], set()
        for path in paths:
            self.begins.append((len(lines) + 1, path))
            own = set()
            for line in (TOP / path).read_text().splitlines():
                found = ANY_INCLUDE.match(line)
                lines.append("" if found and found[1] in before - own else line)
                own.update(found.groups() if found else ())
            before |= own
        where.parent.mkdir(exist_ok=True)
        where.write_text("\n".join(lines) + "\n")

    def translate(self, said):
        """Names the sources where clang-tidy named this file."""
        def place(match):
            first, path = max(begin for begin in self.begins if begin[0] <= int(match[1]))
            return f"{TOP / path}:{int(match[1]) - first + 1}:"
        return re.sub(re.escape(str(self.where)) + r":(\d+):", place, said)


def tidy(build, name, paths, flags):
    """What clang-tidy says of these sources, and the files that it blames; None instead if it did not come to an end."""
    together = Together(build / "tidy" / f"{name}.cpp", paths) if len(paths) > 1 else None
    try:
        done = subprocess.run(["clang-tidy", "--quiet", str(together.where if together else TOP / paths[0]), "--", *flags],
                              cwd=build, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"clang-tidy took more than {SECONDS} s\n", None
    if done.returncode == 0:
        return "", set()
    said = together.translate(done.stdout) if together else done.stdout
    blamed = {os.path.relpath(path, TOP) for path in FINDING.findall(said)}
    return (said, blamed) if blamed else (said + done.stderr, None)


def main():
    options = argparse.ArgumentParser(usage=__doc__)
    options.add_argument("--jobs", type=int, default=os.cpu_count())
    options.add_argument("build", type=pathlib.Path)
    options.add_argument("sources", nargs="+")
    asked = options.parse_args()
    build = asked.build.resolve()
    known = sources_of(build, set(asked.sources))
    failed = {path: "is not in compile_commands.json" for path in asked.sources if path not in known}
    world = outer_world()
    keys = {path: key_of(path, flags, world) for path, (_, flags) in known.items()}
    groups = collections.defaultdict(list)
    for path, of in known.items():
        if not (CACHE / keys[path]).exists():
            groups[of].append(path)
    work = [(f"{pathlib.Path(library).stem}-{i}", part, flags)
            for (library, flags), paths in groups.items() for i, part in enumerate(parts(paths))]
    work.sort(key=lambda job: -len(job[1]))
    CACHE.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        for (_, paths, _), (said, blamed) in zip(work, pool.map(lambda job: tidy(build, *job), work)):
            print(said, end="", flush=True)
            for path in paths if blamed is None else blamed:
                failed[path] = "clang-tidy"
            if blamed is not None and all(path in paths for path in blamed) and "[clang-diagnostic-error]" not in said:
                for path in set(paths) - blamed:
                    (CACHE / keys[path]).touch()
    for path in sorted(failed):
        print(f"FAILED: clang-tidy {path}")
    return 1 if failed else 0


sys.exit(main())
