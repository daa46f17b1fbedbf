"""Wrong rule files and exactly what is said of each."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import yaml_source as ys
from rules.convert import Context
from rules.loader import load_rules
from rules.problems import Problems
from tests.rules.worlds import SHOP

MISTAKES = Path(__file__).parent / "mistakes"


TABLE: list[dict[str, Any]] = [
    {"name": f"{path.stem}: {case['says']}", **case}
    for path in sorted(MISTAKES.glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]


def problems_in(files: dict[str, str]) -> Problems:
    """Return what is said of rule files by name; `site.yaml` among them gives `vars:`."""
    problems = Problems()
    nodes = {name: ys.read_text(text, name, problems) for name, text in files.items()}
    site = nodes.pop("site.yaml", None)
    given_vars = site.items["vars"] if isinstance(site, ys.Mapping) else None
    variables = given_vars.items if isinstance(given_vars, ys.Mapping) else {}
    read = [(name, node) for name, node in nodes.items() if node is not None]
    load_rules(
        [pair for pair in read if not pair[0].startswith("rules.local/")],
        SHOP,
        Context(problems=problems, variables=variables),
        local=[pair for pair in read if pair[0].startswith("rules.local/")],
    )
    return problems


@pytest.mark.parametrize("case", TABLE, ids=[case["name"] for case in TABLE])
def test_a_mistake_is_said_at_its_place_with_a_hint(case: dict[str, Any]) -> None:
    assert str(problems_in(case["files"])) == case["problems"].rstrip("\n")


def test_the_table_is_long_enough_to_trust() -> None:
    assert len(TABLE) >= 140


WORDS = """
rules sequence together count of within by after before without daily days for while across
when if do until cooldown escalate requires enabled priority description replaces tests vars
a b eas_front gates site door_front eas.alarm open contact=open opened 5s 0s 5 -1 x security
life_safety sound siren_front event.near.siren event.near. name given timeline expect at rule
ends not_fired because type duration default max site.open now states mode record before send
template with parameters rule t d $d $$ $ x$d $e device device_or_group signal quiet at_most modes
stock_take hours test
"""
SKELETON = WORDS.split()
OPTIONAL = ("if", "until", "priority", "requires", "escalate", "cooldown", "quiet", "enabled")
SCALARS = st.one_of(st.sampled_from(SKELETON), st.sampled_from([None, "~", "", "2026-11-20"]))
TREES = st.recursive(
    SCALARS,
    lambda each: st.one_of(
        st.lists(each, max_size=3),
        st.dictionaries(st.sampled_from(SKELETON), each, max_size=4),
    ),
    max_leaves=25,
)
SHAPED = st.fixed_dictionaries(
    {},
    optional={
        "vars": st.dictionaries(st.just("v"), TREES, max_size=1),
        "templates": st.fixed_dictionaries(
            {},
            optional={
                "t": st.fixed_dictionaries(
                    {"rule": st.fixed_dictionaries({"when": TREES, "do": TREES})},
                    optional={"parameters": st.dictionaries(st.just("d"), TREES)},
                )
            },
        ),
        "rules": st.dictionaries(
            st.sampled_from(["a", "b"]),
            st.one_of(
                st.fixed_dictionaries(
                    {"when": TREES, "do": TREES},
                    optional=dict.fromkeys(OPTIONAL, TREES),
                ),
                st.fixed_dictionaries(
                    {"template": st.just("t")},
                    optional={"with": st.dictionaries(st.just("d"), TREES), "requires": TREES},
                ),
            ),
            max_size=2,
        ),
        "tests": st.lists(
            st.fixed_dictionaries(
                {"name": SCALARS, "expect": TREES},
                optional={"given": TREES, "timeline": TREES, "with": TREES},
            ),
            max_size=2,
        ),
    },
)


@settings(max_examples=120, deadline=None)
@given(st.one_of(TREES, SHAPED))
def test_any_yaml_gives_rules_or_problems_and_never_another_exception(tree: Any) -> None:
    problems_in({"rules/r.yaml": yaml.safe_dump(tree)})


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="abr:{}[],-'\"!&*|># \n\tésw.5", max_size=80))
def test_any_text_gives_rules_or_problems_and_never_another_exception(text: str) -> None:
    problems_in({"rules/r.yaml": text})


def documents() -> list[Any]:
    """Return every rule file of the table that is YAML, without its tags."""
    found = []
    for case in TABLE:
        for text in case["files"].values():
            try:
                found.append(yaml.load(text, Loader=yaml.BaseLoader))
            except yaml.YAMLError:
                continue
    return [document for document in found if document]


DOCUMENTS = documents()


def parts(document: Any) -> list[Any]:
    inner = document.values() if isinstance(document, dict) else document
    below = [] if isinstance(document, str) else [p for item in inner for p in parts(item)]
    return [document, *below]


PARTS = [part for document in DOCUMENTS for part in parts(document)]
KEYS = sorted({key for part in PARTS if isinstance(part, dict) for key in part})


def disturbed(document: Any, chance: random.Random) -> Any:
    """Return the document with some parts and keys exchanged for others of the table."""
    if chance.random() < 0.05:
        return chance.choice(PARTS)
    if isinstance(document, list):
        return [disturbed(item, chance) for item in document]
    if isinstance(document, str):
        return document
    found = {
        chance.choice(KEYS) if chance.random() < 0.05 else key: disturbed(item, chance)
        for key, item in document.items()
    }
    if chance.random() < 0.1:
        found[chance.choice(KEYS)] = chance.choice(PARTS)
    return found


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(DOCUMENTS), st.randoms(use_true_random=False))
def test_parts_in_wrong_places_give_problems_and_never_another_exception(
    document: Any, chance: random.Random
) -> None:
    problems_in({"rules/r.yaml": yaml.safe_dump(disturbed(document, chance))})
