"""`storewarden rules apply`: check, test, backtest, install, swap, watch; or end the watch."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.cli import words
from edge.cli.exits import WrongUsage
from edge.cli.orders import who


def add(parts: Any) -> None:
    made = words.command(
        parts,
        "apply",
        "check, test and backtest rules, then let them run, watched; go back if need be",
        act_apply,
        "storewarden rules apply new_rules --reason 'quieter gates'",
    )
    words.config_option(made)
    made.add_argument(
        "rules",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="a folder of rule files, in place of rules/; or a whole configuration folder",
    )
    made.add_argument(
        "--watch", type=words.seconds, metavar="D", help="watch for so long (default: site.yaml's)"
    )
    made.add_argument(
        "--since", type=words.seconds, metavar="D", help="backtest with so much of the history"
    )
    made.add_argument("--alarms", metavar="LIMIT", help="allow such a rise of alarms: +50%%")
    made.add_argument("--siren", metavar="LIMIT", help="allow such a rise of siren seconds: +50%%")
    made.add_argument(
        "--slack", type=words.count, metavar="N", help="so many more alarms are no rise"
    )
    made.add_argument(
        "--no-backtest", action="store_true", help="do not backtest; needs a --reason"
    )
    made.add_argument(
        "--accept-removal",
        action="append",
        default=[],
        metavar="RULE",
        help="this life_safety rule may be gone; once for each",
    )
    made.add_argument("--wait", action="store_true", help="wait until the watch is over")
    ending = made.add_mutually_exclusive_group()
    ending.add_argument(
        "--confirm", action="store_true", help="end the watch: the rules stay; needs a --reason"
    )
    ending.add_argument(
        "--revert", action="store_true", help="end the watch: go back; needs a --reason"
    )
    made.add_argument("--reason", default="", help="why; journaled")
    made.add_argument("--by", default="", help="who does it; default the user")
    words.json_option(made)


def act_apply(chosen: argparse.Namespace) -> int:
    """Try other rules, or end the watch over them."""
    from edge.cli import applied, applying

    chosen.by = who(chosen)
    if chosen.confirm or chosen.revert:
        if chosen.rules is not None:
            raise WrongUsage("a watch is ended without a DIR")
        return applied.end(chosen)
    if chosen.rules is None:
        raise WrongUsage("name the folder with the new rules")
    if not chosen.rules.is_dir():
        raise WrongUsage(f"there is no folder {chosen.rules}")
    if chosen.no_backtest and not chosen.reason.strip():
        raise WrongUsage("without a backtest a --reason is needed: it is journaled")
    return applying.apply(chosen)
