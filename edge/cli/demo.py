"""`storewarden demo`: a simulated store, the real daemon on top, a live feed, a summary."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli import words
from edge.cli.exits import DONE, Failed

if TYPE_CHECKING:
    from edge.cli.feed import Feed

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
    from edge.cli.feed import feed_of
    from edge.control import NotRunning, Refused, ask
    from edge.demo.broker import embedded
    from edge.demo.store import configured, simulated
    from edge.demo.story import play

    enough = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
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

        feed = await feed_of(socket, colour=colour)

        async def person(request: dict[str, object]) -> None:
            try:
                await ask(socket, request, seconds=30.0)
            except Refused as refused:
                _say(f"{'':8}    refused: {feed.named(str(refused))}")

        def tell(text: str) -> None:
            _say(f"\n\x1b[1;36m{text}\x1b[0m" if colour else f"\n# {text}")

        async def story() -> None:
            await _all_heard(socket)
            while True:
                await play(store, person, tell)

        following = asyncio.create_task(_follow(socket, feed))
        playing = asyncio.create_task(story())
        ended = asyncio.create_task(daemon.wait())
        waiting = asyncio.create_task(enough.wait())
        tasks = (following, playing, ended, waiting)
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
        if broken and isinstance(broken[0], BrokenPipeError):
            raise broken[0]
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
    guard = shutil.which("setpriv")  # so that the daemon ends with us, however we end
    guarded = (guard, "--pdeathsig", "TERM") if guard else ()
    with (folder / "log").open("wb") as log:
        daemon = await asyncio.create_subprocess_exec(
            *guarded, *python(), "run", "--config", str(config),
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


async def _follow(socket: Path, feed: Feed) -> None:
    from edge.control import follow

    async for item in follow(socket, {"do": "tail"}):
        if (line := feed.line(item)) is not None:
            _say(line)


async def _all_heard(socket: Path) -> None:
    """Wait until every device is heard, so that the story misses nothing."""
    from edge.control import ask

    with suppress(TimeoutError):
        async with asyncio.timeout(START_WITHIN):
            while (await ask(socket, {"do": "status"}))["devices_down"]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


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
