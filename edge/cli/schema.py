"""`storewarden schema`: JSON Schemas, for completion and checks in an editor."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE


def add(commands: Any) -> None:
    schema = words.command(
        commands,
        "schema",
        "print the JSON Schema of a configuration file, for an editor",
        act,
        "storewarden schema rules --config examples/demo_store > rules.schema.json",
    )
    schema.add_argument("file", choices=("site", "devices", "rules"))
    schema.add_argument(
        "--config",
        type=Path,
        metavar="DIR",
        help="a store's configuration: the schema then knows its devices, signals and states",
    )


def act(chosen: argparse.Namespace) -> int:
    configuration = None if chosen.config is None else words.loaded(chosen.config)
    if chosen.file == "rules":
        from edge.config.schema_store import vocabulary
        from rules.schema import schema_rules

        known = None if configuration is None else vocabulary(configuration)
        words.print_json(schema_rules(known))
        return DONE
    from edge.config.schema import of_store, schema_devices, schema_site

    store = None if configuration is None else of_store(configuration)
    words.print_json(schema_site(store) if chosen.file == "site" else schema_devices(store))
    return DONE
