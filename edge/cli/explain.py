"""`storewarden rules explain`: why rules fired, or did not, in plain sentences."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli import words
from edge.cli.exits import DONE, Failed, WrongUsage

if TYPE_CHECKING:
    from datetime import datetime

    from edge.again import Then
    from edge.asking import Asked, Found
    from edge.cli.telling import Teller
    from edge.config.model import Configuration

LAST = 3
"""Firings of one rule that are told when nothing else is asked for."""
LAST_OF_ALL = 10


def add(parts: Any) -> None:
    made = words.command(
        parts,
        "explain",
        "say why a rule fired or did not, from the journal: also of a stopped box",
        act,
        "storewarden rules explain delivery_door_propped --at 17:03",
    )
    made.add_argument("rule", nargs="?", metavar="RULE", help="its id; none: the latest of all")
    when = made.add_mutually_exclusive_group()
    when.add_argument(
        "--at", metavar="TIME", help="what happened then, and why it did not fire: 17:03, ISO, 2h"
    )
    when.add_argument("--since", metavar="TIME", help="everything since: 2h, 17:03, ISO")
    when.add_argument("--last", type=words.count, metavar="N", help="so many firings")
    made.add_argument("--device", metavar="ID", help="only what this device has a part in")
    made.add_argument("--event", metavar="ID", help="only what this event led to; or a firing's id")
    made.add_argument("--journal", type=Path, metavar="PATH", help="a journal file")
    words.config_option(made)
    words.json_option(made)


def act(chosen: argparse.Namespace) -> int:
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    from buffer.scan import Scan
    from buffer.storage import JournalError
    from edge import asking, times
    from edge.cli.plainly import wrapped
    from edge.cli.telling import Teller

    configuration = _configuration(chosen)
    zone = ZoneInfo(configuration.site.timezone if configuration else "UTC")
    now = datetime.now(UTC)
    try:
        at = None if chosen.at is None else times.moment(chosen.at, now, zone)
        since = None if chosen.since is None else times.moment(chosen.since, now, zone)
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    bounded = chosen.last is not None or (since is None and at is None and not chosen.event)
    path = chosen.journal or _journal(chosen, configuration)
    if not path.exists():
        raise Failed(f"there is no journal {path}")
    then = None
    try:
        with Scan(path) as scan:
            _known(chosen, configuration, scan)
            latest = max(now, asking.ends(scan) or now)
            if at is not None and at > latest:
                here = f"{latest.astimezone(zone):%d %b %Y %H:%M}"
                raise WrongUsage(f"--at {chosen.at} is yet to come: at the site it is {here}")
            asked = asking.Asked(
                rule=chosen.rule,
                since=since if at is None else at - asking.AROUND,
                until=None if at is None else min(at + asking.AROUND, latest),
                firings=(chosen.last or (LAST if chosen.rule else LAST_OF_ALL))
                if bounded
                else None,
                device=chosen.device,
                event=chosen.event,
            )
            found = asking.find(scan, asked)
            rules = {r.id: r for r in configuration.rules.rules} if configuration else {}
            if at is not None and chosen.rule in rules and configuration is not None:
                from edge.then import look

                around = (at - asking.AROUND, min(at + asking.AROUND, latest))
                then = look(scan, configuration, rules[chosen.rule], *around)
    except JournalError as error:
        raise Failed(str(error)) from None
    if chosen.event and not (found.firings or found.groups):
        raise Failed(f"no rule fired on {chosen.event} or nearly did, as far as the journal says")
    waits = _waits(chosen) if chosen.rule or chosen.json else None
    if chosen.json:
        words.print_json(_as_json(chosen, found, then, waits))
        return DONE
    names = {d: c.name for d, c in configuration.devices.items()} if configuration else {}
    teller = Teller(names=names, rules=rules, zone=zone, newest=found.newest)
    if configuration is None:
        print("times are UTC: --config DIR names the site, and so its clock\n")
    for line in _lines(chosen, asked, found, then, waits, teller):
        print("\n".join(wrapped(line)))
    return DONE


# --- where things are --------------------------------------------------------------------------


def _configuration(chosen: argparse.Namespace) -> Configuration | None:
    """Return the site's configuration; with --journal it may be missing: ids are told then."""
    from edge.config.last_good import load_or_last_good
    from edge.places import expected_state
    from rules.problems import ConfigurationRefused

    if not chosen.config.is_dir():
        if chosen.journal is None:
            raise WrongUsage(f"there is no folder {chosen.config}")
        return None
    try:
        return load_or_last_good(chosen.config, expected_state(chosen.config))[0]
    except ConfigurationRefused as refused:
        if chosen.journal is not None:
            return None
        words.show_problems(refused.problems)
        raise Failed(f"{chosen.config}: refused; name the file with --journal") from None


def _journal(chosen: argparse.Namespace, configuration: Configuration | None) -> Path:
    from edge.places import places

    assert configuration is not None  # noqa: S101 - without --journal there is one
    return places(chosen.config, configuration).journal


def _known(chosen: argparse.Namespace, configuration: Configuration | None, scan: Any) -> None:
    """Refuse a rule or a device that there is not, and was not as far as the journal says."""
    from edge.asking import mentions
    from rules.problems import did_you_mean

    if configuration is None:
        return
    rules = [rule.id for rule in configuration.rules.rules]
    if chosen.rule and chosen.rule not in rules and not mentions(scan, chosen.rule):
        hint = did_you_mean(chosen.rule, rules)
        raise WrongUsage(f"there is no rule {chosen.rule!r}" + (f"; {hint}" if hint else ""))
    devices = [*configuration.devices, *configuration.io]
    if chosen.device and chosen.device not in devices:
        hint = did_you_mean(chosen.device, devices)
        raise WrongUsage(f"there is no device {chosen.device!r}" + (f"; {hint}" if hint else ""))


def _waits(chosen: argparse.Namespace) -> list[dict[str, Any]] | None:
    """Return what the running daemon says that the rule waits for; None: there is none to ask."""
    import asyncio

    from edge.control import NotRunning, Refused, ask, socket_path

    if chosen.journal is not None:
        return None
    try:
        answer = asyncio.run(ask(socket_path(), {"do": "explain", "rule": chosen.rule}))
    except (NotRunning, Refused):
        return None
    found: list[dict[str, Any]] = answer["waits"]
    return found


# --- what is shown -----------------------------------------------------------------------------


def _as_json(
    chosen: argparse.Namespace, found: Found, then: Then | None, waits: list[dict[str, Any]] | None
) -> dict[str, Any]:
    from edge import then as looked
    from edge.stories import as_json

    data: dict[str, Any] = {
        "rule": chosen.rule,
        "firings": [as_json(firing) for firing in found.firings],
        "near_misses": [as_json(group) for group in found.groups],
        "waits": waits,
    }
    if then is not None:
        data["then"] = looked.as_json(then)
    return data


def _lines(
    chosen: argparse.Namespace,
    asked: Asked,
    found: Found,
    then: Then | None,
    waits: list[dict[str, Any]] | None,
    teller: Teller,
) -> list[str]:
    if chosen.rule is None and not chosen.event:
        return _of_all(asked, found, teller)
    lines: list[str] = []
    for firing in reversed(found.firings):
        lines += [*teller.story(firing), ""]
    if not found.firings:
        lines += [f"{chosen.rule or 'no rule'} {_not_fired(asked, found, teller)}", ""]
    exact = then.missed if then is not None and then.replayed else []
    if exact:
        lines += ["near misses, decided again from what the journal has:"]
        lines += [f"  {teller.near(missed)}" for missed in exact[-20:]]
        lines += [f"  and {len(exact) - 20} before"] if len(exact) > 20 else []
        lines.append("")
    elif found.groups:
        lines += ["near misses:"]
        lines += [f"  {line}" for group in found.groups for line in teller.group(group)]
        lines.append("")
    if then is not None and not found.firings:
        lines += teller.why_not(then)
    elif then is None and not found.firings and chosen.rule in teller.rules:
        lines += teller.standing(teller.rules[chosen.rule])
    if waits and lines and lines[-1]:
        lines.append("")
    lines += [teller.wait(wait) for wait in waits or ()]
    return lines[:-1] if lines and not lines[-1] else lines


def _of_all(asked: Asked, found: Found, teller: Teller) -> list[str]:
    if not found.firings and not found.groups:
        return [f"no rule fired or nearly did{_when(asked, found, teller)}"]
    lines = [teller.line(firing) for firing in reversed(found.firings)]
    lines = lines or [f"no rule fired{_when(asked, found, teller)}"]
    if found.groups:
        before = len(found.groups) - LAST_OF_ALL
        more = f" (and {before} before: name a rule)" if before > 0 else ""
        lines += ["", f"near misses{more}:"]
        lines += [teller.group_line(group) for group in found.groups[-LAST_OF_ALL:]]
    return lines


def _not_fired(asked: Asked, found: Found, teller: Teller) -> str:
    """Return `did not fire from … to …`, or `has not fired since …`."""
    when = _when(asked, found, teller)
    return f"did not fire{when}" if asked.until is not None else f"has not fired{when}"


def _when(asked: Asked, found: Found, teller: Teller) -> str:
    def told(at: datetime) -> str:
        return teller.time(at)

    if asked.until is not None and asked.since is not None:
        return f" from {told(asked.since)} to {told(asked.until)}"
    if asked.since is not None:
        return f" since {told(asked.since)}"
    return f" since the journal began, {told(found.begins)}" if found.begins else ""
