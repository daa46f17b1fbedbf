"""Prove that kill -9 changes no decision: one timeline, uninterrupted and killed at random points.

./dev prove restart [--kills 200] [--beats 40] [--beat 4] [--seed 1]

Every run has a simulated module and a daemon of its own; all of them hear the same timeline at the
same time. One is left alone. The others are killed at random moments, also while they start, and
started again at once. Inputs change on the beat; windows end half a beat off it, so that a restart
of less than half a beat decides nothing anew. In the end each journal must tell the same story:
the same firings, ends, repeats and incidents of each rule, in the same order, less than a beat from
where the uninterrupted run has them. And a backtest of the same rules over each journal must find
the firings that it holds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from bench import recorded
from buffer.journal import Journal
from buffer.record import Kind
from drivers.lines import modbus_profile
from drivers.sim import modbus as modbus_sim
from drivers.sim.modbus import ModbusSimulator
from edge.control import NotRunning, Refused, ask
from tests.daemon import Daemon

CONTACTS, SWITCHES = 6, 5
ACKNOWLEDGE = "acknowledge"
TOLD = (
    "rule.fired",
    "rule.ended",
    "rule.repeated",
    "incident.opened",
    "incident.acknowledged",
    "mode.changed",
)
LINES = {
    "inputs": {f"di{n}": {"discrete": n} for n in range(CONTACTS)},
    "outputs": {f"do{n}": {"coil": n} for n in range(SWITCHES)},
}
DEVICES = {
    **{f"contact_{n}": {"type": "contact", "contact": f"annex.di{n}"} for n in range(CONTACTS)},
    **{f"light_{n}": {"type": "switch", "output": f"annex.do{n}"} for n in range(SWITCHES)},
}
RULES = """
rules:
  held:
    when: {contact_0: active, for: 2.5b}
    do: [{switch_on: light_0}]
    until: {contact_0: quiet}
  held_while:
    when: {contact_1: active, while: contact_2.contact == 'quiet', for: 1.5b}
    do: [{switch_on: light_1, for: 2.5b}]
  in_order:
    when: {sequence: [{contact_0: active}, {contact_3: active}, {contact_4: active}], within: 6.5b}
    do: [{switch_on: light_2, for: 1.5b}]
  in_any_order:
    when: {together: [{contact_1: active}, {contact_5: active}], within: 3.5b}
    do: [{incident: both}]
  often:
    when: {count: 3, of: [{contact_2: active}, {contact_3: active}], within: 8.5b}
    do: [{switch_on: light_3, for: 3.5b}]
  each:
    when: {contacts: active}
    do: [{incident: each}]
    cooldown: 4.5b
  missing:
    when: {after: {contact_4: active}, without: {contact_5: active}, within: 4.5b, blind: fire}
    do: [{switch_on: light_4}]
    until: {contact_4: quiet}
  unasked:
    when: {before: {contact_5: active}, without: {contact_1: active}, within: 3.5b, blind: fire}
    do: [{incident: unasked}]
  storm:
    when: [{contact_0: active}, {contact_2: active}]
    do: [{incident: storm}]
    quiet: 3.5b
  taking_stock:
    when: {contact_5: active}
    if: site.mode != 'stock_take'
    do: [{mode: stock_take, for: 3.5b}]
  answered:
    when: {contact_3: active, for: 1.5b}
    if: count('contact_3', 'contact.active', '9b') >= 1
    do: [{incident: answered}]
    escalate:
      - {after: 2b, do: [{switch_on: light_3, for: 1b}]}
      - {after: 6b, do: [{switch_on: light_3, for: 1b}]}
"""


@dataclass(slots=True)
class Run:
    """One daemon on its module, and how often it was killed."""

    folder: Path
    module: ModbusSimulator
    daemon: Daemon
    kills: int = 0
    down: list[float] = field(default_factory=list)
    """Seconds from each kill until its rules ran again."""


def timeline(beats: int, seed: int) -> list[list[tuple[str, bool]]]:
    """Return what changes on each beat: inputs and their new levels, or an acknowledgement."""
    chance = random.Random(seed)
    levels = dict.fromkeys(LINES["inputs"], False)
    found = []
    for beat in range(beats):
        changes = []
        for name in chance.sample(sorted(levels), chance.choice((1, 1, 2, 3))):
            levels[name] = not levels[name]
            changes.append((name, levels[name]))
        if beat % 7 == 6:
            changes.append((ACKNOWLEDGE, True))
        found.append(changes)
    return found


def written(folder: Path, url: str, beat: float) -> Path:
    """Write the configuration of one run; `2.5b` in the rules are beats."""
    config = folder / "config"
    (config / "rules").mkdir(parents=True)
    site = {
        "site": "proof",
        "http": {"listen": "127.0.0.1:0"},
        "buffer": {"path": str(folder / "state")},
    }
    devices = {
        "io": {"annex": {"type": "modbus", "url": url, "unit": 1, **LINES}},
        "devices": DEVICES,
        "groups": {"contacts": ["contact_1", "contact_4", "contact_5"]},
    }
    (config / "site.yaml").write_text(yaml.safe_dump(site))
    (config / "devices.yaml").write_text(yaml.safe_dump(devices))
    text = RULES
    for number in ("1.5", "2.5", "3.5", "4.5", "6.5", "8.5", "1", "2", "6", "9"):
        text = text.replace(f"{number}b", f"{float(number) * beat * 1000:.0f}ms")
    (config / "rules" / "proof.yaml").write_text(text)
    return config


async def play(
    run: Run, plan: Sequence[Sequence[tuple[str, bool]]], began: float, beat: float
) -> None:
    for number, changes in enumerate(plan):
        await asyncio.sleep(max(began + number * beat - time.monotonic(), 0.0))
        for name, on in changes:
            if name == ACKNOWLEDGE:
                await _acknowledge(run)
            else:
                run.module.set(name, on)
    await asyncio.sleep(max(began + (len(plan) + 10) * beat - time.monotonic(), 0.0))


async def _acknowledge(run: Run) -> None:
    """Say it until it is answered: then it is in the journal."""
    request = {"do": "acknowledge", "name": "answered", "by": "proof", "reason": "it is a proof"}
    while True:
        try:
            await ask(run.daemon.socket, request)
        except (NotRunning, Refused, OSError):
            await asyncio.sleep(0.05)
        else:
            return


async def disturb(run: Run, seed: int) -> None:
    """Kill it again and again, at any moment of its life."""
    chance = random.Random(seed)
    while True:
        await asyncio.sleep(chance.uniform(0.0, 3.0))
        # not while an acknowledgement waits for its answer: whether it was said would be open
        began = time.monotonic()
        await run.daemon.kill()
        run.kills += 1
        await run.daemon.launch()
        if chance.random() < 0.2:  # a second time, while it starts
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            await run.daemon.kill()
            run.kills += 1
            await run.daemon.launch()
        await run.daemon.until(lambda status: not status["devices_down"])
        run.down.append(time.monotonic() - began)


def told(run: Run, began_tick: float) -> dict[str, list[tuple[str, float]]]:
    """Return what the journal tells of each rule: words, and seconds since the beginning."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    with Journal.open(run.daemon.state / "journal.db", read_only=True) as journal:
        if (broken := journal.verify()) is not None:
            found["journal"].append((f"broken: {broken.reason}", 0.0))
        for record in journal.since(0):
            if record.kind not in (Kind.EVENT, Kind.DECISION):
                continue
            body = json.loads(record.body)
            if body["signal"] in TOLD:
                data = body.get("data", {})
                keep = ("member", "target", "because", "count", "step", "name", "mode")
                words = [f"{k}={data[k]}" for k in keep if data.get(k) not in (None, "", 0)]
                rule = str(data.get("rule") or data.get("name") or "site")
                line = " ".join([body["signal"], *words])
                found[rule].append((line, float(body["tick"]) - began_tick))
    return {rule: sorted(lines, key=lambda one: one[1]) for rule, lines in found.items()}


def first_tick(run: Run) -> float:
    """Return the tick of the first input that changed."""
    with Journal.open(run.daemon.state / "journal.db", read_only=True) as journal:
        for record in journal.since(0):
            body = json.loads(record.body)
            if body["signal"] == "contact.active":
                return float(body["tick"])
    return 0.0


def differences(
    alone: Mapping[str, Sequence[tuple[str, float]]],
    killed: Mapping[str, Sequence[tuple[str, float]]],
    beat: float,
) -> list[str]:
    """Return what the two stories do not have in common."""
    found = []
    for rule in sorted({*alone, *killed}):
        left = sorted(line for line, _ in alone.get(rule, ()))
        right = sorted(line for line, _ in killed.get(rule, ()))
        for line in {*left, *right}:
            if left.count(line) != right.count(line):
                found.append(
                    f"{rule}: {line}: {left.count(line)} alone, {right.count(line)} killed"
                )
        at_left, at_right = defaultdict(list), defaultdict(list)
        for line, at in alone.get(rule, ()):
            at_left[line].append(at)
        for line, at in killed.get(rule, ()):
            at_right[line].append(at)
        for line, times in at_left.items():
            for one, other in zip(times, at_right.get(line, ()), strict=False):
                if abs(one - other) >= beat:
                    found.append(f"{rule}: {line}: at {one:.2f} s alone, {other:.2f} s killed")
    return found


async def prove(kills: int, beats: int, beat: float, seed: int, runs: int) -> bool:
    plan = timeline(beats, seed)
    began = time.monotonic()
    total = 0
    wrong: list[str] = []
    decisions = 0
    slowest = 0.0
    while total < kills:
        found, some, longest, count = await one_round(plan, beat, seed + total, runs)
        wrong, total, slowest = [*wrong, *found], total + some, max(slowest, longest)
        decisions = count
        print(f"{total} kills of {kills}, {len(wrong)} differences", file=sys.stderr)
    print(f"{total} kills (seed {seed}) in {time.monotonic() - began:.0f} s:")
    print(f"  records compared a run  {decisions}")
    print(f"  longest time down       {slowest:.2f} s (of {beat / 2:g} s that change nothing)")
    print(f"  differences             {len(wrong)}")
    for line in wrong[:20]:
        print(f"    {line}")
    return not wrong


async def one_round(
    plan: Sequence[Sequence[tuple[str, bool]]], beat: float, seed: int, runs: int
) -> tuple[list[str], int, float, int]:
    async with AsyncExitStack() as stack:
        mapped = modbus_profile.parse(yaml.safe_dump(LINES))
        all_runs = []
        for _ in range(runs + 1):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            module = await stack.enter_async_context(modbus_sim.simulate(mapped))
            daemon = Daemon(folder, written(folder, module.url, beat))
            await daemon.start()
            stack.push_async_callback(_end, daemon)
            await daemon.until(lambda status: not status["devices_down"])
            all_runs.append(Run(folder, module, daemon))
        alone, *killed = all_runs
        began = time.monotonic() + 0.5
        killers = [asyncio.create_task(disturb(r, seed + n)) for n, r in enumerate(killed)]
        try:
            await asyncio.gather(*(play(run, plan, began, beat) for run in all_runs))
        finally:
            for task in killers:
                task.cancel()
            ended = await asyncio.gather(*killers, return_exceptions=True)
        for problem in ended:
            if isinstance(problem, Exception):
                raise problem
        for run in killed:  # a cut of the killer may have left it starting
            await run.daemon.kill()
            await run.daemon.start()
            await run.daemon.stop()
        await alone.daemon.stop()
        story = told(alone, first_tick(alone))
        wrong = [
            line for run in killed for line in differences(story, told(run, first_tick(run)), beat)
        ]
        for run in all_runs:
            config, journal = run.daemon.config, run.daemon.state / "journal.db"
            wrong += [f"backtest: {line}" for line in recorded.differences(config, journal)]
        longest = max((seconds for run in killed for seconds in run.down), default=0.0)
        return wrong, sum(run.kills for run in killed), longest, sum(map(len, story.values()))


async def _end(daemon: Daemon) -> None:
    with suppress(ProcessLookupError):
        if daemon.process is not None and daemon.process.returncode is None:
            await daemon.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--beats", type=int, default=40)
    parser.add_argument("--beat", type=float, default=4.0, help="seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--runs", type=int, default=3, help="killed at a time, beside the one alone"
    )
    chosen = parser.parse_args()
    good = asyncio.run(prove(chosen.kills, chosen.beats, chosen.beat, chosen.seed, chosen.runs))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
