"""Backtests over real journals: the box's own history, what it cannot tell, and that it is true."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import busy_store
from buffer.journal import Journal
from buffer.record import Draft, Kind
from drivers.event import Event
from edge.backtesting import compare, with_rules_of
from edge.config.model import Configuration
from edge.decide import Decider
from edge.encode import Encoder
from rules.backtest_report import Report
from rules.model import Fired
from rules.problems import ConfigurationRefused
from tests.edge.shop import BEGAN, RULES_YAML, ordered, said, shop, written

ENCODER = Encoder("storewarden", "shop", "abcdef012345")
LATER = RULES_YAML.replace("for: 20s", "for: 40s")


def kept(path: Path, events: Iterable[Event | Draft]) -> Path:
    """A journal of events."""
    drafts = [e if isinstance(e, Draft) else ENCODER.event(e) for e in events]
    with Journal.open(path) as journal:
        journal.append(drafts)
    return path


def exported(journal: Path, to: Path) -> Path:
    from edge.cli.main import main

    assert main(["journal", "export", "--file", str(journal), "--output", str(to)]) == 0
    return to


@pytest.fixture
def now(tmp_path: Path) -> Configuration:
    return shop(tmp_path / "now")


@pytest.fixture
def later(tmp_path: Path) -> Configuration:
    return shop(tmp_path / "later", rules=LATER)


DOOR = [
    said(0, "site", "daemon.started"),
    said(0, "door_back", "state.known", values={"contact": "closed"}, sets={"contact": "closed"}),
    said(10, "door_back", "door.opened"),
    said(40, "door_back", "door.closed"),
    said(86_400, "door_back", "door.opened"),
    said(86_460, "door_back", "door.closed"),
    said(86_470, "eas_front", "eas.visitors"),
]


def story(report: Report) -> list[str]:
    return [f"{a.change} {a.rule} {a.at:%d %H:%M:%S}" for a in report.examples]


def test_the_journal_of_a_box_is_played(
    tmp_path: Path, now: Configuration, later: Configuration
) -> None:
    report = compare(now, later, kept(tmp_path / "journal.db", DOOR))
    assert story(report) == ["lost propped 20 12:00:30"]
    assert (report.alarms_before, report.alarms_after) == (2, 1)
    assert (report.siren_seconds_before, report.siren_seconds_after) == (10.0 + 40.0, 20.0)
    # the first record of the file, and one of visitors, are for no rule
    assert (report.played.events, report.played.heard) == (8, 6)


def test_a_journal_that_is_being_written_can_be_played(
    tmp_path: Path, now: Configuration, later: Configuration
) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.append([ENCODER.event(e) for e in DOOR])
        report = compare(now, later, tmp_path / "journal.db")
        journal.append([ENCODER.event(DOOR[0])])
    assert report.alarms_before == 2


def test_an_exported_journal_gives_the_same_difference(
    tmp_path: Path, now: Configuration, later: Configuration
) -> None:
    journal = kept(tmp_path / "journal.db", DOOR)
    export = exported(journal, tmp_path / "journal.jsonl")
    a, b = compare(now, later, journal).as_json(), compare(now, later, export).as_json()
    del a["played"], b["played"]
    assert a == b


def test_since_and_until_choose_a_part(
    tmp_path: Path, now: Configuration, later: Configuration
) -> None:
    journal = kept(tmp_path / "journal.db", DOOR[1:])
    for path in (journal, exported(journal, tmp_path / "export")):
        day = BEGAN + timedelta(hours=12)
        assert compare(now, later, path, since=day).alarms_before == 1
        assert compare(now, later, path, until=day).alarms_before == 1
        assert compare(now, later, path, since=day).total.lost == 0


def test_what_the_history_cannot_tell_is_said(tmp_path: Path, now: Configuration) -> None:
    gap = said(50, "site", "buffer.gap", reason="quota", count=3)
    foreign = Draft(
        id="f" * 32,
        kind=Kind.EVENT,
        priority=3,
        topic="storewarden/shop/event/eas_front/eas.alarm",
        body=b'{"signal": 1}',
    )
    strangers = [said(60, "eas_old", "eas.alarm"), said(61, "eas_old", "eas.ended")]
    path = kept(tmp_path / "journal.db", [*DOOR, ENCODER.gap(gap), foreign, *strangers])
    played = compare(now, now, path, since=BEGAN - timedelta(days=900)).played
    assert played.gaps == 1
    assert played.unreadable == 1
    assert dict(played.strangers) == {"eas_old": 2}
    assert played.journal_begins is not None
    assert not played.restored
    export = exported(path, tmp_path / "export")
    again = compare(now, now, export, since=BEGAN - timedelta(days=900)).played
    assert (again.gaps, again.strangers) == (1, played.strangers)
    assert again.journal_begins == played.journal_begins


def test_states_and_what_waits_are_those_of_the_snapshot_before(
    tmp_path: Path, now: Configuration, later: Configuration
) -> None:
    decider = Decider(now)
    begun = said(0, "door_back", "door.opened")
    decider.feed(begun)
    stamp = said(5, "site", "snapshot")
    snapshot = ENCODER.snapshot(stamp, {"decider": decider.save(), "offset": 0.0})
    after = [said(50, "door_back", "link.up"), said(60, "door_back", "door.closed")]
    path = kept(tmp_path / "journal.db", [ENCODER.event(begun), snapshot, *after])
    report = compare(now, later, path, since=BEGAN + timedelta(seconds=12))
    assert report.played.restored
    # the door has been open since tick 0, long before the part that is played
    assert (report.alarms_before, report.alarms_after) == (1, 1)
    assert (report.siren_seconds_before, report.siren_seconds_after) == (40.0, 20.0)
    assert (report.played.events, report.played.heard) == (2, 2)
    unknown = compare(now, later, path, until=BEGAN + timedelta(seconds=55))
    assert not unknown.played.restored


def test_what_came_between_the_snapshot_and_the_part_is_played_and_not_counted(
    tmp_path: Path, now: Configuration
) -> None:
    decider = Decider(now)
    snapshot = ENCODER.snapshot(said(0, "site", "snapshot"), {"decider": decider.save()})
    between = [said(5, "eas_front", "eas.alarm"), said(10, "door_back", "door.opened")]
    after = [said(50, "door_back", "door.closed")]
    path = kept(tmp_path / "journal.db", [snapshot, *between, *after])
    report = compare(now, now, path, since=BEGAN + timedelta(seconds=12))
    assert report.rules["gate_alarm"].before.alarms == 0
    assert report.rules["gate_alarm"].before.siren_seconds == 3.0
    assert report.rules["propped"].before.alarms == 1
    assert report.rules["propped"].before.siren_seconds == 20.0


def test_an_evicted_part_is_counted(tmp_path: Path, now: Configuration) -> None:
    path = tmp_path / "journal.db"
    many = [said(n / 10, "eas_front", "eas.visitors", text="x" * 900) for n in range(4000)]
    with Journal.open(path, max_size=2_000_000) as journal:
        for start in range(0, len(many), 100):
            journal.append([ENCODER.event(e) for e in many[start : start + 100]])
    assert compare(now, now, path).played.evicted > 1000


# --- the new rules -------------------------------------------------------------------------------


def test_a_folder_of_rule_files_stands_for_the_rules(tmp_path: Path) -> None:
    folder, new = written(tmp_path / "now"), tmp_path / "new"
    new.mkdir()
    (folder / "rules.local").mkdir()
    (folder / "rules.local" / "own.yaml").write_text(
        "rules:\n  own:\n    when: {door_back: door.opened}\n    do: [{incident: own}]\n"
    )
    (new / "a.yaml").write_text(
        "rules:\n  other:\n    when: {door_back: door.opened}\n    do: [{incident: other}]\n"
    )
    assert {r.id for r in with_rules_of(folder, new).rules.rules} == {"own", "other"}


def test_a_whole_configuration_stands_for_the_local_rules_too(tmp_path: Path) -> None:
    folder, new = written(tmp_path / "now"), written(tmp_path / "new", rules=LATER)
    (folder / "rules.local").mkdir()
    (folder / "rules.local" / "own.yaml").write_text(
        "rules:\n  own:\n    when: {door_back: door.opened}\n    do: [{incident: own}]\n"
    )
    (new / "devices.yaml").write_text("not: read")
    found = with_rules_of(folder, new)
    assert {r.id for r in found.rules.rules} == {"gate_alarm", "hold_up", "propped"}


def test_mistakes_of_new_rules_are_told_at_their_place(tmp_path: Path) -> None:
    folder, new = written(tmp_path / "now"), tmp_path / "new"
    new.mkdir()
    (new / "a.yaml").write_text(
        "rules:\n  other:\n    when: {door_bakc: door.opened}\n    do: []\n"
    )
    with pytest.raises(ConfigurationRefused) as refused:
        with_rules_of(folder, new)
    first = refused.value.problems.errors[0]
    assert str(first).startswith("rules/a.yaml:3:")


# --- the truth -----------------------------------------------------------------------------------

ASKING = """
  in_a_row:
    when: {door_back: door.opened}
    if: >-
      since('eas_front', 'eas.visitors') < duration('30s')
      or count('eas_front', 'eas.ended', '2m') > 1
    do: [{incident: in_a_row}]
"""
TOLD = [
    ("eas_front", "eas.alarm"),
    ("eas_front", "eas.ended"),
    ("door_back", "door.opened"),
    ("door_back", "door.closed"),
    ("door_back", "link.down"),
    ("fire_main", "fire.alarm"),
    ("panic", "button.pressed"),
    ("eas_front", "eas.visitors"),
]
WAITS = st.sampled_from([0.5, 4.0, 9.0, 21.0, 70.0, 700.0])
STORIES = st.lists(st.tuples(WAITS, st.integers(0, len(TOLD))), min_size=1, max_size=15)


@functools.cache
def configuration() -> Configuration:
    return shop(Path(tempfile.mkdtemp()), rules=RULES_YAML + ASKING)


@settings(max_examples=40, deadline=None)
@given(STORIES)
def test_the_firings_of_a_recorded_history_are_those_that_were_recorded(
    told: list[tuple[float, int]],
) -> None:
    """A decider lives; its events are journaled; the backtest finds what it fired."""
    decider, tick = Decider(configuration()), 0.0
    drafts: list[Draft] = []
    fired: list[tuple[str, str, str, float]] = []
    for wait, number in [*told, (1000.0, 0)]:
        tick += wait
        if number < len(TOLD):
            event = said(tick, *TOLD[number])
        else:
            event = ordered(tick, "siren_front", "silence", priority="security")
        for turn in (decider.advance(tick, event), decider.feed(event)):
            for one in turn.decisions:
                if isinstance(one, Fired) and not one.step:
                    fired.append((one.rule, one.member, one.event.id, round(one.tick, 3)))
        drafts.append(ENCODER.event(event))
    with tempfile.TemporaryDirectory() as folder:
        path = kept(Path(folder) / "journal.db", drafts)
        nothing = replace(configuration(), rules=replace(configuration().rules, rules=()))
        report = compare(configuration(), nothing, path)
    found = [
        (a.rule, a.member, a.cause, round((a.at - BEGAN).total_seconds(), 3))
        for a in report.examples
    ]
    assert sorted(found) == sorted(fired)
    assert report.total.lost == len(fired)


# --- a busy store --------------------------------------------------------------------------------


def test_a_busy_stores_day_is_played_alike_from_journal_and_export(tmp_path: Path) -> None:
    folder = busy_store.written(tmp_path / "now")
    new = with_rules_of(folder, busy_store.written(tmp_path / "new", busy_store.RULES_NEW))
    now = with_rules_of(folder, folder)
    made = busy_store.generate(tmp_path / "journal.db", folder, 20_000)
    report = compare(now, new, tmp_path / "journal.db", shadow=True)
    assert made >= 20_000
    assert report.played.events == made + 1  # the journal's own first record
    assert not compare(now, now, tmp_path / "journal.db").total.differs
    assert not compare(new, new, tmp_path / "journal.db", shadow=True).total.differs
    assert report.alarms_before > 10
    assert report.siren_seconds_after < report.siren_seconds_before
    again = compare(now, new, exported(tmp_path / "journal.db", tmp_path / "x"), shadow=True)
    assert json.dumps(again.as_json()["rules"]) == json.dumps(report.as_json()["rules"])
