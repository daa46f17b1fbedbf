"""Patterns for text devices: checked when built, bounded when read."""

import time
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import SettingError
from drivers.signals import EasAlarm, EasDeactivated, EasVisitors
from drivers.wire import fire_text, pos_text
from drivers.wire.text_profile import (
    PatternTable,
    TextPattern,
    build,
    compile_pattern,
    load_profile,
    spoken,
)

SIGNALS = spoken([EasAlarm, EasDeactivated, EasVisitors])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "'(' is no regular expression: missing ), unterminated subpattern at position 0"),
        ("(a+)+", "'(a+)+' could take for ever on some records"),
        ("(?:x|xx)*y", "'(?:x|xx)*y' could take for ever on some records"),
        ("((a*)b){20}", "'((a*)b){20}' could take for ever on some records"),
        ("a" * 501, "a pattern has at most 500 characters"),
    ],
)
def test_a_pattern_that_can_not_be_used_is_refused_with_the_reason(
    pattern: str, message: str
) -> None:
    with pytest.raises(SettingError) as refused:
        compile_pattern(pattern)
    assert (refused.value.setting, str(refused.value)) == ("patterns", message)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (TextPattern(pattern="x", signal="eas.alrm"), "'eas.alrm' is nothing it says"),
        (TextPattern(pattern="(?P<lain>x)", signal="eas.alarm"), "eas.alarm has no field 'lain'"),
        (
            TextPattern(pattern="x", signal="eas.alarm", fields={"direction": "left"}),
            "'left' is no direction of eas.alarm",
        ),
        (
            TextPattern(pattern="x", signal="eas.alarm", fields={"aisle": "two"}),
            "'two' is no aisle of eas.alarm",
        ),
        (TextPattern(pattern="x", signal="eas.visitors"), "eas.visitors needs its entered"),
        (
            TextPattern(pattern="x", signal="eas.alarm", fields={"changed_while_down": "yes"}),
            "eas.alarm has no field 'changed_while_down'",
        ),
    ],
)
def test_a_pattern_that_says_nothing_sensible_is_refused(
    pattern: TextPattern, message: str
) -> None:
    with pytest.raises(SettingError) as refused:
        PatternTable([pattern], signals=SIGNALS)
    assert (refused.value.setting, str(refused.value)) == ("patterns", message)


def test_the_first_pattern_that_matches_counts_and_groups_go_before_fixed_fields() -> None:
    table = PatternTable(
        [
            TextPattern(pattern="TEST", signal="ignore"),
            TextPattern(pattern=r"A(?P<aisle>\d)?", signal="eas.alarm", fields={"aisle": "7"}),
        ],
        signals=SIGNALS,
        words=frozenset({"ignore"}),
    )
    found = table.read("A3")
    assert found is not None
    assert build(SIGNALS[found.word], found.values) == EasAlarm(aisle=3)
    found = table.read("A")
    assert found is not None
    assert build(SIGNALS[found.word], found.values) == EasAlarm(aisle=7)
    found = table.read("A TEST")
    assert found is not None
    assert found.word == "ignore"
    assert table.read("B") is None


def test_a_value_that_does_not_fit_its_field_is_no_signal() -> None:
    assert build(EasAlarm, {"direction": "sideways"}) is None
    assert build(EasDeactivated, {"till": "12345678901234"}) is None
    assert build(EasDeactivated, {"till": "٣"}) is None
    assert build(EasDeactivated, {"till": "3", "point": "x"}) == EasDeactivated(till=3)


def test_a_long_record_costs_no_more_than_a_short_one() -> None:
    table = PatternTable([TextPattern(pattern=r"^.*A.*B.*C$", signal="eas.alarm")], signals=SIGNALS)
    start = time.perf_counter()
    assert table.read("AB" * 1_000_000) is None
    assert time.perf_counter() - start < 10


def test_every_shipped_profile_says_where_it_comes_from_and_compiles() -> None:
    found = 0
    for kind in ("eas", "fire", "pos"):
        for path in (resources.files("drivers") / "profiles" / kind).iterdir():
            profile = load_profile(kind, path.name.removesuffix(".yaml"))
            assert profile.description
            assert profile.source
            for pattern in profile.patterns:
                compile_pattern(pattern.pattern)
            if kind == "fire":
                fire_text.table(profile.patterns)
            if kind == "pos":
                pos_text.table(profile.patterns)
            found += 1
    assert found >= 7


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(SettingError, match="unknown profile 'x'") as refused:
        load_profile("eas", "x")
    assert refused.value.hint == "known: sensormatic_ldm, text_generic"


@settings(max_examples=200)
@given(st.text(alphabet="ab()+*?|{}1,[]^$\\.", max_size=14))
def test_any_pattern_is_compiled_or_refused(pattern: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except SettingError:
        return
    compiled.search("ab" * 20)


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ("x" * 5000 + "FIRE ALARM", "fire.alarm"),
        ("FIRE ALARM" + "x" * 5000, "fire.alarm"),
        ("TEST" + "x" * 5000 + "FIRE ALARM", "fire.alarm"),
        ("x" * 5000 + "TEST" + "x" * 296, None),
        ("x" * 300 + "TEST", None),
        ("TEST" + "x" * 5000, "fire.notice"),
    ],
)
def test_an_alarm_that_runs_into_noise_is_read_from_the_end_of_the_record(
    record: str, word: str | None
) -> None:
    patterns = [
        TextPattern(pattern="FIRE ALARM", signal="fire.alarm"),
        TextPattern(pattern="^TEST", signal="fire.notice"),
    ]
    words = frozenset({"fire.alarm", "fire.notice"})
    meaning = PatternTable(patterns, signals={}, words=words, groups=frozenset()).read(record)
    assert (meaning.word if meaning else None) == word
