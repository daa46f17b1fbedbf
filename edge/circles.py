"""Rules that set each other off by what the site says because of them are stopped. Pure."""

from __future__ import annotations

from collections import deque

MOST = 100
WITHIN = 10.0
"""Seconds of ticks in which one rule may have the site say MOST things: incidents and modes."""


class Circles:
    """Counts what each rule has the site say."""

    def __init__(self) -> None:
        self._said: dict[str, deque[float]] = {}
        self._stopped: set[str] = set()

    def stops(self, rule: str, tick: float) -> bool | None:
        """Return whether the rule has said too much to say one thing more at `tick`.

        None: it has, and this is the first time since it was within its bounds.
        """
        said = self._said.setdefault(rule, deque())
        while said and said[0] <= tick - WITHIN:
            said.popleft()
        if len(said) < MOST:
            said.append(tick)
            self._stopped.discard(rule)
            return False
        if rule in self._stopped:
            return True
        self._stopped.add(rule)
        return None
