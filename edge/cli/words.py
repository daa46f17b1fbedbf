"""Options and forms that several commands share: --config, --json, durations, tables."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli.exits import NO, Failed, WrongUsage

if TYPE_CHECKING:
    from edge.config.model import Configuration
    from rules.problems import Problems

Act = Callable[[argparse.Namespace], int]
Commands = argparse._SubParsersAction

CONFIGURATION = Path("/etc/storewarden")


def command(
    commands: Any, name: str, help_text: str, act: Act, example: str
) -> argparse.ArgumentParser:
    """Add a subcommand; its help ends with an example."""
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=help_text, epilog=f"example: {example}"
    )
    made.set_defaults(act=act)
    return made


def config_option(to: argparse.ArgumentParser) -> None:
    to.add_argument(
        "--config",
        type=Path,
        default=CONFIGURATION,
        metavar="DIR",
        help="the configuration folder (default: %(default)s)",
    )


def json_option(to: argparse.ArgumentParser) -> None:
    to.add_argument("--json", action="store_true", help="print JSON")


def seconds(text: str) -> float:
    """Return the seconds of `30s`, `2m`; an error of usage otherwise."""
    from rules.convert import duration, duration_hint

    found = duration(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; {duration_hint(text)}")
    if found <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time at all")
    return found


def count(text: str) -> int:
    """Return the number of `20`; an error of usage unless it is at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def print_json(data: Any) -> None:
    json.dump(data, sys.stdout, ensure_ascii=False, indent=None)
    sys.stdout.write("\n")


def site_time(at: str, zone: str) -> str:
    """Return the site's time of an ISO time: `17:57:09`, on another day `Mon 23 Nov 17:57:09`."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    there = ZoneInfo(zone)
    local = datetime.fromisoformat(at).astimezone(there)
    day = "" if local.date() == datetime.now(there).date() else f"{local:%a %d %b} "
    return f"{day}{local:%H:%M:%S}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def loaded(folder: Path) -> Configuration:
    """Return the configuration in `folder`, or end the command with every problem on stderr."""
    from edge.config.load import load
    from rules.problems import ConfigurationRefused

    if not folder.is_dir():
        raise WrongUsage(f"there is no folder {folder}")
    try:
        return load(folder)
    except ConfigurationRefused as refused:
        show_problems(refused.problems)
        raise Failed(f"{folder}: {counted(len(refused.problems.errors), 'problem')}") from None


def show(text: str) -> None:
    """Print a problem, to stderr."""
    print(text, file=sys.stderr)


def show_problems(problems: Problems) -> None:
    for problem in problems.all:
        show(str(problem))


def counted(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def answer(*, good: bool) -> int:
    return 0 if good else NO
