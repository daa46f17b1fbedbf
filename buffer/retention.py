"""How long records stay: by the engine's time, so that no wrong wall clock purges anything.

Once an hour it is noted how far the journal was. What is older than it may be goes, sent or not,
whatever its priority; but not the last snapshot and what came after it. Time that the box was
without power does not count. A leap of the engine's time, as a damaged journal may cause at a
start, counts for a day at most, and one back for nothing.
"""

import sqlite3
from collections.abc import Callable

from buffer.gap import Gap, Losses
from buffer.marks import Marks
from buffer.record import Kind
from buffer.removal import Removal

HOUR = 3600.0
LEAP = 86400.0
"""Seconds by which everything gets older between two looks at most."""
_UNKNOWN = 5.0
"""Seconds between looks for a tick that is not known yet."""
_TOGETHER = 256
"""Records that one step purges: a commit may wait for it."""
_SHIFT = "hours.shift"


class Retention:
    """The ages in one open file. Works inside the caller's transaction, but for `due`."""

    def __init__(
        self,
        db: sqlite3.Connection,
        marks: Marks,
        removal: Removal,
        keep: float | None,
        tick: Callable[[], float | None],
    ) -> None:
        """`keep` in seconds; None is for ever. `tick` is the engine's time; None: not known yet."""
        self._db = db
        self._marks = marks
        self._removal = removal
        self._keep = keep
        self._tick = tick
        self._shift = 0.0
        """What is added to the tick, so that it goes on from the last hour noted without a leap."""
        self._last: float | None = None
        """What `now` said last; of a file just opened, the last hour noted."""
        self._known = False
        self._noted = 0.0
        self._cut = 0
        """The last sequence that is too old."""
        self._purged = 0
        """Up to where nothing too old is left."""

    def now(self) -> float | None:
        """Return the time that ages are told by; None while it is not known."""
        tick = self._tick()
        if tick is None:
            return None
        if not self._known:
            self._known = True
            self._load()
        if self._last is not None:
            leap = tick + self._shift - self._last
            self._shift -= leap if leap < 0 else max(leap - LEAP, 0.0)
        self._last = tick + self._shift
        return self._last

    def due(self) -> float:
        """Return in how many seconds there is something to do; 0.0 is now."""
        now = self.now()
        if now is None:
            return _UNKNOWN
        if self._purged < self._cut:
            return 0.0
        return max(0.0, self._noted + HOUR - now)

    def note(self, head: int) -> None:
        """Take note of the hour, if it is time, and of what has become too old."""
        now = self.now()
        if now is None or now - self._noted < HOUR:
            return
        self._db.execute("INSERT OR IGNORE INTO hours (sequence, tick) VALUES (?, ?)", (head, now))
        self._db.execute(
            "INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)", (_SHIFT, self._shift)
        )
        self._noted = now
        if self._keep is None:
            return
        (cut,) = self._db.execute(
            "SELECT max(sequence) FROM hours WHERE tick <= ?", (now - self._keep,)
        ).fetchone()
        self._cut = cut or 0

    def purge(self) -> list[Gap]:
        """Take some of what is too old out; returns what left unsent."""
        losses = Losses()
        snapshot = self._marks.latest.get(Kind.SNAPSHOT)
        last = self._cut if snapshot is None else min(self._cut, snapshot - 1)
        victims = self._removal.find("sequence <= ?", (last,), _TOGETHER)
        if victims:
            self._removal.remove(victims, losses)
        if len(victims) < _TOGETHER:
            self._purged = self._cut
            self._db.execute("DELETE FROM hours WHERE sequence < ?", (last,))
        return losses.gaps("age")

    def _load(self) -> None:
        (self._last,) = self._db.execute("SELECT max(tick) FROM hours").fetchone()
        self._noted = float("-inf") if self._last is None else self._last
        known = self._db.execute("SELECT value FROM counters WHERE name = ?", (_SHIFT,)).fetchone()
        self._shift = float(known[0]) if known else 0.0
