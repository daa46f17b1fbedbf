"""`storewarden simulate TYPE`: a device or I/O module to try things on, told by lines."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli import words
from edge.cli.exits import DONE, Failed, WrongUsage

if TYPE_CHECKING:
    from edge.simulation import Simulation


def add(commands: Any) -> None:
    simulate = words.command(
        commands,
        "simulate",
        "run the simulator of a device or I/O module type; lines on stdin say what it does",
        act,
        "storewarden simulate eas_pedestal --port 1502",
    )
    simulate.add_argument("type", metavar="TYPE", help="`list` prints the types")
    simulate.add_argument("--port", type=int, default=0, help="TCP port; default: a free one")
    simulate.add_argument(
        "--profile",
        help="moxa_e1214 and others for I/O modules, kidde_fx64 and others of a printer",
    )
    simulate.add_argument(
        "--unit", type=int, default=1, help="address of an I/O module (default: %(default)s)"
    )
    simulate.add_argument(
        "--to",
        metavar="URL",
        help="tcp-listen://host:port or udp-listen://host:port: a text port to call",
    )
    simulate.add_argument(
        "--tty", type=Path, metavar="LINK", help="a serial cable, in place of TCP"
    )


def act(chosen: argparse.Namespace) -> int:
    from drivers.contract import SettingError
    from drivers.ports.reason import in_words
    from edge.simulation import TYPES

    if chosen.type == "list":
        print("\n".join(TYPES))
        return DONE
    if chosen.type not in TYPES:
        raise WrongUsage(f"unknown type {chosen.type!r}; known: {', '.join(TYPES)}")
    try:
        return asyncio.run(_simulate(chosen))
    except (LookupError, SettingError) as error:
        raise WrongUsage(str(error)) from None
    except OSError as error:
        raise Failed(f"cannot run it: {in_words(error)}") from None


async def _simulate(chosen: argparse.Namespace) -> int:
    from drivers.ports.address import NetAddress, parse
    from edge.simulation import simulation, word_for

    to = parse(chosen.to) if chosen.to else None
    if to is not None and (not isinstance(to, NetAddress) or to.kind == "tcp"):
        raise WrongUsage(f"--to {chosen.to}: write it as the text port's url, tcp-listen://…")
    run = simulation(
        chosen.type,
        port=chosen.port,
        profile=chosen.profile,
        unit=chosen.unit,
        link=chosen.tty,
        to=to,
    )
    async with run as running:
        print(f"{chosen.type} at {running.url or chosen.to}", flush=True)
        print(f"  in devices.yaml: {running.about}")
        for line in running.usage():
            print(f"  {line}")
        shown = (f"{name}={word_for(value)}" for name, value in running.faults().items())
        print(f"  fault NAME VALUE, of: {', '.join(shown)}")
        print("Say what it does, a line each; Ctrl-D leaves it running.", flush=True)
        showing = asyncio.create_task(_outputs(running))
        try:
            await _obey(running)
            await asyncio.Event().wait()
        finally:
            showing.cancel()
    return DONE


async def _obey(running: Simulation) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            wrong = await running.say(line.strip())
            print(wrong or "done", flush=True)


async def _outputs(running: Simulation) -> None:
    if running.outputs is None:
        return
    before: dict[str, bool] = {}
    while True:
        now = dict(running.outputs.outputs)
        for name, on in now.items():
            if name in before and before[name] is not on:
                print(f"  {name} is {'on' if on else 'off'}", flush=True)
        before = now
        await asyncio.sleep(0.02)
