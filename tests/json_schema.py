"""JSON Schema as an editor uses it: is a document valid, and which words fit at a place?

It knows the keywords that our schemas use and no others; one it does not know is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Schema = dict[str, Any]
JSON: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
ABOUT = {"$schema", "$defs", "title", "description", "examples", "enumDescriptions", "default"}
KNOWN = ABOUT | {
    *("type", "enum", "const", "anyOf", "oneOf", "$ref", "pattern", "minimum", "maximum"),
    *("items", "minItems", "properties", "patternProperties", "additionalProperties"),
    *("propertyNames", "required", "minProperties", "dependentRequired"),
}


def _text(_loader: Any, node: Any) -> str:
    return str(node.value)


class Words(yaml.SafeLoader):
    """YAML 1.2 as an editor reads it: `on`, `yes` and 22:30 are words; a tag leaves its text."""


Words.yaml_implicit_resolvers = {}
_INT, _FLOAT = re.compile(r"-?[0-9]+$"), re.compile(r"-?[0-9]+\.[0-9]+$")
Words.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-0123456789"))
Words.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-0123456789"))
Words.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|false$"), list("tf"))
Words.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"~|null|$"), ["~", "n", ""])
for tag in ("!var", "!secret"):
    Words.add_constructor(tag, _text)


def read(text: str) -> Any:
    """Return a YAML document as an editor sees it."""
    return yaml.load(text, Loader=Words)


@dataclass(frozen=True, slots=True)
class Against:
    """A schema, to hold documents against."""

    whole: Schema

    def errors(self, value: Any) -> list[str]:
        """Return what does not fit, the place first; empty when it is valid."""
        return list(self._errors(value, self.whole, "$"))

    def resolved(self, schema: Schema) -> Schema:
        if "$ref" not in schema:
            return schema
        name = schema["$ref"].removeprefix("#/$defs/")
        found: Schema = self.whole["$defs"][name]
        return self.resolved(found)

    def _errors(self, value: Any, schema: Schema, at: str) -> Iterator[str]:
        schema = self.resolved(schema)
        assert set(schema) <= KNOWN, set(schema) - KNOWN
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(_is(value, kind) for kind in kinds):
            yield f"{at}: {value!r} is no {'/'.join(kinds)}"
            return
        for key in ("anyOf", "oneOf"):
            tried = [list(self._errors(value, option, at)) for option in schema.get(key, ())]
            fitting = sum(not errors for errors in tried)
            if tried and not fitting:
                yield from max(tried, key=lambda errors: max(map(len, errors)))
            elif key == "oneOf" and fitting > 1:
                yield f"{at}: {fitting} of oneOf"
        if "enum" in schema and not any(_same(value, known) for known in schema["enum"]):
            yield f"{at}: {value!r} is not one of {schema['enum']}"
        if "const" in schema and not _same(value, schema["const"]):
            yield f"{at}: {value!r} is not {schema['const']!r}"
        if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
            yield f"{at}: {value!r} does not match {schema['pattern']}"
        if isinstance(value, int | float) and value < schema.get("minimum", value):
            yield f"{at}: {value!r} is too small"
        if isinstance(value, int | float) and value > schema.get("maximum", value):
            yield f"{at}: {value!r} is too large"
        if isinstance(value, list):
            if len(value) < schema.get("minItems", 0):
                yield f"{at}: too few"
            for number, item in enumerate(value):
                yield from self._errors(item, schema.get("items", {}), f"{at}[{number}]")
        if isinstance(value, dict):
            yield from self._object(value, schema, at)

    def _object(self, value: dict[str, Any], schema: Schema, at: str) -> Iterator[str]:
        for key in set(schema.get("required", ())) - set(value):
            yield f"{at}: {key!r} is missing"
        for key, needs in schema.get("dependentRequired", {}).items():
            for missing in set(needs) - set(value) if key in value else ():
                yield f"{at}: {missing!r} is missing"
        if len(value) < schema.get("minProperties", 0):
            yield f"{at}: too few keys"
        for key, item in value.items():
            name = str(key)
            yield from self._errors(name, schema.get("propertyNames", {}), f"{at}.{name}")
            fitting = self.of_key(schema, name)
            if fitting is None:
                yield f"{at}.{name}: unknown key"
            for each in fitting or ():
                yield from self._errors(item, each, f"{at}.{name}")

    def of_key(self, schema: Schema, key: str) -> list[Schema] | None:
        """Return the schemas of a key's value; None when there is no such key."""
        patterns = schema.get("patternProperties", {})
        found = [of for pattern, of in patterns.items() if re.search(pattern, key)]
        if key in schema.get("properties", {}):
            found.append(schema["properties"][key])
        rest = schema.get("additionalProperties", True)
        if found or rest is True:
            return found
        return None if rest is False else [rest]

    # --- completion ---------------------------------------------------------------------------

    def at(self, value: Any, path: list[str | int]) -> list[Schema]:
        """Return the schemas that may apply at a path into a document, as far as it is written.

        An alternative counts when nothing that is written contradicts it: no unknown key, no
        other value where a word is fixed.
        """
        return list(self._at(value, self.whole, path))

    def _at(self, value: Any, schema: Schema, path: list[str | int]) -> Iterator[Schema]:
        schema = self.resolved(schema)
        for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
            if self._may_be(value, option):
                yield from self._at(value, option, path)
        if not path:
            yield schema
            return
        step, rest = path[0], path[1:]
        if isinstance(step, int):
            inner = value[step] if isinstance(value, list) and step < len(value) else None
            if "items" in schema:
                yield from self._at(inner, schema["items"], rest)
        elif schema.get("type") in ("object", ["object", "null"]) or "properties" in schema:
            inner = value.get(step) if isinstance(value, dict) else None
            for each in self.of_key(schema, step) or ():
                yield from self._at(inner, each, rest)

    def _may_be(self, value: Any, schema: Schema) -> bool:
        schema = self.resolved(schema)
        options = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
        if options and not any(self._may_be(value, option) for option in options):
            return False
        if isinstance(value, dict):
            fixed = schema.get("properties", {})
            kinds = schema.get("type", "object")
            return "object" in kinds and all(
                self.of_key(schema, str(key)) is not None
                and ("const" not in fixed.get(key, {}) or item == fixed[key]["const"])
                for key, item in value.items()
            )
        return (
            value is None or "array" in schema.get("type", "array") or not isinstance(value, list)
        )

    def keys(self, text: str, path: list[str | int]) -> set[str]:
        """Return the keys that are offered in the mapping at a path, those there left out."""
        value = read(text)
        there = value
        for step in path:
            there = there[step] if there is not None else None
        offered = {key for schema in self.at(value, path) for key in schema.get("properties", {})}
        return offered - set(there or ())

    def words(self, text: str, path: list[str | int]) -> set[str]:
        """Return the words that are offered as the value at a path."""
        found: set[str] = set()
        for schema in self.at(read(text), path):
            offered = [*schema.get("enum", ()), *schema.get("examples", ())]
            offered += [schema["const"]] if "const" in schema else []
            found |= {word for word in offered if isinstance(word, str)}
        return found


def _is(value: Any, kind: str) -> bool:
    if kind in ("integer", "number") and isinstance(value, bool):
        return False
    return isinstance(value, JSON[kind])


def _same(value: Any, known: Any) -> bool:
    return type(value) is type(known) and bool(value == known)


def properties(schema: Any, at: str = "$") -> Iterator[tuple[str, Schema]]:
    """Return every property that a schema describes, with its place."""
    if isinstance(schema, dict):
        for name, of in schema.get("properties", {}).items():
            yield f"{at}.{name}", of
        for key, inner in schema.items():
            if key not in ("enum", "examples", "const"):
                yield from properties(inner, f"{at}/{key}")
    elif isinstance(schema, list):
        for number, inner in enumerate(schema):
            yield from properties(inner, f"{at}[{number}]")
