"""`storewarden order`, `evacuate`, `incident`: what a person tells the site; journaled."""

from __future__ import annotations

import argparse
import getpass
from typing import Any

from edge.cli import words
from edge.cli.ask import asked
from edge.cli.exits import DONE, NO, Failed, WrongUsage


def add(commands: Any) -> None:
    order = words.command(
        commands,
        "order",
        "tell a device something, as a person",
        act_order,
        "storewarden order siren_front sound --for 5s --reason 'morning test'",
    )
    order.add_argument("device", metavar="DEVICE")
    order.add_argument("what", metavar="COMMAND", help="sound, silence, release, relock, goto …")
    order.add_argument("parameters", nargs="*", metavar="k=v", help="preset=gate, text='…'")
    order.add_argument("--for", dest="lasts", type=words.seconds, metavar="D", help="for how long")
    order.add_argument(
        "--priority", choices=("operations", "security"), default="operations", help="how urgent"
    )
    words.json_option(order)
    person(order)

    evacuate = words.command(
        commands,
        "evacuate",
        "set, drill or end the evacuation latch",
        act_evacuate,
        "storewarden evacuate end --reason 'all clear by the fire officer'",
    )
    evacuate.add_argument("action", choices=("start", "drill", "end"))
    evacuate.add_argument(
        "--despite",
        action="append",
        default=[],
        metavar="DEVICE",
        help="end it although this panel is in alarm or unknown",
    )
    words.json_option(evacuate)
    person(evacuate)

    example = "storewarden incident ack gate_activation --reason 'seen on camera'"
    incident = words.command(commands, "incident", "look after incidents", _none, example)
    parts = incident.add_subparsers(dest="part", metavar="ack", required=True)
    ack = words.command(
        parts, "ack", "say that it is looked after: its escalations stop", act_incident, example
    )
    ack.add_argument("name", metavar="NAME")
    words.json_option(ack)
    person(ack)


def _none(_chosen: argparse.Namespace) -> int:
    return NO


def person(to: argparse.ArgumentParser) -> None:
    """Add --reason, which must be given, and --by."""
    to.add_argument("--reason", required=True, metavar="R", help="why; it is journaled")
    to.add_argument("--by", default=None, metavar="NAME", help="who; default: the login name")


def who(chosen: argparse.Namespace) -> str:
    """Return the name after --by, else that of who is logged in."""
    if chosen.by:
        return str(chosen.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone on the box"


def act_order(chosen: argparse.Namespace) -> int:
    pairs = [pair for pair in chosen.parameters if not pair.startswith("for=")]
    request: dict[str, Any] = {
        "do": "order",
        "device": chosen.device,
        "command": chosen.what,
        "parameters": _parameters(chosen.what, pairs),
        "for": _lasts(chosen),
        "priority": chosen.priority,
        "reason": chosen.reason,
        "by": who(chosen),
    }
    told = asked(request)
    if chosen.json:
        words.print_json(told)
    else:
        print(f"{told['device']}: {told['command']}: {told['outcome']}")
    return DONE


def _lasts(chosen: argparse.Namespace) -> float | None:
    """Return the seconds of `--for D`, or of `for=D` as rules write it."""
    lasts: float | None = chosen.lasts
    for pair in chosen.parameters:
        if pair.startswith("for="):
            try:
                lasts = words.seconds(pair.removeprefix("for="))
            except argparse.ArgumentTypeError as error:
                raise WrongUsage(str(error)) from None
    return lasts


def _parameters(command: str, pairs: list[str]) -> dict[str, Any]:
    from drivers.commands import BY_KIND
    from rules import convert, yaml_source
    from rules.problems import Mark, Problems

    if command not in BY_KIND:
        raise WrongUsage(f"unknown command {command!r}; known: {', '.join(sorted(BY_KIND))}")
    problems = Problems()
    nodes: dict[str, yaml_source.Node] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise WrongUsage(f"{pair!r} is not of the form k=v")
        nodes[name] = yaml_source.Scalar(mark=Mark(name, 1, 1), text=value, plain=False)
    mapping = yaml_source.Mapping(mark=Mark(command, 1, 1), items=nodes)
    for name in nodes:
        mapping.keys[name] = Mark(command, 1, 1)
    found = convert.settings(mapping, BY_KIND[command], convert.Context(problems=problems))
    if found is None:
        first = problems.errors[0]
        raise WrongUsage(f"{command}: {first.message}" + (f"; {first.hint}" if first.hint else ""))
    return found


def act_evacuate(chosen: argparse.Namespace) -> int:
    request = {
        "do": "evacuate",
        "action": chosen.action,
        "reason": chosen.reason,
        "by": who(chosen),
        "despite": chosen.despite,
    }
    try:
        told = asked(request)
    except Failed as failed:
        device, _, how = str(failed).partition(" is ")
        if chosen.action != "end" or how not in ("in alarm", "unknown"):
            raise
        look = f"look at it; --despite {device} ends the evacuation all the same"
        raise Failed(f"{failed}: {look}") from None
    if chosen.json:
        words.print_json(told)
    else:
        past = {"start": "started", "drill": "drill started", "end": "ended"}
        print(f"evacuation {past[chosen.action]}")
    return DONE


def act_incident(chosen: argparse.Namespace) -> int:
    request = {
        "do": "acknowledge",
        "name": chosen.name,
        "reason": chosen.reason,
        "by": who(chosen),
    }
    told = asked(request)
    if chosen.json:
        words.print_json(told)
    else:
        print(f"{told['incident']}: {told['outcome']}")
    return DONE
