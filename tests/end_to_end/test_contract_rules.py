"""Every sentence about rules that the public contract says, played: what it promises, no more.

`contract/*.yaml` holds documents, each a rule file with its own tests on the store in
`contract/store`. The comments at the head of one are its name and, a line each:

* `says: TEXT`: it is refused, and a message holds this text;
* `fails: TEXT`: a test in it fails, and says this;
* `site: TEXT => OTHER`: site.yaml has other words in this place.

`# file: NAME` begins another file of the same configuration.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.model import Configuration
from rules import yaml_source as ys
from rules.convert import Context
from rules.loader import load_rules
from rules.model import RuleSet, World
from rules.problems import ConfigurationRefused, Mark, Problems
from rules.scenario import play

HERE = Path(__file__).parent / "contract"
STORE = HERE / "store"
CREDENTIALS = Path(__file__).parents[2] / "examples" / "credentials"
FIRST = "rules/case.yaml"


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One document: what it is called, what is expected of it, and its files."""

    name: str
    says: list[str]
    fails: list[str]
    site: list[str]
    files: dict[str, str]


def sentences(path: Path) -> Iterator[Sentence]:
    for text in re.split(r"^---\n", path.read_text(), flags=re.M)[1:]:
        first, *others = re.split(r"^# file: (\S+)\n", text, flags=re.M)
        head = [line[2:] for line in first.splitlines() if line.startswith("# ")]
        named = {
            word: [line.partition(": ")[2] for line in head if line.startswith(f"{word}: ")]
            for word in ("says", "fails", "site")
        }
        files = {FIRST: first, **dict(zip(others[::2], others[1::2], strict=True))}
        yield Sentence(name=head[0], files=files, **named)


CASES = {
    f"{path.stem}: {sentence.name}": sentence
    for path in sorted(HERE.glob("*.yaml"))
    for sentence in sentences(path)
}


@cache
def store() -> Configuration:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(CREDENTIALS))
        return load(STORE)


def read(sentence: Sentence) -> tuple[RuleSet, World, Problems]:
    """Read the files of a sentence on the store as it is, which is loaded once."""
    problems = Problems()
    nodes = {name: ys.read_text(text, name, problems) for name, text in sentence.files.items()}
    found = [(name, node) for name, node in nodes.items() if node is not None]
    fleet, local = (
        [one for one in found if one[0].startswith(f"{part}/")] for part in ("rules", "rules.local")
    )
    propped = ys.Scalar(mark=Mark("site.yaml", 1, 1), text="2m", plain=True)
    context = Context(problems=problems, variables={"propped_after": propped})
    world = store().world
    return load_rules(fleet, world, context, local=local), world, problems


def read_elsewhere(sentence: Sentence, folder: Path) -> tuple[RuleSet, World, Problems]:
    """Read the files of a sentence in a store whose site.yaml differs."""
    shutil.copytree(STORE, folder, dirs_exist_ok=True)
    text = (STORE / "site.yaml").read_text()
    for change in sentence.site:
        old, _, new = change.replace("\\n", "\n").partition(" =>")
        assert old in text
        text = text.replace(old, new.lstrip(" "))
    (folder / "site.yaml").write_text(text)
    for name, content in sentence.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    try:
        configuration = load(folder)
    except ConfigurationRefused as refused:
        return RuleSet(rules=(), moments=(), tests=()), store().world, refused.problems
    return configuration.rules, configuration.world, configuration.problems


@pytest.mark.parametrize("name", CASES)
def test_the_contract_holds(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(CREDENTIALS))
    sentence = CASES[name]
    rules, world, problems = read_elsewhere(sentence, tmp_path) if sentence.site else read(sentence)
    if sentence.says:
        told = "\n".join(map(str, problems.all))
        assert [part for part in sentence.says if part not in told] == [], told
        return
    assert [str(problem) for problem in problems.errors] == []
    assert rules.tests
    failures = [
        f"{case.name}: {failure}" for case in rules.tests for failure in play(case, rules, world)
    ]
    assert [case.name for case in rules.tests if case.skipped] == []
    if sentence.fails:
        told = "\n".join(failures)
        assert [part for part in sentence.fails if part not in told] == [], told
    else:
        assert failures == []


def test_the_store_of_these_sentences_has_no_mistake() -> None:
    assert str(store().problems) == ""
    assert len(CASES) >= 150
