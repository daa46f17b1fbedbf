"""The page about `check` quotes what is really said: of a seeded mistake each."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "checks.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.partition("## Does it mean something?")[2].splitlines()
    if line.startswith("| `")
]
SEEDS = (
    "\n".join(
        case["problems"]
        for path in sorted((ROOT / "tests" / "rules" / "mistakes" / "lint").glob("*.yaml"))
        for case in yaml.safe_load(path.read_text())
    )
    + (ROOT / "tests" / "edge" / "test_config_checked.py").read_text()
)


@pytest.mark.parametrize(
    ("quoted", "level"),
    [(quoted, row[-1].strip("| ")) for row in ROWS for quoted in re.findall(r"`([^`]+)`", row[0])],
)
def test_what_it_quotes_is_said_at_that_level(quoted: str, level: str) -> None:
    parts = [re.escape(part) for part in quoted.split("…")]
    before = "" if level == "error" else f"{level}: "
    assert re.search(f"{before}.*{'.*'.join(parts)}", SEEDS)
