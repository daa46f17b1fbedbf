"""The page about the architecture names what is in the tree, all of it and nothing else."""

import argparse
import re
import tomllib
from pathlib import Path

import pytest

from drivers import catalog
from edge.cli.main import parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = ("drivers", "rules", "buffer", "edge")
NAMED = [
    name
    for name in re.findall(r"`((?:drivers|rules|buffer|edge)/[\w*/.]*)`", PAGE)
    if name != "drivers/*.py"
]


@pytest.mark.parametrize("name", sorted(set(NAMED)))
def test_what_it_names_exists(name: str) -> None:
    assert list(ROOT.glob(name))


@pytest.mark.parametrize("package", PACKAGES)
def test_it_names_every_module(package: str) -> None:
    covered = {path for name in NAMED for path in ROOT.glob(name)}
    covered |= {ROOT / "drivers" / f"{name}.py" for name in catalog.names()}
    found = {
        path
        for path in (ROOT / package).iterdir()
        if path.name not in {"__init__.py", "__pycache__", "py.typed"}
    }

    assert {str(path.relative_to(ROOT)) for path in found - covered} == set()


def test_it_lists_the_import_contracts() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    rows = PAGE.partition("| contract |\n|---|\n")[2].partition("\n\n")[0]

    assert [row.strip("| ") for row in rows.splitlines()] == [
        contract["name"] for contract in settings["contracts"]
    ]


def test_it_lists_the_commands() -> None:
    (commands,) = [
        action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)
    ]
    told = PAGE.partition("## Commands\n")[2].partition("## House")[0].partition(":\n")[2]

    assert re.findall(r"`([a-z-]+)`", told) == list(commands.choices)
