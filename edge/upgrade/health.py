"""Whether a release on trial does what the one before it did: looks at the service, compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edge.upgrade.service import Look

WATCH = 120.0
"""Seconds that a release is watched. A device is tried again every 15 s at least, a snapshot and a
note of the journal come once a minute, systemd's watchdog bites after 10 s: each has its turn."""
READY_WITHIN = 90.0
"""Seconds until the rules have to run: the stop of the release before is part of them."""
SILENT_FOR = 15.0
"""Seconds for which the daemon may give no answer."""
UNKNOWN_FOR = 60.0
"""Seconds for which systemd itself may give no answer."""
DOWN_FOR = 45.0
"""Seconds for which what was up before may be down."""
JOURNAL_FOR = 20.0
"""Seconds for which the journal may take no records, where it did before."""
STUCK_FOR = 60.0
"""Seconds for which nothing may be forwarded while something waits."""
MORE_MEMORY = 100 << 20
"""Bytes that it may take more than before, or twice as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a release is gone back from."""

    text: str
    grave: bool
    """It does not protect the store: not even an evacuation that is on lets it stay."""


@dataclass(slots=True, kw_only=True)
class Health:
    """Fed with looks at the service, in order of time; `before` is the release before."""

    version: str
    before: Look | None
    """None: it did not run, so nothing but that the new one runs can be asked for."""
    begun: float
    """Seconds of a clock that only goes forward, when the service was told to start anew."""
    ready_at: float | None = None
    """When it was ready first."""
    _pid: int = 0
    _restarts: int | None = None
    _answered: float = 0.0
    _seen: float = 0.0
    _down: dict[str, float] = field(default_factory=dict)
    """Since when what was up before is down: devices, the uplink, the journal."""
    _published: int = -1
    _moved: float = 0.0

    @property
    def settled(self) -> bool:
        """Whether it is ready and all that was up before is up."""
        return self.ready_at is not None and not self._down

    def see(self, look: Look, at: float) -> Reason | None:
        """Take a look at the service; returns why the release can't stay, once that is so."""
        if not look.known:
            if at - max(self._seen, self.begun) < UNKNOWN_FOR:
                return None
            return Reason(text=f"systemd gives no answer for {UNKNOWN_FOR:g} s", grave=True)
        self._seen = at
        if self._restarts is None:
            self._restarts = look.restarts
            self._down = dict.fromkeys(self._were_up(), self.begun)
        self._restarts = min(self._restarts, look.restarts)
        if look.ended or look.restarts > self._restarts:
            return Reason(text=f"{self.version} ended by itself{self._after(at)}", grave=True)
        if self._pid and look.pid != self._pid:
            return Reason(text=f"{self.version} was started again{self._after(at)}", grave=True)
        if self.ready_at is None:
            return self._starts(look, at)
        if look.status is None:
            if at - self._answered < SILENT_FOR:
                return None
            text = f"{self.version} gives no answer for {SILENT_FOR:g} s"
            return Reason(text=text, grave=True)
        self._answered = at
        return self._runs(look, look.status, at)

    def _starts(self, look: Look, at: float) -> Reason | None:
        if look.status is not None:
            self.ready_at = self._answered = self._moved = at
            self._pid = look.pid
            return self._runs(look, look.status, at)
        if at - self.begun < READY_WITHIN:
            return None
        return Reason(text=f"{self.version} was not ready within {READY_WITHIN:g} s", grave=True)

    def _runs(self, look: Look, status: dict[str, Any], at: float) -> Reason | None:
        if status["version"] != self.version:
            text = f"what runs is {status['version']}, not {self.version}"
            return Reason(text=text, grave=True)
        if not status["moving"]:
            return Reason(text="the pipeline does not move", grave=True)
        found = self._compared(look, status, at) if self.before is not None else None
        alarm = status["evacuation"] == "yes" or bool(look.alarm)
        return None if found is not None and alarm else found

    def _compared(self, look: Look, status: dict[str, Any], at: float) -> Reason | None:
        before = self.before
        assert before is not None  # noqa: S101
        then = before.status
        for name, limit in self._limits().items():
            if self._is_up(name, look, status):
                self._down.pop(name, None)
            elif at - self._down.setdefault(name, at) > limit:
                return Reason(text=self._said_of(name, status, limit), grave=False)
        if then is None:
            return None
        return (
            self._journal(look, then["journal"], status["journal"])
            or self._forwards(status["uplink"], at)
            or self._memory(look)
        )

    def _were_up(self) -> list[str]:
        return list(self._limits()) if self.before is not None else []

    def _limits(self) -> dict[str, float]:
        """Return what was up before, and for how many seconds it may be down."""
        assert self.before is not None  # noqa: S101
        found = {
            f"device {name}": DOWN_FOR
            for name, (_, link) in self.before.devices.items()
            if link == "up"
        }
        then = self.before.status
        if then is not None and then["uplink"]["connected"]:
            found["uplink"] = DOWN_FOR
        if then is not None and not then["journal"]["error"]:
            found["journal"] = JOURNAL_FOR
        return found

    def _is_up(self, name: str, look: Look, status: dict[str, Any]) -> bool:
        if name == "uplink":
            return bool(status["uplink"]["connected"])
        if name == "journal":
            return not status["journal"]["error"] and status["journal"]["sequence"] > 0
        # One that is not configured any more is nobody's loss: the configuration did not change.
        return look.devices.get(name.removeprefix("device "), ("", "up"))[1] == "up"

    def _said_of(self, name: str, status: dict[str, Any], limit: float) -> str:
        if name == "journal":
            error = status["journal"]["error"] or "it is not open"
            return f"the journal takes nothing for {limit:g} s: {error}"
        if name == "uplink":
            error = status["uplink"]["error"] or "no answer"
            return f"the uplink was connected, and is not for {limit:g} s: {error}"
        return f"{name} was up, and is down for {limit:g} s"

    def _journal(self, look: Look, then: dict[str, Any], now: dict[str, Any]) -> Reason | None:
        assert self.before is not None  # noqa: S101
        if now["error"] or not now["sequence"]:
            return None
        if self.before.journal and look.journal and look.journal != self.before.journal:
            return Reason(text="the journal was begun anew", grave=False)
        if now["sequence"] < then["sequence"]:
            text = f"the journal went back from {then['sequence']} to {now['sequence']}"
            return Reason(text=text, grave=False)
        return None

    def _forwards(self, uplink: dict[str, Any], at: float) -> Reason | None:
        if (
            not uplink["connected"]
            or not uplink["backlog"]
            or uplink["published"] > self._published
        ):
            self._published, self._moved = uplink["published"], at
        if at - self._moved <= STUCK_FOR:
            return None
        text = f"{uplink['backlog']} records wait, and none is forwarded for {STUCK_FOR:g} s"
        return Reason(text=text, grave=False)

    def _memory(self, look: Look) -> Reason | None:
        assert self.before is not None  # noqa: S101
        most = max(2 * self.before.memory, self.before.memory + MORE_MEMORY)
        if not self.before.memory or look.memory <= most:
            return None
        text = f"it takes {look.memory >> 20} MB of memory; {self.before.memory >> 20} MB before"
        return Reason(text=text, grave=False)

    def _after(self, at: float) -> str:
        when = at - self.begun if self.ready_at is None else at - self.ready_at
        word = "before it was ready" if self.ready_at is None else f"{when:.0f} s after its start"
        return f" {word}"
