"""Times as people write them: ISO, the time of day, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rules.convert import duration

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")


def moment(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment that `text` means, in UTC.

    `17:03` is the last time that the site's clock showed it, `2h` is two hours before `now`, an ISO
    time without a zone is the site's.

    Raises:
        ValueError: it is no time; the text says what is.
    """
    try:
        return _moment(text, now, zone)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time; write 17:03, 2026-11-22T17:03 or 2h for two hours ago"
        ) from None


def _moment(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    ago = duration(text)
    if ago is not None:
        return now - timedelta(seconds=ago)
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        read = datetime.fromisoformat(text)
        return (read if read.tzinfo is not None else read.replace(tzinfo=zone)).astimezone(UTC)
    hour, minute, second = (int(part or 0) for part in clock.groups())
    at = time(hour, minute, second)
    today = now.astimezone(zone).date()
    found = datetime.combine(today, at, zone)
    if found > now:
        found = datetime.combine(today - timedelta(days=1), at, zone)
    return found.astimezone(UTC)
