"""What must be true of the engine whatever the rules and whatever happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.event import Event
from rules.engine import Engine
from rules.model import Decision, Ended, Fired, NotFired, Repeated, Rule
from rules.states import OVERTAKEN
from tests.rules import reference
from tests.rules.building import engine, heard, play, told
from tests.rules.random_rules import asked_devices, histories, overtakes_well, rules, shifted
from tests.rules.worlds import SHOP

END = 10_000.0


@dataclass(frozen=True, slots=True)
class Law:
    """A property, and what it is tried with."""

    check: Callable[..., None]
    given: tuple[st.SearchStrategy[Any], ...]

    @property
    def name(self) -> str:
        return self.check.__name__

    def hold(self, examples: int) -> None:
        """Try it with so many random examples.

        Raises:
            AssertionError: it does not hold; hypothesis shows the smallest example.
        """
        slow = (HealthCheck.too_slow, HealthCheck.filter_too_much)
        tried = given(*self.given)(self.check)
        settings(max_examples=examples, deadline=None, database=None, suppress_health_check=slow)(
            tried
        )()


def _words(decisions: list[Decision]) -> list[str]:
    """Return decisions in the words of the reference; near misses left out."""
    found = []
    for d in decisions:
        who = f"{d.tick:g} {d.member}"
        if isinstance(d, Fired):
            found.append(f"{who} step {d.step}" if d.step else f"{who} fired")
        elif isinstance(d, Repeated):
            found.append(f"{who} repeated {d.because} {d.count}")
        elif isinstance(d, Ended):
            found.append(f"{who} ended")
        elif d.miss in ("if", "blind", "cooldown", "quiet"):
            found.append(f"{who} {d.miss}")
    return sorted(found)


def _all(decisions: list[Decision]) -> list[str]:
    """Return every decision with all that it says of why."""
    found = []
    for d, line in zip(decisions, told(decisions), strict=True):
        why = json.dumps(d.why.as_json()) if isinstance(d, (Fired, NotFired)) else ""
        found.append(f"{line} {why}")
    return sorted(found)


def _once(lines: list[str]) -> list[str]:
    """Leave out repeated ends: a lease that ends and is renewed at one tick may end twice."""
    return sorted({line for line in lines if " ended " in line}) + [
        line for line in lines if " ended " not in line
    ]


def _restarted(one: Engine, some: list[Rule]) -> Engine:
    saved = json.loads(json.dumps(one.save()))
    fresh = Engine(some, SHOP)
    assert fresh.restore(saved) == []
    assert json.loads(json.dumps(fresh.save())) == saved
    return fresh


# --- the laws ----------------------------------------------------------------------------------


def it_decides_as_the_reference_does(one: Rule, events: list[Event]) -> None:
    found = _words(play(engine(one), *events, until=END))
    assert found == reference.decisions(one, events)


def extra_wake_ups_change_nothing(one: Rule, events: list[Event], wakes: list[int]) -> None:
    plain = _all(play(engine(one), *events, until=END))
    steps: list[tuple[float, int, Event | None]] = [(e.tick, 1, e) for e in events]
    steps += [(float(wake), 0, None) for wake in wakes]
    woken, found = engine(one), []
    for tick, _, event in sorted(steps, key=lambda step: step[:2]):
        found += woken.advance(tick)
        found += woken.feed(event) if event else []
    assert _once(_all(found + woken.advance(END))) == _once(plain)


def a_restart_at_any_point_changes_nothing(
    one: Rule, events: list[Event], cuts: list[bool]
) -> None:
    plain = _all(play(engine(one), *events, until=END))
    running, found = engine(one), []
    for event, cut in zip(events, cuts, strict=False):
        found += running.advance(event.tick)
        found += running.feed(event)
        if cut:
            running = _restarted(running, [one])
    assert _all(found + running.advance(END)) == plain


def the_start_time_does_not_matter(one: Rule, events: list[Event], begin: int) -> None:
    def decided(start: int) -> list[str]:
        running = heard(Engine([one], SHOP))
        running.advance(start)
        found = play(running, *shifted(events, start), until=start + END)
        return told([replace(d, tick=d.tick - start) for d in found])

    assert decided(begin) == decided(0)


def nothing_pends_for_ever(one: Rule, events: list[Event]) -> None:
    running = engine(one)
    play(running, *events, until=END)
    assert (running.waiting, running.next_deadline) == (0, None)


def rules_do_not_know_of_each_other(one: Rule, other: Rule, events: list[Event]) -> None:
    together = play(engine(one, other), *events, until=END)
    for rule in (one, other):
        alone = play(engine(rule), *events, until=END)
        assert _all([d for d in together if d.rule == rule.id]) == _all(alone)


def devices_may_overtake_each_other(one: Rule, events: list[Event], lags: list[int]) -> None:
    """The inbox hands over what is urgent first, and advances to the oldest that waits.

    No two ticks are the same: among equal ones the order of handling counts. What `if` and
    `while` read is urgent: what fires at once can't know what is still to come.
    """
    if not overtakes_well(one):
        return
    events = [replace(e, tick=e.tick + number / 100) for number, e in enumerate(events)]
    devices = sorted({e.device for e in events})
    lag = dict(zip(devices, lags, strict=False)) | dict.fromkeys(asked_devices(one), 0)
    handled = sorted(events, key=lambda e: e.tick + min(lag[e.device], OVERTAKEN - 1))
    running, found = engine(one), []
    for number, event in enumerate(handled):
        oldest = min(e.tick for e in handled[number:])
        found += running.advance(oldest)
        found += running.feed(event)
    late = _fired(found + running.advance(END))
    assert late == _fired(play(engine(one), *events, until=END))


def _fired(decisions: list[Decision]) -> list[tuple[float, str]]:
    return sorted((d.tick, d.member) for d in decisions if isinstance(d, Fired) and not d.step)


RULE, EVENTS = rules(), histories()
CUTS = st.lists(st.booleans(), min_size=14, max_size=14)
WAKES = st.lists(st.integers(0, 60), max_size=12)
LAGS = st.lists(st.integers(0, 8), min_size=4, max_size=4)

LAWS = (
    Law(it_decides_as_the_reference_does, (RULE, EVENTS)),
    Law(extra_wake_ups_change_nothing, (RULE, EVENTS, WAKES)),
    Law(a_restart_at_any_point_changes_nothing, (RULE, EVENTS, CUTS)),
    Law(the_start_time_does_not_matter, (RULE, EVENTS, st.integers(1, 10**6))),
    Law(nothing_pends_for_ever, (RULE, EVENTS)),
    Law(rules_do_not_know_of_each_other, (rules("a"), rules("b"), EVENTS)),
    Law(devices_may_overtake_each_other, (RULE, EVENTS, LAGS)),
)
