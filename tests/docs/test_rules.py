"""Every example on the page about rules is a rule file that loads, and its tests pass."""

import re
import shutil
from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.model import Configuration
from rules.load_actions import COMMANDS
from rules.load_facts import TRIGGERS
from rules.load_rule import KEYS
from rules.scenario import play

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rules.md").read_text()
BLOCK = re.compile(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```$", re.M | re.S)
FILES = dict(BLOCK.findall(PAGE))


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    """Load the page's rules beside the devices of the small store."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))
    for name in ("site.yaml", "devices.yaml"):
        shutil.copy(ROOT / "examples" / "small_store" / name, tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return load(tmp_path)


def test_every_example_is_a_file_of_its_own() -> None:
    assert len(FILES) == PAGE.count("```yaml") == len(BLOCK.findall(PAGE))


def test_every_example_loads_without_a_warning(loaded: Configuration) -> None:
    assert str(loaded.problems) == ""


def test_every_example_has_a_test_and_each_passes(loaded: Configuration) -> None:
    assert {case.file for case in loaded.rules.tests} == set(FILES)
    failed = {
        f"{case.file}: {case.name}": failures
        for case in loaded.rules.tests
        if (failures := play(case, loaded.rules, loaded.world)) or case.skipped
    }
    assert failed == {}


def test_the_page_names_every_key_of_a_rule() -> None:
    table = PAGE.partition("| key of a rule |")[2].partition("\n\n")[0]

    assert {key for key in KEYS if f"`{key}`" not in table} == set()


def test_the_page_names_every_trigger_and_every_command() -> None:
    missing = {word for word in (*TRIGGERS, *COMMANDS) if f"`{word}" not in PAGE}

    assert {word for word in missing if f"{{{word}: " not in PAGE} == {"send"}
