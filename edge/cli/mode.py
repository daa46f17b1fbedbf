"""`storewarden mode`: what mode the site is in; set one for a time, or end it."""

from __future__ import annotations

import argparse
from typing import Any

from edge.cli import words
from edge.cli.ask import asked
from edge.cli.exits import DONE
from edge.cli.orders import person, who
from edge.cli.plainly import span, wrapped

EXAMPLE = "storewarden mode set stock_take --for 2h --reason 'yearly count'"


def add(commands: Any) -> None:
    mode = words.command(
        commands, "mode", "say what mode the site is in, set one, or end it", act_show, EXAMPLE
    )
    words.json_option(mode)
    parts = mode.add_subparsers(dest="part", metavar="set|end")
    to_set = words.command(parts, "set", "set a mode; it ends by itself", act_set, EXAMPLE)
    to_set.add_argument("mode", metavar="NAME", help="open, closed, delivery, stock_take …")
    to_set.add_argument(
        "--for",
        dest="lasts",
        type=words.seconds,
        metavar="D",
        help="for how long; default and limit: what modes: of site.yaml allows",
    )
    words.json_option(to_set)
    person(to_set)
    end = words.command(
        parts,
        "end",
        "end the mode that was set: the hours say it again",
        act_end,
        "storewarden mode end --reason 'count done'",
    )
    words.json_option(end)
    person(end)


def act_show(chosen: argparse.Namespace) -> int:
    return _show(chosen, {"do": "mode"})


def act_set(chosen: argparse.Namespace) -> int:
    return _show(
        chosen,
        {
            "do": "mode",
            "action": "set",
            "mode": chosen.mode,
            "for": chosen.lasts,
            "reason": chosen.reason,
            "by": who(chosen),
        },
    )


def act_end(chosen: argparse.Namespace) -> int:
    request = {"do": "mode", "action": "end", "reason": chosen.reason, "by": who(chosen)}
    return _show(chosen, request)


def _show(chosen: argparse.Namespace, request: dict[str, Any]) -> int:
    from rules import modes

    told = asked(request)
    if chosen.json:
        words.print_json(told)
    else:
        print(spelt(told))
        if chosen.part is None:
            known = ", ".join(
                f"{name} (up to {modes.spelt(s)})" for name, s in told["modes"].items()
            )
            print("\n".join(wrapped(f"can be set: {known}")))
    return DONE


def spelt(mode: dict[str, Any]) -> str:
    """Return `stock_take, set by Ann for 2 h more: yearly count`, or `open, by the hours`."""
    if "reason" not in mode:
        return f"{mode['mode']}, by the hours"
    minutes = -(-round(mode["ends_in"]) // 60)
    left = span(minutes * 60.0) if minutes > 1 else "1 min"
    return f"{mode['mode']}, set by {mode['by']} for {left} more: {mode['reason']}"
