"""A bug in what an event leads to: the event is in the journal all the same, and once."""

from __future__ import annotations

from pathlib import Path

import pytest

from buffer.journal import Journal
from edge.decide import LATCH
from edge.encode import body_of
from tests.edge.box import Box


def signals(box: Box) -> list[str]:
    with Journal.open(box.path, read_only=True) as journal:
        return [body_of(record).signal for record in journal.since(1)]


def test_an_event_that_ends_the_road_is_journaled_at_the_end(tmp_path: Path) -> None:
    with Box(tmp_path) as box:
        box.at(0.0, "door_back", "door.opened")
        with pytest.raises(KeyError):
            box.at(1.0, "site", LATCH)  # no reason, no action: no request of ours
        box.finish()
        assert signals(box) == ["door.opened", LATCH]


def test_what_was_handled_is_not_journaled_again(tmp_path: Path) -> None:
    with Box(tmp_path) as box:
        box.at(0.0, "door_back", "door.opened")
        box.finish()
        assert signals(box) == ["door.opened"]


def test_a_bug_in_who_is_shown_what_goes_past_doubles_no_record(tmp_path: Path) -> None:
    class Bug:
        def show(self, *_shown: object) -> None:
            raise KeyError

    with Box(tmp_path) as box:
        box.pipeline.followers.append(Bug())
        with pytest.raises(KeyError):
            box.at(0.0, "door_back", "door.opened")
        box.finish()
        assert signals(box) == ["door.opened"]
