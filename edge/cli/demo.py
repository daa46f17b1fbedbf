"""`storewarden demo`: a simulated store, the real daemon on top, a live feed, a summary."""

from __future__ import annotations

import argparse
import asyncio
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE, Failed

START_WITHIN = 20.0
STOP_WITHIN = 10.0


def add(commands: Any) -> None:
    demo = words.command(
        commands,
        "demo",
        "play a simulated store over real protocols on loopback, with the real daemon on top",
        act,
        "storewarden demo --for 30s",
    )
    demo.add_argument("--for", dest="lasts", type=words.seconds, metavar="D", help="then end")
    demo.add_argument("--mqtt", metavar="URL", help="a broker; default: an embedded one")
    demo.add_argument("--plain", action="store_true", help="no colours")


def act(chosen: argparse.Namespace) -> int:
    colour = sys.stdout.isatty() and not chosen.plain
    return asyncio.run(_demo(chosen.lasts, chosen.mqtt, colour=colour))


async def _demo(lasts: float | None, mqtt: str | None, *, colour: bool) -> int:
    from edge.control import NotRunning, ask
    from edge.demo.broker import embedded
    from edge.demo.store import configured, simulated
    from edge.demo.story import play

    enough = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, enough.set)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="storewarden-")))
        store = await stack.enter_async_context(simulated(folder))
        broker = mqtt or stack.enter_context(embedded(folder))
        config = configured(folder, store, broker)
        print(f"A simulated store on loopback: I/O module {store.module.url},")
        print(f"EAS gateway {store.gateway.url}, fire panel printer on a pty, broker {broker}.")
        print(f"Metrics: http://{store.http}/metrics    Ctrl-C ends it.\n", flush=True)
        daemon = await stack.enter_async_context(_daemon(folder, config))
        socket = folder / "run" / "control.sock"

        async def person(request: dict[str, object]) -> None:
            told = await _person(socket, request)
            _say(f"  a person: {told}")

        async def story() -> None:
            while True:
                await play(store, person, lambda text: _say(f"\n# {text}"))

        feed = asyncio.create_task(_feed(socket, colour=colour))
        playing = asyncio.create_task(story())
        ended = asyncio.create_task(daemon.wait())
        waiting = asyncio.create_task(enough.wait())
        tasks = (feed, playing, ended, waiting)
        await asyncio.wait(tasks, timeout=lasts, return_when=asyncio.FIRST_COMPLETED)
        try:
            status = None if ended.done() else await ask(socket, {"do": "status"})
        except NotRunning:
            status = None
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        if status is None:
            raise Failed(f"the daemon has ended:\n{(folder / 'log').read_text()[-4000:]}")
        broken = [o for o in outcomes if isinstance(o, Exception)]
        if broken:
            raise Failed(f"the demonstration broke: {broken[0]!r}")
        print(_summary(status))
    return DONE


@asynccontextmanager
async def _daemon(folder: Path, config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    from edge.cli.run import environment, python

    run = folder / "run"
    run.mkdir()
    places = environment(RUNTIME_DIRECTORY=str(run), STATE_DIRECTORY=str(folder / "state"))
    with (folder / "log").open("wb") as log:
        daemon = await asyncio.create_subprocess_exec(
            *python(), "run", "--config", str(config),
            env=places, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        await _until(run / "control.sock", daemon, folder / "log")
        yield daemon
    finally:
        with suppress(ProcessLookupError):
            daemon.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await daemon.wait()
        except TimeoutError:
            daemon.kill()
            await daemon.wait()


async def _until(socket: Path, daemon: asyncio.subprocess.Process, log: Path) -> None:
    from edge.control import NotRunning, ask

    deadline = asyncio.get_running_loop().time() + START_WITHIN
    while daemon.returncode is None:
        try:
            await ask(socket, {"do": "status"}, seconds=2.0)
        except NotRunning:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.05)
        else:
            return
    raise Failed(f"the daemon did not start:\n{log.read_text()[-4000:]}")


async def _feed(socket: Path, *, colour: bool) -> None:
    from edge.cli.feed import interesting, line
    from edge.control import follow

    async for item in follow(socket, {"do": "tail"}):
        if interesting(item):
            _say(line(item, colour=colour))


async def _person(socket: Path, request: dict[str, object]) -> str:
    from edge.control import Refused, ask

    what = f"{request['do']} {request.get('action') or request.get('device')}"
    try:
        await ask(socket, request, seconds=30.0)
    except Refused as refused:
        return f"{what}: refused: {refused}"
    return f"{what}: done"


def _say(text: str) -> None:
    print(text, flush=True)


def _summary(status: dict[str, Any]) -> str:
    reaction, uplink, journal = status["reaction"], status["uplink"], status["journal"]
    rows = [
        ("events", str(status["events"])),
        ("rule firings", str(status["fired"])),
        ("reaction p50 / p99", _quantiles(reaction)),
        ("journal", f"{journal['sequence']} records, {journal['lost']} lost"),
        ("uplink", f"{uplink['published']} published, {uplink['backlog']} waiting"),
    ]
    return "\n" + words.table(rows)


def _quantiles(reaction: dict[str, Any]) -> str:
    if not reaction["count"]:
        return "nothing was ordered"
    return f"{reaction['p50'] * 1000:.2f} ms / {reaction['p99'] * 1000:.2f} ms"
