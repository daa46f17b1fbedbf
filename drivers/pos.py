"""Tills: what their receipts or event lines say, and whether the drawer is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

from drivers.contract import Driver, Emit, House, LinkLost, SettingError
from drivers.lines.conditioned import Change
from drivers.lines.contacts import Contacts
from drivers.ports.ear import Ear
from drivers.settings import InputSetting, PortName, Seconds
from drivers.signals import (
    InputFault,
    InputRestored,
    LinkUp,
    PosDrawerClosed,
    PosDrawerOpened,
    Signal,
)
from drivers.wire.pos_text import SIGNALS, Till, clean, table, till_name
from drivers.wire.text_profile import PatternTable, TextPattern, TextProfile, load_profile

Follow = Callable[[Emit], Awaitable[None]]
DRAWER = "drawer"
PORT = "port"
AFFECTED: Mapping[str, tuple[str, ...]] = {PORT: (), DRAWER: (DRAWER,)}
"""The states that are unknown without one of the two, while the other is heard."""


@dataclass(slots=True, kw_only=True, eq=False)
class Pos(Driver):
    """A till: by its text feed, by the contact of its drawer, or by both.

    Card numbers are hidden before anything is said, kept or logged. What happens in training mode
    is said with `test: true`: only rules that ask for it hear it.
    """

    port: PortName | None = None
    """The text port with its receipts or event lines."""
    profile: str | None = None
    """How its records read: a name in `drivers/profiles/pos`."""
    patterns: tuple[TextPattern, ...] = ()
    """The installer's own: tried before the profile's."""
    till: str = ""
    """Its number or name; records of other tills on the port are not its own. Empty: all are."""
    drawer: InputSetting | None = None
    """The drawer's contact: closed while on, so that a cut wire reads as open; `active: off` for
    one that is off then. It goes before what records say of the drawer."""
    silence: Seconds | None = None
    """Without a record for so long the port counts as lost; for feeds with a sign of life."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset(SIGNALS.values())
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {DRAWER: ("open", "closed")}

    _contacts: Contacts = field(init=False, repr=False, default_factory=Contacts)
    _ear: Ear | None = field(init=False, repr=False, default=None)
    _table: PatternTable | None = field(init=False, repr=False, default=None)
    _lost: dict[str, str] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.silence is not None and self.silence <= 0:
            raise SettingError("silence", "silence is more than 0 s")
        if self.port is None:
            for name in ("profile", "patterns", "silence"):
                if getattr(self, name):
                    raise SettingError(name, f"{name} is for a text port", "name it: port: tills")
            if self.drawer is None:
                raise SettingError("port", "a till needs a port or a drawer contact")
            return
        profile = load_profile("pos", self.profile) if self.profile else TextProfile()
        if not (self.patterns or profile.patterns):
            hint = "profile: generic_lines, or patterns: [{pattern: …, signal: pos.sale}]"
            raise SettingError("port", "a port needs a profile or patterns", hint)
        self._table = table([*self.patterns, *profile.patterns])

    def attach(self, house: House) -> None:
        if self.port is not None:
            port = house.port(self.port)
            self._ear = Ear(port, silence=self.silence, clean=clean)
        self._contacts.add(house, DRAWER, self.drawer)

    async def run(self, emit: Emit) -> None:
        follow: dict[str, Follow] = {}
        if self._ear is not None and self._table is not None:
            feed = Till(self._table, till=self.till, drawer=self.drawer is None)
            follow[PORT] = partial(self._ear.follow, reader=feed)
        if self.drawer is not None:
            drawer = _Drawer(till_name(self.till))
            follow[DRAWER] = partial(self._contacts.follow, logic=drawer)
        if len(follow) == 1:
            await next(iter(follow.values()))(emit)
            return
        both = _Both(emit, self._lost)
        following = [asyncio.create_task(both.follow(name, of)) for name, of in follow.items()]
        try:
            await asyncio.wait(following, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for each in following:
                each.cancel()
            ended = await asyncio.gather(*following, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def signal_for(self, state: str, value: str) -> Signal | None:
        till = till_name(self.till)
        said: dict[tuple[str, str], Signal] = {
            (DRAWER, "open"): PosDrawerOpened(till=till),
            (DRAWER, "closed"): PosDrawerClosed(till=till),
        }
        return said.get((state, value))

    def lines(self) -> Mapping[str, str]:
        return {} if self.drawer is None else {DRAWER: self.drawer.line}


class _Drawer:
    """What the drawer's contact means. Pure; times are loop seconds."""

    deadline = None

    def __init__(self, till: str) -> None:
        self._till = till
        self._opened: float | None = None

    def found(self, name: str, change: Change) -> Mapping[str, str]:
        self._opened = None
        return {DRAWER: "closed" if change.active else "open"}

    def lost(self, name: str) -> tuple[str, ...]:
        return (DRAWER,)

    def changed(self, name: str, change: Change) -> Sequence[Signal]:
        if not change.active:
            self._opened = change.since
            return [PosDrawerOpened(till=self._till)]
        opened, self._opened = self._opened, None
        open_for = None if opened is None else round(change.since - opened, 3)
        return [PosDrawerClosed(till=self._till, open_for=open_for)]

    def advance(self, now: float) -> Sequence[Signal]:
        return []


class _Both:
    """A port and a contact of one till: it is heard while either is, and lost with both."""

    def __init__(self, emit: Emit, lost: dict[str, str]) -> None:
        """`lost`: what could not be heard at the end of the last link, and why; kept up."""
        self._emit = emit
        self._lost = lost
        self._up: set[str] = set()
        self._said_up = False

    async def follow(self, name: str, of: Follow) -> None:
        """Follow one of the two for as long as the link is up.

        Raises:
            LinkLost: neither can be heard.
        """

        async def emit(signal: Signal) -> None:
            if isinstance(signal, LinkUp):
                await self._heard(name)
            else:
                await self._emit(signal)

        while True:
            try:
                await of(emit)
            except LinkLost as lost:
                await self._missed(name, str(lost))

    async def _heard(self, name: str) -> None:
        first = not self._up
        known = name in self._lost
        self._up.add(name)
        self._lost.pop(name, None)
        if first:
            self._said_up = True
            await self._emit(LinkUp())
            for other, reason in self._lost.items():
                await self._fault(other, reason)
        elif known:
            await self._emit(InputRestored(input=name))

    async def _missed(self, name: str, reason: str) -> None:
        self._up.discard(name)
        self._lost[name] = reason
        if self._up:
            await self._fault(name, reason)
        elif self._said_up or len(self._lost) == len(AFFECTED):
            raise LinkLost(reason)

    async def _fault(self, name: str, reason: str) -> None:
        await self._emit(InputFault(input=name, reason=reason, affects=AFFECTED[name]))


DRIVER = Pos
