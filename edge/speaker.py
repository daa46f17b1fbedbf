"""Make events of signals: who said it, when, how urgent, and what changed while nobody listened."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from drivers.contract import Driver, unknown_states
from drivers.event import SITE, Event
from drivers.priorities import Priority
from drivers.signals import LinkDown, Signal, StateKnown
from edge.clock import Clock


class Known(Protocol):
    """What was last known of a device's states."""

    def last_known(self, device: str, state: str) -> str | None: ...


class Speaker:
    """Stamps what a device, the dispatcher or the site says, and puts it into the inbox."""

    def __init__(self, clock: Clock, put: Callable[[Event], None]) -> None:
        self._clock = clock
        self._put = put
        self.watch: Callable[[float, datetime], bool] = lambda _tick, _at: False
        """Sees both times of each stamp; true: the clock was set, so that they are read again."""

    @property
    def trusted(self) -> bool:
        """Whether the wall clock is trusted now."""
        return self._clock.believed

    def stamp(
        self,
        device: str,
        kind: str,
        priority: Priority,
        fields: Mapping[str, Any],
        sets: Mapping[str, str],
    ) -> Event:
        """Return an event of now; it is not put anywhere."""
        tick, at = self._clock.read()
        if self.watch(tick, at):
            tick, at = self._clock.read()
        return Event(
            id=secrets.token_hex(16),
            device=device,
            kind=kind,
            priority=priority,
            tick=tick,
            at=at,
            boot=self._clock.boot,
            trusted=self.trusted,
            fields=dict(fields),
            sets=dict(sets),
        )

    def say(self, device: str, signal: Signal, priority: Priority, **sets: str) -> Event:
        """Put `signal` of `device` into the inbox; `sets` adds to the states it sets."""
        states = {**signal.states(), **sets}
        event = self.stamp(device, signal.kind, priority, signal.fields(), states)
        self._put(event)
        return event

    def site(
        self,
        kind: str,
        priority: Priority = Priority.operations,
        fields: Mapping[str, Any] | None = None,
        sets: Mapping[str, str] | None = None,
    ) -> Event:
        """Put something into the inbox that the site itself says."""
        event = self.stamp(SITE, kind, priority, fields or {}, sets or {})
        self._put(event)
        return event


def say_of(
    speaker: Speaker, device: str, driver: Driver, raised: Priority | None, known: Known
) -> Callable[[Signal], None]:
    """Return what puts the signals of one device into the inbox."""

    def say(signal: Signal) -> None:
        if isinstance(signal, StateKnown):
            for found in compared(driver, device, signal, known):
                _say(found)
        else:
            _say(signal)

    def _say(signal: Signal) -> None:
        urgent = driver.priority_of(signal)
        priority = urgent if raised is None else min(urgent, raised)
        lost = unknown_states(type(driver)) if isinstance(signal, LinkDown) else {}
        speaker.say(device, signal, priority, **lost)

    return say


def compared(driver: Driver, device: str, found: StateKnown, known: Known) -> list[Signal]:
    """Return what `found` means beside what was last known of the device.

    What is as it was, or was never known, stays a `state.known`; a difference is said as the
    ordinary signal with `changed_while_down`, and so is an alarm without history.
    """
    alarms = driver.alarms_without_history()
    proven: dict[str, str] = {}
    changed: list[Signal] = []
    for state, value in found.values.items():
        last = known.last_known(device, state)
        differs = last != value if last is not None else (state, value) in alarms
        signal = driver.signal_for(state, value) if differs else None
        if signal is None:
            proven[state] = value
        else:
            changed.append(dataclasses.replace(signal, changed_while_down=True))
    return [StateKnown(values=proven), *changed] if proven else changed
