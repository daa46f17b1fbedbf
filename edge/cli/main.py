"""The command `storewarden`: find the subcommand, run it, turn its end into an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from edge.cli.exits import DONE, NO, USAGE, Failed, WrongUsage
from edge.version import VERSION

GROUPS = (
    "run",
    "check",
    "rules",
    "demo",
    "ask",
    "orders",
    "mode",
    "safe_state",
    "journal",
    "simulate",
    "schema",
    "completion",
)
"""Modules of this package; each has `add(commands)`."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of every subcommand."""
    top = argparse.ArgumentParser(
        prog="storewarden",
        description="Watches a store's gates, doors, fire panel and cameras, and decides locally.",
        epilog="example: storewarden demo --for 30s",
    )
    top.add_argument("--version", action="version", version=f"storewarden {VERSION}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for group in GROUPS:
        importlib.import_module(f"edge.cli.{group}").add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 done, 1 the answer is no, 2 wrong usage."""
    try:
        chosen = parser().parse_args(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else USAGE
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
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:  # a file that can't be read, a folder that can't be made
        where = f"{error.filename}: " if error.filename else ""
        print(f"storewarden: {where}{error.strerror or error}", file=sys.stderr)
        return NO
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
