"""The inputs of one device, followed together: link, faults, and what its logic makes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Literal, Protocol

from drivers.contract import Emit, House, LinkLost
from drivers.lines.conditioned import Change, Changes, ConditionedInput
from drivers.lines.line import Quality
from drivers.settings import InputSetting
from drivers.signals import InputFault, InputRestored, LinkUp, Signal, StateKnown

FIRST_READ = 10.0
"""Seconds that a module has for its first answer before the device says that its link is down,
and that a single input has before the device says that it is faulty."""


class Logic(Protocol):
    """What a device makes of its inputs. Pure: time comes in with each change, in loop seconds."""

    @property
    def deadline(self) -> float | None:
        """When `advance` is next needed, or None."""
        ...

    def found(self, name: str, change: Change) -> Mapping[str, str]:
        """Take an input as it is found; return the states that are proven now."""
        ...

    def changed(self, name: str, change: Change) -> Sequence[Signal]:
        """Take a change of a good input; return what it means."""
        ...

    def lost(self, name: str) -> tuple[str, ...]:
        """Forget an input that can't be trusted; return the states that are unknown without it."""
        ...

    def advance(self, now: float) -> Sequence[Signal]:
        """Return what the passing of time until `now`, included, leads to."""
        ...


class Contacts:
    """The inputs of one device by the name of their setting, in the order of precedence.

    What several inputs read in the same poll is handled in that order.
    """

    def __init__(self) -> None:
        self._inputs: dict[str, ConditionedInput] = {}
        self._said_lost = False

    def add(
        self,
        house: House,
        name: str,
        setting: InputSetting | None,
        *,
        active: Literal["on", "off"] = "on",
    ) -> None:
        """Take the line of `setting`, if there is one; `active` is the device's default."""
        if setting is not None:
            self._inputs[name] = ConditionedInput(
                house.input(setting.line),
                active=setting.active or active,
                debounce=setting.debounce,
            )

    async def follow(self, emit: Emit, logic: Logic) -> None:
        """Say link, faults and what `logic` makes of the inputs, until cancelled.

        The link is up once any input can be read. What is read later is said when it is.

        Raises:
            LinkLost: none of the inputs can be read, or not any more. While none can, it is
                raised once; the next call waits, so that the device is back with its module.
        """
        with ExitStack() as watches:
            heard = _Heard(list(self._inputs))
            for name, each in self._inputs.items():
                watches.enter_context(each.watch(heard.of(name)))
            found = {name: each.now for name, each in self._inputs.items()}
            changes = _left(found, await self._until_readable(heard))
            self._said_lost = False
            await emit(LinkUp())
            following = _Following(logic, emit)
            await following.begin(found)
            while True:
                for name, change in changes:
                    await following.pass_time(change.since)
                    if change.quality is not Quality.good:
                        self._raise_if_lost()
                    await following.take(name, change)
                await following.pass_time(asyncio.get_running_loop().time())
                changes = await heard.until(following.deadline)

    async def _until_readable(self, heard: _Heard) -> list[tuple[str, Change]]:
        """Wait until any input can be read; return what was heard until then."""
        deadline = asyncio.get_running_loop().time() + FIRST_READ
        changes: list[tuple[str, Change]] = []
        while self._unreadable():
            changes += await heard.until(None if self._said_lost else deadline)
            if not self._said_lost:
                self._raise_if_lost()
        return changes

    def _unreadable(self) -> bool:
        return all(i.line.reading.quality is Quality.unknown for i in self._inputs.values())

    def _raise_if_lost(self) -> None:
        if self._unreadable():
            self._said_lost = True
            first = next(iter(self._inputs.values())).line
            raise LinkLost(f"{first.line}: {first.reading.reason}")


def _left(
    found: dict[str, Change], changes: Sequence[tuple[str, Change]]
) -> list[tuple[str, Change]]:
    """Put the first good change of each input that was not into `found`; return those after it.

    A pulse that a hardware counter saw while nobody could read is found active and then changes.
    """
    left: list[tuple[str, Change]] = []
    for name, change in changes:
        if found[name].quality is Quality.good:
            left.append((name, change))
        else:
            found[name] = change
    return left


class _Heard:
    """The changes of several inputs, in one queue."""

    def __init__(self, names: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._waiting: asyncio.Queue[tuple[str, Change]] = asyncio.Queue()

    def of(self, name: str) -> Changes:
        return _Named(name, self._waiting)

    async def until(self, deadline: float | None) -> list[tuple[str, Change]]:
        """Return the next changes by time, then by precedence; nothing at `deadline`."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                first = await self._waiting.get()
            return self._ordered([first, *self._drain()])
        return []

    def _drain(self) -> list[tuple[str, Change]]:
        return [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]

    def _ordered(self, changes: list[tuple[str, Change]]) -> list[tuple[str, Change]]:
        return sorted(changes, key=lambda each: (each[1].since, self._places[each[0]]))


class _Named(Changes):
    """Puts the changes of one input into a queue shared with others, under its name."""

    def __init__(self, name: str, shared: asyncio.Queue[tuple[str, Change]]) -> None:
        super().__init__()
        self._name = name
        self._shared = shared

    def put(self, change: Change) -> None:
        self._shared.put_nowait((self._name, change))


class _Following:
    """One link: which inputs are trusted, and what was said of the others."""

    def __init__(self, logic: Logic, emit: Emit) -> None:
        self._logic = logic
        self._emit = emit
        self._trusted: set[str] = set()
        self._faulty: set[str] = set()
        self._unread_until: float | None = None
        self._unread: dict[str, Change] = {}

    @property
    def deadline(self) -> float | None:
        known = [d for d in (self._logic.deadline, self._unread_until) if d is not None]
        return min(known, default=None)

    async def begin(self, found: Mapping[str, Change]) -> None:
        """Say what was found: the states that are proven, and the inputs that are broken."""
        values: dict[str, str] = {}
        for name, change in found.items():
            if change.quality is Quality.good:
                self._trusted.add(name)
                values |= self._logic.found(name, change)
        if values:
            await self._emit(StateKnown(values=values))
        for name, change in found.items():
            if change.quality is Quality.fault:
                await self._fault(name, change.reason)
            elif change.quality is Quality.unknown:
                self._unread[name] = change
        if self._unread:
            self._unread_until = asyncio.get_running_loop().time() + FIRST_READ

    async def take(self, name: str, change: Change) -> None:
        """Handle one change of one input."""
        self._unread.pop(name, None)
        if change.quality is not Quality.good:
            self._trusted.discard(name)
            await self._fault(name, change.reason)
        elif name in self._trusted:
            await self._say(self._logic.changed(name, change))
        else:
            self._trusted.add(name)
            if name in self._faulty:
                self._faulty.discard(name)
                await self._emit(InputRestored(input=name))
            if values := self._logic.found(name, change):
                await self._emit(StateKnown(values=dict(values)))

    async def pass_time(self, now: float) -> None:
        """Say what the passing of time alone leads to."""
        if self._unread_until is not None and now >= self._unread_until:
            self._unread_until = None
            unread, self._unread = self._unread, {}
            for name, change in unread.items():
                await self._fault(name, change.reason)
        while (deadline := self._logic.deadline) is not None and deadline <= now:
            await self._say(self._logic.advance(deadline))

    async def _fault(self, name: str, reason: str) -> None:
        self._faulty.add(name)
        affects = self._logic.lost(name)
        await self._emit(InputFault(input=name, reason=reason, affects=affects))

    async def _say(self, signals: Sequence[Signal]) -> None:
        for signal in signals:
            await self._emit(signal)
