"""The uplink's side of the house: what is published, retained and said of the link."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from buffer.checkpoints import Anchor
from buffer.message import Message, Refused
from buffer.record import Record
from buffer.stat import Stat
from buffer.storage import JournalError
from buffer.uplink import Uplink
from buffer.writer import Writer
from drivers.event import SITE
from drivers.priorities import Priority
from edge.broker import connector_to
from edge.clock import Clock
from edge.config.model import Mqtt, Site
from edge.credentials import Credentials
from edge.encode import Encoder, message_of, utc
from edge.speaker import Speaker
from edge.true_time import Corrections
from edge.version import VERSION
from rules.states import States

log = logging.getLogger(__name__)

ANCHOR_EVERY = 60.0
REFUSED_EVERY = 60.0
"""Seconds in which refusals that may pass are said at most once, others `ASIDE_TOGETHER` times."""
ASIDE_TOGETHER = 10
RETRY_WITHIN = 2.0
"""Seconds that a reload waits for a disk that may hang."""


class Cloud:
    """Forwards the journal when site.yaml names a broker; without one everything is kept."""

    def __init__(
        self,
        site: Site,
        writer: Writer,
        encoder: Encoder,
        speaker: Speaker,
        clock: Clock,
        states: States,
        devices: Iterable[str],
        corrections: Corrections,
    ) -> None:
        self._site, self._writer, self._encoder = site, writer, encoder
        self._speaker, self._clock = speaker, clock
        self._states, self._devices = states, tuple(devices)
        self.corrections = corrections
        """What is known of times when the clock was wrong."""
        self._began = clock.tick()
        self._refused_at = float("-inf")
        self._asides: deque[float] = deque(maxlen=ASIDE_TOGETHER)
        self._credentials: Credentials | None = None
        self._stat: Stat | None = None
        self._anchor: Anchor | None = None
        self._connected = asyncio.Event()
        self._uplink = self._made(site.mqtt) if site.mqtt is not None else None

    def _made(self, mqtt: Mqtt) -> Uplink:
        will = self._status("offline", said_by_the_broker=True, reason="the link was lost")
        connect = connector_to(mqtt, f"storewarden-{self._site.site}", will)
        uplink = Uplink(
            self._writer,
            connect,
            self._render,
            birth=lambda: (self._status("online"),),
            farewell=lambda: (self._status("offline", reason="stopped"),),
            window=mqtt.window,
            drain_rate=mqtt.drain_rate,
            drain_jitter=mqtt.drain_jitter,
            site=self._site.site,
            on_refused=self._refused,
            on_link=self._linked,
        )
        self._credentials = Credentials(mqtt, connect, uplink.renew, self._speaker, self._clock)
        return uplink

    def _render(self, record: Record, replayed: bool) -> Message:  # noqa: FBT001
        try:
            message = message_of(
                record, self._site.site, replayed=replayed, corrections=self.corrections
            )
        except (msgspec.MsgspecError, ValueError, OverflowError) as error:
            raise Refused(0x99, "not sent: the record is damaged") from error
        expiry = self._site.mqtt.expiry if self._site.mqtt else None
        if expiry is None or record.priority < Priority.operations:
            return message
        return replace(message, expiry=int(expiry))

    def _status(self, state: str, *, said_by_the_broker: bool = False, **more: str) -> Message:
        tick, now = self._clock.read()
        told = {
            "state": state,
            # When a link will be lost is not known when the will is made.
            **({} if said_by_the_broker else {"since": utc(now)}),
            "started": utc(now - _ago(tick - self._began)),
            "site": self._site.site,
            "version": VERSION,
            "config": self._encoder.config,
            **({"public_key": key} if (key := self._writer.public_key) else {}),
            **more,
        }
        payload = json.dumps(told).encode()
        return Message(topic=self._encoder.status_topic, payload=payload, retain=True)

    def _refused(self, record: Record, reason: Refused) -> None:
        now, asides = self._clock.tick(), self._asides
        if reason.final:
            too_often = len(asides) == ASIDE_TOGETHER and now - asides[0] < REFUSED_EVERY
            asides.append(asides.pop() if too_often else now)
        else:
            too_often = now - self._refused_at < REFUSED_EVERY
            self._refused_at = self._refused_at if too_often else now
        if too_often:
            return
        fields = {
            "topic": record.topic,
            "sequence": str(record.sequence),
            "reason": reason.reason,
            "code": reason.code,
            "set_aside": reason.final,
        }
        self._speaker.site("uplink.refused", Priority.operations, fields)

    def _linked(self, reason: str | None) -> None:
        if reason is None:
            self._connected.set()
            self._speaker.site("uplink.connected")
            return
        self._speaker.site("uplink.disconnected", fields={"reason": reason})

    def publish_state(self, device: str) -> None:
        """Publish the retained states of `device`, now or at the next connection."""
        if self._uplink is None:
            return
        tick, now = self._clock.read()
        told = {
            name: {"value": value, "since": utc(now - _ago(tick - since))}
            for name, (value, since) in self._states.of(device).items()
        }
        topic = self._encoder.state_topic(device)
        self._uplink.publish_state(topic, json.dumps(told).encode())

    def retain(self, topic: str, payload: bytes) -> None:
        """Publish something of a profile, retained, now or at the next connection."""
        if self._uplink is not None:
            self._uplink.publish_state(topic, payload)

    def corrected(self) -> None:
        """Publish status and states again: the wall clock was wrong when they were published."""
        self.configured()
        for device in (SITE, *self._devices):
            self.publish_state(device)

    def configured(self) -> None:
        """Publish the retained status of the site again: another configuration runs."""
        if self._uplink is not None:
            self._uplink.announce()

    async def retry_refused(self) -> None:
        """Try again what the broker refused: somebody has asked for it."""
        if self._uplink is None:
            return
        with suppress(JournalError, TimeoutError):
            async with asyncio.timeout(RETRY_WITHIN):
                if count := await self._uplink.retry_refused():
                    log.info("%d records that the broker refused are tried again", count)

    async def run(self) -> None:
        """Forward until cancelled; anchor the chain each minute."""
        if self._uplink is None:
            await self._anchors(None)
            return
        for device in (SITE, *self._devices):
            self.publish_state(device)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._uplink.run(), name="uplink")
            group.create_task(self._anchors(self._uplink), name="anchor")
            if self._credentials is not None:
                group.create_task(self._credentials.run(), name="credentials")

    async def _anchors(self, uplink: Uplink | None) -> None:
        """Tell the head of the chain each minute and at each reconnect, here and upstream."""
        logged = 0
        while True:
            reconnected = self._connected.is_set()
            self._connected.clear()
            await self._look()
            if (anchor := self._anchor) is not None:
                told = json.dumps(anchor.as_json())
                if uplink is not None:
                    uplink.publish_state(self._encoder.anchor_topic, told.encode())
                if reconnected or anchor.sequence != logged:
                    log.info("anchor: %s", told)
                    logged = anchor.sequence
            with suppress(TimeoutError):
                async with asyncio.timeout(ANCHOR_EVERY):
                    await self._connected.wait()

    async def _look(self) -> None:
        with suppress(JournalError):
            self._stat, self._anchor = await self._writer.call(
                lambda journal: (journal.stat(), journal.anchor())
            )

    def anchored(self) -> dict[str, str] | None:
        """Return which record was anchored last and when; None before the first time."""
        if (anchor := self._anchor) is None:
            return None
        return {"sequence": str(anchor.sequence), "at": anchor.at}

    def status(self) -> dict[str, Any]:
        """Return how the link is."""
        if self._uplink is None:
            nothing = {"connected": False, "error": None, "backlog": 0, "oldest_unsent": 0.0}
            counts = {"published": 0, "rejected": 0, "refused": 0, "set_aside": 0}
            return {
                "configured": False,
                **nothing,
                **counts,
                "set_aside_last": [],
                "certificates": {},
            }
        stats = self._uplink.stats
        return {
            "configured": True,
            "connected": stats.connected,
            "error": stats.error,
            "backlog": stats.live + stats.backlog,
            "oldest_unsent": round(stats.oldest_unsent, 3),
            "published": stats.published,
            "rejected": stats.rejected,
            "refused": stats.refused,
            "set_aside": stats.set_aside,
            "set_aside_last": [
                {"sequence": one.sequence, "topic": one.topic, "reason": one.reason}
                for one in self._uplink.set_aside()
            ],
            "certificates": {
                which: utc(datetime.fromtimestamp(ends, UTC))
                for which, ends in self.certificates().items()
            },
        }

    def certificates(self) -> Mapping[str, float]:
        """Return when each certificate of the link ends, Unix time: `own`, `broker`, `ca`."""
        return {} if self._credentials is None else self._credentials.ends

    def records(self) -> int:
        """Return how many records the journal held a minute ago at most."""
        return self._stat.records if self._stat else 0

    def bytes(self) -> int:
        """Return how many bytes the journal took a minute ago at most."""
        return self._stat.bytes if self._stat else 0


def _ago(seconds: float) -> timedelta:
    return timedelta(seconds=max(seconds, 0.0))
