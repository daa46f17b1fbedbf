"""YAML with places: what is read as written, what is refused and where, bounded in every way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import yaml_source as ys
from rules.problems import Mark, Problems


def read(text: str) -> tuple[ys.Node | None, str]:
    problems = Problems()
    node = ys.read_text(text, "f.yaml", problems)
    return node, str(problems)


def plain(node: ys.Node | None) -> Any:
    """Return the node as lists, dicts and texts."""
    if isinstance(node, ys.Mapping):
        return {key: plain(item) for key, item in node.items.items()}
    if isinstance(node, ys.Sequence):
        return [plain(item) for item in node.items]
    return node.text if isinstance(node, ys.Scalar) else None


def test_words_stay_words_and_everything_has_its_place() -> None:
    node, problems = read("a: on\nb:\n  - 22:30\n  - yes\n  - 0x1F\n")
    assert problems == ""
    assert plain(node) == {"a": "on", "b": ["22:30", "yes", "0x1F"]}
    assert isinstance(node, ys.Mapping)
    assert node.keys["b"] == Mark("f.yaml", 2, 1)
    several = node.items["b"]
    assert isinstance(several, ys.Sequence)
    assert [item.mark for item in several.items] == [
        Mark("f.yaml", 3, 5),
        Mark("f.yaml", 4, 5),
        Mark("f.yaml", 5, 5),
    ]


@pytest.mark.parametrize(
    ("text", "null"),
    [("~", True), ("null", True), ("a:", False), ("'~'", False), ('""', False), ("no", False)],
)
def test_nothing_is_only_what_is_written_as_nothing(text: str, null: bool) -> None:
    node, _ = read(text)
    assert (isinstance(node, ys.Scalar) and node.null) is null


@pytest.mark.parametrize(
    ("text", "inset"),
    [
        ("word", 0),
        ("two words", 0),
        ("'quoted'", 1),
        ('"quoted"', 1),
        ("'it''s'", None),
        ('"a\\tb"', None),
        ("|\n  block", None),
        ("two\n  lines", None),
        ("!var name", None),
        ("&a word", None),
    ],
)
def test_the_place_inside_a_text_is_known_when_it_stands_there_as_it_is(
    text: str, inset: int | None
) -> None:
    node, _ = read(f"a: {text}\n")
    assert isinstance(node, ys.Mapping)
    value = node.items["a"]
    assert isinstance(value, ys.Scalar)
    assert value.inset == inset


def test_tags_of_ours_are_kept() -> None:
    node, problems = read("[!secret pin, !var after, !!str 5]")
    assert problems == ""
    assert isinstance(node, ys.Sequence)
    assert [item.tag for item in node.items] == ["!secret", "!var", ""]


def test_an_alias_is_what_it_stands_for() -> None:
    node, problems = read("a: &x [1, 2]\nb: *x\n&k c: *k\n")
    assert problems == ""
    assert plain(node) == {"a": ["1", "2"], "b": ["1", "2"], "c": "c"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "f.yaml:2:1: 'a' stands here twice\n    first: line 1"),
        ("x: {y: 1, y: [1], z: 3}", "f.yaml:1:11: 'y' stands here twice\n    first: line 1"),
        ("<<: {a: 1}", "f.yaml:1:1: merge keys are not supported\n    write the keys out"),
        ("? [a]\n: b", "f.yaml:1:3: a key must be a word"),
        ("? {a: b}\n: b", "f.yaml:1:3: a key must be a word"),
        ("!secret a: b", "f.yaml:1:1: a key must be a word"),
        ("a: !foo b", "f.yaml:1:4: unknown tag !foo\n    known: !secret NAME, !var NAME"),
        ("a: !var [b]", "f.yaml:1:4: unknown tag !var\n    known: !secret NAME, !var NAME"),
        ("--- a\n--- b", "f.yaml:2:1: a second document starts here"),
        ("a: *b", "f.yaml:1:4: unknown alias *b"),
        ("a: &a [*a]", "f.yaml:1:8: unknown alias *a"),
        (
            "a:\n\t- b",
            "f.yaml:2:1: not YAML: found character that cannot start any token\n"
            "    a tab stands there; indent with spaces",
        ),
        (
            "a: @b",
            "f.yaml:1:4: not YAML: found character that cannot start any token\n"
            '    a text that begins so needs quotes: "…"',
        ),
        (
            "a: b: c",
            "f.yaml:1:5: not YAML: mapping values are not allowed in this context\n"
            "    a key ends with a colon; a text with a colon in it needs quotes",
        ),
        (
            "- [a, b\n",
            "f.yaml:2:1: not YAML: did not find expected ',' or ']'\n"
            "    the [ of line 1 is not closed, or a text in it with , or a bracket needs quotes",
        ),
        (
            "a: 1\nb: {c: held('d', 'e') > 3}",
            "f.yaml:2:21: not YAML: did not find expected ',' or '}'\n"
            "    the { of line 2 is not closed, or a text in it with , or a bracket needs quotes",
        ),
        (
            'a: "b\nc: d\n',
            "f.yaml:3:1: not YAML: found unexpected end of stream\n"
            "    the quote of line 1 is not closed",
        ),
        (
            "a: 'it's'",
            "f.yaml:1:8: not YAML: did not find expected key\n    within '…' a ' is written twice",
        ),
        (
            "a:\n  b: c\n d: e",
            "f.yaml:3:2: not YAML: did not find expected key\n"
            "    is it indented like the lines that it belongs to?",
        ),
        ("a: !site.open", "f.yaml:1:4: unknown tag !site.open\n    write not site.open"),
        ("ab: 1\nc: [\x01]", "f.yaml:2:5: not YAML: a character that is not allowed"),
        ("a: \ud800", "f.yaml:1:1: not YAML: a character that is not allowed"),
    ],
)
def test_what_is_refused_is_said_at_its_place(text: str, said: str) -> None:
    assert read(text)[1] == said


def test_what_stands_beside_a_mistake_is_still_read() -> None:
    node, _ = read("a: 1\na: 2\nb: !foo x\nc: 3")
    assert plain(node) == {"a": "1", "c": "3"}
    assert isinstance(node, ys.Mapping)
    assert set(node.keys) == {"a", "b", "c"}


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 50_000 + "a", "{a: " * 3000])
def test_deep_nesting_is_refused_without_recursion(text: str) -> None:
    node, problems = read(text)
    assert node is None
    assert problems.endswith("nested too deeply, or too large")


def test_forty_levels_are_read_and_one_more_is_not() -> None:
    assert read("[" * 40 + "a" + "]" * 40)[1] == ""
    assert read("[" * 41 + "a" + "]" * 41)[1] != ""


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    node, problems = read("\n".join(lines))
    assert node is None
    assert problems == "f.yaml:6:15: nested too deeply, or too large"


def test_aliases_do_not_hide_depth() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60)]
    assert "nested too deeply" in read("\n".join(lines))[1]


def test_a_file_too_large_is_refused() -> None:
    assert read("a" * 4_000_001)[1] == "f.yaml:1:1: more than 4000000 characters"


def test_an_empty_document_is_nothing_and_no_problem() -> None:
    assert read("") == (None, "")
    assert read("# only a comment\n") == (None, "")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    problems = Problems()
    assert ys.read_file(tmp_path / "none.yaml", problems, "none.yaml") is None
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9")
    assert ys.read_file(tmp_path / "latin.yaml", problems, "latin.yaml") is None
    (tmp_path / "good.yaml").write_bytes("ä: ö".encode())
    assert plain(ys.read_file(tmp_path / "good.yaml", problems)) == {"ä": "ö"}
    assert str(problems) == (
        "latin.yaml:1:1: not UTF-8: byte 6 can't be read\n"
        "none.yaml:1:1: cannot read it: No such file or directory"
    )


WORDS = st.text(alphabet="ab: -'\"#\n\té,[]{}&*!|>%@`?~0", max_size=8)
TREES = st.recursive(
    WORDS,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(WORDS, each, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_what_was_written_is_read_again(tree: Any) -> None:
    node, problems = read(yaml.safe_dump(tree, allow_unicode=True))
    if "merge keys" not in problems:
        assert problems == ""
        assert plain(node) == tree


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40) | st.text(alphabet="ab:-'\"#\n\t,[]{}&*!|>%@`?~ ", max_size=40))
def test_any_text_is_read_or_refused_and_never_raises(text: str) -> None:
    node, problems = read(text)
    try:
        composed = yaml.compose(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, UnicodeEncodeError):
        assert problems != ""
        return
    assert composed is not None or node is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_who_may_not_read_a_file_is_told_what_helps(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("site: s\n")
    site.chmod(0o600)
    problems = Problems()
    os.seteuid(65534)
    try:
        ys.read_file(site, problems, "site.yaml")
    finally:
        os.seteuid(0)
    assert str(problems) == (
        "site.yaml:1:1: cannot read it: Permission denied\n    run it with sudo"
    )
