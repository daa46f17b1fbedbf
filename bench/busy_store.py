"""A busy store's journal, made up but seeded: 90 days of opening hours, peaks, storms and faults.

Written through the real journal. What a store says depends on the hour: visitors and paid goods
follow a lunch and an evening peak, Saturdays are busier, nights are quiet. On some days one
pedestal has a phantom storm; now and then a link is lost, the daemon restarts or the power is cut.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from buffer.journal import Journal
from buffer.record import Draft
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import (
    ContactActive,
    ContactQuiet,
    Direction,
    DoorClosed,
    DoorOpened,
    EasAlarm,
    EasDeactivated,
    EasEnded,
    EasVisitors,
    InputEdge,
    LinkDown,
    LinkUp,
    Signal,
    StateKnown,
)
from edge.config.load import load
from edge.encode import Encoder
from rules.calendar import Calendar

A_DAY = 22_222
"""Events a day: 2 million in 90 days."""
LAST = date(2026, 11, 21)
"""The last day."""
MAX_SIZE = 2_000_000_000
COMMIT = 2000

SITE_YAML = """\
site: busy_store
timezone: Europe/London
hours: {mon-sat: "08:00-22:00", sun: "10:00-18:00"}
schedules: {delivery: {mon-sat: ["06:00-08:00", "14:00-15:00"]}}
evacuation: {on: [fire_main], release: [lock_exit], silence: [siren_front]}
buffer: {max_size: 2GB}
"""
DEVICES_YAML = (
    """\
io:
  annex:
    type: modbus
    url: "tcp://127.0.0.1:1502"
    unit: 1
    inputs: {"""
    + ", ".join(f"di{n}: {{discrete: {n}}}" for n in range(24))
    + """}
    outputs: {do0: {coil: 0}, do1: {coil: 1}, do2: {coil: 2}}
devices:
  gate_1: {type: eas_pedestal, alarm: annex.di0, aisle: 1, near: {siren: siren_front}}
  gate_2: {type: eas_pedestal, alarm: annex.di1, aisle: 2, near: {siren: siren_front}}
  gate_3: {type: eas_pedestal, alarm: annex.di2, aisle: 3, near: {siren: siren_front}}
  gate_4: {type: eas_pedestal, alarm: annex.di3, aisle: 4, near: {siren: siren_front}}
  door_front: {type: door, contact: annex.di4, held_after: 1h}
  door_staff: {type: door, contact: annex.di5, held_after: 1h}
  door_delivery: {type: door, contact: annex.di6, held_after: 1h}
  door_exit: {type: door, contact: annex.di7, held_after: 1h}
  fire_main: {type: fire_panel, alarm: annex.di8, unsupervised: accepted}
"""
    + "".join(
        f"  till_{n}: {{type: contact, contact: annex.di{8 + n}, kind: occupancy}}\n"
        for n in range(1, 9)
    )
    + """\
  siren_front: {type: siren, output: annex.do0, max_on: 2m}
  siren_back: {type: siren, output: annex.do1, max_on: 2m, quiet: "22:00-06:00"}
  lock_exit: {type: lock, output: annex.do2}
  film: {type: recorder, url: "rtsp://10.0.4.52/stream1"}
groups:
  gates: [gate_1, gate_2, gate_3, gate_4]
  doors: [door_front, door_staff, door_delivery, door_exit]
  tills: [till_1, till_2, till_3, till_4, till_5, till_6, till_7, till_8]
"""
)
RULES_NOW = """\
rules:
  gate_alarm:
    when: {gates: eas.alarm}
    if: site.open == 'yes' and since('gates', 'eas.deactivated') > duration('3s')
    do:
      - {record: film, before: 10s, for: 30s}
      - {sound: event.near.siren, for: 10s}
      - {incident: gate}
    cooldown: 10s
  gate_storm:
    when: {count: 6, of: {gates: eas.alarm}, within: 10m}
    do: [{incident: storm}]
    cooldown: 30m
  propped:
    when: {doors: open, for: 3m}
    do: [{sound: siren_back}]
    until: {doors: closed}
  delivery_at_odds:
    when: {door_delivery: open, while: not site.delivery, for: 30s}
    do: [{incident: delivery}]
  exit_opened:
    when: {door_exit: door.opened}
    do: [{record: film, for: 60s}, {sound: siren_back, for: 30s}]
  till_left:
    when: {tills: quiet, while: site.open, for: 45m}
    do: [{incident: till_left}]
    cooldown: 1h
  link_lost:
    when: {gates: link=down, for: 2m}
    do: [{incident: link_lost}]
  first_walk:
    when: {daily: opening-15m}
    do: [{incident: walk}]
"""
RULES_NEW = (
    RULES_NOW.replace("for: 10s}", "for: 6s}")
    .replace("cooldown: 10s", "cooldown: 30s")
    .replace("doors: open, for: 3m", "doors: open, for: 5m")
    .replace("within: 10m", "within: 5m")
    + """\
  leaves_in_a_hurry:
    enabled: shadow
    when: {sequence: [{gates: eas.alarm}, {door_exit: door.opened}], within: 30s}
    do: [{sound: siren_front, for: 20s}]
"""
)
_SHAPE = (1, 1, 1, 1, 1, 2, 6, 10, 30, 45, 60, 85, 100, 90, 65, 60, 75, 100, 95, 70, 50, 30, 5, 2)
"""How busy each hour of a day is."""
_WEEK = (0.85, 0.85, 0.9, 0.95, 1.15, 1.5, 0.8)


def written(folder: Path, rules: str = RULES_NOW) -> Path:
    """Write the store's configuration into `folder`."""
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "site.yaml").write_text(SITE_YAML)
    (folder / "devices.yaml").write_text(DEVICES_YAML)
    (folder / "rules" / "store.yaml").write_text(rules)
    return folder


def generate(path: Path, configuration: Path, events: int, *, seed: int = 1) -> int:
    """Write a journal of at least `events` events to `path`; return how many, edges left out."""
    loaded = load(configuration)
    store = _Store(random.Random(seed), loaded.world.calendar)
    encoder = Encoder("storewarden", loaded.site.site, loaded.hash)
    days = max(round(events / A_DAY), 1)
    made, drafts = 0, list[Draft]()
    with Journal.open(path, max_size=MAX_SIZE) as journal:
        for number in range(days):
            day = LAST - timedelta(days=days - 1 - number)
            wanted = events // days if number else events - (events // days) * (days - 1)
            for event in store.day(day, wanted):
                drafts.append(encoder.event(event))
                made += event.kind != InputEdge.kind
                if len(drafts) >= COMMIT:
                    journal.append(drafts)
                    drafts.clear()
        journal.append(drafts)
    return made


Said = tuple[float, str, Signal]
"""Seconds after midnight, device, signal."""


@dataclass(slots=True)
class _Store:
    rng: random.Random
    calendar: Calendar
    tick: float = 100.0
    boot: str = ""
    began: datetime | None = None
    offset: float = 0.0
    aisles: dict[str, int] = field(default_factory=lambda: {f"gate_{n}": n for n in range(1, 5)})

    def day(self, day: date, wanted: int) -> Iterator[Event]:
        """Yield the events of one day in order."""
        rng, busy = self.rng, _WEEK[day.weekday()]
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        said: list[Said] = []
        storm = rng.random() < 0.15
        for _ in range(int(rng.gauss(30, 6) * busy)):
            self._alarm(said, self._moment(), rng.choice([*self.aisles]))
        if storm:
            begun = rng.uniform(10, 17) * 3600
            for _ in range(rng.randint(60, 200)):
                self._alarm(said, begun + rng.uniform(0, 5400), "gate_3")
        for _ in range(int(60 * busy)):
            self._door(said, self._moment(), "door_staff", rng.expovariate(1 / 8))
        for _ in range(rng.randint(4, 9)):
            start = rng.choice((6.2, 14.1)) * 3600 + rng.uniform(0, 3000)
            self._door(said, start, "door_delivery", rng.expovariate(1 / 150))
        if rng.random() < 0.3:
            self._door(said, self._moment(), "door_exit", rng.uniform(3, 40))
        if rng.random() < 0.25:
            device, start = rng.choice(["gate_2", "door_staff"]), self._moment()
            said.append((start, device, LinkDown(reason="it does not answer")))
            until = start + rng.expovariate(1 / 200)
            said.append((until, device, LinkUp()))
            values = {"contact": "closed"} if device == "door_staff" else {"alarm": "quiet"}
            said.append((until, device, StateKnown(values=values)))
        left = max(wanted - len(said) - 60, 0)
        for _ in range(int(left * 0.14)):
            self._door(said, self._moment(), "door_front", rng.expovariate(1 / 6))
        for _ in range(int(left * 0.04)):
            start, till = self._moment(), f"till_{rng.randint(1, 8)}"
            said.append((start, till, ContactActive()))
            said.append((start + rng.uniform(20, 240), till, ContactQuiet()))
        for _ in range(int(left * 0.30)):
            number = rng.randint(1, 8)
            said.append((self._moment(), f"gate_{number % 4 + 1}", EasDeactivated(till=number)))
        while len(said) < wanted:
            gate = f"gate_{rng.randint(1, 4)}"
            moved = EasVisitors(
                aisle=self.aisles[gate], entered=rng.randint(0, 9), left=rng.randint(0, 9)
            )
            said.append((self._moment(), gate, moved))
        yield from self._in_order(midnight, said)

    def _in_order(self, midnight: datetime, said: list[Said]) -> Iterator[Event]:
        said.sort(key=lambda one: one[0])
        edges = self.calendar.due(midnight - timedelta(seconds=1), midnight + timedelta(days=1))
        clock = [(e.at, e.kind, dict(e.sets)) for e in edges]
        restart = self.rng.uniform(0, 86400) if self.rng.random() < 0.12 else None
        if not self.boot:
            yield from self._start(midnight, new_boot=True)
        for second, device, signal in said:
            at = midnight + timedelta(seconds=second)
            while clock and clock[0][0] <= at:
                when, kind, sets = clock.pop(0)
                yield self._event(when, SITE, kind, Priority.operations, {}, sets)
            if restart is not None and second >= restart:
                restart = None
                yield from self._start(at, new_boot=self.rng.random() < 0.5)
            if isinstance(signal, EasAlarm | EasEnded | DoorOpened | DoorClosed):
                high = not isinstance(signal, EasEnded | DoorClosed)
                edge = InputEdge(line="di1", level=high, quality="good", count=1)
                yield self._event(at, "annex", edge.kind, edge.priority, edge.fields(), {})
            yield self._event(
                at, device, signal.kind, signal.priority, signal.fields(), signal.states()
            )

    def _start(self, at: datetime, *, new_boot: bool) -> Iterator[Event]:
        if new_boot:
            self.boot = f"{self.rng.getrandbits(128):032x}"
            self.began, self.offset = at, self.tick + 0.5
        yield self._event(at, SITE, "daemon.started", Priority.operations, {}, {})
        sets = self.calendar.states(at)
        known = StateKnown(values=sets)
        yield self._event(at, SITE, known.kind, known.priority, known.fields(), sets)
        for device in (*self.aisles, "door_front", "door_staff", "door_delivery", "door_exit"):
            values = {"alarm": "quiet"} if device in self.aisles else {"contact": "closed"}
            for signal in (LinkUp(), StateKnown(values=values)):
                yield self._event(
                    at, device, signal.kind, signal.priority, signal.fields(), signal.states()
                )

    def _event(
        self,
        at: datetime,
        device: str,
        kind: str,
        priority: Priority,
        fields: dict[str, Any],
        sets: dict[str, str],
    ) -> Event:
        began = self.began or at
        self.tick = max(self.tick, self.offset + (at - began).total_seconds())
        return Event(
            id=f"{self.rng.getrandbits(128):032x}",
            device=device,
            kind=kind,
            priority=priority,
            tick=self.tick,
            at=at,
            boot=self.boot,
            trusted=True,
            fields=fields,
            sets=sets,
        )

    def _moment(self) -> float:
        hour = self.rng.choices(range(24), _SHAPE)[0]
        return min(hour * 3600 + self.rng.uniform(0, 3600), 86399.0)

    def _alarm(self, said: list[Said], start: float, gate: str) -> None:
        aisle = self.aisles[gate]
        directions: tuple[Direction, ...] = ("out", "out", "in", "unknown")
        direction = self.rng.choice(directions)
        said.append((start, gate, EasAlarm(aisle=aisle, direction=direction)))
        ended = EasEnded(aisle=aisle, count=self.rng.randint(1, 9), duration=4.0)
        said.append((min(start + self.rng.uniform(2, 9), 86399.5), gate, ended))

    def _door(self, said: list[Said], start: float, door: str, open_for: float) -> None:
        said.append((start, door, DoorOpened()))
        said.append((min(start + open_for, 86399.9), door, DoorClosed(open_for=open_for)))
