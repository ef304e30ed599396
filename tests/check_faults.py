#!/usr/bin/python3
"""Guards docs/faults.md: every row of the catalogue is there, and every test that a row names exists. A row without a
test says why ("none: …")."""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
ROWS = range(1, 82)


def exists(reference):
    path, _, name = reference.partition("::")
    file = TOP / "tests" / path
    if not file.exists():
        return False
    text = file.read_text()
    if path.endswith(".py"):
        return not name or re.search(rf"^def {re.escape(name)}\(", text, re.M) is not None
    suite, _, case = name.partition(".")
    return re.search(rf"^TEST(_F|_P)?\({re.escape(suite)},\s+{re.escape(case)}\)", text, re.M) is not None


def faults():
    """(line number, complaint) of the page."""
    seen = set()
    for number, line in enumerate((TOP / "docs/faults.md").read_text().splitlines(), 1):
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if not line.startswith("|") or not re.fullmatch(r"\d+", cells[0]):
            continue
        seen.add(int(cells[0]))
        if len(cells) != 4:
            yield number, f"row {cells[0]} has {len(cells)} cells, not 4"
            continue
        references = re.findall(r"`([\w/.-]+\.(?:py|cpp)(?:::[\w.]+)?)`", cells[3])
        if not references and "none:" not in cells[3]:
            yield number, f"row {cells[0]} names no test and no reason"
        for reference in references:
            if not exists(reference):
                yield number, f"row {cells[0]}: no such test: {reference}"
    for row in ROWS:
        if row not in seen:
            yield 0, f"row {row} is missing"


complaints = list(faults())
for number, text in complaints:
    print(f"docs/faults.md:{number}: {text}")
sys.exit(1 if complaints else 0)
