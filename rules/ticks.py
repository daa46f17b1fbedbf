"""Ticks are whole microseconds: sums and differences of them without the noise of fractions.

In floating point 0.1 + 0.2 lies beyond 0.3, and what comes exactly at a deadline would be in time.
"""

from __future__ import annotations

LONG_AGO = -1e15
"""A tick before every other; a JSON value, as minus infinity is not."""
_DIGITS = 6


def after(tick: float, seconds: float) -> float:
    """Return the tick `seconds` after `tick`."""
    return round(tick + seconds, _DIGITS)


def before(tick: float, seconds: float) -> float:
    """Return the tick `seconds` before `tick`."""
    return round(tick - seconds, _DIGITS)


def between(earlier: float, later: float) -> float:
    """Return the seconds from one tick to another."""
    return round(later - earlier, _DIGITS)
