"""A box whose wall clock is wrong and is set: real road, journal and snapshot, virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from buffer.journal import Journal
from buffer.record import PRIORITIES, Draft
from buffer.writer import Stats, Writer
from drivers.priorities import Priority
from edge.assembly import Parts, assemble
from edge.cli.main import main as run_command
from edge.clock import Clock
from edge.encode import message_of
from edge.metrics import Metrics
from edge.notify import Notify
from edge.past import Past, read
from edge.places import Places
from edge.running import begin, snapshot
from edge.site_clock import LOOK
from edge.speaker import say_of
from tests.edge.shop import shop

T = TypeVar("T")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
"""The true time at which the box is switched on."""
YEARS = 10 * 365 * 86_400.0
UNSET = -(NOON - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
MILLISECOND = timedelta(milliseconds=1)
RULES = """
rules:
  propped:
    when: {door_back: open, for: 20s}
    do: [{sound: siren_back, for: 30s}]
  often:
    when: {count: 3, of: {eas_front: eas.alarm}, within: 60s}
    do: [{incident: often}]
  evening:
    when: {daily: "21:30"}
    do: [{sound: siren_front, for: 5s}]
"""


OPEN: list[Journal] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Let no journal stay open after a test."""
    yield
    while OPEN:
        OPEN.pop().close()


class Straight:
    """What the road sees of the writer: each call is committed when it returns."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal.open(path)
        OPEN.append(self.journal)
        self.stats = Stats(
            pending=0, lost=(0,) * 5, head=0, error=None, unsent=(0,) * 5, oldest_unsent=0.0
        )

    def keep(self, *drafts: Draft) -> None:
        self.journal.append(list(drafts))

    async def call(self, do: Callable[[Journal], T]) -> T:
        return do(self.journal)


class Box:
    """A box whose wall clock stands `beside` the truth by so many seconds."""

    def __init__(
        self, folder: Path, *, beside: float = 0.0, server: bool = False, battery: bool = False
    ) -> None:
        self.folder, self.beside, self.server, self.battery = folder, beside, server, battery
        self.configuration = shop(folder, rules=RULES)
        self.passed, self.boot, self.boots = 0.0, 0.0, 1
        """Seconds since it was switched on first; when it was switched on last."""
        self.truth: dict[str, datetime] = {}
        """Id of an event to when it happened."""
        self.parts: Parts
        self.known = Past()

    @property
    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.passed)

    async def start(self) -> None:
        self.writer = Straight(self.folder / "journal.db")
        writer = cast(Writer, self.writer)
        self.known = await read(writer)
        clock = Clock(
            last=self.known.last,
            seconds=lambda: 5.0 + self.passed - self.boot,
            now=lambda: self.now + timedelta(seconds=self.beside),
            boot=f"{self.boots:032x}",
            follows_server=lambda: self.server,
            battery=lambda: self.battery,
            shown=lambda: None,
        )
        places = Places(configuration=self.folder, state=self.folder, socket=self.folder / "s")
        self.parts = assemble(
            self.configuration, places, writer, clock, self.known, Metrics("1"), Notify({})
        )
        put = self.parts.inbox.put

        def heard(event: Any) -> None:
            self.truth[event.id] = self.now
            put(event)

        self.parts.speaker._put = heard
        begin(self.parts, self.known)
        self.parts.site_clock.begin()
        self._settle()

    async def restart(self, down: float = 1.0) -> None:
        """Be killed, and started again in the same boot."""
        self.writer.journal.close()
        self.passed += down
        await self.start()

    async def power_cut(self, without: float, beside: float) -> None:
        """Be without power; the wall clock begins anew."""
        self.boots += 1
        self.boot, self.beside = self.passed + without, beside
        await self.restart(without)

    def say(self, device: str, state: str, value: str) -> None:
        """Have a device say that a state of it is so now."""
        parts = self.parts
        driver = parts.drivers[device]
        signal = driver.signal_for(state, value)
        assert signal is not None
        say_of(parts.speaker, device, driver, None, parts.decider.engine.states)(signal)
        self._settle()

    def passes(self, seconds: float) -> None:
        """Let time pass, with the looks at the clock and the deadlines that fall into it."""
        end = self.passed + seconds
        while self.passed < end:
            due = self.parts.decider.next_deadline()
            wait = LOOK if due is None else due - self.parts.clock.tick()
            self.passed = min(end, self.passed + min(max(wait, 1e-6), LOOK))
            self._settle()
            self.parts.site_clock.look()
            self._settle()

    def snapshot(self) -> None:
        snapshot(self.parts)

    def _settle(self) -> None:
        while True:
            done = self.parts.pipeline.decide()
            self.parts.pipeline.write(done)
            if not done and not len(self.parts.inbox):
                return

    def sent(self) -> list[dict[str, Any]]:
        """Return all that goes up by now, lane by lane, as it goes."""
        journal = self.writer.journal
        corrections = self.parts.site_clock.corrections
        records = [r for p in PRIORITIES for r in journal.published(p, 0, journal.head, 100_000)]
        messages = [message_of(r, "shop", replayed=True, corrections=corrections) for r in records]
        return [json.loads(message.payload) for message in messages]

    def untrue(self) -> list[dict[str, Any]]:
        """Return those of them whose time is more than a millisecond beside the truth."""
        return [
            event
            for event in self.sent()
            if event["id"] in self.truth
            and abs(datetime.fromisoformat(event["time"]) - self.truth[event["id"]]) > MILLISECOND
        ]

    def kinds(self, signal: str) -> list[dict[str, Any]]:
        return [e for e in self.sent() if e["type"] == f"storewarden.{signal}"]


def in_order(found: list[dict[str, Any]]) -> bool:
    by_priority: dict[str, list[tuple[int, float]]] = {}
    for event in found:
        lane = by_priority.setdefault(event["priority"], [])
        lane.append((int(event["sequence"]), float(event["tick"])))
    return all(lane == sorted(lane) for lane in by_priority.values())


def an_hour(box: Box) -> None:
    """Let a door open and close each minute, and the gate say something in between."""
    for _ in range(60):
        box.say("door_back", "contact", "open")
        box.passes(25.5)
        box.say("door_back", "contact", "closed")
        box.say("eas_front", "alarm", "active")
        box.passes(34.5)


def test_an_hour_in_1970_is_told_upstream_in_true_time(tmp_path: Path) -> None:
    async def main() -> None:
        box = Box(tmp_path, beside=UNSET)
        await box.start()
        an_hour(box)
        assert {e["time"][:10] for e in box.sent()} == {"1970-01-01"}
        box.beside, box.server = 0.0, True
        box.say("door_back", "contact", "open")
        found = box.sent()
        assert box.untrue() == []
        assert in_order(found)
        opened = [e for e in found if e["type"] == "storewarden.door.opened"]
        assert len(opened) == 61
        assert {e["recordedtime"][:11] for e in opened[:60]} == {"1970-01-01T"}
        assert {e["clock"] for e in opened[:60]} == {"untrusted"}
        assert opened[0]["time"] == "2026-11-20T12:00:00.000000Z"
        assert opened[0]["recordedtime"] == "1970-01-01T00:00:00.000000Z"
        assert "recordedtime" not in opened[60]
        assert opened[60]["clock"] == "trusted"
        (corrected,) = box.kinds("clock.corrected")
        assert corrected["data"] == {
            "since": 0.0,
            "seconds": UNSET,
            "reason": "a time server has set the clock",
        }
        assert corrected["time"] == "2026-11-20T13:00:00.000000Z"
        assert float(corrected["tick"]) == 3600.0
        assert box.kinds("buffer.gap") == []
        assert len(box.kinds("rule.fired")) == 60

    asyncio.run(main())


def test_what_is_recorded_does_not_change(tmp_path: Path) -> None:
    async def main() -> None:
        box = Box(tmp_path, beside=UNSET)
        await box.start()
        box.say("door_back", "contact", "open")
        before = {r.id: r.body for r in box.writer.journal.since(0)}
        box.beside, box.server = 0.0, True
        box.passes(15.0)
        assert before.items() <= {r.id: r.body for r in box.writer.journal.since(0)}.items()
        assert box.writer.journal.verify() is None

    asyncio.run(main())


def test_a_restart_knows_the_correction_out_of_the_snapshot_and_out_of_the_journal(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        box = Box(tmp_path, beside=UNSET)
        await box.start()
        box.say("door_back", "contact", "open")
        box.passes(100.0)
        box.beside, box.server = 0.0, True
        box.passes(15.0)
        found = box.sent()
        await box.restart()
        again = {e["id"]: e for e in box.sent()}
        assert [again[e["id"]] for e in found] == found
        await box.restart()  # each start makes a snapshot
        again = {e["id"]: e for e in box.sent()}
        assert [again[e["id"]] for e in found] == found
        assert box.untrue() == []
        assert len(box.kinds("clock.corrected")) == 1

    asyncio.run(main())


def test_a_restart_in_1970_changes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        box = Box(tmp_path, beside=UNSET)
        await box.start()
        box.say("door_back", "contact", "open")
        box.passes(100.0)
        box.snapshot()
        await box.restart(40.0)
        box.say("door_back", "contact", "open")
        await box.restart(40.0)
        box.passes(100.0)
        box.beside, box.server = 0.0, True
        box.passes(15.0)
        assert box.untrue() == []
        (corrected,) = box.kinds("clock.corrected")
        assert corrected["data"]["since"] == 0.0

    asyncio.run(main())


def test_a_clock_that_is_set_while_the_daemon_is_down_corrects_what_was_before(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        box = Box(tmp_path, beside=UNSET)
        await box.start()
        box.say("door_back", "contact", "open")
        box.passes(100.0)
        box.beside, box.server = 0.0, True
        await box.restart(3600.0)
        assert box.untrue() == []
        (opened,) = box.kinds("door.opened")
        assert opened["recordedtime"] == "1970-01-01T00:00:00.000000Z"
        assert len(box.kinds("clock.corrected")) == 1

    asyncio.run(main())


def test_a_boot_that_ended_before_its_clock_was_set_stays_as_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        box = Box(tmp_path, beside=UNSET)
        await box.start()
        box.say("door_back", "contact", "open")
        box.passes(100.0)
        await box.power_cut(7200.0, beside=UNSET - 7300.0)
        box.say("door_back", "contact", "open")
        box.passes(100.0)
        box.beside, box.server = 0.0, True
        box.passes(15.0)
        first, second = box.kinds("door.opened")
        assert (first["time"], first["clock"]) == ("1970-01-01T00:00:00.000000Z", "untrusted")
        assert "recordedtime" not in first
        assert second["time"] == "2026-11-20T14:01:40.000000Z"
        assert second["recordedtime"] == "1970-01-01T00:00:00.000000Z"
        assert in_order(box.sent())

    asyncio.run(main())


def test_the_next_boot_still_sends_the_corrected_times_of_the_boot_before(tmp_path: Path) -> None:
    async def main() -> None:
        box = Box(tmp_path, beside=UNSET)
        await box.start()
        box.say("door_back", "contact", "open")
        box.beside, box.server = 0.0, True
        box.passes(15.0)
        box.server = False
        await box.power_cut(600.0, beside=UNSET - 615.0)
        (opened,) = box.kinds("door.opened")
        assert opened["time"] == "2026-11-20T12:00:00.000000Z"
        assert opened["recordedtime"] == "1970-01-01T00:00:00.000000Z"

    asyncio.run(main())


def steps(folder: Path, *beside: float) -> Box:
    """Return a box with a battery clock that was set so, with a door that opens in each time."""

    async def main() -> Box:
        box = Box(folder, battery=True)
        await box.start()
        for number, one in enumerate((0.0, *beside)):
            box.beside, box.passed = one, box.passed + 0.001
            box.say("door_back", "contact", "open")
            if number == 0:
                box.passes(5.0)
            box.say("eas_front", "alarm", "active")
            box.passes(6.0)
            box.say("door_back", "contact", "open")
        box.passes(120.0)
        return box

    return asyncio.run(main())


def of_rules(box: Box) -> list[tuple[str, float]]:
    return [(e["type"], float(e["tick"])) for e in box.sent() if ".rule." in e["type"]]


def test_ten_years_forward_and_back_move_no_window_and_all_times_are_true(tmp_path: Path) -> None:
    plain = steps(tmp_path / "plain", 0.0, 0.0)
    box = steps(tmp_path / "steps", YEARS, 0.0)
    assert of_rules(box) == of_rules(plain)
    assert [t for t, _ in of_rules(box)].count("storewarden.rule.fired") == 2
    assert box.untrue() == []
    shown = [e.get("recordedtime", "")[:4] for e in box.kinds("door.opened")]
    assert shown == ["", "", "2036", "2036", "", ""]
    assert {e["clock"] for e in box.sent()} == {"trusted"}
    forward, back = box.kinds("clock.stepped")
    assert forward["data"] == {
        "seconds": YEARS,
        "before": "2026-11-20T12:00:11.002000Z",
        "after": "2036-11-17T12:00:11.002000Z",
    }
    assert back["data"]["seconds"] == -YEARS
    (corrected,) = box.kinds("clock.corrected")
    assert corrected["data"] == {
        "since": 11.001001,
        "seconds": YEARS,
        "reason": "the clock is back where it was",
    }


def test_ten_years_back_and_forward_move_no_window_and_all_times_are_true(tmp_path: Path) -> None:
    plain = steps(tmp_path / "plain", 0.0, 0.0)
    box = steps(tmp_path / "steps", -YEARS, 0.0)
    assert of_rules(box) == of_rules(plain)
    assert box.untrue() == []
    shown = [(e.get("recordedtime", "")[:4], e["clock"]) for e in box.kinds("door.opened")]
    right, wrong = ("", "trusted"), ("2016", "untrusted")
    assert shown == [right, right, wrong, wrong, right, right]


def test_an_hour_back_corrects_nothing_until_somebody_knows(tmp_path: Path) -> None:
    box = steps(tmp_path, -3600.0)
    assert box.kinds("clock.corrected") == []
    (stepped,) = box.kinds("clock.stepped")
    assert stepped["data"]["before"] == "2026-11-20T12:00:11.002000Z"
    assert stepped["data"]["after"] == "2026-11-20T11:00:11.002000Z"
    box.beside, box.server = 0.0, True
    box.passes(15.0)
    assert box.untrue() == []


def test_a_last_record_of_a_wrong_year_does_not_make_the_right_one_untrusted(
    tmp_path: Path,
) -> None:
    """It was stamped before the clock was set back, and overtaken by what came after."""

    async def main() -> None:
        box = Box(tmp_path, battery=True)
        await box.start()
        box.passes(15.0)
        box.beside = YEARS
        box.passes(15.0)
        stamp = box.parts.speaker.stamp("door_back", "door.opened", Priority.operations, {}, {})
        box.passes(15.0)
        box.beside = 0.0
        box.passes(15.0)
        box.writer.keep(box.parts.pipeline.encoder.event(stamp))
        await box.restart()
        assert box.parts.clock.doubt() is None
        assert box.untrue() == []

    asyncio.run(main())


def test_a_person_is_shown_true_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        box = Box(tmp_path, beside=UNSET)
        await box.start()
        box.say("door_back", "contact", "open")
        box.beside, box.server = 0.0, True
        box.passes(15.0)
        box.writer.journal.close()

    def lines(*words: str) -> list[str]:
        told = ["journal", *words, "--file", str(tmp_path / "journal.db")]
        assert run_command(told) == 0
        return capsys.readouterr().out.splitlines()

    asyncio.run(main())
    (opened,) = [line for line in lines("tail") if "door.opened" in line]
    assert opened.split()[1] == "2026-11-20T12:00:00.000000Z"
    for part in ("tail", "export"):
        told = [json.loads(line) for line in lines(part, "--json")]
        (opened_,) = [line for line in told if line["body"]["signal"] == "door.opened"]
        assert opened_["time"] == "2026-11-20T12:00:00.000000Z"
        assert opened_["body"]["at"] == "1970-01-01T00:00:00.000000Z"
        trusted = [line for line in told if line["body"]["signal"] == "clock.corrected"]
        assert [line.get("time") for line in trusted] == [None]


def test_a_daily_moment_of_a_wrong_year_does_not_take_that_of_the_right_one(tmp_path: Path) -> None:
    async def main() -> None:
        box = Box(tmp_path, battery=True)
        await box.start()
        box.passes(9 * 3600.0)  # 21:00
        box.beside = YEARS
        box.passes(1200.0)
        box.beside = 0.0
        box.passes(1200.0)
        (fired,) = box.kinds("daily")
        assert fired["time"] == "2026-11-20T21:30:00.000000Z"

    asyncio.run(main())


def test_a_step_over_ten_years_does_not_look_for_what_was_missed_in_them(tmp_path: Path) -> None:
    async def main() -> None:
        box = Box(tmp_path, battery=True)
        await box.start()
        box.beside = YEARS
        box.passes(15.0)
        said = box.parts.diary.said
        assert max(len(days) for days in said.values()) <= 3

    asyncio.run(main())
