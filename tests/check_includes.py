#!/usr/bin/env python3
"""Guards the direction of includes: supervisor -> {watchers, actions} -> units, and the libraries of the outside world
only in supervisor/. Prints every breach as file:line and ends with 1 if there is one."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("units", "watchers", "actions", "supervisor")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# What each folder may include of our own.
ALLOWED = {
    "units": {"units"},
    "watchers": {"units", "watchers"},
    "actions": {"units", "actions"},
    "supervisor": set(FOLDERS),
}
# Headers of the C++ standard library have neither a slash nor a dot; these are its few C spellings.
STANDARD = re.compile(r"^[a-z_]+$")
# The sources outside supervisor/ that may see a library: looking at JSON is what the http check is for.
GRANTED = {("watchers/json_pointer.cpp", "nlohmann/json.hpp"), ("watchers/health_page.cpp", "nlohmann/json.hpp")}
OUTSIDE = re.compile(r"^(uv\.h|uv/|curl/|sdbus-c\+\+|systemd/|toml\+\+|toml\.hpp|microhttpd|nlohmann/|spdlog/|CLI/|re2/|yaml-cpp/|zlib\.h|ares)")


def breaches(folder, path, text):
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quoted, header = match.group(1) == '"', match.group(2)
        where = f"{path}:{number}: {header}"
        first = header.split("/")[0]
        if quoted:
            if first not in FOLDERS:
                yield f"{where}: own headers are included by their path from the top"
            elif first not in ALLOWED[folder]:
                yield f"{where}: {folder}/ must not know {first}/"
            continue
        if folder == "units" and not STANDARD.match(header):
            yield f"{where}: units/ includes only the standard library"
        elif folder != "supervisor" and OUTSIDE.match(header) and (str(path), header) not in GRANTED:
            yield f"{where}: {folder}/ must not know the libraries of the outside world"


def keeper_breaches(path, text):
    """The keeper is a program of its own: no policy, no library, nothing of the supervisor but its own folder."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quoted, header = match.group(1) == '"', match.group(2)
        if not quoted and OUTSIDE.match(header):
            yield f"{path}:{number}: {header}: the keeper knows no library"


def main():
    found, files = [], 0
    for folder in FOLDERS:
        for source in sorted((TOP / folder).rglob("*")):
            if source.suffix not in (".h", ".cpp", ".hpp"):
                continue
            files += 1
            path, text = source.relative_to(TOP), source.read_text()
            found += breaches(folder, path, text)
            if path.parts[:2] == ("supervisor", "keeper") and not path.name.startswith("keeper_client"):
                found += keeper_breaches(path, text)
    print("\n".join(found) or f"includes: {files} files, all in the allowed direction")
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
