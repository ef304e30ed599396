"""docs/openapi.yaml as a test needs it: references resolved, answers checked, what was seen remembered."""
import json

import jsonschema
import yaml

from conftest import SCHEMA, TOP

METHODS = ("get", "post")
STATUS_FILE = "../contrib/status.schema.json"


def rewritten(node, prefix):
    """References into contrib/status.schema.json and inside of it become references into one bundle."""
    if isinstance(node, list):
        return [rewritten(n, prefix) for n in node]
    if not isinstance(node, dict):
        return node
    out = {k: rewritten(v, prefix) for k, v in node.items()}
    if isinstance(out.get("$ref"), str):
        ref = out["$ref"]
        out["$ref"] = ref.replace(STATUS_FILE, "#/x-status", 1).replace("x-status#", "x-status") if ref.startswith(STATUS_FILE) else prefix + ref[1:]
    return out


def escaped(key):
    return str(key).replace("~", "~0").replace("/", "~1")


def child(pointer, member):
    return f"{pointer}/properties/{escaped(member)}"


class Description:
    def __init__(self):
        self.bundle = rewritten(yaml.safe_load((TOP / "docs/openapi.yaml").read_text()), "#")
        status = rewritten(json.loads(SCHEMA.read_text()), "#/x-status")
        status.pop("$id")
        status.pop("$schema")
        self.bundle["x-status"] = status
        self.resolver = jsonschema.RefResolver("", self.bundle)
        self.seen = set()  # (pointer of a schema, member)

    def at(self, pointer):
        node = self.bundle
        for part in pointer[2:].split("/"):
            part = part.replace("~1", "/").replace("~0", "~")
            node = node[int(part)] if isinstance(node, list) else node[part]
        return node

    def resolve(self, pointer):
        """The pointer and the node where the references that stand there end."""
        node = self.at(pointer)
        while isinstance(node, dict) and "$ref" in node:
            pointer = node["$ref"]
            node = self.at(pointer)
        return pointer, node

    def below(self, pointer, *keys):
        for key in keys:
            pointer, _ = self.resolve(pointer)
            pointer += "/" + escaped(key)
        return self.resolve(pointer)

    def operations(self):
        """{(METHOD, path): pointer}"""
        return {(m.upper(), path): self.below("#/paths", path, m)[0] for path, item in self.bundle["paths"].items() for m in METHODS if m in item}

    def parameters(self, operation, place=None):
        _, node = self.resolve(operation)
        every = [self.below(operation, "parameters", i)[1] for i in range(len(node.get("parameters", [])))]
        return [p for p in every if place in (None, p["in"])]

    def responses(self, operation):
        """{status: resolved response}"""
        pointer, node = self.below(operation, "responses")
        return {int(s): self.below(pointer, s)[1] for s in node}

    def schema_of(self, operation, status, content_type):
        """The pointer of the schema of that answer; None for one without a body. Fails when it is not described."""
        pointer, node = self.below(operation, "responses")
        assert str(status) in node, f"{pointer}: an answer of {status} is not described"
        pointer, node = self.below(pointer, str(status))
        if "content" not in node:
            return None
        assert content_type in node["content"], f"{pointer}: an answer as {content_type!r} is not described"
        return self.below(pointer, "content", content_type, "schema")[0]

    def validator(self, pointer):
        return jsonschema.Draft202012Validator({"$ref": pointer}, resolver=self.resolver)

    def valid(self, pointer, instance):
        return next(self.validator(pointer).iter_errors(instance), None) is None

    def check(self, pointer, instance, what):
        """Fails when the instance is not as described; else remembers which members it has."""
        error = next(iter(self.validator(pointer).iter_errors(instance)), None)
        assert error is None, f"{what}: {error.json_path}: {error.message[:600]}"
        self.remember(pointer, instance)

    def remember(self, pointer, instance):
        pointer, node = self.resolve(pointer)
        if not isinstance(node, dict):
            return
        for key in ("anyOf", "oneOf", "allOf"):
            for i in range(len(node.get(key, []))):
                if self.valid(f"{pointer}/{key}/{i}", instance):
                    self.remember(f"{pointer}/{key}/{i}", instance)
        if isinstance(instance, dict):
            for name, value in instance.items():
                if name in node.get("properties", {}):
                    self.seen.add((pointer, name))
                    self.remember(child(pointer, name), value)
                elif isinstance(node.get("additionalProperties"), dict):
                    self.remember(f"{pointer}/additionalProperties", value)
        if isinstance(instance, list) and "items" in node:
            for value in instance:
                self.remember(f"{pointer}/items", value)

    def schemas(self, pointer, found=None):
        """Every schema that can be reached from there: {pointer: node}, with the reason of what is conditional in it."""
        found = {} if found is None else found
        pointer, node = self.resolve(pointer)
        if pointer in found or not isinstance(node, dict):
            return found
        found[pointer] = node
        for key in ("anyOf", "oneOf", "allOf"):
            for i in range(len(node.get(key, []))):
                self.schemas(f"{pointer}/{key}/{i}", found)
        for name in node.get("properties", {}):
            self.schemas(child(pointer, name), found)
        for key in ("items", "additionalProperties", "propertyNames"):
            if isinstance(node.get(key), dict):
                self.schemas(f"{pointer}/{key}", found)
        return found

    def answer_schemas(self):
        found = {}
        for operation in self.operations().values():
            for status, response in self.responses(operation).items():
                for content_type in response.get("content", {}):
                    self.schemas(self.schema_of(operation, status, content_type), found)
        return found
