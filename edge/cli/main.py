"""The command `storewarden`: find the subcommand, run it, turn its end into an exit code."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from edge.cli.exits import DONE, NO, USAGE, Failed, WrongUsage
from edge.version import VERSION

GROUPS = {
    "run": ("run",),
    "check": ("check",),
    "rules": ("rules",),
    "demo": ("demo",),
    "ask": ("status", "devices", "tail"),
    "orders": ("order", "evacuate", "incident"),
    "mode": ("mode",),
    "safe_state": ("safe-state",),
    "drop_in": ("drop-in",),
    "journal": ("journal",),
    "discover": ("discover",),
    "doctor": ("doctor",),
    "init": ("init",),
    "first_boot": ("first-boot",),
    "upgrade": ("upgrade",),
    "simulate": ("simulate",),
    "schema": ("schema",),
    "completion": ("completion",),
}
"""Modules of this package, each with the commands that its `add(commands)` adds."""


def parser(command: str = "") -> argparse.ArgumentParser:
    """Return the parser of every command; of its own module only, where `command` is one.

    The daemon needs the modules of no other command in its memory.
    """
    top = argparse.ArgumentParser(
        prog="storewarden",
        description="Watches a store's gates, doors, fire panel and cameras, and decides locally.",
        epilog="example: storewarden demo --for 30s",
    )
    top.add_argument("--version", action="version", version=f"storewarden {VERSION}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    wanted = [group for group, words in GROUPS.items() if command in words]
    for group in wanted or GROUPS:
        importlib.import_module(f"edge.cli.{group}").add(commands)
    return top


class _Nowhere(io.TextIOBase):
    """Stands for a stream that was closed before the start, `>&-`."""

    def write(self, text: str) -> int:
        return len(text)


def _speak_anywhere() -> None:
    """Write what a terminal lacks as `\\xe9`, and nothing where a stream was closed."""
    sys.stdout = sys.stdout or _Nowhere()
    sys.stderr = sys.stderr or _Nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _speak_json() -> None:
    """Write UTF-8 in every locale, as JSON is."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def _give_up_what_waits() -> None:
    """Drop what could not be written: Python would try again at its end, and say so its own way."""
    try:
        sys.stdout.flush()
    except OSError:
        _into_nothing()


def _into_nothing() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 done, 1 the answer is no, 2 wrong usage."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    _speak_anywhere()
    try:
        chosen = parser(given[0] if given else "").parse_args(given)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else USAGE
    part = getattr(chosen, "part", "")
    if getattr(chosen, "json", False) or part == "export" or chosen.command == "schema":
        _speak_json()
    try:
        code = chosen.act(chosen)
        sys.stdout.flush()
    except Failed as failed:
        print(f"storewarden: {failed}", file=sys.stderr)
        return NO
    except WrongUsage as wrong:
        print(f"storewarden: {wrong}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone
        _into_nothing()
        return DONE
    except OSError as error:  # a file that can't be read, a folder that can't be made
        where = f"{error.filename}: " if error.filename else ""
        print(f"storewarden: {where}{error.strerror or error}", file=sys.stderr)
        _give_up_what_waits()
        return NO
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
