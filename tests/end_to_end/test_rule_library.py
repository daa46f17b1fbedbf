"""The library of rules on a simulated store, with the daemon: a thief, a burglar, a fire."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers.sim import modbus, text
from drivers.sim.modbus import ModbusSimulator
from drivers.sim.text import SimulatedSender
from tests.daemon import LIMIT, Daemon, running
from tests.shop import kept, said

LIBRARY = Path(__file__).parents[2] / "examples" / "rules"
MODULES = {
    "front": ("10.0.4.20:502", "moxa_e1214", ()),
    "side": ("10.0.4.21:502", "moxa_e1214", ()),
    "back": ("10.0.4.22:502", "adam_6050", ("di0", "di2", "di4")),  # doors closed
    "safety": ("10.0.4.23:502", "adam_6050", ("di0", "di1", "di2", "di3", "di4", "di5")),
    "lanes": ("10.0.4.24:502", "waveshare_io_8ch", ("di0", "di1")),  # drawers closed
}
"""Each with its address in the example, its profile, and what is on while all is well."""
SENDERS = {"lane_gateway": ("10.0.4.31:4055", b"|"), "till_feed": ("10.0.4.32:10000", b"\r\n")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The simulated hardware, by the names of devices.yaml."""

    modules: Mapping[str, ModbusSimulator]
    senders: Mapping[str, SimulatedSender]


@asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[tuple[Store, Path]]:
    """Run a store without cameras; yields it and the configuration that fits it."""
    async with AsyncExitStack() as stack:
        modules, senders, changes = {}, {}, {}
        for name, (address, profile, resting) in MODULES.items():
            modules[name] = await stack.enter_async_context(modbus.simulate(profile))
            changes[f"tcp://{address}"] = modules[name].url
            for line in resting:
                modules[name].set(line, on=True)
        for name, (address, separator) in SENDERS.items():
            senders[name] = await stack.enter_async_context(text.simulate(separator=separator))
            changes[f"tcp://{address}"] = senders[name].url
        printer = text.simulate("pty", link=folder / "printer", separator=b";")
        senders["printer"] = await stack.enter_async_context(printer)
        changes["/dev/serial/by-id/usb-Moxa-port0"] = str(folder / "printer")
        yield Store(modules=modules, senders=senders), configured(folder, changes)


def configured(folder: Path, changes: Mapping[str, str]) -> Path:
    """Return a copy of the library for a store that never closes, where nobody works at night."""
    copy = folder / "config"
    shutil.copytree(LIBRARY, copy, ignore=shutil.ignore_patterns("rules.local"))
    devices = (copy / "devices.yaml").read_text()
    for old, new in changes.items():
        assert old in devices
        devices = devices.replace(old, new)
    devices = re.sub(r"^  cam_\w+: .*\n", "", devices, flags=re.M)
    devices = re.sub(r"\[cam_[^\]]*\]", "[]", devices)
    (copy / "devices.yaml").write_text(devices)
    (copy / "site.yaml").write_text(
        "site: store_0422\n"
        'hours: {mon-sun: "00:00-24:00"}\n'
        'schedules: {staff: {holidays: {2000-01-01: "09:00-10:00"}}, delivery: {mon: closed}}\n'
        "evacuation: {on: [fire_panels, call_points], release: [exits],"
        " silence: [theft_sirens], sound: [evacuation_beacons]}\n"
        f'http: {{listen: "127.0.0.1:0"}}\nbuffer: {{path: {folder / "state"}}}\n'
    )
    return copy


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with simulated(folder) as (store, config), running(folder, config) as daemon:
            await daemon.until(lambda status: not status["devices_down"])
            await story(store, daemon)

    asyncio.run(main())


async def shows(module: ModbusSimulator, **outputs: bool) -> None:
    async with asyncio.timeout(LIMIT):
        for output, on in outputs.items():
            await module.wait_output(output, on)


async def incident(daemon: Daemon, name: str) -> None:
    """Wait until an incident of this name is in the journal on disk."""
    async with asyncio.timeout(LIMIT):
        while name not in [opened["name"] for opened in said(daemon, "incident.opened")]:
            await asyncio.sleep(0.02)


def test_a_thief_a_burglar_and_a_fire_meet_the_library(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        front, back, safety = (store.modules[name] for name in ("front", "back", "safety"))

        # a customer who paid: a lamp at the desk and no siren
        store.senders["lane_gateway"].say("DEACTIVATED 2")
        await store.senders["lane_gateway"].sent()
        await kept(daemon, "eas.deactivated")
        await store.modules["side"].pulse("di0", 0.5)
        await shows(front, do1=True)
        await incident(daemon, "tag_left_on")
        assert "walk_out" not in {fired["rule"] for fired in said(daemon, "rule.fired")}
        assert store.modules["side"].outputs["do0"] is False

        # the delivery door is forced, nobody works here at this hour
        back.set("di2", on=False)
        await shows(back, do0=True, do1=True)
        await incident(daemon, "forced_door")

        # a fire: sirens fall silent, the lock lets go, the bar is no push-out
        safety.set("di4", on=False)
        await shows(back, do0=False)
        await shows(safety, do0=True, do1=False)
        await incident(daemon, "evacuation")
        back.set("di5", on=True)
        await kept(daemon, "door.request_to_exit")
        await daemon.ask(do="status")
        assert "push_out" not in {fired["rule"] for fired in said(daemon, "rule.fired")}

    play(tmp_path, story)


def test_a_tag_that_leaves_a_store_where_nobody_paid_sounds_the_siren(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        front = store.modules["front"]
        await front.pulse("di0", 0.5)  # a tag comes in at the front
        await kept(daemon, "eas.alarm")
        await store.modules["side"].pulse("di0", 0.5)  # and another leaves by the side
        await shows(store.modules["side"], do0=True)
        await incident(daemon, "walk_out")
        assert front.outputs["do0"] is False

    play(tmp_path, story)
