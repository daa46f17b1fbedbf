"""Prove that kill -9 loses nothing that was claimed to be committed, through outages and drains.

./dev prove kill [--kills 250] [--children 1000] [--seed 1]
./dev prove kill --kills 0 --children 20 --control claim-early     must be caught: exit 1

Two programs are killed at random moments, also while they start, and started again on the same
file: the whole daemon over a simulated store that speaks at all five priorities, and the journal's
writer with its uplink alone (bench/keeper.py), which claims thousands of records a second. The road
to a real mosquitto is cut, swallowed or made one-way at random meanwhile, so that kills fall into
outages, reconnects and drains. bench/oracle.py judges: what was claimed is in the file, what is in
the file arrives upstream with its id and content, in order within its lane, and nothing else does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from bench import keeper
from bench.busy import busy, roomy
from bench.oracle import Arrival, Oracle, findings, look, table
from bench.upstream import PATIENCE, Upstream, all_arrived, upstream
from buffer.record import Record
from drivers.priorities import Priority
from edge.control import NotRunning
from edge.demo.store import configured, simulated
from edge.encode import body_of
from tests.daemon import Daemon

EVERYTHING = "storewarden/#"
WHOLE_EACH = 50
"""The whole chain is verified after so many kills; new records are checked after each."""
MANY = 20_000
"""Records that wait, from which on the keeper only sends."""
LONGEST_LIFE = 1.2
"""Seconds from when its rules run in which the daemon is killed."""


def command(*arguments: str) -> list[str]:
    """Return how to run the keeper with these arguments."""
    return [sys.executable, "-m", "bench.keeper", *arguments]


async def claims_of(process: asyncio.subprocess.Process, oracle: Oracle) -> None:
    """Give the oracle each claim, until the process has ended."""
    assert process.stdout is not None
    async for line in process.stdout:
        if (claim := keeper.claim(line)) is not None:
            oracle.claimed(claim)


async def one_life(oracle: Oracle, rng: random.Random, *arguments: str) -> None:
    """Run the keeper and kill it at a random moment, at times before it has claimed anything."""
    process = await asyncio.create_subprocess_exec(*command(*arguments), stdout=subprocess.PIPE)
    before = oracle.claims
    claims = asyncio.create_task(claims_of(process, oracle))
    try:
        if rng.random() < 0.15:
            await asyncio.sleep(rng.uniform(0.0, 0.3))
        else:
            await first_claim(process, oracle, before)
            await asyncio.sleep(rng.uniform(0.0, 2.0 if rng.random() < 0.05 else 0.25))
    finally:
        await killed(process, claims)
    oracle.interrupted()


async def draining_life(oracle: Oracle, rng: random.Random, *arguments: str) -> None:
    """Run the keeper with nothing to keep, and kill it while it sends what waits."""
    drain = (*arguments, "--drain")
    process = await asyncio.create_subprocess_exec(*command(*drain), stdout=subprocess.PIPE)
    claims = asyncio.create_task(claims_of(process, oracle))
    try:
        await asyncio.sleep(rng.uniform(0.2, 4.0))
    finally:
        await killed(process, claims)
    oracle.interrupted()


async def first_claim(process: asyncio.subprocess.Process, oracle: Oracle, before: int) -> None:
    """Wait until the process has claimed something.

    Raises:
        RuntimeError: it ended by itself.
        TimeoutError: it claims nothing.
    """
    async with asyncio.timeout(PATIENCE):
        while oracle.claims == before:
            if process.returncode is not None:
                raise RuntimeError("the keeper ended by itself: see what it said")
            await asyncio.sleep(0.002)


async def killed(process: asyncio.subprocess.Process, claims: asyncio.Task[None]) -> None:
    """Kill the process and take what it had claimed."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
    await claims


async def drained(oracle: Oracle, journal: Path, up: Upstream) -> None:
    """Let the keeper send what waits, in calm weather; what then has not arrived is lost."""
    up.calm()
    process = await asyncio.create_subprocess_exec(
        *command(str(journal), "--broker", up.url, "--drain"), stdout=subprocess.PIPE
    )
    claims = asyncio.create_task(claims_of(process, oracle))
    await all_arrived(oracle)
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await process.wait()
    await killed(process, claims)
    oracle.found(look(journal, oracle.head, keeper.content, whole=True))
    oracle.ended()


async def started(daemon: Daemon) -> None:
    """Start the daemon and wait until its rules run."""
    await daemon.launch()
    await rules_run(daemon)


async def rules_run(daemon: Daemon) -> None:
    """Wait until the daemon answers.

    Raises:
        RuntimeError: it ended by itself.
        TimeoutError: it does not answer.
    """
    assert daemon.process is not None
    async with asyncio.timeout(PATIENCE):
        while daemon.process.returncode is None:
            with suppress(NotRunning, ValueError):
                await daemon.ask(do="status")
                return
            await asyncio.sleep(0.02)
    raise RuntimeError(f"the daemon ended by itself:\n{daemon.log}")


async def daemon_drained(oracle: Oracle, daemon: Daemon, up: Upstream) -> None:
    """Let the daemon send what waits, in calm weather; what then has not arrived is lost."""
    journal = daemon.state / "journal.db"
    up.calm()
    await started(daemon)
    await all_arrived(oracle)
    await daemon.stop()
    oracle.found(look(journal, oracle.head, content, whole=True))
    await started(daemon)
    await all_arrived(oracle)
    oracle.ended()
    await daemon.stop()
    oracle.found(look(journal, oracle.head, content, whole=True))


def from_daemon(oracle: Oracle) -> Callable[[str, bytes], None]:
    """Return what gives the oracle the messages of a daemon."""

    def take(topic: str, payload: bytes) -> None:
        if topic.endswith("/anchor"):
            oracle.claimed_head(int(json.loads(payload)["sequence"]))
        elif "/event/" in topic:
            oracle.arrived(arrival(payload))

    return take


def from_keeper(oracle: Oracle) -> Callable[[str, bytes], None]:
    """Return what gives the oracle the messages of a keeper."""
    return lambda _topic, payload: oracle.arrived(keeper.arrival(payload))


async def prove_children(kills: int, seed: int, control: str | None) -> bool:
    """Kill the keeper `kills` times, under a control until it is caught.

    Returns whether nothing was wrong.
    """
    oracle, rng = Oracle(), random.Random(f"children {seed}")
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        journal = folder / "journal.db"
        up = await stack.enter_async_context(
            upstream(folder, oracle, rng, keeper.TOPIC, from_keeper(oracle))
        )
        more = ["--control", control] if control else []
        for number in range(kills):
            arguments = ("--seed", f"{seed}.{number}", "--broker", up.url, *more)
            # The more waits, the more often somebody lives to send it.
            live = draining_life if rng.random() < oracle.waiting / MANY else one_life
            await live(oracle, rng, str(journal), *arguments)
            whole = number % WHOLE_EACH == 0
            if journal.exists() or oracle.head:
                oracle.found(look(journal, oracle.head, keeper.content, whole=whole))
            progress(number + 1, kills, oracle)
            if control and oracle.faults:
                break
        await drained(oracle, journal, up)
    tell(f"{kills} kills of writer and uplink", seed, began, oracle, up)
    return not oracle.faults


def told_content(signal: str, data: dict[str, Any], tick: str) -> object:
    return hash((signal, json.dumps(data, sort_keys=True), tick))


def content(record: Record) -> object:
    """Return what must arrive upstream of a record of the daemon."""
    body = body_of(record)
    return told_content(body.signal, body.data, f"{body.tick:.6f}")


def arrival(payload: bytes) -> Arrival:
    """Return the arrival of a CloudEvent."""
    event = json.loads(payload)
    signal = event["type"].removeprefix("storewarden.")
    return Arrival(
        id=event["id"],
        sequence=int(event["sequence"]),
        previous=int(event["previous"]) if "previous" in event else None,
        priority=Priority[event["priority"]],
        replayed=event["replayed"],
        content=told_content(signal, event["data"], event["tick"]),
    )


async def ask_for_claims(daemon: Daemon, oracle: Oracle) -> None:
    """Ask the daemon again and again how far it has committed."""
    while True:
        with suppress(NotRunning, ValueError):
            status = await daemon.ask(do="status")
            oracle.claimed_head(status["journal"]["sequence"])
        await asyncio.sleep(0.01)


async def prove_daemon(kills: int, seed: int, minutes: float) -> bool:
    """Kill the whole daemon `kills` times, for `minutes` at most.

    Returns whether nothing was wrong.
    """
    oracle, rng = Oracle(), random.Random(f"daemon {seed}")
    began = time.monotonic()

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        up = await stack.enter_async_context(
            upstream(folder, oracle, rng, EVERYTHING, from_daemon(oracle))
        )
        store = await stack.enter_async_context(simulated(folder))
        daemon = Daemon(folder, roomy(configured(folder, store, up.url)))
        load = await stack.enter_async_context(busy(store, rng))
        journal = daemon.state / "journal.db"
        number = 0
        for number in range(kills):
            await daemon.launch()
            asking = asyncio.create_task(ask_for_claims(daemon, oracle))
            if rng.random() < 0.2:
                await asyncio.sleep(rng.uniform(0.0, 0.8))
            else:
                await rules_run(daemon)
                await asyncio.sleep(rng.uniform(0.0, LONGEST_LIFE))
            await daemon.kill()
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            oracle.interrupted()
            if journal.exists() or oracle.head:
                whole = number % WHOLE_EACH == 0
                found = await asyncio.to_thread(look, journal, oracle.head, content, whole=whole)
                oracle.found(found)
            progress(number + 1, kills, oracle)
            if time.monotonic() > began + minutes * 60:
                break
        load.cancel()
        await daemon_drained(oracle, daemon, up)
    tell(f"{number + 1} kills of the whole daemon", seed, began, oracle, up)
    return not oracle.faults


def progress(number: int, of: int, oracle: Oracle) -> None:
    if sys.stderr.isatty() or number % WHOLE_EACH == 0:
        end = "\n" if number % WHOLE_EACH == 0 or number == of else ""
        text = f"\r{number} of {of} kills, {oracle.claims} claims, {oracle.owed} owed"
        print(text, end=end, file=sys.stderr, flush=True)


def tell(what: str, seed: int, began: float, oracle: Oracle, up: Upstream) -> None:
    outages = ", ".join(f"{state} {n} times" for state, n in sorted(up.states.items()))
    print(f"{what} (seed {seed}) in {time.monotonic() - began:.0f} s:")
    print(table([("the road became", outages)]))
    print(findings(oracle, upstream=True), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=250, help="of the whole daemon")
    parser.add_argument("--children", type=int, default=1000, help="kills of writer and uplink")
    parser.add_argument("--control", choices=keeper.CONTROLS[:1], help="a lie that must be caught")
    parser.add_argument("--minutes", type=float, default=1e6, help="for the daemon, at most")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    good = True
    if chosen.children:
        good &= asyncio.run(prove_children(chosen.children, chosen.seed, chosen.control))
    if chosen.kills:
        good &= asyncio.run(prove_daemon(chosen.kills, chosen.seed, chosen.minutes))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
