#!/usr/bin/python3
"""validate.py SCHEMA DOCUMENT...: checks documents with a real JSON Schema validator.

Prints each error with its place and exits 1 when there is one. A document that is no JSON (also one
with NaN or a key given twice) is an error too.
"""
import json
import sys

import jsonschema


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError(f"a key is given twice: {sorted(k for k in keys if keys.count(k) > 1)}")
    return dict(pairs)


def load(path):
    with open(path, encoding="utf-8", errors="strict") as file:
        return json.load(file, parse_constant=no_constant, object_pairs_hook=no_duplicates)


def main():
    schema = load(sys.argv[1])
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    bad = 0
    for path in sys.argv[2:]:
        for error in validator.iter_errors(load(path)):
            place = "/".join(str(part) for part in error.absolute_path)
            print(f"{path}: {place}: {error.message[:300]}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
