"""What rules can hear: the signals and states that can change anything they decide."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from drivers.event import SITE, Event
from rules.model import Condition, Fact, Rule, Trigger, World
from rules.triggers import facts_of

LINK_KINDS = frozenset({"link.up", "link.down"})
LATCHING = ("fire.alarm", "button.pressed")
"""What sets the evacuation latch when a device of its plan says it."""
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


@dataclass(slots=True)
class Interest:
    """A superset of what matters; everything that the site itself says does."""

    signals: set[tuple[str, str]] = field(default_factory=set)
    """(device, signal) that triggers name, or whose times conditions count."""
    triggering: set[tuple[str, str]] = field(default_factory=set)
    """Those that triggers name."""
    kinds: set[str] = field(default_factory=set)
    """Signals that conditions name, whoever says them."""
    states: set[tuple[str, str]] = field(default_factory=set)
    """(device, state) that triggers or conditions look at."""
    devices: set[str] = field(default_factory=set)
    """Devices that are named at all: whether they can be heard may matter."""

    @classmethod
    def of(cls, rules: Iterable[Rule], world: World) -> Interest:
        """Return what `rules`, and the evacuation latch of `world`, can hear."""
        found = cls()
        for rule in rules:
            if rule.enabled == "no" or rule.inactive:
                continue
            found._condition(rule.condition)
            for trigger in (*rule.when, *rule.until):
                found._trigger(trigger)
        for device in world.evacuation.on if world.evacuation is not None else ():
            found.devices.add(device)
            found.signals |= {(device, kind) for kind in LATCHING}
            found.triggering |= {(device, kind) for kind in LATCHING}
            found.states |= {(device, "alarm"), (device, "contact")}
        return found

    def _trigger(self, trigger: Trigger) -> None:
        for fact, _role in facts_of(trigger):
            self._fact(fact)

    def _fact(self, fact: Fact) -> None:
        self.devices |= set(fact.members)
        if fact.signal is not None:
            named = {(member, fact.signal) for member in fact.members}
            self.signals |= named
            self.triggering |= named
        if fact.state is not None:
            self.states |= {(member, fact.state) for member in fact.members}
        self._condition(fact.holding)

    def _condition(self, condition: Condition | None) -> None:
        if condition is None:
            return
        self.states |= {pair for pair in condition.reads if pair[0] != "event"}
        self.signals |= {(device, signal) for device, signal, *_ in condition.counts}
        self.devices |= {device for device, _state in self.states if device != SITE}
        self.kinds |= {a or b for a, b in _QUOTED.findall(condition.source)}

    def stateful(self) -> frozenset[str]:
        """Return the devices one of whose states is looked at."""
        return frozenset(device for device, _state in self.states)

    def exact(self, device: str, kind: str) -> bool:
        """Return whether every such event matters, whatever it sets."""
        return (
            device == SITE
            or (device, kind) in self.signals
            or kind in self.kinds
            or (kind in LINK_KINDS and device in self.devices)
        )

    def only_asked(self, event: Event) -> bool:
        """Return whether `event` sets no state and is no trigger's: conditions may ask for it."""
        kind = event.kind
        if event.sets or event.device == SITE or kind in LINK_KINDS:
            return False
        return (event.device, kind) not in self.triggering

    def hears(self, event: Event) -> bool:
        """Return whether `event` can change anything."""
        return self.exact(event.device, event.kind) or (
            bool(event.sets) and event.device in self.stateful()
        )

    def __or__(self, other: Interest) -> Interest:
        return Interest(
            self.signals | other.signals,
            self.triggering | other.triggering,
            self.kinds | other.kinds,
            self.states | other.states,
            self.devices | other.devices,
        )
