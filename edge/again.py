"""A time of the box's history played again for one rule: what was decided, said and known then.

The rules of now decide over what was journaled then, from the last snapshot before; nothing is
performed. What they say holds for a rule whose text was the same then; else that is said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from buffer.record import Kind, Record
from buffer.rows import KINDS
from buffer.scan import Row, Scan
from drivers.event import SITE, Event
from drivers.signals import UNKNOWN
from edge.config.model import Configuration
from edge.decide import Decider
from edge.encode import Body, body_of, event_of, utc
from edge.stories import Missed, because
from rules.model import Absence, Fact, Fired, NotFired, Rule, Trigger
from rules.trigger_facts import matches
from rules.triggers import facts_of

SNAPSHOT_WITHIN = 200_000
"""Sequence numbers before the time in which a snapshot is looked for."""
MEMBERS = 3
"""Members of a group whose states are told one by one."""
PLAYED = (Kind.EVENT, Kind.OUTCOME, Kind.GAP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that kept a rule from firing, or may have."""

    code: str
    """`journal`, `down`, `config`, `newer`, `changed`, `inactive`, `disabled`, `shadow`, `clock`,
    `link`, `unknown`, `silent`, `fields`, `state`."""
    text: str


@dataclass(slots=True, kw_only=True)
class Then:
    """What is found about one rule from `since` to `until`."""

    since: datetime
    until: datetime
    reasons: list[Reason] = field(default_factory=list)
    missed: list[Missed] = field(default_factory=list)
    """Near misses as they are decided again: each of them, where the journal keeps some."""
    fired: int = 0
    """Firings as they are decided again."""
    replayed: bool = False


class Again:
    """Plays the history around a time for one rule."""

    def __init__(self, scan: Scan, configuration: Configuration, rule: Rule, then: Then) -> None:
        self._scan, self._configuration = scan, configuration
        self._rule, self._then = rule, then
        self._decider = Decider(configuration)
        self._facts = [fact for trigger in rule.when for fact, _role in facts_of(trigger)]
        self._wanted = [fact for trigger in rule.when for fact in _wanted(trigger)]
        self._signals = {(m, f.signal) for f in self._facts if f.signal for m in f.members}
        self._heard: list[Event] = []
        """Events of the time that one of its facts may mean."""
        self._down: dict[str, datetime] = {}
        """Since when a device that it looks at could not be heard, as far as the time goes back."""
        self._held: set[tuple[str, str | None, str | None]] = set()
        """Device, state and value that were so in the time, of those that it looks at."""
        self._entered = False
        self._untrusted = False
        self._began = 0.0
        self._ended = 0.0
        """Ticks of the time, as far as they are known."""
        self._offset = timedelta()
        """From tick to wall time."""

    def play(self, first: int, end: int) -> None:
        """Play the records from `first` to before `end`; what is found goes into `then`."""
        snapshot = self._scan.before(first + 1, Kind.SNAPSHOT, SNAPSHOT_WITHIN)
        if snapshot is None:  # the journal begins within the time, or has lost what was before
            inside = list(self._scan.backwards(first, end - 1, (Kind.SNAPSHOT,)))
            snapshot = inside[-1] if inside else None
        body = read_body(snapshot)
        if snapshot is None or body is None:
            text = "there is no snapshot from before: what it waited for then is not known"
            self._reason("journal", text)
            return
        self._compare(body)
        try:
            self._decider.restore(body.data["decider"])
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            self._reason("journal", "another version of the program wrote the journal then")
            return
        at = datetime.fromisoformat(body.at)
        self._offset = at - datetime.fromtimestamp(body.tick, tz=at.tzinfo)
        self._events(snapshot.sequence + 1, end)
        self._then.replayed = True
        self._states()

    def _compare(self, body: Body) -> None:
        """Say how the configuration of then differs from that of now."""
        if body.config != self._configuration.hash:
            text = f"another configuration ran then: {body.config}, now {self._configuration.hash}"
            self._reason("config", text)
        engine = body.data.get("decider", {}).get("engine", {})
        hashes = engine.get("hashes", {})
        if self._rule.id not in hashes:
            self._reason("newer", "the rule was not there then, or not enabled")
        elif hashes[self._rule.id] != self._rule.hash:
            self._reason("changed", "the rule had another text then")

    def _events(self, first: int, end: int) -> None:
        topics = frozenset(self._scan.topics())
        since, until = self._then.since, self._then.until
        tick = 0.0
        for row in self._scan.rows(first, end - 1, PLAYED, topics=topics):
            event = _event(row)
            if event is None:
                continue
            if event.at >= since and not self._began:
                self._began = event.tick - (event.at - since).total_seconds()
            self._offset = event.at - datetime.fromtimestamp(event.tick, tz=event.at.tzinfo)
            tick = max(tick, event.tick)
            if event.at >= since and not self._entered:
                self._enter()
            self._link(event)
            self._decided(self._decider.advance(event.tick, event).decisions)
            self._decided(self._decider.feed(event).decisions)
            if event.at >= since:
                self._hold(event.device)
                self._untrusted |= not event.trusted
                if (event.device, event.kind) in self._signals:
                    self._heard.append(event)
        if not self._entered:
            self._enter()
        self._ended = _tick(until, self._offset)
        self._began = self._began or _tick(since, self._offset)
        stamp = Event(
            id="",
            device=SITE,
            kind="time",
            priority=self._rule.priority,
            tick=self._ended,
            at=until,
            boot="",
            trusted=True,
        )
        if self._ended > tick:
            self._decided(self._decider.advance(self._ended, stamp).decisions)

    def _enter(self) -> None:
        """Note who can't be heard when the time begins."""
        self._entered = True
        for member in self._members():
            self._hold(member)
            if self._decider.engine.states.value(member, "link") == "down":
                self._down[member] = self._then.since

    def _hold(self, device: str) -> None:
        """Note which of the states that it looks at a device has."""
        value_of = self._decider.engine.states.value
        for fact in self._facts:
            if device in fact.members and value_of(device, fact.state or "") == fact.value:
                self._held.add((device, fact.state, fact.value))

    def _members(self) -> list[str]:
        some = (m for fact in self._facts for m in fact.members if m != SITE)
        return list(dict.fromkeys(some))

    def _link(self, event: Event) -> None:
        link = event.sets.get("link")
        if not self._entered or link is None or event.device not in self._members():
            return
        if link == "down":
            self._down.setdefault(event.device, event.at)
        elif event.device in self._down:
            down = self._down.pop(event.device)
            text = f"{event.device} could not be heard from {utc(down)} to {utc(event.at)}"
            self._reason("link", text)

    def _decided(self, decisions: list[Any]) -> None:
        for decision in decisions:
            if decision.rule != self._rule.id:
                continue
            at = self._at(decision.tick)
            if not self._then.since <= at < self._then.until:
                continue
            if isinstance(decision, Fired):
                self._then.fired += not decision.step
            elif isinstance(decision, NotFired):
                self._then.missed.append(_missed(decision, at))

    def _at(self, tick: float) -> datetime:
        return datetime.fromtimestamp(tick, tz=self._then.since.tzinfo) + self._offset

    # --- what the devices were -------------------------------------------------------------------

    def _states(self) -> None:
        if self._untrusted:
            self._reason("clock", "the clock was not trusted: daily and site.open are not known")
        for member, down in self._down.items():
            self._reason("link", f"{member} could not be heard from {utc(down)} on")
        for fact in self._wanted:
            if fact.signal is not None:
                self._signal(fact)
            else:
                self._state(fact)

    def _signal(self, fact: Fact) -> None:
        mine = [e for e in self._heard if e.kind == fact.signal and e.device in fact.members]
        if any(matches(fact, event) for event in mine):
            return
        who = fact.group or fact.members[0]
        if mine:
            last, wanted = (
                mine[-1],
                ", ".join(
                    f"{name} {' or '.join(map(str, values))}"
                    for name, values in fact.fields.items()
                ),
            )
            found = ", ".join(f"{n} {last.fields.get(n, UNKNOWN)}" for n in fact.fields) or "test"
            text = f"{last.device} said {fact.signal} with {found}, and it asks for {wanted}"
            self._reason(
                "fields", text if wanted else f"{last.device} said {fact.signal} as a test"
            )
            return
        said = self._decider.engine.states.said
        before = [t for m in fact.members for t in said(m, fact.signal or "") if t < self._began]
        last_said = f"; the last time was {utc(self._at(max(before)))}" if before else ""
        self._reason("silent", f"{who} did not say {fact.signal}{last_said}")

    def _state(self, fact: Fact) -> None:
        told = [one for m in fact.members if (one := self._level(fact, m)) is not None]
        if not told and not self._held & {(m, fact.state, fact.value) for m in fact.members}:
            who = fact.group or fact.members[0]
            told = [("state", f"{who}: {fact.state} was never {fact.value}")]
        for code, text in told[:MEMBERS]:
            self._reason(code, text)
        if len(told) > MEMBERS:
            self._reason("state", f"and so on for {len(told) - MEMBERS} more of {fact.group}")

    def _level(self, fact: Fact, member: str) -> tuple[str, str] | None:
        states, state = self._decider.engine.states, fact.state or ""
        value, since = states.value(member, state), states.since(member, state)
        if value == UNKNOWN:
            return "unknown", f"{member}.{state} was not known"
        if since is None or since >= self._began:
            return None
        again = ", and it fires when that begins" if value == fact.value else ""
        return "state", f"{member}.{state} was {value} since {utc(self._at(since))}{again}"

    def _reason(self, code: str, text: str) -> None:
        reason = Reason(code=code, text=text)
        if reason not in self._then.reasons:
            self._then.reasons.append(reason)


def _wanted(trigger: Trigger) -> list[Fact]:
    """Return the facts that have to come; what an absence waits for in vain is none of them."""
    if isinstance(trigger, Absence):
        return list(trigger.fact)
    return [fact for fact, _role in facts_of(trigger)]


def _missed(decision: NotFired, at: datetime) -> Missed:
    return Missed(
        rule=decision.rule,
        member=decision.member,
        miss=decision.miss,
        reason=decision.reason,
        at=at,
        tick=decision.tick,
        progress=decision.progress,
        first=at,
        last=at,
        why=because(decision.why.as_json()),
    )


def _tick(at: datetime, offset: timedelta) -> float:
    return (at - offset).timestamp()


def read_body(row: Row | None) -> Body | None:
    """Return what a record says; None: it is not one of ours."""
    try:
        return None if row is None else body_of(_record(row))
    except msgspec.DecodeError:
        return None


def _event(row: Row) -> Event | None:
    try:
        return event_of(_record(row))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _record(row: Row) -> Record:
    identity = row.identity.hex() if isinstance(row.identity, bytes) else row.identity
    return Record(
        sequence=row.sequence,
        id=identity,
        kind=KINDS[row.kind],
        priority=row.priority,
        topic=None,
        body=row.body,
        link=b"",
        previous=None,
    )
