"""What the journal says of why rules fired or nearly did.

Records are read from the newest back, so that what became of an order is known before it comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from buffer.record import Kind
from buffer.scan import Row
from drivers.commands import BY_KIND
from drivers.signals import OrderDone, OrderFailed
from edge.stories import Firing, Missed, Told, because
from edge.traces import MISSED, TRACED

KINDS = (Kind.TRACE, Kind.DECISION, Kind.OUTCOME)


class Reading:
    """Takes records from the newest back; each firing is complete when it comes.

    One of an older program, or whose trace is gone, is there without its reasons.
    """

    def __init__(self) -> None:
        self._outcomes: dict[str, list[tuple[float, str, Mapping[str, Any]]]] = {}
        self._ended: dict[tuple[str, str, str, str], tuple[float, str]] = {}
        self._taken: dict[tuple[str, str, str, str], float] = {}
        """Tick at which a later firing gave the same order."""
        self._repeats: dict[tuple[str, str, str], int] = {}
        self._steps: dict[str, list[Firing]] = {}
        self._bare: dict[tuple[str, int], Firing] = {}
        self._blind: list[Missed] = []
        """Times when nobody could know whose trace has not come yet."""

    def take(self, row: Row) -> Firing | Missed | None:
        """Take a record; return the firing or near miss that it is, if it is one."""
        try:
            body = json.loads(row.body)
            stamp = _Stamp(body, row.sequence)
            signal, data = body["signal"], body["data"]
            return self._one(signal, data, stamp, body["device"])
        except (ValueError, KeyError, TypeError):
            return None  # not one of ours: made by another version

    def _one(
        self, signal: str, data: dict[str, Any], stamp: _Stamp, device: str
    ) -> Firing | Missed | None:
        if signal in (OrderDone.kind, OrderFailed.kind):
            if "firing" in data:
                about = {**data, "device": device}
                self._outcomes.setdefault(data["firing"], []).append((stamp.tick, signal, about))
        elif signal == "rule.ended":
            key = (data["rule"], data["member"], data["target"], data["command"])
            self._ended[key] = (stamp.tick, data["because"])
        elif signal == "rule.repeated":
            who = (data["rule"], data["member"], data.get("because", "cooldown"))
            self._repeats[who] = self._repeats.get(who, 0) + data["count"]
        elif signal == "rule.blind":
            self._blind.append(self._blinded(data, stamp))
        elif signal == "rule.fired":
            return self._fired(data, stamp)
        elif signal == TRACED:
            return self._traced(data, stamp)
        elif signal == MISSED:
            return self._missed(data, stamp)
        return None

    def _fired(self, data: dict[str, Any], stamp: _Stamp) -> Firing | None:
        firing = Firing(
            rule=data["rule"],
            member=data["member"],
            at=stamp.at,
            tick=stamp.tick,
            id=data.get("firing", ""),
            step=data.get("step", 0),
            late=data.get("late", False),
            shadow=data.get("shadow", False),
            traced=False,
            config=stamp.config,
            sequence=stamp.sequence,
        )
        if firing.id:
            self._bare[firing.id, firing.step] = firing
            return None
        return firing

    def _traced(self, data: dict[str, Any], stamp: _Stamp) -> Firing | None:
        tick, step = data["tick"], data.get("step", 0)
        self._bare.pop((data["firing"], step), None)
        firing = Firing(
            rule=data["rule"],
            member=data["member"],
            at=stamp.of(tick),
            tick=tick,
            id=data["firing"],
            step=step,
            after=tick - data.get("began", tick),
            late=data.get("late", False),
            shadow=data.get("shadow", False),
            why=because(data["why"]),
            config=stamp.config,
            sequence=stamp.sequence,
        )
        known = self._outcomes.get(firing.id, [])
        firing.orders = [self._told(firing, order, known) for order in data["orders"]]
        if step:
            self._steps.setdefault(firing.id, []).insert(0, firing)
            return None
        asked = {
            (o.device, o.command)
            for f in (firing, *self._steps.get(firing.id, ()))
            for o in f.orders
        }
        firing.orders += [
            Told(device=d["device"], command=d["command"], result="failed", reason=d["reason"])
            for _tick, signal, d in reversed(known)
            if signal == OrderFailed.kind and (d["device"], d["command"]) not in asked
        ]
        firing.escalated = self._steps.pop(firing.id, [])
        firing.repeats = self._repeats.pop((firing.rule, firing.member, "cooldown"), 0)
        if firing.why.facts:  # a storm is of the device that completed the trigger
            storm = (firing.rule, firing.why.facts[-1].device, "quiet")
            firing.repeats += self._repeats.pop(storm, 0)
        self._outcomes.pop(firing.id, None)
        return firing

    def _told(
        self, firing: Firing, order: dict[str, Any], known: Iterable[tuple[float, str, Any]]
    ) -> Told:
        told = Told(
            device=order["device"],
            command=order["command"],
            parameters=order.get("parameters", {}),
            lasts=order.get("for"),
            result=order["is"],
            reason=order.get("reason", ""),
        )
        key = (firing.rule, firing.member, told.device, told.command)
        tick, ended = self._ended.pop(key, (0.0, ""))
        if told.result in ("refused", "shadow"):
            pass  # nothing began that could end
        elif ended:
            told.because, told.ended = ended, max(tick - firing.tick, 0.0)
        elif key in self._taken and _holds(told):
            told.because, told.ended = "renewed", self._taken[key] - firing.tick
        self._taken[key] = firing.tick
        if told.result != "given":
            return told
        mine = [(t, s, d) for t, s, d in known if (d["device"], d["command"]) == key[2:]]
        for tick, signal, data in sorted(mine, key=lambda one: one[0]):
            told.after = tick - firing.tick
            if signal == OrderDone.kind:
                told.result, told.reason = "done", ""
                break
            told.result, told.reason = "failed", data["reason"]
            told.failures.append(data["reason"])
        return told

    def _missed(self, data: dict[str, Any], stamp: _Stamp) -> Missed:
        tick = data["tick"]
        first, last = data.get("first", tick), data.get("last", tick)
        if data["miss"] == "blind":
            who = (data["rule"], data["member"])
            self._blind = [
                m
                for m in self._blind
                if (m.rule, m.member) != who or not first - 1e-5 <= m.tick <= last + 1e-5
            ]
        return Missed(
            rule=data["rule"],
            member=data["member"],
            miss=data["miss"],
            reason=data["reason"],
            at=stamp.of(tick),
            tick=tick,
            progress=data["progress"],
            count=data["count"],
            first=stamp.of(first),
            last=stamp.of(last),
            why=because(data["why"]),
            sequence=stamp.sequence,
        )

    @staticmethod
    def _blinded(data: dict[str, Any], stamp: _Stamp) -> Missed:
        return Missed(
            rule=data["rule"],
            member=data["member"],
            miss="blind",
            reason=data["reason"],
            at=stamp.at,
            tick=stamp.tick,
            first=stamp.at,
            last=stamp.at,
            sequence=stamp.sequence,
        )

    def finish(self) -> list[Firing | Missed]:
        """Return what the journal has no trace of, newest first; call it at the end."""
        left = [f for f in self._bare.values() if not f.step]
        blind, self._bare, self._blind = self._blind, {}, []
        return sorted([*left, *blind], key=lambda one: -one.sequence)


def _holds(told: Told) -> bool:
    """Return whether an order is a lease."""
    kind = BY_KIND.get(told.command)
    return told.lasts is not None or (kind is not None and kind.holds == "yes")


class _Stamp:
    """When a record was made."""

    __slots__ = ("at", "config", "sequence", "tick")

    def __init__(self, body: Mapping[str, Any], sequence: int) -> None:
        self.at, self.tick = datetime.fromisoformat(body["at"]), float(body["tick"])
        self.config, self.sequence = body.get("config", ""), sequence

    def of(self, tick: float) -> datetime:
        """Return the wall time of a tick that was not long before."""
        return self.at - timedelta(seconds=self.tick - tick)


def mark(rule: str) -> bytes:
    """Return what the body of every record about a rule has in it."""
    return f'"rule":{json.dumps(rule)}'.encode()


def walk(rows: Iterable[Row]) -> Iterator[Firing | Missed]:
    """Yield firings and near misses of records that come from the newest back."""
    reading = Reading()
    for row in rows:
        found = reading.take(row)
        if found is not None:
            yield found
    yield from reading.finish()
