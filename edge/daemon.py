"""The daemon as a process: signals, reload, and the journal that outlives every configuration."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import asdict

from buffer import device_key
from buffer.device_key import KeyNews
from buffer.gap import Gap
from buffer.opening import Opening, Salvaged
from buffer.record import Draft, Kind
from buffer.writer import Writer
from drivers.event import SITE, Event
from drivers.priorities import Priority
from edge import ends, past
from edge.assembly import assemble
from edge.changes import Changes
from edge.clock import Clock
from edge.config.model import Configuration
from edge.encode import Encoder
from edge.ends import End
from edge.metrics import Metrics
from edge.notify import Notify
from edge.places import Places
from edge.running import begin, serve
from edge.speaker import Speaker
from edge.starting import Start
from edge.version import VERSION

log = logging.getLogger(__name__)

FLUSH_WITHIN = 2.0
"""Seconds that a stop waits for the journal."""


async def run(places: Places, start: Start) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP reloads, all or nothing."""
    notify, metrics, clock = Notify(), Metrics(VERSION), Clock()
    ended, stopping, hup = asyncio.Event(), asyncio.Event(), asyncio.Event()
    _on_signals(notify, ended, stopping, hup)
    configuration, changes = start.configuration, Changes(places, start)
    key, key_news = device_key.load_or_make(places.state)
    own = _Own(configuration, clock, metrics, None if key is None else key.public)

    def stop_if_broken(changing: asyncio.Task[Configuration]) -> None:
        if not changing.cancelled() and changing.exception() is not None:
            stopping.set()

    async with Writer.open(
        places.journal,
        max_wait=configuration.site.buffer.max_wait,
        max_size=int(configuration.site.buffer.max_size),
        keep=configuration.site.buffer.keep,
        tick=own.tick,
        opening=own.opening,
        gap=own.gap,
        salvaged=own.salvaged,
        topic_of=own.topic_of,
        observe_commit=lambda seconds, _records: metrics.commit.observe(seconds),
        signer=key,
    ) as writer:
        await changes.recount(writer)
        end = _last_end(places, clock)
        waiting: list[Event] = []
        while not stopping.is_set():
            ended.clear()
            known = await past.read(writer)
            clock.resume(known.last)
            own.clock = clock
            parts = assemble(configuration, places, writer, clock, known, metrics, notify)
            own.encoder = parts.pipeline.encoder
            commands = {d: [c.kind for c in e.accepts] for d, e in parts.drivers.items()}
            rules = configuration.rules.rules
            metrics.configured(configuration.hash, commands, [rule.id for rule in rules])
            changes.take(parts)
            begin(parts, known)
            for event in (*own.of_end(end), *map(own.of_key, key_news), *waiting):
                if event.device == SITE or event.device in parts.drivers:
                    parts.inbox.put(event)
            end, key_news = None, ()
            changes.begin()
            log.info("rules run: %d devices, %d rules", len(parts.drivers), len(rules))
            notify.ready()
            changing = asyncio.create_task(changes.run(hup, ended))
            changing.add_done_callback(stop_if_broken)
            try:
                await serve(parts, ended, stopping=stopping, changes=changes)
            finally:
                changing.cancel()
                await asyncio.wait({changing})
            if stopping.is_set():
                changes.stopped()
            await _flushed(writer)
            if not changing.cancelled():
                configuration = changing.result()
            waiting = [parts.inbox.take() for _ in range(len(parts.inbox))]


def _last_end(places: Places, clock: Clock) -> End | None:
    try:
        return ends.begun(places.state, clock.boot)
    except OSError as error:
        log.error("%s: %s; why the last run ended is not told", places.state, error.strerror)  # noqa: TRY400
        return None


async def _flushed(writer: Writer) -> None:
    """Wait for the journal, but not for a disk that refuses."""
    try:
        async with asyncio.timeout(FLUSH_WITHIN):
            await writer.flush()
    except TimeoutError:
        log.error("the journal takes no records: %s", writer.stats.error)  # noqa: TRY400


def _on_signals(
    notify: Notify, ended: asyncio.Event, stopping: asyncio.Event, hup: asyncio.Event
) -> None:
    def stop() -> None:
        notify.stopping()
        stopping.set()
        ended.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hup.set)


class _Own:
    """The records that the journal writes of itself."""

    def __init__(
        self, configuration: Configuration, clock: Clock, metrics: Metrics, key: str | None
    ) -> None:
        self._metrics = metrics
        self.clock: Clock | None = None
        """Once it goes on from the journal."""
        self._key = {} if key is None else {"public_key": key}
        site = configuration.site
        root = site.mqtt.topic_root if site.mqtt else "storewarden"
        self.encoder = Encoder(root, site.site, configuration.hash)
        self._speaker = Speaker(clock, lambda _event: None)

    def opening(self, told: Opening) -> Draft:
        data = {k: v for k, v in asdict(told).items() if v is not None} | self._key
        priority = Priority.operations
        stamp = self._speaker.stamp(SITE, "journal.started", priority, data, {})
        return self.encoder.event(stamp)

    def tick(self) -> float | None:
        """Return the engine's time; None until it goes on from the journal."""
        return None if self.clock is None else self.clock.tick()

    def salvaged(self, told: Salvaged) -> Draft:
        stamp = self._speaker.stamp(SITE, "journal.salvaged", Priority.operations, told.told(), {})
        return self.encoder.event(stamp)

    def topic_of(self, kind: Kind, body: bytes) -> str | None:
        return self.encoder.topic_of(kind, body)

    def gap(self, gap: Gap) -> Draft:
        data = {k: v for k, v in asdict(gap).items() if v is not None}
        data["priority"] = Priority(gap.priority).name
        if gap.reason == "damage":  # nobody knows any more what they were
            del data["priority"], data["kinds"]
            self._metrics.evicted["unknown", gap.reason] += gap.count
        elif gap.reason != "disk":  # those are counted as they are given up
            self._metrics.evicted[Priority(gap.priority).name, gap.reason] += gap.count
        stamp = self._speaker.stamp(SITE, "buffer.gap", Priority.operations, data, {})
        return self.encoder.gap(stamp)

    def of_end(self, end: End | None) -> list[Event]:
        """Return what the site says of a run that nobody stopped, and log it."""
        if end is None:
            return []
        log.warning("the last run ended by itself: %s %s", end.reason, end.status)
        data = {"reason": end.reason, "status": end.status, "ended": end.at}
        return [self._speaker.stamp(SITE, "daemon.restarted", Priority.operations, data, {})]

    def of_key(self, news: KeyNews) -> Event:
        """Return what the site says of its key, and log it."""
        log.log(
            logging.INFO if news.what == "made" else logging.ERROR, "device key: %s", news.reason
        )
        data = {"reason": news.reason} | self._key
        return self._speaker.stamp(SITE, f"key.{news.what}", Priority.operations, data, {})
