"""Why it may not be switched to a release, each said before anything changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from buffer.journal import Journal
from buffer.record import TELEMETRY, Draft, Kind
from edge.upgrade import facts, preflight, trial
from edge.upgrade.layout import COMPLETE, Layout
from edge.upgrade.preflight import Wanted
from edge.upgrade.service import Look
from edge.upgrade.trial import Trial
from tests.edge.upgrade.stand_in import Child, release, status

WELL = Look(
    active=True,
    ended=False,
    pid=1,
    restarts=0,
    status=status("0.1.0"),
    devices={},
    alarm=(),
    journal="",
    memory=0,
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(root=tmp_path / "opt" / "storewarden")
    for version in ("0.1.0", "0.1.1"):
        release(made, version)
    made.point("current", "0.1.0")
    return made


def refusals(
    layout: Layout, look: Look = WELL, *, version: str = "0.1.1", one_way: bool = False
) -> list[str]:
    state = layout.root.parent / "state"
    wanted = Wanted(version=version, config=Path("/none"), state=state, one_way=one_way)
    child = Child(layout=layout, run=layout.root)
    return list(preflight.refusals(layout, wanted, child, look))


def test_nothing_stands_in_the_way_of_a_good_release(layout: Layout) -> None:
    assert refusals(layout) == []
    stopped = replace(WELL, active=False, pid=0, status=None)
    assert refusals(layout, stopped) == []


def test_a_release_has_to_be_there_whole_and_another_one(layout: Layout) -> None:
    (layout.release("0.1.1") / COMPLETE).unlink()
    assert refusals(layout)[0] == "there is no complete release 0.1.1 here; complete: 0.1.0"
    assert refusals(layout, version="0.1.0") == ["0.1.0 runs already"]
    layout.point("current", None)
    assert refusals(layout, version="0.1.0") == [
        "no release runs here that could be gone back to: `current` names none"
    ]


def test_one_upgrade_at_a_time(layout: Layout) -> None:
    trial.write(layout, Trial(from_="0.1.0", to="0.1.1", began="a"))
    assert refusals(layout) == ["an upgrade is on trial: storewarden upgrade status"]


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        (
            replace(WELL, status=status("0.1.0", evacuation="yes")),
            "an evacuation is on: no box is started anew in it",
        ),
        (
            replace(WELL, alarm=("fire_main",)),
            "fire_main is in alarm: no box is started anew in it",
        ),
        (
            replace(WELL, status=status("0.1.0", watch={"config": "x"})),
            "rules are on trial: confirm or revert them first (storewarden rules apply)",
        ),
        (
            replace(WELL, status=None),
            "the daemon runs and does not answer, so nobody can tell whether an evacuation is "
            "on: look at it, or stop it: systemctl stop storewarden",
        ),
    ],
)
def test_there_are_moments_in_which_no_box_is_switched(
    layout: Layout, look: Look, reason: str
) -> None:
    assert refusals(layout, look) == [reason]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (
            {"broken": True},
            "the program of 0.1.1 does not start: ModuleNotFoundError: No module named 'absent'",
        ),
        (
            {"facts": {"version": "0.1.2", "schema": 2, "opens": [1, 2], "compatible": 2}},
            "the program in the release 0.1.1 says that it is 0.1.2",
        ),
        (
            {"refuses": ["check"]},
            "0.1.1 refuses the configuration: rules/gates.yaml:3:1: no rule",
        ),
        (
            {"refuses": ["rules"]},
            "0.1.1 fails the tests of the rules: rules/gates.yaml:3:1: no rule",
        ),
        (
            {"facts": {"version": "0.1.1", "schema": 3, "opens": [1, 2, 3], "compatible": 3}},
            "0.1.1 brings the journal to schema 3, in which 0.1.0 (schema 2) can't go on: going "
            "back would begin the journal anew; --one-way accepts that it is begun anew then",
        ),
    ],
)
def test_a_release_that_would_not_do_is_refused(
    layout: Layout, more: dict[str, Any], reason: str
) -> None:
    release(layout, "0.1.1", **more)
    assert refusals(layout) == [reason]


def test_facts_that_are_none_are_said_so(layout: Layout) -> None:
    release(layout, "0.1.1", facts={"version": 3})
    (reason,) = refusals(layout)
    assert reason.startswith("the program of 0.1.1 does not say what it is: ")


def test_a_newer_schema_that_can_be_gone_back_from_is_no_reason(layout: Layout) -> None:
    newer = {"version": "0.1.1", "schema": 3, "opens": [1, 2, 3], "compatible": 2}
    release(layout, "0.1.1", facts=newer)
    assert refusals(layout) == []


def test_one_way_takes_a_journal_that_would_begin_anew(layout: Layout) -> None:
    newer = {"version": "0.1.1", "schema": 3, "opens": [1, 2, 3], "compatible": 3}
    release(layout, "0.1.1", facts=newer)
    assert refusals(layout, one_way=True) == []


@pytest.fixture
def journal(layout: Layout) -> Iterator[Path]:
    state = layout.root.parent / "state"
    state.mkdir()
    with Journal.open(state / "journal.db") as journal:
        draft = Draft(id="a", kind=Kind.EVENT, priority=TELEMETRY, topic=None, body=b"{}")
        journal.append([draft])
        yield state / "journal.db"


def test_an_older_release_that_can_not_go_on_in_the_journal_is_refused(
    layout: Layout, journal: Path
) -> None:
    assert refusals(layout) == []
    with closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA user_version = 3")
    assert preflight.file_schema(journal) == (3, 3)
    assert refusals(layout) == [
        "the journal has schema 3; 0.1.1 goes on up to 2, and would begin anew"
        "; --one-way accepts that it is begun anew then"
    ]
    with closing(sqlite3.connect(journal)) as db:
        db.execute("INSERT INTO counters (name, value) VALUES ('compatible.3', 2)")
        db.commit()
    assert preflight.file_schema(journal) == (3, 2)
    assert refusals(layout) == []


def test_this_program_says_what_it_is() -> None:
    own = facts.own()
    assert (own.schema, own.opens, own.compatible) == (2, (1, 2), 2)
