"""Devices that talk rubbish, go away, come back or are tampered with disturb nobody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from drivers.sim.text import SimulatedSender
from edge.demo.store import Store
from tests.daemon import LIMIT, Daemon
from tests.shop import GATE, LOCK, PANIC, SIREN, shop, state, wired

REACTION = 1.0
"""Seconds from the contact to the siren's coil at most, on however busy a machine; quiet: 0.03."""
ROUNDS = 2


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with shop(folder) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())


@asynccontextmanager
async def raving(*senders: SimulatedSender) -> AsyncIterator[None]:
    """Let the senders send random bytes, as fast as their wires take them, until the block ends."""

    async def rave(sender: SimulatedSender, seed: int) -> None:
        noise = random.Random(seed)
        while True:
            with suppress(OSError):
                sender.raw(noise.randbytes(noise.randint(1, 2000)))
                await sender.sent()
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(rave(sender, n)) for n, sender in enumerate(senders)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def reaction(store: Store, daemon: Daemon) -> float:
    """Return the seconds from a pulse at the gates to the siren's coil; wait until it is over."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    store.module.set(GATE, True)
    await wired(store, **{SIREN: True})
    took = loop.time() - began
    store.module.set(GATE, False)
    silence = {"device": "siren_front", "command": "silence", "parameters": {}}
    await daemon.ask(do="order", **silence, priority="security", reason="next", by="test")
    await wired(store, **{SIREN: False})
    await state(daemon, "eas_front", "alarm", "quiet")
    return took


def test_random_bytes_of_a_gateway_and_a_printer_delay_no_siren(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        async with raving(store.gateway, store.printer):
            took = [await reaction(store, daemon) for _ in range(ROUNDS)]
        assert max(took) < REACTION
        assert (await daemon.states("annex"))["link"] == "up"
        assert (await daemon.states("door_front"))["contact"] == "closed"
        status = await daemon.ask(do="status")
        assert status["evacuation"] == "no"
        store.gateway.raw(b"|")
        async with daemon.tail() as next_of:
            store.gateway.say("DEACTIVATED 7")
            deactivated = await next_of("tills", "eas.deactivated")
        assert deactivated["data"]["till"] == 7

    play(tmp_path, story)


def test_a_module_that_is_gone_is_said_once_and_its_states_are_unknown_until_it_is_back(
    tmp_path: Path,
) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        async with daemon.tail() as next_of:
            store.module.faults.connections = 0
            store.module.hang_up()
            await next_of("annex", "link.down")
            await state(daemon, "door_front", "contact", "unknown")
            store.module.faults.connections = None
            await next_of("annex", "link.up")
        await state(daemon, "door_front", "contact", "closed")
        store.module.set(GATE, True)
        await wired(store, **{SIREN: True})

    play(tmp_path, story)


def test_a_module_that_reboots_has_its_outputs_asserted_again(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        order = {"do": "order", "parameters": {}, "reason": "opening", "by": "test"}
        await daemon.ask(**order, device="lock_exit", command="relock")
        await daemon.ask(**order, device="light_tills", command="switch_on", **{"for": 120.0})
        await wired(store, do3=True, do4=True)
        store.module.reboot()
        assert store.module.outputs["do4"] is False
        await wired(store, do4=True)
        store.module.set(PANIC, True)
        await state(daemon, "panic_office", "contact", "active")

    play(tmp_path, story)


def test_an_output_forced_at_the_module_is_said_and_written_again(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        order = {"do": "order", "parameters": {}, "reason": "opening", "by": "test"}
        await daemon.ask(**order, device="lock_exit", command="relock")
        await wired(store, **{LOCK: True})
        async with daemon.tail() as next_of:
            store.module.force_output(LOCK, False)
            await next_of("lock_exit", "output.mismatch")
            await wired(store, **{LOCK: True})
            store.module.force_output(SIREN, True)
            await next_of("siren_front", "output.mismatch")
            await wired(store, **{SIREN: False})

    play(tmp_path, story)


def test_a_module_that_answers_rubbish_for_a_while_does_not_stop_the_text_devices(
    tmp_path: Path,
) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        async with daemon.tail() as next_of:
            store.module.faults.garbage = True
            await next_of("annex", "link.down")
            store.gateway.say("DEACTIVATED 3")
            await next_of("tills", "eas.deactivated")
        store.module.faults.garbage = False
        async with asyncio.timeout(LIMIT):
            await state(daemon, "annex", "link", "up")
            await state(daemon, "eas_front", "alarm", "quiet")
            await state(daemon, "light_tills", "output", "off")
        async with daemon.tail() as next_of:
            store.gateway.say("DEACTIVATED 3")  # again: the rule looks back for five seconds only
            await next_of("tills", "eas.deactivated")
        await store.module.pulse(GATE, 0.5)
        await wired(store, do4=True)

    play(tmp_path, story)
