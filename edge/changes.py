"""Who may change what runs: SIGHUP, an apply with its watch, and the way back. One at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from buffer.storage import JournalError
from buffer.writer import Writer
from drivers.event import SITE, Event
from drivers.priorities import Priority
from edge import aside, swap, trial, watch_file
from edge.assembly import Parts
from edge.config import last_good, reverted
from edge.config.model import Configuration
from edge.config.reverted import Reverted
from edge.control import Refused, Request
from edge.described import described
from edge.encode import utc
from edge.places import Places
from edge.speaker import Speaker
from edge.starting import Start, keep_accepted
from edge.turn import Turn
from edge.watch import WORDS, Plan, Watch
from rules.problems import ConfigurationRefused, Problems

log = logging.getLogger(__name__)

KEPT_WITHIN = 2.0
"""Seconds that a change waits for the journal at most: a broken disk stops nothing."""


class Changes:
    """Outlives every configuration; `take` gives it the parts that run now."""

    def __init__(self, places: Places, start: Start) -> None:
        self._places = places
        self._refused = start.refused
        self._watch = Watch(plan=start.watch) if start.watch else None
        self._gone_back = start.reverted
        self._busy = asyncio.Lock()
        self._look = asyncio.Event()
        self._next: asyncio.Future[Configuration] | None = None
        self._parts: Parts | None = None

    @property
    def parts(self) -> Parts:
        assert self._parts is not None  # noqa: S101 - `take` comes first
        return self._parts

    # --- a start -------------------------------------------------------------------------------

    async def recount(self, writer: Writer) -> None:
        """Take what the journal has of the watch that goes on."""
        watch = self._watch
        if watch is None:
            return
        with suppress(JournalError):
            await writer.read(lambda journal: watch_file.recount(watch, journal))

    def take(self, parts: Parts) -> None:
        """Change these parts from now on. Call it before anything is decided."""
        self._parts = parts
        parts.metrics.refused.set(self._refused is not None)
        parts.pipeline.followers.append(self)

    def begin(self) -> None:
        """Say what is wrong with the configuration, and what a kill left unsaid."""
        speaker = self.parts.speaker
        if self._gone_back is not None:
            _say_reverted(speaker, self._gone_back)
            self._gone_back = None
            watch_file.remove(self._places.state)
        elif self._refused is not None:
            _say_refused(speaker, self._refused)
        if self._watch is not None and not self._watch.applied:
            self._say_applied(self._watch.plan)

    def stopped(self) -> None:
        """Note that the daemon is stopped in good order."""
        if self._watch is not None:
            self._write(replace(self._watch.plan, stopped=True))

    # --- while it runs -----------------------------------------------------------------------

    async def run(self, hup: asyncio.Event, ended: asyncio.Event) -> Configuration:
        """Change what runs until that needs all parts anew: return for what, and set `ended`."""
        self._next = asyncio.get_running_loop().create_future()
        tasks = (
            asyncio.create_task(self._reloads(hup), name="reload"),
            asyncio.create_task(self._watches(), name="watch"),
        )
        try:
            first: set[asyncio.Future[Any]] = {self._next, *tasks}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
            return self._next.result()
        finally:
            for task in tasks:
                task.cancel()
            ended.set()

    def show(self, event: Event | None, stamp: Event, turn: Turn) -> None:
        """Count what goes past: the watch is one who follows the pipeline."""
        watch = self._watch
        if watch is None:
            return
        if event is not None:
            watch.see(event.tick, event.device, event.kind, event.fields, event.priority)
        for decision in turn.decisions:
            words = described(decision)
            if words is not None:
                priority = self.parts.decider.priority_of(decision.rule)
                watch.see(stamp.tick, SITE, *words, priority)
        if watch.too_much:
            self._look.set()

    def status(self) -> dict[str, Any]:
        """Return what is on trial, and why the folder is not what runs."""
        refused = None if self._refused is None else str(self._refused)
        folder, state = self._places.configuration, self._places.state
        places = {"folder": str(folder.absolute()), "state": str(state.absolute())}
        return {"watch": self._shown(), "refused": refused, "places": places}

    def _shown(self) -> dict[str, Any] | None:
        watch = self._watch
        if watch is None:
            return None
        plan, left = watch.plan, max(watch.plan.ends - self.parts.clock.tick(), 0.0)
        return {
            "config": plan.config,
            "before": plan.before,
            "by": plan.by,
            "reason": plan.reason,
            "left": round(left, 1),
            "until": utc(self.parts.clock.now() + timedelta(seconds=left)),
            "seen": {word: watch.counts[word] for word in WORDS},
            "at_most": {word: plan.at_most(word) for word in WORDS},
        }

    # --- SIGHUP --------------------------------------------------------------------------------

    async def _reloads(self, hup: asyncio.Event) -> None:
        while True:
            await hup.wait()
            hup.clear()
            async with self._busy:
                with suppress(Refused):  # said already
                    await aside.unharmed(self._reload())

    async def reload(self) -> dict[str, Any]:
        """Load the folder, as SIGHUP does, once no other change is under way.

        Raises:
            Refused: it is refused; the text says why.
        """
        async with self._busy:
            await self._reload()
        return {"config": self.parts.configuration.hash}

    async def _reload(self) -> None:
        self.parts.notify.reloading()
        try:
            await self._reloaded()
        finally:
            self.parts.notify.ready()

    async def _reloaded(self) -> None:
        places, speaker = self._places, self.parts.speaker
        try:
            found = await aside.run(last_good.load_accepted, places.configuration, places.state)
        except ConfigurationRefused as refusal:
            log.error("the new configuration is refused, the running one goes on:\n%s", refusal)  # noqa: TRY400
            _say_refused(speaker, refusal.problems)
            raise Refused(_first(refusal.problems)) from None
        if self._watch is not None and self._watch.plan.config != found.hash:
            log.warning("other rules were loaded: the watch is over")
            self._watch = None
            watch_file.remove(places.state)
        if self._watch is None:
            await aside.run(keep_accepted, found, places.state)
        self._accept(None)
        await self.parts.cloud.retry_refused()
        await self._install(found, "config.reloaded", {"config": found.hash})

    async def upgraded(self) -> None:
        """Keep what runs as the last good one: the release is no longer on trial."""
        async with self._busy:
            if self._watch is None:
                await aside.run(keep_accepted, self.parts.configuration, self._places.state)

    # --- apply -----------------------------------------------------------------------------------

    async def apply(self, request: Request) -> dict[str, Any]:
        """Let the rules in the folder run, and watch them. The old ones are kept to go back to.

        Raises:
            Misused: the request can't be meant so.
            Refused: the rules go on as they are; the text says why.
        """
        wanted = trial.wanted(request)
        async with self._alone():
            parts, state = self.parts, self._places.state
            old = parts.configuration
            if self._watch is not None:
                raise Refused("other rules are on trial: confirm them or revert them first")
            latch = parts.decider.evacuation
            if latch is not None and latch.active:
                raise Refused("an evacuation is on: end it first")
            found = await aside.run(trial.checked, self._places, old, wanted)
            watched = found.hash != old.hash
            if watched:
                plan = trial.plan(wanted, old, found, parts.clock, parts.writer.head)
                try:
                    await aside.run(trial.stage, found, plan, state)
                except OSError as error:
                    raise Refused(f"{state}: {error.strerror}") from None
                self._watch = Watch(plan=plan)
                self._look.set()
            reverted.forget(state)
            self._accept(None)
            if not watched:
                return {"config": found.hash, "took": 0.0, "watch": None}
            try:
                took = await self._install(found, "", {})
            except BaseException:
                self._watch = None
                watch_file.remove(state)
                raise
            self._say_applied(plan)
            await self._kept()
            return {"config": found.hash, "took": took, "watch": self._shown()}

    async def end_watch(self, request: Request) -> dict[str, Any]:
        """Confirm or revert the rules on trial as a person.

        Raises:
            Misused: the request can't be meant so.
            Refused: no rules are on trial, or there is no way back.
        """
        action, by, reason = trial.ending(request)
        async with self._alone():
            if self._watch is None:
                raise Refused("no rules are on trial")
            if action == "confirm":
                await self._confirm(by, reason)
            elif not await self._revert(by, reason):
                raise Refused("the rules before can't be loaded any more: see the log")
            return {"action": action, "config": self.parts.configuration.hash}

    # --- the watch -----------------------------------------------------------------------------

    async def _watches(self) -> None:
        while True:
            self._look.clear()
            watch = self._watch
            left = None if watch is None else watch.plan.ends - self.parts.clock.tick()
            if watch is None or (not watch.too_much and left is not None and left > 0):
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._look.wait()
                continue
            async with self._busy:
                if self._watch is not watch:
                    continue
                if watch.too_much:
                    await aside.unharmed(self._revert("the watch", watch.too_much))
                else:
                    await aside.unharmed(self._confirm("the watch", watch.seen()))

    async def _confirm(self, by: str, reason: str) -> None:
        """Let the rules on trial be the last good ones."""
        state, config = self._places.state, self.parts.configuration.hash
        try:
            await aside.run(last_good.promote, config, state)
        except OSError as error:
            log.error("%s: %s; the rules stay all the same", state, error.strerror)  # noqa: TRY400
        fields = {"config": config, "by": by, "reason": reason}
        self.parts.speaker.site("config.confirmed", Priority.operations, fields)
        await self._over()

    async def _revert(self, by: str, reason: str) -> bool:
        """Go back to the last good configuration; return False, and stay, where there is none."""
        watch, state = self._watch, self._places.state
        assert watch is not None  # noqa: S101 - looked at by who calls
        at = utc(self.parts.clock.now())
        plan = watch.plan
        found = Reverted(config=plan.config, to=plan.before, at=at, reason=reason, by=by)
        log.warning("back to the configuration %s: %s", plan.before, reason)
        try:
            old = await aside.run(last_good.load_last_good, self._places.configuration, state)
        except ConfigurationRefused as refusal:
            log.error("there is no way back, the rules on trial stay:\n%s", refusal)  # noqa: TRY400
            _say_refused(self.parts.speaker, refusal.problems)
            await self._over()
            return False
        try:
            await aside.run(reverted.write, found, state)
        except OSError as error:
            log.error("%s: %s; the box goes back all the same", state, error.strerror)  # noqa: TRY400
        self._accept(reverted.problems(found))
        await self._install(old, "", {})
        _say_reverted(self.parts.speaker, found)
        await self._over()
        return True

    async def _over(self) -> None:
        """End the watch, once the journal says how."""
        self._watch = None
        await self._kept()
        watch_file.remove(self._places.state)

    # --- what all have in common -------------------------------------------------------------

    async def _install(self, new: Configuration, kind: str, fields: Mapping[str, Any]) -> float:
        """Let `new` run: its rules swapped, or all parts anew. Returns the seconds of a swap."""
        took, parts = 0.0, self.parts
        why = swap.in_the_way(parts.configuration, new)
        if not why:
            try:
                took = await swap.swap(parts, new)
            except BaseException:  # a bug half way: begin anew with what ran, out of the journal
                self._begin_anew(parts.configuration)
                raise
            log.info("%s: %d rules run, in %.1f ms", new.hash, len(new.rules.rules), took * 1000)
        if kind:
            parts.speaker.site(kind, Priority.operations, fields)
        if why:
            log.info("all parts begin anew: %s", why)
            self._begin_anew(new)
        return took

    def _begin_anew(self, configuration: Configuration) -> None:
        if self._next is not None and not self._next.done():
            self._next.set_result(configuration)

    def _accept(self, refused: Problems | None) -> None:
        self._refused = refused
        self.parts.metrics.refused.set(refused is not None)

    def _say_applied(self, plan: Plan) -> None:
        fields: dict[str, Any] = {
            "config": plan.config,
            "before": plan.before,
            "watch": plan.lasts,
            "by": plan.by,
        }
        fields |= {"reason": plan.reason} if plan.reason else {}
        self.parts.speaker.site("config.applied", Priority.operations, fields)

    async def _kept(self) -> None:
        """Wait until the journal has what was said, but for no broken disk."""
        await asyncio.sleep(0)
        await self.parts.pipeline.rest()
        with suppress(TimeoutError):
            async with asyncio.timeout(KEPT_WITHIN):
                await self.parts.writer.flush()

    def _write(self, plan: Plan) -> None:
        try:
            watch_file.write(plan, self._places.state)
        except OSError as error:
            log.error("%s: %s", self._places.state, error.strerror)  # noqa: TRY400

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        if self._busy.locked():
            raise Refused("another change is under way: try again")
        async with self._busy:
            yield


def _first(problems: Problems) -> str:
    more = len(problems.errors) - 1
    return str(problems.errors[0]).splitlines()[0] + (f" (and {more} more)" if more else "")


def _say_refused(speaker: Speaker, problems: Problems) -> None:
    speaker.site("config.refused", Priority.operations, {"reason": _first(problems)})


def _say_reverted(speaker: Speaker, found: Reverted) -> None:
    fields = {"config": found.config, "to": found.to, "by": found.by, "reason": found.reason}
    speaker.site("config.reverted", Priority.operations, fields)
