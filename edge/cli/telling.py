"""Firings and near misses in plain sentences, by the site's clock and with the devices' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from edge.cli.plainly import failing, reads, seconds, shown, span

if TYPE_CHECKING:
    from edge.again import Then
    from edge.stories import Because, Fact, Firing, Group, Missed, Told
    from rules.model import Rule

ENDS = {
    "for": "its time was over",
    "until": "what ends it came",
    "limit": "the device's own limit",
    "gone": "its rule was changed or did not outlive a restart",
}
SECONDS = frozenset({"duration", "open_for", "active_for", "seconds", "for"})
"""Fields of signals that are so many seconds."""
_LEFT_OUT: tuple[Any, ...] = (None, "", [], {}, "unknown")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)")
_HOLDS = re.compile(r"(until: )?(\S+) \w+=(\S+) holds")
_LEASE = re.compile(r"(\S+) has its (\S+)")
A_WHILE = timedelta(days=180)
DULL = 3
"""Records of near misses of one kind up to which each has a line of its own."""


@dataclass(slots=True, kw_only=True)
class Teller:
    """Makes lines of what the journal says."""

    names: Mapping[str, str] = field(default_factory=dict)
    """What people call a device, by its id."""
    rules: Mapping[str, Rule] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    newest: datetime | None = None
    """Time of the newest record."""

    # --- times and names ---------------------------------------------------------------------

    def moment(self, at: datetime) -> str:
        """Return `Sun 22 Nov 2026 17:03:12 (16:03:12 UTC)`."""
        local = at.astimezone(self.zone)
        utc = at.astimezone(ZoneInfo("UTC"))
        day = "" if utc.date() == local.date() else f"{utc:%a %d %b} "
        return f"{local:%a %d %b %Y %H:%M:%S} ({day}{utc:%H:%M:%S} UTC)"

    def time(self, at: datetime) -> str:
        """Return `22 Nov 17:03:12`; with the year if that is half a year before the newest."""
        local = at.astimezone(self.zone)
        long_ago = self.newest is not None and abs(self.newest - local) > A_WHILE
        year = f" {local:%Y}" if long_ago else ""
        return f"{local:%d %b}{year} {local:%H:%M:%S}"

    def name(self, device: str) -> str:
        """Return `Front gates (eas_front)`."""
        known = self.names.get(device)
        return f"{known} ({device})" if known and known != device else device

    # --- firings -------------------------------------------------------------------------------

    def story(self, firing: Firing) -> list[str]:
        """Return a firing as a story."""
        who = f" for {self.name(firing.member)}" if firing.member else ""
        lines = [f"{firing.rule} fired{who} on {self.moment(firing.at)}"]
        rule = self.rules.get(firing.rule)
        if rule is not None and rule.description:
            lines.append(f"  {rule.description}")
        if firing.late:
            lines.append("  late        it fell due while the box was down")
        if firing.shadow:
            lines.append("  shadow      the rule is in shadow: it decides, and nothing is done")
        if not firing.traced:
            return [*lines, "  the journal has no trace of this firing: why is not known"]
        lines += _column("matched", self._facts(firing.why, firing.tick))
        lines += _column("held", self._held(firing.rule, firing.why))
        lines += _column("if", _condition(firing.why))
        lines += _column("ordered", (self._order(order) for order in firing.orders))
        if firing.repeats:
            times = "once" if firing.repeats == 1 else f"{firing.repeats} times"
            lines += _column("again", [f"{times} more it would have fired, and was held back"])
        for step in firing.escalated:
            orders = (self._order(order) for order in step.orders)
            lines += _column(f"{span(step.after)} later", orders)
        return lines

    def line(self, firing: Firing) -> str:
        """Return a firing in one line."""
        facts = [f"{self.name(f.device)} said {f.signal}" for f in firing.why.facts[-1:]]
        marks = [word for word in ("late", "shadow") if getattr(firing, word)]
        orders = [self._short(order) for order in firing.orders]
        told = "; ".join([*facts, *marks, *orders]) or "no trace of why"
        return f"{self.time(firing.at)}  {firing.rule} fired: {told}"

    @staticmethod
    def _short(told: Told) -> str:
        who = told.device
        if who == "site":
            who = " ".join(str(value) for value in told.parameters.values())
            return f"{told.command} {who} {_result(told)}".replace("  ", " ")
        return f"{who} {told.command} {_result(told)}"

    def _facts(self, why: Because, tick: float) -> Iterable[str]:
        for fact in why.facts:
            ago = tick - fact.tick
            when = "at that moment" if abs(ago) < 0.0005 else f"{span(abs(ago))} before"
            yield f"{self.said(fact)}, {when}"

    def said(self, fact: Fact) -> str:
        """Return `Front gates (eas_front) said eas.alarm (direction out)`."""
        who = "the site" if fact.device == "site" else self.name(fact.device)
        fields = [
            _field(key, value)
            for key, value in fact.fields.items()
            if key != "firing"
            and value not in _LEFT_OUT
            and value is not False
            and not isinstance(value, dict)
        ]
        return f"{who} said {fact.signal}" + (f" ({', '.join(fields)})" if fields else "")

    def _held(self, rule: str, why: Because) -> Iterable[str]:
        if why.held is not None:
            short = why.wanted is not None and why.held < why.wanted - 0.0005
            wanted = f" of {span(why.wanted or 0.0)}" if short else ""
            yield f"{self._state(rule, why)}{span(why.held)}{wanted}"

    def _state(self, rule: str, why: Because) -> str:
        """Return `door_front was open for `, as far as the rule is still known."""
        from rules.model import Fact as RuleFact

        known = self.rules.get(rule)
        if known is not None and why.trigger < len(known.when):
            trigger = known.when[why.trigger]
            if isinstance(trigger, RuleFact) and trigger.value is not None and why.facts:
                return f"{why.facts[0].device} was {trigger.value} for "
        return ""

    def _order(self, told: Told) -> str:
        if told.device == "site":
            values = " ".join(str(v) for v in told.parameters.values())
            return f"{told.command} {values}: {_result(told)}".replace(" :", ":")
        values = "".join(f" {value}" for value in _parameters(told.parameters))
        lasts = f" for {span(told.lasts)}" if told.lasts is not None else ""
        text = f"{self.name(told.device)}: {told.command}{values}{lasts}: {_result(told)}"
        if told.ended is not None and told.because == "renewed":
            text += f"; renewed by the next firing after {span(told.ended)}"
        elif told.ended is not None:
            text += f"; ended after {span(told.ended)}: {ENDS.get(told.because, told.because)}"
        return text

    # --- near misses ---------------------------------------------------------------------------

    def near(self, missed: Missed) -> str:
        """Return `22 Nov 17:03:12  Front door (door_front) was open for 58 s of 60 s`."""
        return f"{self.time(missed.at)}  {self.reason(missed)}"

    def reason(self, missed: Missed) -> str:
        """Return what kept a rule from firing."""
        who = f"{self.name(missed.member)}: " if missed.member else ""
        if missed.miss == "hold":
            held = self._state(missed.rule, missed.why)
            if held and missed.why.held is not None and missed.why.wanted is not None:
                of = f"{span(missed.why.held)} of {span(missed.why.wanted)}"
                return f"{held}{of}{_ended_by_while(missed.why)}"
        if missed.miss == "if" and missed.why.condition not in ("", missed.reason):
            asked = missed.why.condition
            part, read = failing(asked, missed.why.read)
            return f"{who}if {part}: {reads(read) or missed.reason.removeprefix(f'if {asked}: ')}"
        if missed.miss == "blind":
            return f"{who}nobody could know: {missed.reason}"
        return f"{who}{seconds(missed.reason)}"

    def group(self, group: Group) -> list[str]:
        """Return the lines of near misses of one kind: few each for itself, many in one."""
        if len(group.latest) <= DULL and group.count == sum(m.count for m in group.latest):
            lines = []
            for missed in reversed(group.latest):
                lines.append(self.near(missed) + self._more(missed))
            return lines
        nearest = group.nearest
        since = f"{self.time(group.first)} to {self.time(group.last)}"
        return [f"{self.near(nearest)}", f"{'':15}  the nearest of {group.count}, {since}"]

    def group_line(self, group: Group) -> str:
        """Return the near misses of one kind in one line."""
        line = f"{self.time(group.last)}  {group.nearest.rule}: {self.reason(group.nearest)}"
        if group.count == 1:
            return line
        return f"{line} (the nearest of {group.count} since {self.time(group.first)})"

    def _more(self, missed: Missed) -> str:
        if missed.count == 1:
            return ""
        since = f"{self.time(missed.first)} to {self.time(missed.last)}"
        return f" (the nearest of {missed.count}, {since})"

    # --- why not, and what now -----------------------------------------------------------------

    def why_not(self, then: Then) -> list[str]:
        """Return what kept the rule from firing, or may have."""
        if then.fired:
            return ["decided again from what the journal has, it fires: the box did not then"]
        if not then.reasons:
            return [] if then.missed else ["nothing that the journal has says why not"]
        told = [f"  {self.local(reason.text)}" for reason in then.reasons]
        return ["why not:", *told]

    def standing(self, rule: Rule) -> list[str]:
        """Return what keeps a rule from ever firing."""
        if rule.inactive:
            return [f"it is inactive here: {rule.inactive}"]
        return ["it says enabled: no"] if rule.enabled == "no" else []

    def wait(self, wait: Mapping[str, Any]) -> str:
        """Return what a rule waits for now."""
        who = self.name(wait["member"]) if wait.get("member") else ""
        known = self.rules.get(wait["rule"])
        shadow = "in shadow, " if known is not None and known.enabled == "shadow" else ""
        left = span(wait["left"]) if wait.get("left") is not None else "some time"
        text = seconds(str(wait["text"]))
        held, lease = _HOLDS.fullmatch(text), _LEASE.fullmatch(text)
        if held is not None:
            until, device, value = held.groups()
            so = f"{who or self.name(device)} is {value}"
            then = "what it ordered ends" if until else "it fires"
            return f"now: {wait['rule']}: {so}; {then} in {left} if that lasts"
        if lease is not None:
            told = f"{shadow}{self.name(lease[1])}: {lease[2]} for {left} more"
        elif wait.get("what") == "escalation":
            told = f"{text}, in {left}"
        else:
            told = f"{text}, {left} more"
        return f"now: {wait['rule']}: {who}{': ' if who else ''}{told}"

    def local(self, text: str) -> str:
        """Return `text` with times in the place of ISO times."""
        return _ISO.sub(lambda found: self.time(datetime.fromisoformat(found[0])), text)


def _column(title: str, told: Iterable[str]) -> list[str]:
    """Return lines with the title before the first of them."""
    texts = list(told)
    return [f"  {title if not n else '':<12}{text}" for n, text in enumerate(texts)]


def _condition(why: Because) -> list[str]:
    if not why.condition:
        return []
    if list(why.read) == [why.condition] and shown(why.read[why.condition]) == why.answer:
        return [f"{why.condition}: {why.answer}"]
    read = reads(why.read)
    return [f"{why.condition}: {why.answer}" + (f", for {read}" if read else "")]


def _ended_by_while(why: Because) -> str:
    """Return what of `while:` was not so any more, where that cut a hold short."""
    if not why.condition:
        return ""
    part, read = failing(why.condition, why.read)
    return f", then not while {part}: {reads(read)}"


def _field(key: str, value: Any) -> str:
    """Return `aisle 1`, `amount 20.00`, `for 2 h`, `found after a restart`."""
    if value is True:
        return "found after a restart" if key == "changed_while_down" else key.replace("_", " ")
    if isinstance(value, float) and key == "amount":
        return f"amount {value:.2f}"
    if isinstance(value, (int, float)) and key in SECONDS:
        return f"{key.replace('_', ' ')} {span(value)}"
    return f"{key.replace('_', ' ')} {value}"


def _parameters(parameters: Mapping[str, Any]) -> Iterable[str]:
    """Yield `gate`, `"text"`, `for 60 s`, `from 20 s before`."""
    for name, value in parameters.items():
        if name not in ("before", "duration"):
            yield f'"{value}"' if name == "text" else str(value)
    if "duration" in parameters:
        yield f"for {span(float(parameters['duration']))}"
    if parameters.get("before"):
        yield f"from {span(float(parameters['before']))} before"


def _result(told: Told) -> str:
    if told.result == "done":
        again = f" (first it failed: {told.failures[0]})" if told.failures else ""
        return f"done after {span(told.after or 0.0)}{again}"
    if told.result == "failed":
        return f"failed: {told.reason}"
    if told.result == "refused":
        return f"refused: {told.reason}"
    if told.result == "unmoved":
        return "already so" if told.reason == "it is so" else f"not shown: {told.reason}"
    if told.result == "shadow":
        return "not done, in shadow"
    known = {"incident": "opened", "evacuate": "started", "mode": "set"}
    return known.get(told.command, "given; what became of it is not in the journal")
