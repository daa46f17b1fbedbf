"""`storewarden schema`: JSON Schemas, for completion and checks in an editor."""

from __future__ import annotations

import argparse
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE


def add(commands: Any) -> None:
    schema = words.command(
        commands,
        "schema",
        "print the JSON Schema of a configuration file",
        act,
        "storewarden schema rules > rules.schema.json",
    )
    schema.add_argument("file", choices=("site", "devices", "rules"))


def act(chosen: argparse.Namespace) -> int:
    if chosen.file == "rules":
        from rules.schema import schema_rules

        words.print_json(schema_rules())
    else:
        from edge.config.schema import schema_devices, schema_site

        words.print_json(schema_site() if chosen.file == "site" else schema_devices())
    return DONE
