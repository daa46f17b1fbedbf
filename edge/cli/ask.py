"""`storewarden status`, `devices`, `tail`: what is going on now."""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import datetime
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE, Failed, WrongUsage
from edge.watch import CALLED, WORDS


def add(commands: Any) -> None:
    status = words.command(
        commands, "status", "say how the running daemon is", act_status, "storewarden status --json"
    )
    words.json_option(status)
    devices = words.command(
        commands,
        "devices",
        "list the devices and their states, or with --types what types there are",
        act_devices,
        "storewarden devices",
    )
    words.json_option(devices)
    devices.add_argument(
        "--types", action="store_true", help="print the table of device types and their settings"
    )
    devices.add_argument(
        "--signals", action="store_true", help="print the table of signals and states"
    )
    tail = words.command(
        commands, "tail", "show what happens, as it happens", act_tail, "storewarden tail --json"
    )
    words.json_option(tail)
    tail.add_argument("--count", type=words.count, metavar="N", help="end after N lines")


def asked(request: dict[str, Any]) -> Any:
    """Return the running daemon's answer, or end the command with why not."""
    from edge.control import Misused, NotRunning, Refused, ask, socket_path

    try:
        return asyncio.run(ask(socket_path(), request, seconds=30.0))
    except Misused as misused:
        raise WrongUsage(str(misused)) from None
    except (NotRunning, Refused) as error:
        raise Failed(str(error)) from None


def act_status(chosen: argparse.Namespace) -> int:
    from edge.cli.mode import spelt
    from edge.cli.plainly import span, wrapped

    status = asked({"do": "status"})
    if chosen.json:
        words.print_json(status)
        return DONE
    uplink, journal = status["uplink"], status["journal"]
    down = ", ".join(status["devices_down"]) or "none"
    inactive = len(status["rules_inactive"])
    rows = [
        ("site", f"{status['site']} (configuration {status['config']})"),
        ("version", status["version"]),
        ("up for", span(round(status["up_for"]))),
        ("clock", _clock(status)),
        ("evacuation", "ON" if status["evacuation"] == "yes" else "off"),
        ("mode", spelt(status["mode"])),
        ("devices down", down),
        ("rules", f"{status['rules']} ({inactive} inactive here)"),
        *_on_trial(status),
        ("orders in force", str(len(status["orders"]))),
        ("journal", _journal(journal)),
        ("uplink", _uplink(uplink)),
    ]
    for line in words.table(rows).splitlines():
        print("\n".join(wrapped(line)))
    for warning in status["warnings"]:
        print(f"warning: {warning}")
    return DONE


def _clock(status: dict[str, Any]) -> str:
    """Return `Sun 22 Nov 2026 17:57:09, Europe/London (trusted)`."""
    from zoneinfo import ZoneInfo

    local = datetime.fromisoformat(status["time"]).astimezone(ZoneInfo(status["timezone"]))
    return f"{local:%a %d %b %Y %H:%M:%S}, {status['timezone']} ({status['clock']})"


def _on_trial(status: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is to be said of rules that are tried, or were gone back from."""
    watch, refused = status["watch"], status["refused"]
    rows = [] if refused is None else [("refused", str(refused).splitlines()[0])]
    if watch is not None:
        seen, most = watch["seen"], watch["at_most"]
        counts = ", ".join(f"{seen[word]} of {most[word]} {CALLED[word][1]}" for word in WORDS)
        until = words.site_time(watch["until"], status["timezone"])
        rows.append(("on trial", f"until {until}, else back to {watch['before']}: {counts}"))
    return rows


def _journal(journal: dict[str, Any]) -> str:
    text = f"at {journal['sequence']}, {journal['waiting']} waiting, {journal['lost']} lost"
    if journal["dropped"]:
        text += f", {journal['dropped']} dropped unsent"
    if anchor := journal["anchor"]:
        signed = "signed" if journal["public_key"] else "not signed: no key"
        text += f"; anchored at {anchor['sequence']}, {signed}"
    return f"{text}; {journal['error']}" if journal["error"] else text


def _uplink(uplink: dict[str, Any]) -> str:
    if not uplink["configured"]:
        return "none configured: everything is kept, nothing forwarded"
    link = "connected" if uplink["connected"] else f"not connected ({uplink['error']})"
    told = [link, f"{uplink['backlog']} unsent", f"{uplink['published']} published"]
    for key, text in (("refused", "refused, tried again"), ("set_aside", "set aside for good")):
        told += [f"{uplink[key]} {text}"] if uplink[key] else []
    if last := uplink["set_aside_last"][-1:]:
        told.append(f"the last was {last[0]['sequence']}: {last[0]['reason']}")
    return ", ".join(told)


def act_devices(chosen: argparse.Namespace) -> int:
    if chosen.types or chosen.signals:
        from edge.config import types_table

        table = types_table.types_table() if chosen.types else types_table.signals_table()
        print(table, end="")
        return DONE
    from edge.cli.plainly import span, wrapped

    devices = asked({"do": "devices"})
    if chosen.json:
        words.print_json(devices)
        return DONE
    rows = [("device", "type", "name", "states")]
    for device in devices:
        states = ", ".join(
            f"{name} {state['value']}"
            + (f" for {span(round(state['for']))}" if state["for"] else "")
            for name, state in device["states"].items()
        )
        rows.append((device["device"], device["type"], device["name"], states))
    lines = words.table(rows).splitlines()
    column = lines[0].index("states")
    for line in lines:
        print("\n".join(wrapped(line, column)))
    return DONE


def act_tail(chosen: argparse.Namespace) -> int:
    return asyncio.run(_tail(as_json=chosen.json, count=chosen.count))


async def _tail(*, as_json: bool, count: int | None) -> int:
    from edge.cli.feed import feed_of
    from edge.control import NotRunning, Refused, follow, socket_path

    shown = 0
    try:
        feed = None if as_json else await feed_of(socket_path(), colour=sys.stdout.isatty())
        async for item in follow(socket_path(), {"do": "tail"}):
            if feed is None:
                words.print_json(item)
            else:
                if item.get("dropped"):
                    words.show(f"{words.counted(item['dropped'], 'line')} dropped: read faster")
                line = feed.line(item)
                if line is None:
                    continue
                print(line)
            sys.stdout.flush()
            shown += 1
            if shown == count:
                break
    except (NotRunning, Refused) as error:
        raise Failed(str(error)) from None
    if shown != count:
        raise Failed("the daemon has ended, or begins anew")
    return DONE
