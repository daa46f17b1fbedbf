"""Keep a Sparkplug host told, over a connection of its own; what it missed comes later, marked.

Sparkplug publishes at QoS 0, so nobody confirms what arrived. What was said within `DOUBT` of a
lost link is therefore said again, marked as historical, with its own time: a host stores a value
twice under one time, and loses none. The proof of delivery is the uplink's, not this one's.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NoReturn

import msgspec

from buffer.journal import Journal
from buffer.message import Conversation, Message, Unreachable
from buffer.record import Record
from buffer.storage import JournalError
from buffer.writer import Writer
from edge.encode import event_of
from edge.sparkplug.node import Node, Told

log = logging.getLogger(__name__)

DOUBT = 30.0
"""Seconds that a dead link may go unnoticed."""
BATCH = 50
EVERY = 0.25
"""What was missed goes in batches, so many seconds apart: 200 a second."""
WAIT = 5.0
"""Seconds between attempts to connect."""
SAVE_EVERY = 60.0
"""Seconds between notes of how far the host is; what is between is said again after a crash."""

Talk = Callable[[], AbstractAsyncContextManager[Conversation]]
"""Makes one new connection, which ends with the block."""


class Voice:
    """`await voice.run()` until cancelled. Used from the loop's thread."""

    def __init__(
        self,
        node: Node,
        writer: Writer,
        connect: Callable[[Message], Talk],
        note: Path,
        *,
        true_time: Callable[[str, float], datetime | None] = lambda _boot, _tick: None,
        wait: float = WAIT,
    ) -> None:
        """`connect` takes the will; `note` is the file that remembers how far the host is.

        `true_time` knows the time of a boot's tick where the clock was wrong. `wait` is the seconds
        between attempts to connect.
        """
        self._true_time = true_time
        self._wait = wait
        self._node, self._writer, self._connect, self._note = node, writer, connect, note
        self._births, self._through = _read(note)
        self._said: deque[tuple[float, int]] = deque()
        """When what was known to be said, for the time in doubt."""
        self._news = asyncio.Event()
        self._rebirth = False
        self._error: str | None = None

    async def run(self) -> NoReturn:
        """Tell for ever. Cancelling it says goodbye first."""
        if self._through is None:
            self._through = await self._writer.changed(0)  # history is not for a new host
        while True:
            topic, payload = self._node.death(self._births)
            try:
                async with self._connect(Message(topic=topic, payload=payload))() as link:
                    await self._serve(link, Message(topic=topic, payload=payload))
            except (Unreachable, JournalError) as error:
                if str(error) != self._error:
                    log.warning("no Sparkplug host: %s", error)
                self._error = str(error)
            await asyncio.sleep(self._wait)

    async def _serve(self, link: Conversation, death: Message) -> None:
        births, self._births = self._births, (self._births + 1) % 256
        link.hear(self._node.commands, self._asked)
        live: deque[Record] = deque()

        def committed(records: Sequence[Record]) -> None:
            live.extend(record for record in records if record.topic is not None)
            self._news.set()

        unfollow = self._writer.follow(committed)
        link.ended.add_done_callback(lambda _: self._news.set())
        missed = asyncio.create_task(self._catch_up(link, self._writer.head))
        missed.add_done_callback(lambda _: self._news.set())
        saving = asyncio.create_task(self._save_now_and_then())
        try:
            self._tell(link, self._node.births(births))
            self._error = None
            log.info("a Sparkplug host is told")
            await self._tell_live(link, live, births, missed)
        except asyncio.CancelledError:
            if not link.ended.done():
                link.publish(death)
            raise
        finally:
            unfollow()
            for task in (missed, saving):
                task.cancel()
            await asyncio.gather(missed, saving, return_exceptions=True)
            self._said.clear()  # what is in doubt now is said again
            self._save()
        raise link.ended.result()

    async def _tell_live(
        self, link: Conversation, live: deque[Record], births: int, missed: asyncio.Task[None]
    ) -> None:
        loop = asyncio.get_running_loop()
        while not link.ended.done():
            if self._rebirth:
                self._rebirth = False
                self._tell(link, self._node.births(births))
            while live:
                record = live.popleft()
                self._say(link, record, historical=False)
                if missed.done():
                    self._note_said(loop.time(), record.sequence)
            if missed.done() and (error := missed.exception()) is not None:
                raise error
            self._news.clear()
            await self._news.wait()

    async def _catch_up(self, link: Conversation, head: int) -> None:
        """Say what was missed up to `head`."""
        at = self._through or 0
        while at < head:
            records = await self._writer.read(_batch(at))
            if not records:
                break
            for record in records:
                if record.topic is not None and record.sequence <= head:
                    self._say(link, record, historical=True)
            at = records[-1].sequence
            self._note_said(asyncio.get_running_loop().time(), min(at, head))
            await asyncio.sleep(EVERY)

    def _say(self, link: Conversation, record: Record, *, historical: bool) -> None:
        try:
            event = event_of(record)
            if (at := self._true_time(event.boot, event.tick)) is not None:
                event = replace(event, at=at)
            told = self._node.said(event, historical=historical)
        except (msgspec.DecodeError, ValueError):
            return  # not one of ours: made by another version
        self._tell(link, told)

    def _tell(self, link: Conversation, told: Sequence[Told]) -> None:
        for topic, payload in told:
            link.publish(Message(topic=topic, payload=payload, qos=0))

    def _asked(self, payload: bytes) -> None:
        from edge.sparkplug.payload import asks_for_rebirth

        self._rebirth |= asks_for_rebirth(payload)
        self._news.set()

    def _note_said(self, now: float, sequence: int) -> None:
        """Take note that all up to `sequence` is said; what is in doubt is not counted yet."""
        self._said.append((now, sequence))
        self._settle(now)

    def _settle(self, now: float) -> None:
        while self._said and self._said[0][0] <= now - DOUBT:
            self._through = self._said.popleft()[1]

    async def _save_now_and_then(self) -> None:
        while True:
            self._settle(asyncio.get_running_loop().time())
            await asyncio.to_thread(self._save)
            await asyncio.sleep(SAVE_EVERY)

    def _save(self) -> None:
        fresh = self._note.with_name(f"{self._note.name}.new")
        with suppress(OSError):
            fresh.write_text(json.dumps({"births": self._births, "through": self._through}))
            fresh.replace(self._note)


def _batch(after: int) -> Callable[[Journal], list[Record]]:
    return lambda journal: list(islice(journal.since(after), BATCH))


def _read(note: Path) -> tuple[int, int | None]:
    try:
        found = json.loads(note.read_text())
        return int(found["births"]) % 256, int(found["through"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, None
