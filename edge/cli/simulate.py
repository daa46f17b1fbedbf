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
    simulate.add_argument("--profile", default="moxa_e1214", help="of an I/O module")
    simulate.add_argument(
        "--tty", type=Path, metavar="LINK", help="a serial cable, in place of TCP"
    )


def act(chosen: argparse.Namespace) -> int:
    from edge.simulation import TYPES

    if chosen.type == "list":
        print("\n".join(TYPES))
        return DONE
    if chosen.type not in TYPES:
        raise WrongUsage(f"unknown type {chosen.type!r}; known: {', '.join(TYPES)}")
    try:
        return asyncio.run(_simulate(chosen))
    except LookupError as error:
        raise WrongUsage(str(error)) from None
    except OSError as error:
        raise Failed(f"cannot run it: {error.strerror or error}") from None


async def _simulate(chosen: argparse.Namespace) -> int:
    from edge.simulation import simulation

    run = simulation(chosen.type, port=chosen.port, profile=chosen.profile, link=chosen.tty)
    async with run as running:
        print(f"{chosen.type} at {running.url}", flush=True)
        for word, signature in running.words().items():
            print(f"  {word}{signature}")
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
