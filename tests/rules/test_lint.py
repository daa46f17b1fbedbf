"""Rules that load and do not mean what they say: each kind of mistake, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import yaml_source as ys
from rules.convert import Context
from rules.lint import lint
from rules.lint_windows import Paces
from rules.loader import load_rules
from rules.problems import Problems
from tests.rules.worlds import SHOP

MISTAKES = Path(__file__).parent / "mistakes" / "lint"
PACES = Paces(
    apart={("eas_front", "eas.alarm"): 8.0, ("eas_back", "eas.alarm"): 8.0},
    ring={"cam_exit": 60.0, "cam_tills": 60.0},
    per_hour={"siren_back": 600.0},
)
BARE = "no test covers "

TABLE: list[dict[str, Any]] = [
    {"name": f"{path.stem}: {case['says']}", "bare": path.stem == "tests", **case}
    for path in sorted(MISTAKES.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]


def said(files: dict[str, str], *, bare: bool) -> str:
    """Return what is said of rule files; `bare`: also of rules that have no test."""
    problems = Problems()
    read = [(name, ys.read_text(text, name, problems)) for name, text in files.items()]
    sources = [(name, node) for name, node in read if node is not None]
    rules = load_rules(sources, SHOP, Context(problems=problems))
    found = problems.all
    if not problems.errors:
        found += lint(rules, SHOP, PACES).all
    return "\n".join(map(str, (p for p in found if bare or not p.message.startswith(BARE))))


@pytest.mark.parametrize("case", TABLE, ids=[case["name"] for case in TABLE])
def test_a_mistake_of_meaning_is_said_at_its_place(case: dict[str, Any]) -> None:
    assert said(case["files"], bare=case["bare"]) == case["problems"].rstrip("\n")
