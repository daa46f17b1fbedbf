"""What falls due at a tick, in order of ticks, cheap to take back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any, Protocol

from drivers.event import Event
from rules.model import Decision
from rules.trace import Why


class Owner(Protocol):
    """Whoever waits for a deadline."""

    @property
    def path(self) -> str:
        """Its name within its rule, the same after a restart."""
        ...

    @property
    def postponed(self) -> bool:
        """Whether `after_restart: late` puts off what it waits for."""
        ...

    def due(self, deadline: Deadline) -> list[Decision]:
        """Return what follows now that `deadline` has come."""
        ...

    def adopt(self, deadline: Deadline) -> None:
        """Take back a deadline of an engine that was saved."""
        ...


@dataclass(slots=True, eq=False)
class Deadline:
    """Something that waits for a tick."""

    tick: float
    serial: int
    rule: str
    owner: Owner
    member: str
    event: Event | None
    info: dict[str, Any] = field(default_factory=dict)
    """JSON values that the owner needs."""
    why: Why | None = None
    """Of the firing that it belongs to, where the owner needs it."""
    live: bool = True


class Deadlines:
    """A heap; what is cancelled stays in it, dead, until it comes to the top."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []
        self._dead = 0
        self._serial = 0

    @property
    def next(self) -> float | None:
        """The tick of the first live deadline."""
        return self._heap[0][0] if self._heap else None

    def __iter__(self) -> Iterator[Deadline]:
        """Every live deadline in the order in which they fall due."""
        return (d for _, _, d in sorted(self._heap) if d.live)

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def add(
        self,
        tick: float,
        rule: str,
        owner: Owner,
        member: str = "",
        event: Event | None = None,
        info: dict[str, Any] | None = None,
        why: Why | None = None,
    ) -> Deadline:
        """Wait for `tick`; among equal ticks the earlier added is due first."""
        self._serial += 1
        deadline = Deadline(tick, self._serial, rule, owner, member, event, info or {}, why)
        heappush(self._heap, (tick, self._serial, deadline))
        return deadline

    def cancel(self, deadline: Deadline) -> None:
        """Forget a deadline; one that was due or cancelled already stays so."""
        if not deadline.live:
            return
        deadline.live = False
        self._dead += 1
        if self._dead > 64 and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].live]
            heapify(self._heap)
            self._dead = 0
        self._uncover()

    def postpone(self, deadlines: Iterable[Deadline], tick: float) -> None:
        """Let deadlines that are due before `tick` be due at it, in the order given."""
        for deadline in deadlines:
            self._serial += 1
            deadline.tick, deadline.serial = tick, self._serial
        self._heap = [(d.tick, d.serial, d) for _, _, d in self._heap]
        heapify(self._heap)

    def take(self, tick: float) -> Deadline | None:
        """Return the first deadline that is due at `tick`, which is then over; None: nothing."""
        if not self._heap or self._heap[0][0] > tick:
            return None
        deadline = heappop(self._heap)[2]
        deadline.live = False
        self._uncover()
        return deadline

    def _uncover(self) -> None:
        while self._heap and not self._heap[0][2].live:
            heappop(self._heap)
            self._dead -= 1
