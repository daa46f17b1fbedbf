"""The JSON Schema of rule files takes what the loader takes, and refuses wrong forms."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.load_actions import COMMANDS
from rules.load_rule import KEYS
from rules.schema import schema_rules

ROOT = Path(__file__).parents[2]
SCHEMA = schema_rules()
JSON: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Return whether a value is valid: the keywords that the schema uses, and no others."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return fits(value, SCHEMA["$defs"][name])
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, JSON[kind]) for kind in kinds):
        return False
    if "anyOf" in schema and not any(fits(value, option) for option in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if "minimum" in schema and value < schema["minimum"]:
        return False
    if isinstance(value, list):
        enough = len(value) >= schema.get("minItems", 0)
        return enough and all(fits(item, schema.get("items", {})) for item in value)
    return not isinstance(value, dict) or _fits_object(value, schema)


def _fits_object(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    if set(schema.get("required", ())) - set(value) or len(value) < schema.get("minProperties", 0):
        return False
    for key, item in value.items():
        matching = [s for p, s in schema.get("patternProperties", {}).items() if re.search(p, key)]
        if key in schema.get("properties", {}):
            matching.append(schema["properties"][key])
        rest = schema.get("additionalProperties", True)
        if not matching:
            if rest is False:
                return False
            matching = [rest] if isinstance(rest, dict) else []
        if not all(fits(item, each) for each in matching):
            return False
    return True


def text_of(_loader: Any, node: Any) -> str:
    return str(node.value)


class Words(yaml.SafeLoader):
    """YAML 1.2 as an editor reads it: `on`, `yes` and 22:30 are words, tags are skipped."""


Words.yaml_implicit_resolvers = {}
Words.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?[0-9]+$"), list("-0123456789"))
Words.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|false$"), list("tf"))
Words.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"~|null|$"), ["~", "n", ""])
Words.add_constructor("!var", text_of)


def valid(text: str) -> bool:
    return fits(yaml.load(text, Loader=Words), SCHEMA)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("examples/*/rules/*.yaml")), ids=lambda path: path.stem
)
def test_the_rules_of_the_examples_are_valid(path: Path) -> None:
    assert valid(path.read_text())


GOOD = """
vars: {after: {type: duration, default: 2m, max: 10m}}
templates:
  propped:
    parameters: {door: device, limit: {type: duration, default: 2m}}
    rule: {when: {$door: open, for: $limit}, do: [{sound: siren_front, for: $limit}]}
rules:
  back: {template: propped, with: {door: door_back, limit: 5m}, enabled: shadow}
  a:
    when:
      - {gates: eas.alarm, direction: [out, unknown], across: group}
      - {back_doors: open, while: not site.delivery, for: !var after}
      - {sequence: [{site: opened}, [{door_front: open}, {door_back: open}]], within: 5s}
      - {count: 3, of: {gates: eas.alarm}, within: 5m}
      - {after: {site: opened}, without: {site: closed}, within: 1h, blind: fire}
      - {daily: opening-15m, days: [mon, sat-sun]}
    if: site.open
    do:
      - {goto: cam_exit, preset: gate, for: 60s}
      - {record: [event.near.cameras, cam_tills], before: 20s, for: 60s}
      - {incident: gate}
    escalate: [{after: 60s, do: {send: pager_manager, text: hello}}]
    enabled: yes
    quiet: {for: 30s, at_most: 10m}
  b: {when: {count: !var often, of: {gates: eas.alarm}, within: 5m}, do: {mode: x, for: 2h}}
tests:
  - name: t
    given: {now: "2026-11-20T12:00:00", site: {open: yes}, states: {door_front: {contact: open}}}
    timeline: [{at: 0s, eas_front: eas.alarm, aisle: 1}, {at: 1m, restart: 3h}, {at: 2m, down: x}, {at: 0s, mode: x, for: 1h}]
    expect: [{at: 0s, rule: a, sound: siren_front, for: 10s}, {not_fired: {rule: a, because: x}}]
"""


def test_every_construct_is_valid() -> None:
    assert valid(GOOD)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("vars:", "var:"),
        ("type: duration", "type: time"),
        ("when:", "wen:"),
        ("within: 5m", "within: 5"),
        ("count: 3", "count: 1"),
        ("within: 1h, blind: fire", "blind: fire"),
        ("preset: gate, ", ""),
        ("before: 20s", "before: 20 s"),
        ("before: 20s", "duration: 20s"),
        ("{incident: gate}", "{incident: gate, to: x}"),
        ("{incident: gate}", "{insident: gate}"),
        ("enabled: yes", "enabled: maybe"),
        ("quiet: {for: 30s, at_most: 10m}", "quiet: {at_most: 10m}"),
        ("{mode: x, for: 2h}", "{mode: x, until: 2h}"),
        ("template: propped, with:", "template: propped, where:"),
        ("template: propped, with:", "with:"),
        ("rule: {when: {$door", "rules: {when: {$door"),
        ("door: device", "door: devise"),
        ("name: t", "title: t"),
        ("{at: 1m, restart: 3h}", "{at: 1m}"),
        ("at: 0s, rule", "rule"),
        ("rule: a, sound: siren_front", "rule: a, sond: siren_front"),
        ("{rule: a, because: x}", "{because: x}"),
    ],
)
def test_a_wrong_form_is_not_valid(right: str, wrong: str) -> None:
    assert right in GOOD
    assert not valid(GOOD.replace(right, wrong, 1))


def test_the_schema_is_json_and_has_every_key_and_command() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert set(SCHEMA["$defs"]["rule"]["properties"]) == set(KEYS)
    steps = SCHEMA["$defs"]["step"]["anyOf"]
    assert {key for step in steps for key in step["properties"]} >= set(COMMANDS)
