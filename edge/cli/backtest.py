"""`storewarden rules backtest`: what other rules would have done over the site's own history."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from edge.cli import words
from edge.cli.exits import DONE, Failed, WrongUsage

if TYPE_CHECKING:
    from edge.config.model import Configuration
    from rules.backtest_report import Line, Report

SHOWN = 20
"""Lost and gained alarms that are listed."""
BAR = 30


def add(parts: Any) -> None:
    made = words.command(
        parts,
        "backtest",
        "play the journal through other rules and say what would have been different",
        act_backtest,
        "storewarden rules backtest --rules new_rules --since 30d --html report.html",
    )
    words.config_option(made)
    made.add_argument(
        "--rules",
        type=Path,
        required=True,
        metavar="NEW",
        help="a folder of rule files, in place of rules/; or a whole configuration folder",
    )
    when = "a duration before now (30d), a date or a local time (2026-11-20T18:00)"
    made.add_argument("--since", metavar="WHEN", help=f"{when}; default: all there is")
    made.add_argument("--until", metavar="WHEN", help=when)
    made.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="a journal or an exported one, in place of the site's own",
    )
    made.add_argument("--only", metavar="RULE", help="count this rule alone; all are played")
    made.add_argument("--html", type=Path, metavar="FILE", help="write a report to read and print")
    made.add_argument(
        "--list",
        type=words.count,
        default=SHOWN,
        metavar="N",
        help="list at most N lost and gained alarms (default: %(default)s)",
    )
    words.json_option(made)


def act_backtest(chosen: argparse.Namespace) -> int:
    from buffer.storage import JournalError
    from edge import backtest_words as say
    from edge.backtesting import compare
    from rules.problems import did_you_mean

    now = words.loaded(chosen.config)
    new = _new(chosen.config, chosen.rules)
    known = {rule.id for one in (now, new) for rule in one.rules.rules}
    if chosen.only and chosen.only not in known:
        hint = did_you_mean(chosen.only, known)
        told = f"there is no rule {chosen.only!r} on either side"
        raise WrongUsage(f"{told}; {hint}" if hint else told)
    path = chosen.journal or _own(chosen.config, now)
    if not path.exists():
        raise Failed(f"there is no journal {path}")
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)  # millions of events come and go, none in circles
    try:
        report = compare(
            now,
            new,
            path,
            since=moment(chosen.since, now.site.timezone),
            until=moment(chosen.until, now.site.timezone),
            only=chosen.only,
            shadow=True,
            progress=bar(),
        )
    except JournalError as error:
        raise Failed(str(error)) from None
    if say.nothing(report.played):
        if report.played.unreadable:
            raise Failed(f"{path} is no journal, and no export of one")
        raise Failed(f"{path} has no events of that time")
    if chosen.html:
        from edge.backtest_page import page

        chosen.html.write_text(page(report, now.site.site), encoding="utf-8")
    if chosen.json:
        words.print_json(report.as_json())
    else:
        _print(report, chosen.list)
    return DONE


def moment(text: str | None, zone: str) -> datetime | None:
    """Return the instant of `30d` ago, of a date's beginning or of a local time at the site."""
    from rules.convert import duration

    if text is None:
        return None
    if (seconds := duration(text)) is not None:
        return datetime.now(UTC) - timedelta(seconds=seconds)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        hint = "write 30d, 2026-11-20 or 2026-11-20T18:00"
        raise WrongUsage(f"{text!r} is no time; {hint}") from None
    local = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC)


def _new(folder: Path, rules: Path) -> Configuration:
    from edge.backtesting import with_rules_of
    from rules.problems import ConfigurationRefused

    if not rules.is_dir():
        raise WrongUsage(f"there is no folder {rules}")
    try:
        return with_rules_of(folder, rules)
    except FileNotFoundError as error:
        where = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise WrongUsage(where) from None
    except ConfigurationRefused as refused:
        words.show_problems(refused.problems)
        raise Failed(f"{rules}: {words.counted(len(refused.problems.errors), 'problem')}") from None


def _own(folder: Path, configuration: Configuration) -> Path:
    from edge.places import places

    return places(folder, configuration).journal


def _print(report: Report, listed: int) -> None:
    from edge import backtest_words as say

    print(say.over(report))
    print(say.summary(report))
    for note in say.notes(report):
        print(f"note: {note}")
    for title, lines in (
        ("rule", report.rules),
        ("day", report.days),
        ("device", report.devices),
    ):
        shown = {name: line for name, line in sorted(lines.items()) if _says(title, line)}
        if shown:
            print()
            print(words.table(_rows(report, title, shown)))
    same = sum(not line.differs for line in report.days.values())
    if same:
        print(f"{words.counted(same, 'day')} without a difference")
    _print_alarms(report, listed)


def _says(title: str, line: Line) -> bool:
    """Whether a line is worth one: a day that is the same is not."""
    if title == "day":
        return line.differs
    return line.differs or bool(line.before.alarms or line.before.siren_seconds)


def _rows(report: Report, title: str, lines: dict[str, Line]) -> list[tuple[str, ...]]:
    from edge import backtest_words as say

    rows: list[tuple[str, ...]] = [
        (title, "", "alarms", "lost", "gained", "siren", "clips", "incidents", "other orders")
    ]
    for name, line in lines.items():
        old, new = line.before, line.after
        rows.append(
            (
                name,
                say.state(report, name) if title == "rule" else "",
                say.turned(say.whole(old.alarms), say.whole(new.alarms)),
                say.whole(line.lost),
                say.whole(line.gained),
                say.sirens(old, new),
                say.turned(say.whole(old.clips), say.whole(new.clips)),
                say.turned(say.whole(old.incidents), say.whole(new.incidents)),
                say.orders(line),
            )
        )
    return rows


def _print_alarms(report: Report, listed: int) -> None:
    from edge import backtest_words as say

    for change, count in (("lost", report.total.lost), ("gained", report.total.gained)):
        some = [one for one in report.examples if one.change == change][:listed]
        if not some:
            continue
        print()
        first = "" if len(some) == count else f", the first {len(some)}"
        print(f"{say.whole(count)} {change}{first}:")
        rows = [
            (
                f"  {say.local(one.at, report.zone)}",
                one.rule,
                f"{one.device} {one.signal}",
                "in shadow" if one.shadow else "",
            )
            for one in some
        ]
        print(words.table(rows))


def _silent(_done: float) -> None:
    return


def bar() -> Callable[[float], None]:
    """Return what draws a progress bar on stderr, where that is a terminal."""
    return _Bar() if sys.stderr.isatty() else _silent


class _Bar:
    """A progress bar on stderr, drawn at most a hundred times."""

    def __init__(self) -> None:
        self._shown = -1

    def __call__(self, done: float) -> None:
        percent = min(int(done * 100), 100)
        if percent == self._shown:
            return
        self._shown = percent
        filled = percent * BAR // 100
        bar = "#" * filled + "." * (BAR - filled)
        end = "\r\033[K" if percent == 100 else ""
        sys.stderr.write(f"\r[{bar}] {percent:3} %{end}")
        sys.stderr.flush()
