"""The JSON Schemas say what the loader takes."""

import json
from typing import Any

from edge.config.schema import schema_devices, schema_site


def of_type(schema: dict[str, Any], section: str, kind: str) -> dict[str, Any]:
    each = schema["properties"][section]["patternProperties"]["^[a-z][a-z0-9_]*$"]["oneOf"]
    found: list[dict[str, Any]] = [s for s in each if s["properties"]["type"] == {"const": kind}]
    return found[0]


def test_the_schema_of_the_site_has_its_settings() -> None:
    schema = schema_site()

    assert schema["required"] == ["site"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["site"]["pattern"] == "^[a-z0-9_-]+$"
    mqtt = schema["properties"]["mqtt"]["anyOf"][0]
    assert mqtt["required"] == ["url"]
    assert mqtt["properties"]["window"] == {
        "type": "integer",
        "description": "Messages in flight, 1 to 50.",
    }


def test_the_schema_of_a_device_has_the_settings_of_its_type() -> None:
    door = of_type(schema_devices(), "devices", "door")

    assert door["required"] == ["type", "contact"]
    assert {"name", "near", "tags", "priority", "held_after"} < set(door["properties"])
    assert door["properties"]["held_after"]["pattern"] == r"^\d+(\.\d+)?(ms|s|m|h|d)$"
    assert door["properties"]["contact"]["anyOf"][1]["required"] == ["line"]


def test_settings_stand_under_their_word_in_yaml() -> None:
    modbus = of_type(schema_devices(), "io", "modbus")

    assert {"inputs", "outputs"} < set(modbus["properties"])
    assert "near" not in modbus["properties"]


def test_the_schemas_are_json() -> None:
    for schema in (schema_site(), schema_devices()):
        assert json.loads(json.dumps(schema)) == schema
