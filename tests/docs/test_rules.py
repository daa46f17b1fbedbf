"""Every example on the page about rules is a rule file that loads, and its tests pass."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from drivers.commands import RecordClip
from edge.config.load import load
from edge.config.model import Configuration
from rules.from_template import KEYS as MADE_KEYS
from rules.functions import FUNCTIONS
from rules.load_actions import COMMANDS
from rules.load_cases import KEYS as CASE_KEYS
from rules.load_facts import MODIFIERS, TRIGGERS
from rules.load_rule import KEYS
from rules.scenario import play
from rules.templates import KEYS as TEMPLATE_KEYS
from rules.templates import TYPES

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

    assert {word for word in missing if f"{{{word}: " not in PAGE} == set()


def test_the_grammar_has_every_word_of_the_language() -> None:
    grammar = PAGE.partition("```text")[2].partition("```")[0]
    said = set(re.findall(r"[a-z_]+", grammar))
    words = {*KEYS, *MADE_KEYS, *TEMPLATE_KEYS, *TYPES, *TRIGGERS, *COMMANDS, *FUNCTIONS}
    words |= {*MODIFIERS, *CASE_KEYS, *(field.name for field in dataclasses.fields(RecordClip))}

    assert words - said == set()


EDGES = PAGE.partition("## At the edges")[2].partition("\n## ")[0]
STATEMENTS = [
    " ".join(found.split())
    for found in re.findall(r"^\* (.*?)(?=^\* |^\*\*|^```|^\n|\Z)", EDGES, re.M | re.S)
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_what_is_said_of_the_edges_is_held_by_a_test(statement: str, names: set[str]) -> None:
    of_examples = re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", statement)
    of_sources = re.findall(r"`(tests/[^`]+)::(\w+)`", statement)

    assert of_examples or of_sources
    assert set(of_examples) <= names
    for path, name in of_sources:
        assert f"def {name}(" in (ROOT / path).read_text()


def test_every_example_of_the_edges_is_of_a_statement(names: set[str]) -> None:
    text = " ".join(STATEMENTS)
    of_edges = {
        name
        for file, body in FILES.items()
        if file.startswith("rules/edge_")
        for name in re.findall(r"- name: (.*)", body)
    }

    assert len(STATEMENTS) > 15
    assert {name for name in of_edges if f"*{name}*" not in text} == set()


@pytest.fixture(scope="module")
def names() -> set[str]:
    return {name for body in FILES.values() for name in re.findall(r"- name: (.*)", body)}
