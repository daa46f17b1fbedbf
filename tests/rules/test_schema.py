"""The JSON Schema of rule files takes what the loader takes, refuses wrong forms, and completes."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules.load_actions import COMMANDS
from rules.load_cases import GIVEN
from rules.load_cases import KEYS as CASE_KEYS
from rules.load_facts import MODIFIERS, TRIGGERS
from rules.load_rule import KEYS
from rules.load_timeline import DOINGS
from rules.schema import schema_rules
from rules.schema_words import of_store
from tests.json_schema import Against, properties, read
from tests.rules.worlds import SHOP

ROOT = Path(__file__).parents[2]
ANY = Against(schema_rules())
STORE = Against(
    schema_rules(of_store(SHOP, incidents=("theft",), presets=("gate",), rules=("gate_alarm",)))
)
BLOCK = re.compile(r"^```yaml\n# \S+\.yaml\n(.*?)^```$", re.M | re.S)
SEEDS: list[tuple[str, dict[str, Any]]] = [
    (f"{path.stem}: {case['says']}", case)
    for path in sorted((Path(__file__).parent / "mistakes").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]
FORM = re.compile(
    r"unknown (section|key|command|parameter|priority|type|day) |is missing$"
    r"|is not (a duration|one of|a whole number|a number)|is wanted|neither yes nor no"
    r"|takes no for:|longer than 0s|is no time of day|two commands|takes a list|is 2 or more"
    r"|never says|does not accept|unknown device or group|has no field|can't be the id"
)
"""What is said of a mistake of form, or of a name that devices.yaml declares."""
NOT_SEEN = {
    "a word that may be the name of a variable": {
        "facts: a word where the field is a number",
        "triggers: a count that is no number",
        "rules: a variable whose default is of another type",
        "cases: a variable that a test gives in a wrong form",
        "templates: a duration out of bounds, and one without a unit",
    },
    "what a template makes of its parameters": {
        "templates: a parameter that is missing",
        "templates: a parameter that is not known",
        "templates: a signal, a mode and a time that are none",
        "templates: a mistake in a template names the rule",
    },
    "what stands inside an expression": {
        "conditions: a field that the signal does not have",
        "conditions: a state where a field's value is meant",
    },
    "a tag: an editor hands on its text only": {"steps: a secret as a text"},
    "which device an event comes from": {
        "steps: a neighbour that can't do it",
        "triggers: by a field that one of the signals lacks",
        "triggers: by a field misspelt",
    },
}
"""Why the schema of the store takes some mistakes of form all the same."""


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("examples/*/rules*/*.yaml")), ids=lambda path: path.stem
)
def test_the_rules_of_the_examples_are_valid(path: Path) -> None:
    assert ANY.errors(read(path.read_text())) == []


def test_the_rules_on_the_page_about_them_are_valid() -> None:
    blocks = BLOCK.findall((ROOT / "docs" / "rules.md").read_text())

    assert len(blocks) > 10
    assert [ANY.errors(read(text)) for text in blocks] == [[]] * len(blocks)


GOOD = """
vars: {after: {type: duration, default: 2m, max: 10m}}
rules:
  a:
    when:
      - {gates: eas.alarm, direction: [out, unknown], across: group}
      - {back_doors: open, while: not site.delivery, for: !var after}
      - {sequence: [{site: opened}, [{door_front: open}, {door_back: open}]], within: 5s}
      - {count: !var often, of: {gates: eas.alarm}, within: 5m}
      - {after: {site: opened}, without: {site: closed}, within: 1h, blind: fire}
      - {before: {daily: opening}, without: {gates: eas.alarm}, within: 1h}
      - {daily: opening-15m, days: [mon, sat-sun]}
      - {daily: !var check_at, days: "mon,wed"}
    if: site.open
    do:
      - {goto: cam_exit, preset: gate, for: 60s}
      - {record: [event.near.cameras, cam_tills], before: 20s, for: 60s}
      - {incident: gate}
      - {mode: delivery, for: 1h}
    escalate: [{after: 60s, do: {send: pager_manager, text: hello}}]
    quiet: {for: 30s, at_most: 10m}
    enabled: yes
tests:
  - name: t
    given: {now: "2026-11-20T12:00:00", site: {open: yes}, states: {door_front: {contact: open}}}
    timeline: [{at: 0s, eas_front: eas.alarm, aisle: 1}, {at: 1m, restart: 3h},
               {at: 2m, down: cam_exit}]
    expect: [{at: 0s, rule: a, sound: siren_front, for: 10s}, {not_fired: {rule: a, because: x}}]
"""


@pytest.mark.parametrize("schema", [ANY, STORE], ids=["any", "store"])
def test_every_construct_is_valid(schema: Against) -> None:
    assert schema.errors(read(GOOD)) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("vars:", "var:"),
        ("type: duration", "type: time"),
        ("when:", "wen:"),
        ("within: 5m", "within: 5"),
        ("within: 5m", "within: 0s"),
        ("count: !var often", "count: 1"),
        ("within: 1h, blind: fire", "blind: fire"),
        ("direction: [out, unknown]", "direction: [out, inwards]"),
        ("direction: [out", "directon: [out"),
        ("gates: eas.alarm, dir", "gates: eas.alarrm, dir"),
        ("back_doors: open", "back_doors: opn"),
        (", for: !var after", ""),
        ("opening-15m", "opening-15"),
        ("mon, sat-sun", "mon, sat-sunday"),
        ("preset: gate, ", ""),
        ("before: 20s", "before: 20 s"),
        ("before: 20s", "duration: 20s"),
        ("{incident: gate}", "{incident: gate, to: x}"),
        ("{incident: gate}", "{insident: gate}"),
        ("enabled: yes", "enabled: maybe"),
        ("name: t", "title: t"),
        ("{at: 1m, restart: 3h}", "{at: 1m}"),
        ("at: 0s, rule", "rule"),
        ("sound: siren_front", "sond: siren_front"),
        ("{rule: a, because: x}", "{because: x}"),
        ("2026-11-20T12", "20.11.2026 12"),
    ],
)
@pytest.mark.parametrize("schema", [ANY, STORE], ids=["any", "store"])
def test_a_wrong_form_is_not_valid(right: str, wrong: str, schema: Against) -> None:
    assert right in GOOD
    assert schema.errors(read(GOOD.replace(right, wrong, 1))) != []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("{gates: eas.alarm}", "{gate: eas.alarm}"),
        ("door_back: open", "door_back: eas.alarm"),
        ("{door_front: open}", "{door_front: open, across: group}"),
        ("sound: siren_front", "sound: door_front"),
        ("goto: cam_exit", "goto: cam_tills"),
        ("event.near.cameras", "event.near.camera"),
        ("eas_front: eas.alarm, aisle", "eas_frnt: eas.alarm, aisle"),
        ("contact: open}}", "contact: ajar}}"),
        ("mode: delivery", "mode: delivry"),
        ("down: cam_exit", "down: cam"),
    ],
)
def test_a_name_that_the_store_does_not_have_is_not_valid_there(right: str, wrong: str) -> None:
    assert right in GOOD
    wrong_text = GOOD.replace(right, wrong, 1)
    assert STORE.errors(read(wrong_text)) != []


def refused(case: dict[str, Any], schema: Against) -> bool:
    texts = [text for name, text in case["files"].items() if name.startswith("rules")]
    try:
        return any(schema.errors(read(text)) for text in texts)
    except yaml.YAMLError:
        return True


def test_every_seeded_mistake_of_form_is_refused_but_for_those_listed() -> None:
    listed = {name for names in NOT_SEEN.values() for name in names}
    of_form = {
        name: case
        for name, case in SEEDS
        if any(FORM.search(line) for line in case["problems"].splitlines() if line[:1] == "r")
        and not re.search(r"^r\S+ warning", case["problems"])
    }
    taken = {name for name, case in of_form.items() if not refused(case, STORE)}

    assert len(of_form) > 90
    assert taken == listed


def test_the_schema_is_json_and_has_every_key_and_command() -> None:
    schema = ANY.whole
    assert json.loads(json.dumps(schema)) == schema
    assert set(schema["$defs"]["rule"]["properties"]) == set(KEYS)
    assert set(schema["$defs"]["case"]["properties"]) == set(CASE_KEYS)
    assert set(schema["$defs"]["case"]["properties"]["given"]["properties"]) == set(GIVEN)
    there = {at.rpartition(".")[2] for at, _ in properties(schema)}
    assert there >= {*COMMANDS, *TRIGGERS, *MODIFIERS, *DOINGS, "ends", "not_fired"}


@pytest.mark.parametrize("schema", [ANY, STORE], ids=["any", "store"])
def test_everything_has_a_description(schema: Against) -> None:
    bare = [at for at, of in properties(schema.whole) if not of.get("description")]

    assert bare == []


def test_the_words_of_an_enum_are_explained() -> None:
    found: list[Any] = [STORE.whole]
    explained = 0
    while found:
        one = found.pop()
        if isinstance(one, dict) and "enumDescriptions" in one:
            assert len(one["enumDescriptions"]) == len(one["enum"])
            assert all(one["enumDescriptions"])
            explained += 1
        found += one.values() if isinstance(one, dict) else one if isinstance(one, list) else []
    assert explained > 50


RULE: list[str | int] = ["rules", "a"]


@pytest.mark.parametrize(
    ("text", "path", "offered"),
    [
        ("{rules: {a: }}", RULE, set(KEYS)),
        ("{rules: {a: {when: }}}", [*RULE, "when"], {"eas_front", "gates", "count", "daily"}),
        (
            "{rules: {a: {when: {eas_front: eas.alarm}}}}",
            [*RULE, "when"],
            {"direction", "aisle"},
        ),
        ("{rules: {a: {when: {door_front: open}}}}", [*RULE, "when"], {"for", "while"}),
        ("{rules: {a: {do: [{goto: cam_exit}]}}}", [*RULE, "do", 0], {"preset", "for"}),
        ("{rules: {a: {quiet: {}}}}", [*RULE, "quiet"], {"for", "at_most"}),
        ("{tests: [{}]}", ["tests", 0], set(CASE_KEYS)),
        ("{tests: [{timeline: [{at: 0s}]}]}", ["tests", 0, "timeline", 0], {"eas_front", "down"}),
        ("{tests: [{expect: [{at: 0s}]}]}", ["tests", 0, "expect", 0], {"sound", "ends", "rule"}),
        (
            "{tests: [{given: {states: {door_front: }}}]}",
            ["tests", 0, "given", "states", "door_front"],
            {"contact", "held"},
        ),
    ],
)
def test_the_keys_that_fit_are_offered(text: str, path: list[str | int], offered: set[str]) -> None:
    assert offered <= STORE.keys(text, path)


@pytest.mark.parametrize(
    ("text", "path", "offered", "not_offered"),
    [
        ("{rules: {a: {priority: }}}", "priority", {"life_safety", "telemetry"}, {"yes"}),
        ("{rules: {a: {enabled: }}}", "enabled", {"shadow"}, {"on"}),
        ("{rules: {a: {cooldown: }}}", "cooldown", {"10s"}, {"10"}),
        ("{rules: {a: {if: }}}", "if", {"door_front.contact == 'open'"}, set()),
        ("{rules: {a: {requires: }}}", "requires", {"back_doors"}, {"site"}),
        (
            "{rules: {a: {when: {eas_front: }}}}",
            "when.eas_front",
            {"eas.alarm", "alarm=active", "down"},
            {"door.opened", "open"},
        ),
        (
            "{rules: {a: {when: {door_front: }}}}",
            "when.door_front",
            {"door.opened", "open", "held=warning"},
            {"eas.alarm", "active=yes"},
        ),
        (
            "{rules: {a: {when: {gates: eas.alarm, direction: }}}}",
            "when.direction",
            {"in", "out", "unknown"},
            {"yes"},
        ),
        ("{rules: {a: {do: [{sound: }]}}}", "do.0.sound", {"siren_front", "theft_sirens"},
         {"door_front", "cam_exit"}),
        ("{rules: {a: {do: [{record: }]}}}", "do.0.record", {"cam_tills", "event.near.cameras"},
         {"siren_front"}),
        ("{rules: {a: {do: [{goto: cam_exit, preset: }]}}}", "do.0.preset", {"gate"}, set()),
        ("{rules: {a: {do: [{incident: }]}}}", "do.0.incident", {"theft"}, set()),
        ("{rules: {a: {do: [{mode: }]}}}", "do.0.mode", {"delivery", "hours"}, set()),
    ],
)  # fmt: skip
def test_the_words_that_fit_are_offered(
    text: str, path: str, offered: set[str], not_offered: set[str]
) -> None:
    steps = [int(step) if step.isdecimal() else step for step in path.split(".")]
    found = STORE.words(text, [*RULE, *steps])

    assert offered <= found
    assert not not_offered & found


def test_a_group_is_told_what_all_its_members_take() -> None:
    groups = {
        **SHOP.groups,
        "loud": ("siren_front", "siren_back"),
        "both": ("siren_front", "cam_exit"),
    }
    store = Against(schema_rules(of_store(dataclasses.replace(SHOP, groups=groups))))
    found = store.words("{rules: {a: {do: [{sound: }]}}}", [*RULE, "do", 0, "sound"])

    assert "loud" in found
    assert "both" not in found


def test_a_group_says_what_all_its_members_say() -> None:
    found = STORE.words("{rules: {a: {when: {mixed: }}}}", [*RULE, "when", "mixed"])

    assert {"link.down", "down"} <= found
    assert not {"eas.alarm", "button.pressed"} & found


def test_without_a_store_every_signal_and_state_is_offered() -> None:
    found = ANY.words("{rules: {a: {when: {my_door: }}}}", [*RULE, "when", "my_door"])

    assert found >= {"eas.alarm", "pos.no_sale", "fire.trouble", "contact=open", "link.down"}
