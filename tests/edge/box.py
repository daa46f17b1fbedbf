"""The small shop's road with a real journal, turn by turn, for tests of what is told of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from buffer.journal import Journal
from buffer.opening import Opening
from buffer.record import Draft
from drivers.event import SITE
from drivers.priorities import Priority
from drivers.signals import OrderDone, OrderFailed, Signal
from edge.clock import Clock
from edge.decide import Decider
from edge.dispatch import Dispatch
from edge.encode import Encoder
from edge.inbox import Inbox
from edge.metrics import Metrics
from edge.notify import Notify
from edge.pipeline import Pipeline
from edge.speaker import Speaker
from tests.edge.shop import BEGAN, said, shop

TOOK = 0.018
"""Seconds that a device takes for an order."""


class Box:
    """`at` says something at a tick, `until` lets time pass; devices do what they are told."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder
        self.configuration = shop(folder, **files)
        self.now = 0.0
        self.broken: dict[str, str] = {}
        """Device to the reason for which it can't do what it is told."""
        (folder / "state").mkdir(exist_ok=True)
        self._path = folder / "state" / "journal.db"
        self._drafts: list[Draft] = []
        self.clock = Clock(
            seconds=lambda: self.now,
            now=lambda: BEGAN + timedelta(seconds=self.now),
            boot="b" * 32,
            follows_server=lambda: True,
            battery=lambda: True,
        )
        self.journal = Journal.open(self._path, opening=self._opening)
        self._road()

    def _opening(self, told: Opening) -> Draft:
        event = said(0.0, SITE, "journal.started", journal=told.journal)
        return Encoder("storewarden", "shop", self.configuration.hash).event(event)

    def _road(self) -> None:
        inbox = Inbox()
        self.speaker = Speaker(self.clock, inbox.put)
        devices = {d: c.driver for d, c in self.configuration.devices.items()}
        self.pipeline = Pipeline(
            inbox=inbox,
            decider=Decider(self.configuration),
            clock=self.clock,
            speaker=self.speaker,
            dispatch=Dispatch(devices, lambda *_: None, self.clock.tick),
            encoder=Encoder("storewarden", "shop", self.configuration.hash),
            keep=self.keep,
            publish_state=lambda _device: None,
            metrics=Metrics("1"),
            notify=Notify({}),
        )

    @property
    def path(self) -> Path:
        """The journal's file, with all that was said so far."""
        self.journal.append(self._drafts)
        self._drafts.clear()
        return self._path

    def __enter__(self) -> Box:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.journal.close()

    def at(self, tick: float, device: str, kind: str, **fields: Any) -> str:
        """Say something at a tick, once what is due before is done; return the event's id."""
        self.until(tick)
        event = said(tick, device, kind, **fields)
        self.pipeline.inbox.put(event)
        self._turn()
        return event.id

    def until(self, tick: float) -> None:
        """Let time pass."""
        while (due := self.pipeline.decider.next_deadline()) is not None and due <= tick:
            self.now = max(self.now, due)
            self._turn()
        self.now = max(self.now, tick)

    def snapshot(self) -> None:
        """Journal the state, as each minute."""
        stamp = said(self.now, SITE, "snapshot")
        state = {"decider": self.pipeline.decider.save()}
        self.keep(self.pipeline.encoder.snapshot(stamp, state))

    def finish(self) -> None:
        """Journal the near misses that wait, as at a stop."""
        self.pipeline.finish()

    def restart(self, configuration: Any, tick: float) -> None:
        """Be down until `tick`, then go on with a configuration and what was known."""
        saved, self.now = self.pipeline.decider.save(), tick
        self.configuration = configuration
        self._road()
        self.pipeline.decider.restore(saved)
        self.at(tick, SITE, "daemon.started", config=configuration.hash)

    def keep(self, *drafts: Draft) -> None:
        """Take records into the journal."""
        self._drafts += drafts

    def _turn(self) -> None:
        while True:
            done = self.pipeline.decide()
            self.pipeline.write(done)
            given = [g for _event, _stamp, turn in done for g in turn.given if not g.quiet]
            self.now += TOOK if given else 0.0
            for one in given:
                outcome: Signal
                command, reason = one.command.kind, self.broken.get(one.device)
                if reason is None:
                    outcome = OrderDone(
                        command=command, rule=one.rule, firing=one.firing, by=one.by, seconds=TOOK
                    )
                else:
                    outcome = OrderFailed(
                        command=command, rule=one.rule, firing=one.firing, by=one.by, reason=reason
                    )
                self.speaker.say(one.device, outcome, Priority.operations)
            if not done and not len(self.pipeline.inbox):
                return
