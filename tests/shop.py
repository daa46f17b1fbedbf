"""The demo store as a test has it: simulated hardware, the daemon as a process, what goes up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiomqtt import Message
from cloudevents.core.formats.json import JSONFormat

from buffer.journal import Journal
from buffer.record import Record
from edge.demo.store import Store, configured, simulated
from tests.daemon import LIMIT, Daemon, running

SIREN, SIREN_BACK, BEACON, LOCK, LIGHT = "do0", "do1", "do2", "do3", "do4"
GATE, FRONT, BACK, EXIT_REQUEST, FIRE, TROUBLE, PANIC = (f"di{n}" for n in range(7))
TOP = "storewarden/demo_store"


@asynccontextmanager
async def shop(folder: Path, broker: str | None = None) -> AsyncIterator[tuple[Store, Daemon]]:
    """Run the demo store and the daemon on it, all devices heard, until the block ends."""
    async with simulated(folder) as store:
        config = configured(folder, store, broker)
        async with running(folder, config) as daemon:
            await daemon.until(lambda status: not status["devices_down"])
            yield store, daemon


async def wired(store: Store, **outputs: bool) -> None:
    """Wait until the module's coils are so."""
    async with asyncio.timeout(LIMIT):
        for output, on in outputs.items():
            await store.module.wait_output(output, on)


async def state(daemon: Daemon, device: str, name: str, value: str) -> None:
    """Wait until a state of a device is so."""
    async with asyncio.timeout(LIMIT):
        while (await daemon.states(device)).get(name) != value:
            await asyncio.sleep(0.02)


async def connected(daemon: Daemon, *, is_so: bool = True) -> dict[str, Any]:
    """Wait until the uplink is connected, or is not."""
    return await daemon.until(lambda status: status["uplink"]["connected"] is is_so)


def published(daemon: Daemon) -> list[Record]:
    """Return what the journal on disk holds of what is to be sent, oldest first."""
    with Journal.open(daemon.state / "journal.db", read_only=True) as journal:
        return [record for record in journal.since(0) if record.topic is not None]


def said(daemon: Daemon, signal: str) -> list[dict[str, Any]]:
    """Return the data of every record of this signal in the journal on disk, oldest first."""
    return [
        json.loads(record.body).get("data", {})
        for record in published(daemon)
        if str(record.topic).endswith(f"/{signal}")
    ]


async def kept(daemon: Daemon, signal: str) -> None:
    """Wait until the journal on disk has a record of this signal."""
    async with asyncio.timeout(LIMIT):
        while not said(daemon, signal):
            await asyncio.sleep(0.02)


def is_event(message: Message) -> bool:
    return str(message.topic).startswith(f"{TOP}/event/")


def events(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return the attributes and data of the CloudEvents among `messages`, as they came.

    Each is read by the official package, which refuses what is no CloudEvent.
    """
    found = []
    for message in messages:
        if is_event(message):
            assert isinstance(message.payload, bytes)
            read = JSONFormat().read(None, message.payload)
            assert read.get_specversion() == "1.0"
            found.append({**read.get_attributes(), "data": read.get_data()})
    return found


def ids(messages: Iterable[Message]) -> set[str]:
    return {
        str(json.loads(m.payload)["id"])
        for m in messages
        if is_event(m) and isinstance(m.payload, bytes)
    }


def in_order(found: Sequence[dict[str, Any]]) -> bool:
    """Return whether each lane came in order; what came again later does not count."""
    last: dict[tuple[str, bool], int] = {}
    seen: set[str] = set()
    for event in found:
        lane, sequence = (event["priority"], event["replayed"]), int(event["sequence"])
        if event["id"] in seen:
            continue
        seen.add(event["id"])
        if sequence <= last.get(lane, 0):
            return False
        last[lane] = sequence
    return True


def without_gaps(found: Sequence[dict[str, Any]]) -> bool:
    """Return whether every `previous` names an event of the same priority that came as well."""
    chains: dict[str, dict[int, int | None]] = {}
    for event in found:
        previous = event.get("previous")
        chain = chains.setdefault(event["priority"], {})
        chain[int(event["sequence"])] = int(previous) if previous is not None else None
    for chain in chains.values():
        ordered = sorted(chain)
        if [chain[s] for s in ordered[1:]] != ordered[:-1] or chain[ordered[0]] is not None:
            return False
    return True
