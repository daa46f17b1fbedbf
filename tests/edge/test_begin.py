"""What a start says of the evacuation latch, after whatever the last moments left unsaid."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from buffer.writer import Writer
from drivers.event import SITE, Event
from drivers.priorities import Priority
from edge.assembly import assemble
from edge.clock import Clock, LastRecord
from edge.metrics import Metrics
from edge.notify import Notify
from edge.past import Past
from edge.places import Places
from edge.running import begin
from tests.edge.shop import asked, said, shop

FIRE = said(1, "fire_main", "fire.alarm")
RESTORED = said(2, "fire_main", "fire.restored", sets={"alarm": "normal"})
STARTED = said(1, SITE, "evacuation.started", sets={"evacuation": "yes", "drill": "no"})
END = asked(3, "end")


def told_of_the_latch(folder: Path, past: Sequence[Event]) -> list[tuple[str, str, dict[str, Any]]]:
    """Return kind, priority and states of what a start after `past` says of the latch."""

    async def main() -> list[Event]:
        configuration = shop(folder)
        places = Places(configuration=folder, state=folder / "state", socket=folder / "s")
        async with Writer.open(folder / "journal.db") as writer:
            known = Past(steps=tuple(past))
            parts = assemble(
                configuration, places, writer, Clock(), known, Metrics("1"), Notify({})
            )
            begin(parts, known)
            return [parts.inbox.take() for _ in range(len(parts.inbox))]

    found = [e for e in asyncio.run(main()) if "evacuation" in e.sets]
    return [(e.kind, Priority(e.priority).name, dict(e.sets)) for e in found]


def test_a_first_start_says_that_there_is_no_evacuation(tmp_path: Path) -> None:
    known = ("state.known", "operations", {"evacuation": "no", "drill": "no"})
    assert told_of_the_latch(tmp_path, []) == [known]


def test_a_fire_whose_evacuation_was_not_journaled_any_more_is_said_at_the_start(
    tmp_path: Path,
) -> None:
    started = ("evacuation.started", "life_safety", {"evacuation": "yes", "drill": "no"})
    assert told_of_the_latch(tmp_path, [FIRE]) == [started]


def test_an_evacuation_that_was_said_is_not_said_again(tmp_path: Path) -> None:
    assert told_of_the_latch(tmp_path, [FIRE, STARTED]) == []


def test_an_end_that_was_not_journaled_any_more_is_said_at_the_start(tmp_path: Path) -> None:
    ended = ("evacuation.ended", "life_safety", {"evacuation": "no", "drill": "no"})
    assert told_of_the_latch(tmp_path, [FIRE, STARTED, RESTORED, END]) == [ended]


def test_a_lease_that_did_not_outlive_a_power_cut_is_said_to_be_gone(tmp_path: Path) -> None:
    async def main() -> list[dict[str, Any]]:
        configuration = shop(tmp_path)
        places = Places(configuration=tmp_path, state=tmp_path / "state", socket=tmp_path / "s")
        async with Writer.open(tmp_path / "journal.db") as writer:
            alarm = said(1, "eas_front", "eas.alarm")
            last = LastRecord(tick=1.0, at=alarm.at, boot="another", offset=0.0)
            known = Past(steps=(alarm,), last=last)
            clock = Clock(last=last)
            parts = assemble(configuration, places, writer, clock, known, Metrics("1"), Notify({}))
            begin(parts, known)
            await writer.flush()
            bodies = await writer.call(lambda j: [json.loads(r.body) for r in j.since(0)])
        return [b["data"] for b in bodies if b["signal"] == "rule.ended"]

    gone = [(d["rule"], d["target"], d["because"]) for d in asyncio.run(main())]
    assert gone == [("gate_alarm", "siren_front", "gone"), ("gate_alarm", "cam_exit", "gone")]
