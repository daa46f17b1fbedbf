"""The first page is true: its rule is an example's and passes, its words are those of the tree."""

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from drivers import catalog
from edge.cli.main import parser
from edge.config.load import load
from edge.version import VERSION
from rules.scenario import play

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
COUNTER = ROOT / "examples" / "rtu_counter"


def rule_file() -> str:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", README, re.M | re.S)
    assert isinstance(text, str)
    return text


def test_the_first_rule_stands_in_the_example() -> None:
    example = (COUNTER / "rules" / "counter.yaml").read_text()
    rules, _, tests = rule_file().partition("\ntests:\n")

    assert rules.removeprefix("rules:\n") in example
    assert tests in example


def test_the_first_rule_passes_its_test(tmp_path: Path) -> None:
    for name in ("site.yaml", "devices.yaml"):
        shutil.copy(COUNTER / name, tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "first.yaml").write_text(rule_file())

    configuration = load(tmp_path)

    assert str(configuration.problems) == ""
    (case,) = configuration.rules.tests
    assert play(case, configuration.rules, configuration.world) == []


EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/site.yaml"))


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_complete_without_a_warning_and_is_listed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))

    configuration = load(folder)

    assert str(configuration.problems) == ""
    assert (folder / "README.md").exists()
    assert f"({folder.name}/README.md)" in (ROOT / "examples" / "README.md").read_text()
    tested = {case.file for case in configuration.rules.tests}
    assert {rule.mark.file for rule in configuration.rules.rules} == tested


def test_the_changelog_begins_with_this_version() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["version"]

    assert build == {"path": "edge/version.py"}
    assert re.findall(r"^## (.*)$", CHANGELOG, re.M)[0] == VERSION


def test_the_changelog_names_every_device_type_and_command() -> None:
    named = set(re.findall(r"`(?:storewarden )?([\w-]+)", CHANGELOG))
    (commands,) = [a for a in parser()._actions if a.dest == "command"]

    assert {*catalog.names(), *(commands.choices or ())} - named == set()
