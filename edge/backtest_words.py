"""What a backtest found, in a person's words: figures, times, the summary, what it can't tell."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from rules.backtest_report import Figures, Line, Played, Report

MINUS = "\u2212"


def whole(number: int) -> str:
    """Return `1,203`."""
    return f"{number:,}"


def length(seconds: float) -> str:
    """Return `3 h 12 min`, `4 min 5 s`, `12 s`, `0.5 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    left = round(seconds)
    hours, left = divmod(left, 3600)
    minutes, left = divmod(left, 60)
    if hours:
        return f"{whole(hours)} h {minutes} min" if minutes else f"{whole(hours)} h"
    if minutes:
        return f"{minutes} min {left} s" if left else f"{minutes} min"
    return f"{left} s"


def turned(before: str, after: str) -> str:
    """Return `412 → 367`, or one of them where they are the same."""
    return before if before == after else f"{before} → {after}"


def percent(before: float, after: float) -> str:
    """Return ` (+12 %)`; nothing where there is nothing to compare with."""
    if not before or before == after:
        return ""
    part = 100 * (after - before) / before
    sign = "+" if part > 0 else MINUS
    return f" ({sign}{whole(round(abs(part))) if abs(part) >= 1 else '<1'} %)"


def orders(line: Line) -> str:
    """Return the other orders by command: `goto 3 → 1, send 2`."""
    kinds = sorted({*line.before.orders, *line.after.orders})
    told = (
        f"{kind} {turned(whole(line.before.orders[kind]), whole(line.after.orders[kind]))}"
        for kind in kinds
        if line.before.orders[kind] or line.after.orders[kind]
    )
    return ", ".join(told)


def summary(report: Report) -> str:
    """Return the whole in one sentence."""
    old, new, total = report.total.before, report.total.after, report.total
    parts = [
        f"alarms {turned(whole(old.alarms), whole(new.alarms))}{percent(old.alarms, new.alarms)}: "
        f"{whole(total.lost)} lost, {whole(total.gained)} gained",
        f"siren {turned(length(old.siren_seconds), length(new.siren_seconds))}",
        f"clips {turned(whole(old.clips), whole(new.clips))}",
        f"incidents {turned(whole(old.incidents), whole(new.incidents))}",
    ]
    if others := orders(total):
        parts.append(others)
    return "; ".join(parts)


def over(report: Report) -> str:
    """Return over what it was played: days, events, restarts."""
    played, zone = report.played, ZoneInfo(report.zone)
    days = [at.astimezone(zone).date().isoformat() for at in (played.first, played.last) if at]
    told = f"{whole(played.events)} events, {whole(played.heard)} of them for these rules"
    restarts = f", {played.restarts} restarts" if played.restarts != 1 else ", 1 restart"
    when = " to ".join(dict.fromkeys(days))
    return f"{when}: {told}{restarts if played.restarts else ''}"


def notes(report: Report) -> list[str]:
    """Return what to know before anything is believed."""
    played = report.played
    found = []
    if played.journal_begins is not None:
        begins = local(played.journal_begins, report.zone)
        found.append(f"the journal begins {begins}; of the time before nothing is known")
    if played.restored:
        found.append("states and waiting rules at the beginning are those of a snapshot")
    else:
        found.append("at the beginning no state is known: each is unknown until its device says it")
    if played.gaps:
        gaps = "1 gap" if played.gaps == 1 else f"{whole(played.gaps)} gaps"
        found.append(f"{gaps} in the history: records that were lost are not played")
    if played.evicted:
        found.append(f"{whole(played.evicted)} records went because of the journal's size")
    for device, count in sorted(played.strangers.items()):
        events = "1 event" if count == 1 else f"{whole(count)} events"
        found.append(f"{events} of {device} {_is(count)} not in this configuration")
    if played.unreadable:
        count = played.unreadable
        records = "1 record" if count == 1 else f"{whole(count)} records"
        found.append(f"{records} can't be read")
    for rule, change in sorted(report.changed.items()):
        if change == "shadow":
            found.append(f"{rule} is in shadow: counted is what it would do")
    return found


def state(report: Report, rule: str) -> str:
    """Return what became of a rule: `new`, `gone`, `changed`, `shadow`, or nothing."""
    return report.changed.get(rule, "")


def sirens(before: Figures, after: Figures) -> str:
    """Return the siren's time before and after."""
    return turned(length(before.siren_seconds), length(after.siren_seconds))


def local(at: datetime, zone: str) -> str:
    """Return a time as the site's clock showed it."""
    return f"{at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}"


def nothing(played: Played) -> bool:
    """Return whether there was no history at all."""
    return played.events == 0


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
