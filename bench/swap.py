"""Rules swapped under a running pipeline: how long the road stands, and what a load delays.

Run it with `./dev bench swap`.
"""

from __future__ import annotations

import asyncio
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

from buffer.writer import Writer
from edge import aside
from edge.assembly import Parts, assemble
from edge.clock import Clock
from edge.config.load import load
from edge.metrics import Metrics
from edge.notify import Notify
from edge.past import Past
from edge.places import Places
from edge.running import begin
from edge.swap import swap
from rules.model import Rule

NUMBERS = (10, 100, 1000)
EVERY = 0.005
SITE = "site: bench\nevacuation: {on: []}\nhours: {mon-sun: '09:00-21:00'}\n"
DEVICES = """
io:
  annex:
    type: modbus
    url: "tcp://127.0.0.1:1"
    unit: 1
    inputs: {di0: {discrete: 0}, di1: {discrete: 1}}
    outputs: {do0: {coil: 0}}
devices:
  gate: {type: eas_pedestal, alarm: annex.di0}
  door: {type: door, contact: annex.di1}
  siren: {type: siren, output: annex.do0}
"""
RULE = """
  rule_{number}:
    description: Number {number}.
    when: {{door: open, for: {hold}s, while: not site.open}}
    if: gate.alarm == 'quiet'
    do:
      - {{sound: siren}}
      - {{incident: number_{number}}}
    until: {{door: closed}}
    cooldown: 30s
"""


def folder(where: Path, number: int) -> Path:
    """Write a configuration with so many rules."""
    rules = "".join(RULE.format(number=n, hold=n % 50 + 1) for n in range(number))
    (where / "rules").mkdir(parents=True)
    (where / "site.yaml").write_text(SITE)
    (where / "devices.yaml").write_text(DEVICES)
    (where / "rules" / "bench.yaml").write_text(f"rules:{rules}")
    return where


async def one(number: int) -> None:
    """Measure with `number` rules."""
    with tempfile.TemporaryDirectory() as made:
        config, state = folder(Path(made) / "config", number), Path(made)
        configuration = load(config)
        async with Writer.open(state / "journal.db") as writer:
            places = Places(configuration=config, state=state, socket=state / "socket")
            metrics, notify, clock = Metrics("1"), Notify({}), Clock()
            parts = assemble(configuration, places, writer, clock, Past(), metrics, notify)
            begin(parts, Past())
            road = asyncio.create_task(parts.pipeline.run())
            lags = await _lags(config)
            changed = [await _swapped(parts, share) for share in (0.0, 0.01, 1.0)]
            road.cancel()
            await asyncio.wait({road})
    took = ", ".join(f"{seconds * 1000:.1f}" for seconds in changed)
    print(f"{number:>5} rules: swap {took} ms (none, 1 %, all of them changed); {lags}")


async def _lags(config: Path) -> str:
    """Return by how much the loop comes late while the same configuration is loaded aside."""
    lags: list[float] = []

    async def tick() -> None:
        while True:
            due = time.perf_counter() + EVERY
            await asyncio.sleep(EVERY)
            lags.append(time.perf_counter() - due)

    ticking = asyncio.create_task(tick())
    began = time.perf_counter()
    await aside.run(load, config)
    took = time.perf_counter() - began
    ticking.cancel()
    await asyncio.wait({ticking})
    lags.sort()
    middle, last = lags[len(lags) // 2] * 1000, lags[-1] * 1000
    return (
        f"load {took:.2f} s, in which the loop is late by {middle:.1f} ms (p50), {last:.0f} at most"
    )


async def _swapped(parts: Parts, share: float) -> float:
    """Return the seconds of a swap that changes such a share of the rules: the median of five."""
    took = []
    for _ in range(5):
        rules = parts.configuration.rules.rules
        many = round(len(rules) * share)
        new = tuple(_changed(rule) if n < many else rule for n, rule in enumerate(rules))
        rule_set = dataclasses.replace(parts.configuration.rules, rules=new)
        new_one = dataclasses.replace(parts.configuration, rules=rule_set)
        took.append(await swap(parts, new_one))
    return statistics.median(took)


def _changed(rule: Rule) -> Rule:
    return dataclasses.replace(rule, hash=f"{rule.hash}.")


def main() -> None:
    """Print a line for each number of rules."""
    for number in NUMBERS:
        asyncio.run(one(number))


if __name__ == "__main__":
    main()
