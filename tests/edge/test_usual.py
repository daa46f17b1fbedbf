"""What is usual at such a time of day, of a journal."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from buffer.record import Kind
from buffer.writer import Writer
from drivers.event import Event
from drivers.priorities import Priority
from edge.encode import Encoder
from edge.usual import Usual, usual

NOW = datetime(2026, 11, 20, 12, 15, tzinfo=UTC)
Said = tuple[timedelta, str, dict[str, str], Priority]


def ago(**spans: float) -> timedelta:
    return timedelta(**spans)


def alarm(before: timedelta) -> Said:
    return before, "rule.fired", {"rule": "gate_alarm"}, Priority.security


def journal(folder: Path, *said: Said) -> Path:
    """Write a journal whose records were made so long ago, oldest first."""

    async def main() -> None:
        encoder = Encoder("storewarden", "shop", "c0ffee")
        async with Writer.open(folder / "journal.db") as writer:
            for number, (before, signal, data, priority) in enumerate(said):
                event = Event(
                    id=f"{number:032x}",
                    device="site",
                    kind=signal,
                    priority=priority,
                    tick=float(number),
                    at=NOW - before,
                    boot="b" * 32,
                    trusted=True,
                    fields=data,
                    sets={},
                )
                if signal.startswith("rule."):
                    writer.keep(encoder.decision(event, signal, data, priority))
                else:
                    writer.keep(encoder.event(event))
            await writer.flush()

    asyncio.run(main())
    return folder / "journal.db"


def test_each_hour_of_the_day_is_looked_at_by_itself(tmp_path: Path) -> None:
    days = range(10, 0, -1)
    noon = [alarm(ago(days=d, minutes=m)) for d in days for m in (10, 5)]
    night = [alarm(ago(days=d, hours=9, minutes=n)) for d in days for n in range(20, 0, -1)]
    path = journal(tmp_path, *sorted([*noon, *night], reverse=True))
    found = usual(path, NOW - ago(days=30), NOW, "UTC")
    expected = found.expected(NOW, 1800.0)
    assert expected is not None
    assert expected["alarms"] == pytest.approx(1.0, rel=0.1)
    over_night = found.expected(NOW - ago(hours=9, minutes=30), 3600.0)
    assert over_night is not None
    assert over_night["alarms"] > 9


def test_a_watch_over_several_hours_takes_its_share_of_each() -> None:
    found = Usual(zone="Europe/London", begins=NOW - ago(days=10), ends=NOW)
    for day in range(10):
        for hour, many in ((12, 6), (13, 12)):
            for _ in range(many):
                found.count("alarms", datetime(2026, 11, day + 10, hour, 1, tzinfo=UTC))
    expected = found.expected(NOW, 7200.0)
    assert expected is not None
    assert expected["alarms"] == pytest.approx(6 * 0.75 + 12)


def test_with_little_history_every_hour_is_the_same_and_with_less_than_one_nothing_is_usual(
    tmp_path: Path,
) -> None:
    path = journal(tmp_path, *(alarm(ago(hours=h)) for h in range(10, 0, -1)))
    found = usual(path, NOW - ago(days=30), NOW, "UTC")
    expected = found.expected(NOW, 3600.0)
    assert expected is not None
    assert expected["alarms"] == pytest.approx(1.0)
    short = usual(path, NOW - ago(minutes=30), NOW, "UTC")
    assert short.expected(NOW, 3600.0) is None


def test_an_evacuation_and_what_is_older_than_asked_for_do_not_count(tmp_path: Path) -> None:
    path = journal(
        tmp_path,
        alarm(ago(days=50)),
        alarm(ago(hours=20)),
        (ago(hours=19), "evacuation.started", {"cause": "fire"}, Priority.life_safety),
        alarm(ago(hours=18)),
        (ago(hours=17), "evacuation.ended", {"reason": "r"}, Priority.life_safety),
        (ago(hours=16), "rule.blind", {"rule": "r"}, Priority.security),
        (ago(hours=15), "order.failed", {"by": "rule"}, Priority.security),
        (ago(hours=14), "rule.fired", {"rule": "fire"}, Priority.life_safety),
    )
    found = usual(path, NOW - ago(days=30), NOW, "UTC")
    assert {word: count for (word, _hour), count in found.hours.items()} == {
        "alarms": 1,
        "blind": 1,
        "order_failures": 1,
    }
    assert found.seconds == 20 * 3600


def test_the_kinds_of_record_it_reads_are_those_that_are_written() -> None:
    assert {Kind.EVENT, Kind.OUTCOME, Kind.DECISION} == {
        Encoder("r", "s", "c").decision(_event(), "rule.fired", {}, Priority.security).kind,
        Encoder("r", "s", "c").event(_event("order.failed")).kind,
        Encoder("r", "s", "c").event(_event("evacuation.started")).kind,
    }


def _event(kind: str = "time") -> Event:
    return Event(
        id="0" * 32,
        device="site",
        kind=kind,
        priority=Priority.security,
        tick=0.0,
        at=NOW,
        boot="b" * 32,
        trusted=True,
        fields={},
        sets={},
    )
