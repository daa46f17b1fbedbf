"""Run one configuration until told to end; then bring every output to its declared state."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from drivers.contract import CommandFailed, unknown_states
from drivers.event import SITE
from drivers.priorities import Priority
from drivers.signals import UNKNOWN
from edge import gates, slow
from edge.assembly import Parts
from edge.past import Past, about_to_say
from edge.requests import Changing
from edge.serving import serving
from edge.speaker import say_of
from edge.supervisor import supervise

log = logging.getLogger(__name__)

SNAPSHOT_EVERY = 60.0
STOP_WITHIN = 5.0
"""Seconds that all outputs together have to reach their state at a stop."""
END_WITHIN = 5.0
"""Seconds that parts have to end before the outputs go to their state all the same."""
LAG_EVERY = 5.0


def begin(parts: Parts, past: Past) -> None:
    """Go on from the past: what fell due meanwhile is done late, what is over ends.

    No state is proven until its device says so again.
    """
    last, clock, decider = past.last, parts.clock, parts.decider
    gone = decider.resume(
        clock.tick(),
        same_boot=last is not None and last.boot == clock.boot,
        silent_for=clock.tick() - last.tick if last else 0.0,
    )
    for word in parts.unsaid:
        parts.speaker.site(word.kind, word.priority, word.fields, word.sets)
    parts.pipeline.catch_up()
    for device, driver in parts.drivers.items():
        lost = {**unknown_states(type(driver)), "link": UNKNOWN}
        stamp = parts.speaker.stamp(device, "daemon.started", Priority.operations, {}, lost)
        decider.unproven(stamp)
    parts.speaker.site("daemon.started", fields={"config": parts.configuration.hash})
    _say_latch(parts)
    snapshot(parts)
    stamp = parts.speaker.stamp(SITE, "time", Priority.operations, {}, {})
    parts.pipeline.write([(None, stamp, gone)])


def _say_latch(parts: Parts) -> None:
    """Say how the evacuation latch is, where the last moments before a crash left it unsaid."""
    latch = parts.decider.evacuation
    if latch is None:
        return
    drill = "yes" if latch.stage == "drill" else "no"
    sets = {"evacuation": "yes" if latch.active else "no", "drill": drill}
    known = parts.decider.engine.states.value(SITE, "evacuation")
    if known == sets["evacuation"]:
        return
    if latch.active:
        fields = {"cause": latch.cause, "drill": latch.stage == "drill"}
        parts.speaker.site("evacuation.started", Priority.life_safety, fields, sets)
    elif known == UNKNOWN:
        parts.speaker.site("state.known", fields={"values": sets}, sets=sets)
    else:
        fields = {"reason": "ended just before a restart"}
        parts.speaker.site("evacuation.ended", Priority.life_safety, fields, sets)


def snapshot(parts: Parts) -> None:
    """Put everything that must survive into the journal."""
    state: dict[str, Any] = {
        "decider": parts.decider.save(),
        "diary": parts.diary.save(),
        "offset": parts.clock.offset,
        "clock": parts.site_clock.save(),
        "unsaid": about_to_say(parts.inbox),
        gates.SAVED: gates.save(parts.metrics.gates),
    }
    stamp = parts.speaker.stamp(SITE, "snapshot", Priority.operations, {}, {})
    parts.writer.keep(parts.pipeline.encoder.snapshot(stamp, state))


async def serve(
    parts: Parts,
    ended: asyncio.Event,
    *,
    stopping: asyncio.Event,
    changes: Changing | None = None,
) -> None:
    """Run `parts` until `ended` is set; when `stopping` is set too, outputs go to their state.

    An unhandled error in any part ends all of them, and outputs go to their state as well.
    """
    unfollow = parts.writer.follow(parts.pipeline.heard)
    road = asyncio.create_task(_road(parts, changes), name="road")
    waiting = asyncio.create_task(ended.wait(), name="until ended")
    drivers = asyncio.create_task(_drivers(parts), name="drivers")
    try:
        await asyncio.wait({road, waiting, drivers}, return_when=asyncio.FIRST_COMPLETED)
        road.cancel()
        await asyncio.wait({road}, timeout=END_WITHIN)
        broken = [e for t in (road, drivers) if (e := _error(t)) is not None]
        if broken or stopping.is_set():
            await at_stop(parts)
        parts.pipeline.finish()
        snapshot(parts)
        if broken:
            raise broken[0]
    finally:
        unfollow()
        for task in (road, waiting, drivers):
            task.cancel()
        _ended, stuck = await asyncio.wait({road, waiting, drivers}, timeout=END_WITHIN)
        for part in stuck:
            log.error("%s: does not end within %g s", part.get_name(), END_WITHIN)


def _error(task: asyncio.Task[Any]) -> BaseException | None:
    return task.exception() if task.done() and not task.cancelled() else None


async def _drivers(parts: Parts) -> None:
    known = parts.decider.engine.states
    everything = {**parts.configuration.io, **parts.configuration.devices}
    async with asyncio.TaskGroup() as group:
        for device, driver in parts.drivers.items():
            raised = everything[device].raised
            say = say_of(parts.speaker, device, driver, raised, known)
            group.create_task(supervise(device, driver, say, parts.inbox), name=device)
        if not parts.drivers:
            await asyncio.Event().wait()  # a box with no devices yet runs as any other


async def _road(parts: Parts, changes: Changing | None) -> None:
    mqtt = parts.configuration.site.mqtt
    profiles = mqtt is not None and (mqtt.home_assistant or mqtt.sparkplug)
    async with asyncio.TaskGroup() as group:
        group.create_task(parts.pipeline.run(), name="pipeline")
        group.create_task(parts.dispatch.run(), name="dispatch")
        group.create_task(parts.site_clock.run(), name="site clock")
        group.create_task(parts.cloud.run(), name="uplink")
        if profiles:
            group.create_task(_profiles(parts), name="profiles")
        group.create_task(_snapshots(parts), name="snapshots")
        group.create_task(_lag(parts), name="loop lag")
        group.create_task(slow.run(parts.metrics, parts.places.state), name="slow numbers")
        group.create_task(serving(parts, changes), name="control and HTTP")


async def _profiles(parts: Parts) -> None:
    """Tell Home Assistant and a Sparkplug host; neither may end anything else."""
    try:
        from edge.profiles import discovered, voice

        for topic, payload in discovered(parts).items():
            parts.cloud.retain(topic, payload)
        if (telling := voice(parts)) is not None:
            await telling.run()
    except Exception:
        log.exception("a bug in a profile of `mqtt:`; it is off until the next start or reload")


async def _snapshots(parts: Parts) -> None:
    """Make a snapshot each minute in which something was handled: an idle night writes nothing."""
    before = parts.metrics.handled
    while True:
        await asyncio.sleep(SNAPSHOT_EVERY)
        if parts.metrics.handled != before:
            await parts.pipeline.rest()  # a snapshot cuts no turn in two
            before = parts.metrics.handled
            snapshot(parts)


async def _lag(parts: Parts) -> None:
    while True:
        parts.metrics.trusted.set(parts.speaker.trusted)
        due = time.monotonic() + LAG_EVERY
        await asyncio.sleep(LAG_EVERY)
        parts.metrics.lag.set(max(time.monotonic() - due, 0.0))


async def at_stop(parts: Parts) -> None:
    """Bring every output to what its `at_stop` says, all at once, within 5 s."""

    async def one(device: str) -> None:
        driver = parts.drivers[device]
        command = driver.at_stop()
        if command is None:
            return
        try:
            await driver.perform(command)
        except CommandFailed as failure:
            log.error("device %s: %s at stop: %s", device, command.kind, failure)  # noqa: TRY400
        except Exception:
            log.exception("device %s: a bug while performing %s at stop", device, command.kind)

    devices = [d for d, driver in parts.drivers.items() if driver.accepts]
    tasks = [asyncio.create_task(one(device), name=device) for device in devices]
    if not tasks:
        return
    _done, late = await asyncio.wait(tasks, timeout=STOP_WITHIN)
    for task in late:
        log.error("device %s: not at its state within %g s", task.get_name(), STOP_WITHIN)
        task.cancel()
    await asyncio.wait(tasks, timeout=1.0)
