"""Contacts: active, quiet, unknown."""

import asyncio

from drivers.contact import Contact
from drivers.settings import InputSetting, Seconds
from drivers.signals import ContactActive, ContactQuiet, InputFault, LinkUp, Signal, StateKnown
from drivers.sim.contact import SimulatedContact
from tests import virtual_time
from tests.drivers.watching import Said, watching


def test_it_says_each_change_and_what_was_found() -> None:
    async def main() -> Said:
        async with watching(Contact(contact=InputSetting(line="m.di0")), di0=True) as device:
            sim = SimulatedContact(device.house, "m.di0")
            await asyncio.sleep(1)
            sim.quiet()
            await asyncio.sleep(1)
            sim.active()
            await asyncio.sleep(1)
            return device.said

    assert virtual_time.run(main()) == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"contact": "active"})),
        (1.001, ContactQuiet()),
        (2.001, ContactActive()),
    ]


def test_chatter_is_said_edge_for_edge_without_a_debounce_and_twice_with_one() -> None:
    async def main(debounce: Seconds) -> list[Signal]:
        contact = InputSetting(line="m.di0", debounce=debounce)
        async with watching(Contact(contact=contact), di0=False) as device:
            device.take()
            await SimulatedContact(device.house, "m.di0").chatter(10, each=0.002)
            await asyncio.sleep(1)
            return device.signals

    assert virtual_time.run(main(Seconds(0.0))) == [ContactActive(), ContactQuiet()] * 5
    assert virtual_time.run(main(Seconds(0.5))) == [ContactActive(), ContactQuiet()]


def test_a_broken_wire_makes_it_unknown() -> None:
    async def main() -> list[Signal]:
        async with watching(Contact(contact=InputSetting(line="m.di0")), di0=False) as device:
            device.take()
            device.house.fault("m.di0", "loop short")
            await asyncio.sleep(1)
            return device.signals

    said = virtual_time.run(main())
    assert said == [InputFault(input="contact", reason="loop short", affects=("contact",))]
    assert said[0].states() == {"contact": "unknown"}


def test_what_changed_while_nobody_listened_is_the_ordinary_signal() -> None:
    device = Contact(contact=InputSetting(line="m.di0"), kind="occupancy")
    assert device.signal_for("contact", "active") == ContactActive()
    assert device.signal_for("contact", "quiet") == ContactQuiet()
    assert device.signal_for("contact", "unknown") is None
    assert device.alarms_without_history() == frozenset()
    assert device.lines() == {"contact": "m.di0"}
