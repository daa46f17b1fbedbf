"""What one event costs the rules engine as rules are added that it does not concern.

Run: ./dev bench rules [--rounds N]. In every size two rules match the alarm that is timed, the
rest watch other devices; every fourth has a condition, a hold, a sequence or a wait. The floor is
the same condition, compiled and evaluated alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from drivers.commands import Sound
from drivers.event import Event
from drivers.priorities import Priority
from rules.engine import Engine
from rules.model import (
    Absence,
    Action,
    Answer,
    Condition,
    DeviceWords,
    Fact,
    Rule,
    Sequence,
    StateView,
    Trigger,
    World,
)
from rules.problems import Mark
from rules.states import States

SIZES = (10, 100, 1000, 5000)
EVENTS = 4000
MARK = Mark("bench", 1, 1)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Open:
    """`site.open`, by hand."""

    source = "site.open"
    reads = frozenset({("site", "open")})
    counts: Mapping[tuple[str, str], float] = MappingProxyType({})

    def evaluate(self, view: StateView, event: Event | None) -> Answer:
        value = view.state("site", "open")
        return "unknown" if value == "unknown" else "yes" if value == "yes" else "no"


OPEN: Condition = Open()
SIREN = Action(mark=MARK, command=Sound(), devices=("siren",), lasts=10.0)


def event(tick: float, device: str, kind: str, sets: dict[str, str]) -> Event:
    return Event(
        id=f"{tick:.6f}",
        device=device,
        kind=kind,
        priority=Priority.security,
        tick=tick,
        at=AT,
        boot="b" * 32,
        trusted=True,
        sets=sets,
    )


def fact(device: str, signal: str) -> Fact:
    return Fact(mark=MARK, members=(device,), signal=signal)


def trigger(number: int) -> Trigger:
    device = f"door_{number}"
    opened, closed = fact(device, "door.opened"), fact(device, "door.closed")
    kinds: tuple[Trigger, ...] = (
        opened,
        Fact(mark=MARK, members=(device,), state="contact", value="open", hold=60.0),
        Sequence(mark=MARK, facts=((opened,), (closed,)), within=5.0, ordered=True),
        Absence(mark=MARK, fact=(opened,), without=(closed,), within=30.0, waits=True),
    )
    return kinds[number % 4]


def rules(size: int) -> list[Rule]:
    """Two that match the alarm, and others that do not."""
    alarm = fact("gate", "eas.alarm")
    door = fact("door_0", "door.opened")
    matching: list[Trigger] = [
        alarm,
        Sequence(mark=MARK, facts=((door,), (alarm,)), within=5.0, ordered=True),
    ]
    others = [trigger(number) for number in range(size - len(matching))]
    found = []
    for number, when in enumerate([*matching, *others]):
        condition = OPEN if number % 4 == 0 else None
        one = Rule(id=f"r{number}", mark=MARK, when=(when,), condition=condition, do=(SIREN,))
        found.append(one)
    return found


def measure(size: int) -> tuple[list[float], float]:
    """Return the seconds of each alarm, and the bytes of one rule."""
    siren = DeviceWords(id="siren", type="siren", name="siren", says={}, states={})
    tracemalloc.start()
    engine = Engine(rules(size), World(devices={"siren": siren}))
    per_rule = tracemalloc.get_traced_memory()[0] / size
    tracemalloc.stop()
    engine.feed(event(0.0, "site", "opened", {"open": "yes"}))
    for number in range(min(size, 500)):
        engine.feed(event(0.5, f"door_{number}", "door.opened", {"contact": "open"}))
    costs = []
    for number in range(EVENTS):
        alarm = event(1.0 + number, "gate", "eas.alarm", {})
        begin = time.perf_counter()
        engine.feed(alarm)
        costs.append(time.perf_counter() - begin)
        engine.advance(alarm.tick)
    return costs, per_rule


def floor() -> list[float]:
    """Return the seconds of evaluating the condition alone."""
    states = States()
    states.apply(event(0.0, "site", "opened", {"open": "yes"}))
    costs = []
    for _ in range(EVENTS):
        begin = time.perf_counter()
        OPEN.evaluate(states.at(1.0), None)
        costs.append(time.perf_counter() - begin)
    return costs


def quantiles(costs: list[float]) -> tuple[float, float]:
    """Return p50 and p99 in microseconds."""
    cuts = statistics.quantiles(costs, n=100)
    return cuts[49] * 1e6, cuts[98] * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved runs; the best counts")
    chosen = parser.parse_args()
    best: dict[int, tuple[float, float, float]] = {}
    bare = (float("inf"), float("inf"))
    for _ in range(chosen.rounds):
        bare = min(bare, quantiles(floor()))
        for size in SIZES:
            costs, per_rule = measure(size)
            p50, p99 = quantiles(costs)
            old = best.get(size, (float("inf"), float("inf"), per_rule))
            best[size] = (min(old[0], p50), min(old[1], p99), per_rule)
    print(f"{'rules':>6} {'p50 µs':>8} {'p99 µs':>8} {'kB a rule':>10}")
    print(f"{'floor':>6} {bare[0]:8.1f} {bare[1]:8.1f}")
    for size, (p50, p99, per_rule) in best.items():
        print(f"{size:6} {p50:8.1f} {p99:8.1f} {per_rule / 1000:10.1f}")
    ratio = best[1000][1] / best[10][1]
    print(f"p99 at 1000 rules is {ratio:.2f} times p99 at 10")


if __name__ == "__main__":
    main()
