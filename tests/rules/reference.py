"""A slow engine that keeps the whole history and reads the contract word by word.

It is told the history in the order of ticks. Every answer is found by looking at all of the past
anew; nothing is remembered between two answers. It knows no conditions but one state compared
with one value, and no near misses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations, permutations

from drivers.event import Event
from rules.model import Absence, Count, Fact, Rule, Sequence, Trigger

Place = tuple[float, int]
"""A tick, and the place of the event in the history. What falls due comes before the events of
its tick, in the order of what began it."""
FAR = -1_000_000
UP = -1000.0
"""The tick since which every link was up before the history began."""


@dataclass(frozen=True)
class Seen:
    """A fact, or a whole trigger, came true."""

    place: Place
    event: Event
    member: str = ""
    grouped: bool = False
    """Whether it is for one member of a group."""
    blind: bool = False


def firings(trigger: Trigger, history: list[Event]) -> list[float]:
    """Return the ticks at which the trigger is complete, sorted."""
    return sorted(seen.place[0] for seen in completions(trigger, history))


def completions(trigger: Trigger, history: list[Event]) -> list[Seen]:
    """Return where the trigger is complete, in order."""
    if isinstance(trigger, Fact):
        return occurrences(trigger, history)
    if isinstance(trigger, Absence):
        return _absent(trigger, history)
    if isinstance(trigger, Count):
        steps, complete = [trigger.of], _counted(trigger)
    else:
        steps, complete = list(trigger.facts), _chained(trigger)
    found: set[tuple[Place, str]] = set()
    seen: list[Seen] = []
    for member, some in _correlated(steps, trigger.by, history):
        for last in complete(some):
            name = last.member or member
            if (last.place, name) not in found:
                found.add((last.place, name))
                seen.append(Seen(last.place, last.event, name, grouped=bool(name)))
    return sorted(seen, key=lambda s: s.place)


# --- facts -------------------------------------------------------------------------------------


def _any(facts: Iterable[Fact], history: list[Event]) -> list[Seen]:
    found: dict[tuple[Place, str], Seen] = {}
    for fact in facts:
        for seen in occurrences(fact, history):
            found.setdefault((seen.place, seen.member), seen)
    return sorted(found.values(), key=lambda s: s.place)


def occurrences(fact: Fact, history: list[Event]) -> list[Seen]:
    """Return where one fact comes true."""
    grouped = fact.group is not None and not fact.across
    if fact.signal is not None:
        return [
            Seen((e.tick, n), e, e.device if grouped else "", grouped)
            for n, e in enumerate(history)
            if e.device in fact.members and e.kind == fact.signal
        ]
    each = [(m,) for m in fact.members] if grouped else [fact.members]
    found = []
    for members in each:
        places = (_held if fact.hold or fact.holding else _entered)(fact, members, history)
        name = members[0] if grouped else ""
        found += [Seen(place, event, name, grouped) for place, event in places]
    return sorted(found, key=lambda s: s.place)


def _says(event: Event, state: str) -> str | None:
    """Return the value that the event gives to a state of its device; None: nothing."""
    if event.kind == "link.down" and state != "link":
        return "unknown"
    return event.sets.get(state)


def value_at(device: str, state: str, history: list[Event], place: Place) -> str:
    """Return what a state is after everything up to `place`."""
    value = "unknown"
    for number, event in enumerate(history):
        said = _says(event, state) if event.device == device else None
        if said is not None and (event.tick, number) <= place:
            value = said
    return value


def _entered(
    fact: Fact, members: tuple[str, ...], history: list[Event]
) -> list[tuple[Place, Event]]:
    """Return where the value differs from the last one that was known."""
    state, known = fact.state or "", dict.fromkeys(members, "unknown")
    found = []
    for number, event in enumerate(history):
        said = _says(event, state) if event.device in members else None
        if said is None or said == "unknown":
            continue
        place = (event.tick, number)
        others = [m for m in members if m != event.device]
        if said == fact.value and known[event.device] != said:
            now = [value_at(m, state, history, place) for m in others]
            if fact.value not in now:
                found.append((place, event))
        known[event.device] = said
    return found


def _held(fact: Fact, members: tuple[str, ...], history: list[Event]) -> list[tuple[Place, Event]]:
    """Return where state and `while` were so for long enough, unknown times left out."""
    found: list[tuple[Place, Event]] = []
    start: tuple[Place, Event] | None = None
    yes_since: float | None = None
    told = False
    nexts = [*(event.tick for event in history[1:]), float("inf")]
    for number, (event, after) in enumerate(zip(history, nexts, strict=False)):
        place = (event.tick, number)
        level, answer = _level(fact, members, history, place), _while(fact, history, place)
        if level == "in":
            start = start or (place, event)
        if level == "out":
            start, told = None, False
        if answer == "yes" and yes_since is None:
            yes_since = event.tick
        if answer == "no":
            yes_since, told = None, False
        if start is None or level != "in" or answer != "yes" or yes_since is None or told:
            continue
        due = max(start[0][0], yes_since) + (fact.hold or 0.0)
        if due <= after:
            told = True
            found.append(((due, FAR + start[0][1]) if due > place[0] else place, start[1]))
    return found


def _level(fact: Fact, members: tuple[str, ...], history: list[Event], place: Place) -> str:
    values = [value_at(m, fact.state or "", history, place) for m in members]
    other = "unknown" if "unknown" in values else "out"
    return "in" if fact.value in values else other


def _while(fact: Fact, history: list[Event], place: Place) -> str:
    if fact.holding is None:
        return "yes"
    ((device, state),) = fact.holding.reads
    value = value_at(device, state, history, place)
    if value == "unknown":
        return "unknown"
    return "yes" if fact.holding.source == f"{device}.{state} == {value!r}" else "no"


# --- windows -----------------------------------------------------------------------------------


def _correlated(
    steps: list[tuple[Fact, ...]], by: str | None, history: list[Event]
) -> list[tuple[str, list[list[Seen]]]]:
    """Return what belongs together: for whom, and the occurrences of each step."""
    seen = [_any(step, history) for step in steps]
    if by is not None:

        def key(one: Seen) -> object:
            return one.event.device if by == "device" else one.event.fields.get(by)

        keys = {key(one) for step in seen for one in step} - {None}
        return [("", [[s for s in step if key(s) == k] for step in seen]) for k in keys]
    members = {one.member for step in seen for one in step if one.grouped}
    if not any(f.group is not None and not f.across for step in steps for f in step):
        return [("", seen)]
    return [
        (m, [[s for s in step if not s.grouped or s.member == m] for step in seen]) for m in members
    ]


def _chained(trigger: Sequence) -> Callable[[list[list[Seen]]], list[Seen]]:
    def complete(steps: list[list[Seen]]) -> list[Seen]:
        orders = [steps] if trigger.ordered else [list(order) for order in permutations(steps)]
        found = {s.place: s for order in orders for s in _chains(order, trigger.within)}
        return list(found.values())

    return complete


def _chains(steps: list[list[Seen]], within: float) -> list[Seen]:
    """Return the last of every chain, one of each step, in order and within the window."""
    found: list[Seen] = []

    def go_on(first: Seen | None, last: Seen | None, rest: list[list[Seen]]) -> None:
        if not rest:
            if last is not None:
                found.append(last)
            return
        for seen in rest[0]:
            begun = first or seen
            after = last is None or seen.place > last.place
            if after and seen.place[0] - begun.place[0] < within:
                go_on(begun, seen, rest[1:])

    go_on(None, None, steps)
    return found


def _counted(trigger: Count) -> Callable[[list[list[Seen]]], list[Seen]]:
    def complete(steps: list[list[Seen]]) -> list[Seen]:
        chosen = combinations(steps[0], trigger.count)
        return [c[-1] for c in chosen if c[-1].place[0] - c[0].place[0] < trigger.within]

    return complete


# --- absence -----------------------------------------------------------------------------------


def _absent(trigger: Absence, history: list[Event]) -> list[Seen]:
    facts, others = _any(trigger.fact, history), _any(trigger.without, history)
    within, found = trigger.within, []
    for one in facts:
        tick, number = one.place
        if trigger.waits:
            place, start = (tick + within, FAR + number), tick
            came = [s for s in others if one.place < s.place and s.place[0] < tick + within]
        else:
            place, start = one.place, tick - within
            came = [s for s in others if s.place < one.place and tick - s.place[0] < within]
        if any(_together(trigger, one, other) for other in came):
            continue
        who = one.event.device if trigger.by == "device" else one.member
        watched: set[str] = set()
        for f in trigger.without:
            apart = trigger.by == "device" or (f.group is not None and not f.across)
            watched |= {who} if apart and who in f.members else set(f.members)
        blind = trigger.blind == "skip" and any(
            _was_down(m, history, start, start + within) for m in watched
        )
        found.append(Seen(place, one.event, one.member, one.grouped, blind))
    return sorted(found, key=lambda s: s.place)


def _together(trigger: Absence, one: Seen, other: Seen) -> bool:
    if trigger.by == "device":
        return one.event.device == other.event.device
    return not (one.grouped and other.grouped) or one.member == other.member


def _was_down(device: str, history: list[Event], start: float, end: float) -> bool:
    """Return whether the link was down at any time in [start, end)."""
    down: float | None = None
    for event in history:
        if event.device != device or "link" not in event.sets:
            continue
        if event.sets["link"] == "up":
            if down is not None and down < end and event.tick > start:
                return True
            down = None
        elif down is None:
            down = event.tick
    return down is not None and down < end


# --- a whole rule ------------------------------------------------------------------------------


def decisions(rule: Rule, history: list[Event]) -> list[str]:
    """Return all that the rule decides, as lines in order of ticks and words."""
    done = _decided(rule, history)
    lines = [f"{s.place[0]:g} {s.member} {word}" for s, word in done]
    fired = [s for s, word in done if word == "fired"]
    for one in fired:
        cooling = [
            s for s, word in done if word == "cooldown" and _cooled_by(rule, s, fired) is one
        ]
        if cooling:
            end = one.place[0] + rule.cooldown
            lines.append(f"{end:g} {one.member} repeated cooldown {len(cooling)}")
        stormy = [s for s, word in done if word == "quiet" and _stormed_by(s, fired) is one]
        if stormy:
            end = _storm_end(rule, one, _asked(done), (float("inf"), 0))
            lines.append(f"{end:g} {one.event.device} repeated quiet {len(stormy)}")
    lines += _steps(rule, fired, history) + _ends(rule, fired, history)
    return sorted(lines)


def _decided(rule: Rule, history: list[Event]) -> list[tuple[Seen, str]]:
    found: list[tuple[Seen, str]] = []
    complete: dict[tuple[Place, str], list[Seen]] = {}
    for trigger in rule.when:
        for seen in completions(trigger, history):
            same = complete.setdefault((seen.place, seen.member), [])
            if all(one.blind for one in same):  # triggers that are complete together are one
                same.append(seen)
    for seen in sorted((s for same in complete.values() for s in same), key=lambda s: s.place):
        found.append((seen, _answer(rule, seen, found, history)))
    return found


def _asked(done: list[tuple[Seen, str]]) -> list[Seen]:
    """Return the complete triggers, condition included."""
    return [s for s, word in done if word in ("fired", "cooldown", "quiet")]


def _answer(rule: Rule, seen: Seen, before: list[tuple[Seen, str]], history: list[Event]) -> str:
    if seen.blind:
        return "blind"
    if rule.condition is not None:
        ((device, state),) = rule.condition.reads
        value = value_at(device, state, history, seen.place)
        if value == "unknown":
            return "blind"
        if rule.condition.source != f"{device}.{state} == {value!r}":
            return "if"
    fired = [s for s, word in before if word == "fired"]
    if _cooled_by(rule, seen, fired) is not None:
        return "cooldown"
    last = _stormed_by(seen, fired) if rule.quiet is not None else None
    if last is not None and seen.place[0] < _storm_end(rule, last, _asked(before), seen.place):
        return "quiet"
    return "fired"


def _cooled_by(rule: Rule, seen: Seen, fired: list[Seen]) -> Seen | None:
    same = [s for s in fired if s.member == seen.member and s.place < seen.place]
    if rule.cooldown and same and seen.place[0] < same[-1].place[0] + rule.cooldown:
        return same[-1]
    return None


def _stormed_by(seen: Seen, fired: list[Seen]) -> Seen | None:
    """Return the latest firing on an event of the same device, for the same member."""
    same = [
        s
        for s in fired
        if (s.member, s.event.device) == (seen.member, seen.event.device) and s.place < seen.place
    ]
    return same[-1] if same else None


def _storm_end(rule: Rule, first: Seen, asked: list[Seen], until: Place) -> float:
    """Return when the storm that began with `first` is over, as it looks at `until`."""
    assert rule.quiet is not None
    latest = first.place[0] + rule.quiet.at_most
    end = min(first.place[0] + rule.quiet.gap, latest)
    for seen in asked:
        same = (seen.member, seen.event.device) == (first.member, first.event.device)
        if same and first.place < seen.place < until and seen.place[0] < end:
            end = min(seen.place[0] + rule.quiet.gap, latest)
    return end


def _steps(rule: Rule, fired: list[Seen], history: list[Event]) -> list[str]:
    lines = []
    for one in fired:
        for number, step in enumerate(rule.escalate, start=1):
            due = one.place[0] + step.after
            stopped = any(
                e.kind == "incident.acknowledged" and one.place < (e.tick, n) and e.tick < due
                for n, e in enumerate(history)
            )
            if not stopped:
                lines.append(f"{due:g} {one.member} step {number}")
    return lines


def _ends(rule: Rule, fired: list[Seen], history: list[Event]) -> list[str]:
    """Return where `until` ends what the firings hold: one lease a member."""
    untils = [seen for trigger in rule.until for seen in completions(trigger, history)]
    lines: set[tuple[Place, str]] = set()
    for until in untils:
        if until.blind:
            continue
        for member in {s.member for s in fired}:
            if until.grouped and member and until.member != member:
                continue
            taken = [s.place for s in fired if s.member == member and s.place < until.place]
            between = [
                u
                for u in untils
                if taken and not u.blind and taken[-1] < u.place < until.place
                if not (u.grouped and member and u.member != member)
            ]
            if taken and not between:
                lines.add((until.place, member))
    return [f"{place[0]:g} {member} ended" for place, member in lines]
