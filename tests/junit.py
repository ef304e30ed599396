#!/usr/bin/env python3
"""Reads the JUnit file of a run, and of a second try of what failed in it if there was one. Prints, each ended by NUL: how
many passed and failed, then for every failure "failed", its name and its message; for every test that failed at first and
passed in the second try "alone", its name and the message of the first. Ends with 1 if the file cannot be read."""
import collections
import re
import sys
import xml.etree.ElementTree as tree

BAD = ("failure", "error")


def name_of(case):
    # ctest appends the bytes of a parameter that has no text of its own.
    name = case.get("name").split("  # GetParam")[0]
    of = case.get("classname") or ""
    if of.startswith("tests."):  # pytest's, where the name is that of the function
        return f"{of.replace('.', '/')}.py::{name}"
    return name


def message_of(case):
    """What was said of the failure, its first words first. gtest's own chatter about what is well is left out."""
    said = []
    for element in case:
        if element.tag in BAD:
            # ctest puts what the test says beside the failure.
            text = element.text or case.findtext("system-out") or ""
            first = (element.get("message") or "").split("\n")[0].strip()
            said += ([] if first in text[-2000:] else [first]) + text.splitlines()
    chatter = re.compile(r"^\[(=+|-+| RUN +|  PASSED  )\]|^Running main|^Note: Google Test filter")
    return "\n".join(line.rstrip() for line in said if line.strip() and not chatter.match(line))


def cases(path):
    root = tree.parse(path).getroot()
    of_name = collections.defaultdict(list)
    for case in root.iter("testcase"):
        of_name[name_of(case)].append(case)
    return root, of_name


def bad_of(found):
    return [case for case in found if any(element.tag in BAD for element in case)]


def main(first, second=None):
    root, met = cases(first)
    again = {}
    if second:
        try:
            again = cases(second)[1]
        except (OSError, tree.ParseError):
            pass  # then nothing passed in it
    number = lambda key: sum(int(suite.get(key) or 0) for suite in root.iter("testsuite"))
    failed = number("failures") + number("errors")
    passed = number("tests") - failed - number("skipped") - number("disabled")
    said = []
    for name, found in met.items():
        bad = bad_of(found)
        if not bad:
            continue
        kind, told = "failed", bad
        if name in again and not bad_of(again[name]) and not any(c.find("skipped") is not None for c in again[name]):
            kind = "alone"
            failed -= len(bad)
            passed += 1
        elif name in again and bad_of(again[name]):
            told = bad_of(again[name])
        said += [kind, name, "\n".join(message_of(case) for case in told)]
    sys.stdout.write("".join(f"{word}\0" for word in [passed, failed, *said]))


try:
    main(*sys.argv[1:])
except (OSError, tree.ParseError) as error:
    sys.exit(f"cannot read the report {sys.argv[1]}: {error}")
