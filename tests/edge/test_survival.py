"""Kills at random points of a timeline change no decision: real road and journal, virtual time."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from buffer.journal import Journal
from buffer.record import Draft, Kind
from buffer.writer import Stats, Writer
from drivers.event import SITE
from drivers.priorities import Priority
from drivers.signals import EasEnded, LinkUp, StateKnown
from edge.assembly import Parts, assemble
from edge.clock import Clock
from edge.config.model import Configuration
from edge.metrics import Metrics
from edge.notify import Notify
from edge.past import read
from edge.places import Places
from edge.running import begin
from edge.speaker import say_of
from rules.engine import ACKNOWLEDGED
from tests.edge.shop import BEGAN, shop

T = TypeVar("T")
KILLS = 200
RULES = """
rules:
  held:
    when: {door_back: open, for: 25s}
    do: [{sound: siren_back}]
    until: {door_back: closed}
  held_while:
    when: {door_back: open, while: eas_front.alarm == 'quiet', for: 15s}
    do: [{switch_on: lamp, for: 25s}]
  in_order:
    when: {sequence: [{door_back: open}, {eas_front: alarm=active}, {panic: active}], within: 65s}
    do: [{switch_on: lamp, for: 15s}]
  in_any_order:
    when: {together: [{door_back: open}, {panic: active}], within: 35s}
    do: [{incident: both}]
  often:
    when: {count: 3, of: [{door_back: open}, {eas_front: alarm=active}], within: 85s}
    do: [{sound: siren_front, for: 35s}]
  again:
    when: {eas_front: alarm=active}
    do: [{incident: again}]
    cooldown: 45s
  storm:
    when: [{eas_front: alarm=active}, {door_back: open}]
    do: [{incident: storm}]
    quiet: 35s
  missing:
    when: {after: {eas_front: alarm=active}, without: {panic: active}, within: 45s, blind: fire}
    do: [{switch_on: lamp}]
    until: {eas_front: alarm=quiet}
  unasked:
    when: {before: {panic: active}, without: {door_back: open}, within: 35s, blind: fire}
    do: [{incident: unasked}]
  taking_stock:
    when: {door_back: open}
    if: site.mode != 'stock_take'
    do: [{mode: stock_take, for: 35s}]
  answered:
    when: {panic: active, for: 5s}
    if: count('door_back', 'door.opened', '90s') >= 1
    do: [{incident: answered}]
    escalate:
      - {after: 20s, do: [{switch_on: lamp, for: 10s}]}
      - {after: 60s, do: [{sound: siren_front, for: 10s}]}
"""
DEVICES = """
io:
  annex:
    type: modbus
    url: "tcp://127.0.0.1:1502"
    unit: 1
    inputs: {di0: {discrete: 0}, di1: {discrete: 1}, di2: {discrete: 2}, di3: {discrete: 3}}
    outputs: {do0: {coil: 0}, do1: {coil: 1}, do2: {coil: 2}, do3: {coil: 3}, do4: {coil: 4}}
devices:
  eas_front: {type: eas_pedestal, alarm: annex.di0, aisle: 1}
  door_back: {type: door, contact: annex.di1, held_after: 1h}
  fire_main: {type: fire_panel, alarm: annex.di2, unsupervised: accepted}
  panic: {type: button, kind: panic, contact: annex.di3, unsupervised: accepted}
  siren_front: {type: siren, output: annex.do0, max_on: 2m}
  siren_back: {type: siren, output: annex.do1, max_on: 2m}
  beacon_back: {type: beacon, output: annex.do2}
  lock_exit: {type: lock, output: annex.do3}
  lamp: {type: switch, output: annex.do4}
"""
SITE_YAML = """
site: shop
timezone: Europe/London
hours: {mon-sun: "09:00-21:00"}
evacuation: {on: [fire_main], release: [lock_exit], silence: [siren_front], sound: [beacon_back]}
"""
LEVELS = {
    ("door_back", "contact"): ("closed", "open"),
    ("eas_front", "alarm"): ("quiet", "active"),
    ("panic", "contact"): ("quiet", "active"),
    ("fire_main", "alarm"): ("normal", "active"),
}
"""Resting value and the other one."""
BEAT = 10.0
"""Seconds between two changes of the timeline; windows end half a beat off it."""
TOLD = {"incident.opened", "incident.acknowledged", "evacuation.started", "mode.changed"}


class Straight:
    """What the road sees of the writer: each call is committed when it returns."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal.open(path)
        self.stats = Stats(
            pending=0, lost=(0,) * 5, head=0, error=None, unsent=(0,) * 5, oldest_unsent=0.0
        )

    def keep(self, *drafts: Draft) -> None:
        self.journal.append(list(drafts))

    async def call(self, do: Callable[[Journal], T]) -> T:
        return do(self.journal)


class Box:
    """An appliance whose power and process we hold in hand, and the shop that it looks at."""

    def __init__(self, configuration: Configuration, folder: Path, chance: random.Random) -> None:
        self.configuration, self.folder, self.chance = configuration, folder, chance
        self.now = 0.0
        self.levels = {key: rest for key, (rest, _) in LEVELS.items()}
        self.parts: Parts
        self.kills = 0
        self.told: dict[str, list[str]] = {}

    async def start(self) -> None:
        self.writer = Straight(self.folder / "journal.db")
        writer = cast(Writer, self.writer)
        known = await read(writer)
        clock = Clock(
            last=known.last,
            seconds=lambda: self.now,
            now=self._wall,
            boot="b" * 32,
            follows_server=lambda: True,
        )
        places = Places(
            configuration=self.folder, state=self.folder / "state", socket=self.folder / "s"
        )
        self.parts = assemble(
            self.configuration, places, writer, clock, known, Metrics("1"), Notify({})
        )
        begin(self.parts, known)
        self._settle()
        for device in self.configuration.devices:
            self._say(device, LinkUp())
            values = {s: level for (d, s), level in self.levels.items() if d == device}
            if values:
                self._say(device, StateKnown(values=values))
            self._settle()

    def _wall(self) -> datetime:
        return BEGAN + timedelta(seconds=self.now)

    def _say(self, device: str, signal: Any) -> None:
        parts, states = self.parts, self.parts.decider.engine.states
        driver = parts.drivers[device]
        say_of(parts.speaker, device, driver, None, states)(signal)

    def _settle(self) -> None:
        while len(self.parts.inbox):
            self.parts.pipeline.write(self.parts.pipeline.decide())

    async def cut(self) -> None:
        """Kill it and start it again a moment later."""
        self.kills += 1
        self.writer.journal.close()
        self.now += self.chance.uniform(0.01, 1.0)
        await self.start()

    async def turn(self, cuts: float) -> None:
        """Handle one event or deadline, and be killed before or after it is written."""
        done = self.parts.pipeline.decide()
        if self.chance.random() < cuts / 2:
            await self.cut()
            return
        self.parts.pipeline.write(done)
        if self.chance.random() < cuts / 2:
            await self.cut()

    async def until(self, tick: float, cuts: float) -> None:
        while True:
            due = self.parts.decider.next_deadline()
            if len(self.parts.inbox):
                await self.turn(cuts)
            elif due is not None and due <= tick:
                self.now = max(self.now, due)
                await self.turn(cuts)
            else:
                break
        self.now = max(self.now, tick)
        if self.chance.random() < cuts:
            await self.cut()

    def change(self, device: str, state: str) -> None:
        rest, other = LEVELS[device, state]
        value = other if self.levels[device, state] == rest else rest
        self.levels[device, state] = value
        signal = self.parts.drivers[device].signal_for(state, value)
        self._say(device, signal or EasEnded(count=1, duration=BEAT))

    def acknowledge(self) -> None:
        """A person is answered when it is journaled: no kill comes between."""
        fields = {"name": "answered", "by": "Ann", "reason": "seen"}
        self.parts.speaker.site(ACKNOWLEDGED, Priority.operations, fields)
        self._settle()

    def held(self) -> list[tuple[str, str, str]]:
        """Return the live leases: device, command, owner."""
        claims = self.parts.decider.outputs.leases.claims()
        return sorted((c.device, c.command.kind, c.owner) for c in claims)

    def story(self) -> dict[str, list[str]]:
        """Return what the journal tells, by rule; times and lateness apart, so the order too."""
        found: dict[str, list[str]] = defaultdict(list)
        for record in self.writer.journal.since(0):
            body = json.loads(record.body)
            data = body.get("data", {})
            if record.kind is not Kind.DECISION and body["signal"] not in TOLD:
                continue
            for loose in ("late", "cause", "firing", "until"):
                data.pop(loose, None)
            about = str(data.get("rule") or data.get("name") or SITE)
            found[about].append(f"{body['signal']} {json.dumps(data, sort_keys=True)}")
        return {about: sorted(lines) for about, lines in found.items()}


def timeline(seed: int, beats: int) -> list[tuple[str, str]]:
    """Return what changes on each beat; the fire comes last."""
    chance = random.Random(seed)
    inputs = [key for key in LEVELS if key[0] != "fire_main"]
    found = [("", "") if n % 9 == 8 else chance.choice(inputs) for n in range(beats)]
    return [*found, ("fire_main", "alarm")]


async def lived(
    configuration: Configuration, plan: list[tuple[str, str]], cuts: float, seed: int
) -> Box:
    with tempfile.TemporaryDirectory() as folder:
        box = Box(configuration, Path(folder), random.Random(seed))
        await box.start()
        for number, (device, state) in enumerate(plan, start=1):
            await box.until(number * BEAT, cuts)
            if device:
                box.change(device, state)
            else:
                box.acknowledge()
        await box.until((len(plan) + 2.7) * BEAT, cuts)
        box.told = box.story()
        box.writer.journal.close()
        return box


def test_two_hundred_kills_change_no_decision(tmp_path: Path) -> None:
    configuration = shop(tmp_path, site=SITE_YAML, devices=DEVICES, rules=RULES)

    async def main() -> None:
        kills, seed = 0, 0
        while kills < KILLS:
            plan = timeline(seed, 40)
            alone = await lived(configuration, plan, 0.0, seed)
            killed = await lived(configuration, plan, 0.25, seed)
            assert alone.kills == 0
            assert killed.told == alone.told
            assert killed.held() == alone.held()
            kills, seed = kills + killed.kills, seed + 1

    asyncio.run(main())
