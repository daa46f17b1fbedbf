"""From YAML to typed values: what fits, what is said of what does not, and where."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import SettingError
from drivers.settings import (
    ByteSize,
    InputSetting,
    LocalTimes,
    OutputSetting,
    Seconds,
    Secret,
)
from rules import yaml_source as ys
from rules.convert import WRONG, Context, convert, duration, duration_hint, mapping, settings
from rules.problems import Problems

SECRETS = {"pin": "1234"}


def converted(
    text: str, wanted: Any, variables: Mapping[str, str] | None = None
) -> tuple[Any, str]:
    problems = Problems()
    node = ys.read_text(text, "f.yaml", problems)
    assert node is not None
    given_vars = {k: ys.read_text(v, "site.yaml", problems) for k, v in (variables or {}).items()}
    known = {k: v for k, v in given_vars.items() if v is not None}
    context = Context(problems=problems, variables=known, secret=SECRETS.get)
    return convert(node, wanted, context), str(problems)


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("on", str, "on"),
        ("007", str, "007"),
        ("007", int, 7),
        ("-12", int, -12),
        ("1.5", float, 1.5),
        ("3", float, 3.0),
        ("yes", bool, True),
        ("off", bool, False),
        ("250ms", Seconds, 0.25),
        ("1.5m", Seconds, 90.0),
        ("1h", Seconds, 3600.0),
        ("30d", Seconds, 2_592_000.0),
        ("512MB", ByteSize, 512_000_000),
        ("1KiB", ByteSize, 1024),
        ("22:00-07:00", LocalTimes, "22:00-07:00"),
        ("00:00-24:00", LocalTimes, "00:00-24:00"),
        ("/etc/x", Path, Path("/etc/x")),
        ("out", Literal["in", "out"], "out"),
        ("2", Literal[1, 2], 2),
        ("~", int | None, None),
        ("5", int | None, 5),
        ("auto", Literal["auto"] | Seconds, "auto"),
        ("5s", Literal["auto"] | Seconds, 5.0),
        ("[1, 2]", list[int], [1, 2]),
        ("1", list[int], [1]),
        ("[a, b]", tuple[str, ...], ("a", "b")),
        ("[a, a]", frozenset[str], frozenset({"a"})),
        ("{a: 1}", dict[str, int], {"a": 1}),
        ("{a: 1}", int | dict[str, int], {"a": 1}),
        ("!secret pin", Secret, Secret("1234")),
        ("annex.di0", InputSetting, InputSetting(line="annex.di0")),
        ("annex.do0", OutputSetting | None, OutputSetting(line="annex.do0")),
        (
            "{line: annex.di1, active: off, debounce: 30ms}",
            InputSetting,
            InputSetting(line="annex.di1", active="off", debounce=Seconds(0.03)),
        ),
    ],
)
def test_what_fits_becomes_a_value(text: str, wanted: Any, value: Any) -> None:
    assert converted(text, wanted) == (value, "")


@pytest.mark.parametrize(
    ("text", "wanted", "said"),
    [
        ("5", Seconds, "'5' is not a duration\n    did you mean 5s?"),
        ("-5", Seconds, "'-5' is not a duration\n    did you mean 5s?"),
        ("5 s", Seconds, "'5 s' is not a duration\n    did you mean 5s?"),
        ("2 Minutes", Seconds, "'2 Minutes' is not a duration\n    did you mean 2m?"),
        ("1m30s", Seconds, "'1m30s' is not a duration\n    did you mean 90s?"),
        ("1h 30m", Seconds, "'1h 30m' is not a duration\n    did you mean 90m?"),
        ("-5s", Seconds, "'-5s' is not a duration\n    write a number and a unit: 250ms, 5s, 2m,"),
        ("on", Literal["yes", "no"], "'on' is not one of yes, no\n    did you mean yes?"),
        ("false", Literal["yes", "no"], "'false' is not one of yes, no\n    did you mean no?"),
        ("٣s", Seconds, "'٣s' is not a duration"),
        ("9" * 400 + "s", Seconds, "is not a duration"),
        ("512", ByteSize, "'512' is not a size\n    write a number and a unit: 512MB, 2GB"),
        ("25:00-07:00", LocalTimes, "is not a range of local time\n    write it like"),
        ("x", int, "'x' is not a whole number"),
        ("1.5", int, "'1.5' is not a whole number"),
        ("1e3", float, "'1e3' is not a number"),
        ("maybe", bool, "'maybe' is neither yes nor no"),
        ("ot", Literal["in", "out"], "'ot' is not one of in, out\n    did you mean out?"),
        ("x", Literal["in", "out"], "'x' is not one of in, out"),
        ("[a]", int, "a whole number is wanted, not a list"),
        ("{a: 1}", Seconds, "a duration is wanted, not a mapping"),
        ("~", str, "a word is wanted here, not nothing"),
        ("{a: 1}", list[int], "a list is wanted, not a mapping"),
        ("[a]", dict[str, int], "a mapping is wanted, not a list"),
        ("a", dict[str, int], "a mapping is wanted, not 'a'"),
        ("!secret pin", str, "a word is wanted here, not a secret"),
        ("!secret pin", InputSetting, "a line is wanted here, not a secret"),
        ("hunter2", Secret, "a secret is never written here\n    keep it in secrets/NAME"),
        (
            "!secret pni",
            Secret,
            "there is no secret 'pni'\n    looked in $CREDENTIALS_DIRECTORY/pni",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_what_to_write(text: str, wanted: Any, said: str) -> None:
    value, problems = converted(text, wanted)
    assert value is WRONG
    assert problems.startswith("f.yaml:1:1: ")
    assert said in problems


def test_a_secret_written_out_is_not_repeated() -> None:
    assert "hunter2" not in converted("hunter2", Secret)[1]


def test_a_variable_stands_for_its_value_at_the_place_of_its_use() -> None:
    assert converted("!var t", Seconds, {"t": "2m"}) == (120.0, "")
    assert converted("[!var t]", list[Seconds], {"t": "!var u", "u": "1s"}) == ([1.0], "")
    _, problems = converted("[!var t]", list[Seconds], {"t": "2"})
    assert problems == "f.yaml:1:2: '2' is not a duration\n    did you mean 2s?"
    _, problems = converted("!var tt", Seconds, {"ttt": "2"})
    assert problems == "f.yaml:1:1: unknown variable 'tt'\n    did you mean ttt?"


def test_variables_that_stand_for_each_other_are_refused() -> None:
    value, problems = converted("!var a", str, {"a": "!var b", "b": "!var a"})
    assert value is WRONG
    assert problems.startswith("f.yaml:1:1: the variable 'a' stands for itself")


@dataclass(frozen=True, slots=True, kw_only=True)
class Horn:
    """Settings for these tests."""

    line: str
    lasts: Seconds = Seconds(5.0)
    tones: tuple[int, ...] = ()
    until: str = field(default="", metadata={"yaml": "for"})

    def __post_init__(self) -> None:
        if self.lasts > 60:
            raise SettingError("lasts", "it would deafen", "60s or less")
        if self.until == "never":
            raise SettingError("until", "never is too long")


def test_a_dataclass_is_made_from_its_settings() -> None:
    made, problems = converted("{line: a.b, lasts: 2s, tones: [1, 2], for: ever}", Horn)
    assert problems == ""
    assert made == Horn(line="a.b", lasts=Seconds(2.0), tones=(1, 2), until="ever")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{lasts: 2s}", "f.yaml:1:1: 'line' is missing"),
        ("{line: a, lats: 2s}", "f.yaml:1:11: unknown setting 'lats'\n    did you mean lasts?"),
        (
            "{line: a, xyz: 2s}",
            "f.yaml:1:11: unknown setting 'xyz'\n    known: for, lasts, line, tones",
        ),
        ("{line: a, until: b}", "f.yaml:1:11: unknown setting 'until'"),
        ("{line: a, lasts: 2m}", "f.yaml:1:18: it would deafen\n    60s or less"),
        ("{line: a, for: never}", "f.yaml:1:16: never is too long"),
        ("[a]", "f.yaml:1:1: a mapping is wanted, not a list"),
    ],
)
def test_a_setting_that_does_not_fit_is_said_at_its_place(text: str, said: str) -> None:
    made, problems = converted(text, Horn)
    assert made is WRONG
    assert problems.startswith(said)


def test_keys_that_belong_to_others_are_left_alone() -> None:
    problems = Problems()
    node = ys.read_text("{line: a, type: horn}", "f.yaml", problems)
    assert node is not None
    context = Context(problems=problems)
    assert mapping(node, Horn, context, beside=frozenset({"type"})) == Horn(line="a")
    assert settings(node, Horn, context) is None
    assert str(problems).startswith("f.yaml:1:11: unknown setting 'type'")


@given(st.floats(0.001, 1e8), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_a_duration_is_its_number_times_its_unit(number: float, unit: str) -> None:
    text = f"{number:.6f}".rstrip("0").rstrip(".")
    factor = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[unit]
    found = duration(text + unit)
    assert found is not None
    assert math.isclose(found, float(text) * factor)


@given(st.text(max_size=12))
def test_any_text_is_a_finite_duration_or_has_a_hint(text: str) -> None:
    found = duration(text)
    assert duration_hint(text) if found is None else math.isfinite(found)


WANTED = [int, float, bool, Seconds, ByteSize, LocalTimes, Secret, list[int], Horn, int | None]


@given(st.text(alphabet="a1: -{}[],'~!sm", max_size=12), st.sampled_from(WANTED))
def test_any_yaml_becomes_a_value_or_a_problem(text: str, wanted: Any) -> None:
    problems = Problems()
    node = ys.read_text(text, "f.yaml", problems)
    if node is not None:
        before = len(problems.errors)
        value = convert(node, wanted, Context(problems=problems, secret=SECRETS.get))
        assert (value is WRONG) <= (len(problems.errors) > before)
