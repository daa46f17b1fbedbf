"""docs/ansible.md has every variable of the role, as its argument specification says it."""

import os
import re
from typing import Any

import yaml

from edge.version import VERSION
from tests.ansible.fleet_files import ROOT

PAGE = ROOT / "docs" / "ansible.md"
ROLE = ROOT / "ansible" / "roles" / "storewarden"
MARK = "<!-- made of ansible/roles/storewarden/meta/argument_specs.yml -->\n"


def options() -> dict[str, Any]:
    """Return the role's variables as it specifies them."""
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    found: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    return found


def table() -> str:
    """Return the variables as the page shows them."""
    rows = ["", "| variable | default | meaning |", "|---|---|---|"]
    for name, told in options().items():
        kind = " or ".join(f"`{word}`" for word in told.get("choices", [])) or told["type"]
        text = re.sub(r"C\(([^)]*)\)", r"`\1`", told["description"])
        default = told.get("default", "depends")
        shown = "empty" if default in ("", [], {}) else f"`{str(default).lower()}`"
        rows.append(f"| `{name}` | {shown} | {text} ({kind}) |")
    return "\n".join(rows) + "\n"


def test_the_page_has_every_variable() -> None:
    text = PAGE.read_text()
    head = text.split(MARK)[0]
    if os.environ.get("STOREWARDEN_WRITE_DOCS") == "1":
        PAGE.write_text(head + MARK + table())
    assert PAGE.read_text() == head + MARK + table()


def test_every_variable_has_the_default_that_is_specified() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert defaults.keys() == options().keys()
    for name, told in options().items():
        if name != "storewarden_ffmpeg":
            assert defaults[name] == told["default"], name


def test_the_other_roles_specify_every_variable_with_its_default() -> None:
    roles = [one for one in ROLE.parent.iterdir() if one != ROLE]
    assert {"bridge", "broker", "certificates", "targets"} == {one.name for one in roles}
    for role in roles:
        specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())
        entries = specs["argument_specs"].values()
        told = {name: one for entry in entries for name, one in entry["options"].items()}
        defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
        assert defaults.keys() == told.keys(), role
        for name, default in defaults.items():
            if "{{" not in str(default):
                assert told[name]["default"] == default, name


def test_what_a_variable_may_hold_is_told_by_its_type() -> None:
    types = {"str", "bool", "int", "list", "dict"}
    assert {told["type"] for told in options().values()} == types
    for name, told in options().items():
        assert ("elements" in told) == (told["type"] == "list"), name


def test_the_collection_has_the_version_of_the_release() -> None:
    assert yaml.safe_load((ROOT / "ansible" / "galaxy.yml").read_text())["version"] == VERSION
