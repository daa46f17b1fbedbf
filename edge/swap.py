"""Other rules under a running daemon: no device, link or output of theirs is touched.

What waits in rules that stay the same (holds, sequences, counts, cooldowns, leases) goes on. What
more than rules has changed needs all parts anew; `in_the_way` says what.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Mapping
from typing import Any

from drivers.event import SITE
from drivers.priorities import Priority
from edge.aside import uncollected
from edge.assembly import Parts
from edge.config.model import Apply, Configuration, Configured
from edge.config.wiring import settings_of
from edge.running import snapshot

log = logging.getLogger(__name__)


def in_the_way(old: Configuration, new: Configuration) -> str:
    """Return what else than rules differs, or an empty string: then the rules can be swapped."""
    for what, before, after in (("io", old.io, new.io), ("devices", old.devices, new.devices)):
        if strange := before.keys() ^ after.keys():
            return f"{what}: {min(strange)} is new or gone"
        for one in before:
            if _device(before[one]) != _device(after[one]):
                return f"{what}: {one} is configured differently"
    if old.groups != new.groups:
        return "groups"
    alike = (
        dataclasses.replace(old.site, apply=Apply()),
        dataclasses.replace(new.site, apply=Apply()),
    )
    for setting in dataclasses.fields(old.site):
        if getattr(alike[0], setting.name) != getattr(alike[1], setting.name):
            return f"site.yaml: {setting.name}"
    return ""


def _device(one: Configured) -> Mapping[str, Any]:
    settings = dict(settings_of(one.driver))
    own = (one.type, one.name, dict(one.near), one.tags, one.raised)
    return {"settings": settings, "own": own}


async def swap(parts: Parts, new: Configuration) -> float:
    """Let the rules of `new` take over between two turns; returns the seconds that it took.

    What was due before is done by the old rules, what waits in the inbox comes to the new ones: no
    event is lost or handled twice. A snapshot is journaled right after.
    """
    await parts.pipeline.rest()
    began = time.perf_counter()
    with uncollected():
        _swap(parts, new)
    took = time.perf_counter() - began
    await asyncio.sleep(0)
    await parts.pipeline.rest()
    snapshot(parts)
    return took


def _swap(parts: Parts, new: Configuration) -> None:
    old, pipeline = parts.configuration, parts.pipeline
    oldest, now = parts.inbox.oldest_tick(), parts.clock.tick()
    tick = now if oldest is None else min(now, oldest)
    stamp = parts.speaker.stamp(SITE, "time", Priority.operations, {}, {})
    stamp = dataclasses.replace(stamp, tick=tick)
    turn = parts.decider.swap(new, tick, stamp)
    pipeline.carry_out(stamp, turn)
    pipeline.finish()
    parts.configuration = dataclasses.replace(new, io=old.io, devices=old.devices)
    pipeline.encoder.config = new.hash
    parts.metrics.ruled(new.hash, [rule.id for rule in new.rules.rules])
    parts.site_clock.moments(new.rules.moments)
    parts.cloud.configured()
