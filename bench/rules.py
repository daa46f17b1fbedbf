"""What one event costs the rules engine as rules are added that it does not concern.

Run: ./dev bench rules [--rounds N]. In every size the alarm that is timed fires one rule and is the
last fact of another's sequence; the rest watch other devices, each kind of trigger in turn, every
fourth with a condition. The floor is the same condition, compiled and evaluated alone. Seconds are
those of the processor, the sizes take turns in short rounds of the same events without garbage
collection, and of all rounds the median counts, so that a busy machine does not matter.
"""

from __future__ import annotations

import argparse
import gc
import json
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
EVENTS = 1000
"""Of one round."""
MARK = Mark("bench", 1, 1)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Open:
    """`site.open`, by hand."""

    source = "site.open"
    reads = frozenset({("site", "open")})
    counts: Mapping[tuple[str, ...], float] = MappingProxyType({})
    variables: Mapping[str, str | float | bool] = MappingProxyType({})

    def evaluate(self, view: StateView, event: Event | None) -> Answer:
        value = view.state("site", "open")
        return "unknown" if value == "unknown" else "yes" if value == "yes" else "no"


OPEN: Condition = Open()
SIREN = Action(mark=MARK, command=Sound(), devices=("siren",), lasts=10.0)


def event(tick: float, device: str, kind: str, sets: dict[str, str]) -> Event:
    return Event(
        id=f"{device}{tick:.6f}",
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


def loaded(size: int) -> tuple[Engine, float]:
    """Return an engine with something waiting in it, and the bytes that one rule takes."""
    siren = DeviceWords(id="siren", type="siren", name="siren", says={}, states={})
    some = rules(size)
    tracemalloc.start()
    engine = Engine(some, World(devices={"siren": siren}))
    per_rule = tracemalloc.get_traced_memory()[0] / size
    tracemalloc.stop()
    engine.feed(event(0.0, "site", "opened", {"open": "yes"}))
    for number in range(min(size, 500)):
        engine.feed(event(0.5, f"door_{number}", "door.opened", {"contact": "open"}))
    engine.advance(100.0)
    return engine, per_rule


def alarms(begin: float) -> list[Event]:
    return [event(begin + number, "gate", "eas.alarm", {}) for number in range(EVENTS)]


def measure(engine: Engine, events: list[Event]) -> list[int]:
    """Return the nanoseconds of each alarm; what falls due between them is not counted."""
    costs = []
    clock = time.thread_time_ns
    for alarm in events:
        engine.advance(alarm.tick)
        begin = clock()
        engine.feed(alarm)
        costs.append(clock() - begin)
    return costs


def floor() -> list[int]:
    """Return the nanoseconds of evaluating the condition alone."""
    states = States()
    states.apply(event(0.0, "site", "opened", {"open": "yes"}))
    costs = []
    clock = time.thread_time_ns
    for _ in range(EVENTS):
        begin = clock()
        OPEN.evaluate(states.at(1.0), None)
        costs.append(clock() - begin)
    return costs


def quantiles(costs: list[int]) -> tuple[float, float]:
    """Return p50 and p99 in microseconds."""
    cuts = statistics.quantiles(costs, n=100)
    return cuts[49] / 1e3, cuts[98] / 1e3


def saving(engine: Engine) -> tuple[float, float]:
    """Return the milliseconds and the kilobytes of a snapshot as JSON."""
    costs, text = [], ""
    for _ in range(5):
        begin = time.thread_time_ns()
        text = json.dumps(engine.save(), separators=(",", ":"))
        costs.append(time.thread_time_ns() - begin)
    return statistics.median(costs) / 1e6, len(text) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of every size, in turn")
    chosen = parser.parse_args()
    engines = {size: loaded(size) for size in SIZES}
    rounds: dict[int, list[tuple[float, float]]] = {size: [] for size in (0, *SIZES)}
    gc.collect()
    gc.freeze()
    gc.disable()
    for number in range(chosen.rounds + 1):
        events = alarms(1000.0 + 2 * EVENTS * number)
        rounds[0].append(quantiles(floor()))
        for size, (engine, _) in engines.items():
            rounds[size].append(quantiles(measure(engine, events)))
    gc.enable()
    # The first round warms up.
    median = {
        size: tuple(statistics.median(column) for column in zip(*found[1:], strict=True))
        for size, found in rounds.items()
    }
    bare = median.pop(0)
    columns = ("rules", "p50 µs", "p99 µs", "x floor", "kB a rule", "save ms", "save kB")
    print(" ".join(f"{column:>9}" for column in columns))
    print(f"{'floor':>9} {bare[0]:9.2f} {bare[1]:9.2f}")
    for size, (p50, p99) in median.items():
        engine, per_rule = engines[size]
        print(
            f"{size:9} {p50:9.1f} {p99:9.1f} {p50 / bare[0]:9.0f} {per_rule / 1000:9.1f}"
            " {:9.1f} {:9.1f}".format(*saving(engine))
        )
    ratio = median[1000][1] / median[10][1]
    print(f"p99 at 1000 rules is {ratio:.2f} times p99 at 10")


if __name__ == "__main__":
    main()
