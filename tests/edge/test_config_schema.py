"""The JSON Schemas of site.yaml and devices.yaml say what the loader takes, and complete."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from drivers import catalog
from edge.config.load import load
from edge.config.schema import of_store, schema_devices, schema_site
from edge.config.schema_store import vocabulary
from edge.config.site_file import SiteAsWritten
from rules import convert
from rules.schema import schema_rules
from tests.json_schema import Against, properties, read

ROOT = Path(__file__).parents[2]
SITE, DEVICES = Against(schema_site()), Against(schema_devices())
EXAMPLES = sorted((ROOT / "examples").glob("*/site.yaml"))
SEEDS = sorted((Path(__file__).parent / "mistakes").glob("*.txt"))
FORM = re.compile(
    r"unknown (section|setting|timezone) |unknown \S+( \S+)? type |is missing$|is wanted"
    r"|is not (a duration|a size|one of|a whole number|a number|a range|a rate|a topic|a date"
    r"|a site's id|an id|the address|an address|a day)|neither yes nor no|can't be an id"
    r"|can't name a schedule|unknown profile"
)
"""What is said of a mistake of form."""
NOT_SEEN = {
    "a number within a text, out of its range": {"hours_no_date", "http_port_too_large"},
    "a word that may be the name of a variable": {"tag_misspelt_is_only_a_warning"},
}
"""Why the schema takes some mistakes of form all the same."""


def of_type(section: str, kind: str) -> dict[str, Any]:
    each = DEVICES.whole["properties"][section]["patternProperties"]["^[a-z][a-z0-9_]*$"]["oneOf"]
    found: list[dict[str, Any]] = [s for s in each if s["properties"]["type"]["const"] == kind]
    return found[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_the_examples_are_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))
    folder = path.parent
    configuration = load(folder)
    store = of_store(configuration)

    for site in (SITE, Against(schema_site(store))):
        assert site.errors(read(path.read_text())) == []
    for devices in (DEVICES, Against(schema_devices(store))):
        assert devices.errors(read((folder / "devices.yaml").read_text())) == []
    rules = Against(schema_rules(vocabulary(configuration)))
    for file in sorted(folder.glob("rules*/*.yaml")):
        assert rules.errors(read(file.read_text())) == [], file


def parts(text: str) -> dict[str, str]:
    sections = (section.partition("\n") for section in text.split("=== ")[1:])
    return {name.strip(): body for name, _, body in sections}


def refused(files: dict[str, str]) -> bool:
    for name, text in files.items():
        schema = SITE if name == "site.yaml" else DEVICES if name.startswith("devices") else None
        try:
            if schema is not None and text.strip() and schema.errors(read(text)):
                return True
        except yaml.YAMLError:
            return True
    return False


def test_every_seeded_mistake_of_form_is_refused_but_for_those_listed() -> None:
    seeds = {path.stem: parts(path.read_text()) for path in SEEDS}
    of_form = {
        name: files
        for name, files in seeds.items()
        if any(FORM.search(line) for line in files["said"].splitlines() if ": warning" not in line)
    }
    taken = {name for name, files in of_form.items() if not refused(files)}

    assert len(of_form) > 40
    assert taken == {name for names in NOT_SEEN.values() for name in names}


def test_the_schema_of_the_site_has_its_settings() -> None:
    schema = schema_site()

    assert schema["required"] == ["site"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {f.name for f in dataclasses.fields(SiteAsWritten)}
    assert schema["properties"]["site"]["pattern"] == "^[a-z0-9_-]+$"
    mqtt = schema["properties"]["mqtt"]["anyOf"][0]
    assert mqtt["required"] == ["url"]
    assert mqtt["properties"]["window"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 50,
        "description": "Messages in flight, 1 to 50.",
    }


@pytest.mark.parametrize("kind", catalog.names())
def test_the_schema_of_a_device_has_the_settings_of_its_type(kind: str) -> None:
    schema = of_type("devices", kind)
    settings = convert.words(catalog.load(kind))

    assert set(schema["properties"]) == {"type", "name", "near", "tags", "priority", *settings}
    assert schema["required"] == ["type", *(w for w, f in settings.items() if convert.required(f))]


def test_settings_stand_under_their_word_in_yaml() -> None:
    modbus = of_type("io", "modbus")

    assert {"inputs", "outputs"} < set(modbus["properties"])
    assert "near" not in modbus["properties"]
    assert "moxa_e1214" in modbus["properties"]["profile"]["enum"]


def test_a_variable_stands_where_a_number_or_a_duration_is_wanted() -> None:
    text = """
      devices:
        gate: {type: eas_pedestal, alarm: annex.di0, aisle: !var aisle, merge: !var merge}
    """

    assert DEVICES.errors(read(text)) == []
    assert DEVICES.errors(read(text.replace("!var merge", "8"))) != []


@pytest.mark.parametrize("schema", [SITE, DEVICES], ids=["site", "devices"])
def test_everything_has_a_description(schema: Against) -> None:
    bare = [at for at, of in properties(schema.whole) if not of.get("description")]

    assert bare == []


def test_a_store_is_completed_by_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))
    configuration = load(ROOT / "examples" / "small_store")
    store = of_store(configuration)
    site, devices = Against(schema_site(store)), Against(schema_devices(store))
    rules = Against(schema_rules(vocabulary(configuration)))

    door = "{devices: {x: {type: door, contact: }}}"
    assert {"contact", "held_after", "near"} <= devices.keys(
        "{devices: {x: {type: door}}}", ["devices", "x"]
    )
    assert {"door", "siren"} <= devices.words("{devices: {x: {}}}", ["devices", "x", "type"])
    assert "annex.di0" in devices.words(door, ["devices", "x", "contact"])
    assert "fire_main" in site.words("{evacuation: {on: }}", ["evacuation", "on"])
    assert "Europe/London" in site.words("{timezone: }", ["timezone"])
    assert {"mon-sat", "holidays"} <= site.keys("{hours: {}}", ["hours"])
    assert "gate_activation" in rules.words(
        "{rules: {a: {do: [{incident: }]}}}", ["rules", "a", "do", 0, "incident"]
    )
    assert "evacuation" in rules.words(
        "{rules: {a: {do: [{goto: cam_exit, preset: }]}}}", ["rules", "a", "do", 0, "preset"]
    )
    assert site.errors({"site": "a", "evacuation": {"on": ["fire_mian"]}}) != []


def test_the_schemas_are_json() -> None:
    for schema in (SITE.whole, DEVICES.whole):
        assert json.loads(json.dumps(schema)) == schema
