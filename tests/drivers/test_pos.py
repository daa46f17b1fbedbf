"""Tills: event lines become signals, the drawer is a state, card numbers are never seen."""

import asyncio

import pytest

from drivers.contract import SettingError
from drivers.pos import Pos
from drivers.settings import InputSetting, PortName, Seconds
from drivers.signals import (
    BadRecord,
    InputFault,
    InputRestored,
    LinkUp,
    PosDrawerClosed,
    PosDrawerOpened,
    PosNoSale,
    PosRecalled,
    PosRefund,
    PosSale,
    PosSuspended,
    PosVoid,
    Signal,
    StateKnown,
)
from drivers.sim.pos import SimulatedDrawer, SimulatedTill
from drivers.wire.text_profile import TextPattern
from tests import virtual_time
from tests.drivers.watching import Said, watching

TILLS = PortName("tills")
DRAWER = InputSetting(line="m.di6")


def by_lines(**given: object) -> Pos:
    return Pos(port=TILLS, profile="generic_lines", **given)  # type: ignore[arg-type]


def test_a_till_says_its_sales_and_what_is_out_of_the_ordinary() -> None:
    async def main() -> list[Signal]:
        async with watching(by_lines()) as till:
            port = till.house.text("tills", b"\r\n")
            port.up()
            lane = SimulatedTill(port)
            lane.heartbeat()
            lane.sale(12.5, 4)
            lane.refund(12.5, "4650")
            lane.refund(80)
            lane.void(3.99)
            lane.void(20, "sale")
            lane.no_sale()
            lane.suspend()
            lane.recall()
            await asyncio.sleep(1)
            return till.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        PosSale(till="3", receipt="4711", amount=12.5, items=4, cashier="17"),
        PosRefund(till="3", receipt="4712", original="4650", amount=12.5, cashier="17"),
        PosRefund(till="3", receipt="4713", original="", amount=80.0, cashier="17"),
        PosVoid(till="3", receipt="4714", what="line", amount=3.99, cashier="17"),
        PosVoid(till="3", receipt="4715", what="sale", amount=20.0, cashier="17"),
        PosNoSale(till="3", cashier="17"),
        PosSuspended(till="3", receipt="4717", cashier="17"),
        PosRecalled(till="3", receipt="4717", cashier="17"),
    ]


def test_what_is_done_in_training_mode_is_a_test_and_an_open_drawer_is_open() -> None:
    async def main() -> list[Signal]:
        async with watching(by_lines()) as till:
            port = till.house.text("tills", b"\r\n")
            port.up()
            lane = SimulatedTill(port)
            lane.training = True
            lane.no_sale()
            lane.drawer_open()
            port.say("REFUND till=3 training=no original=1")
            await asyncio.sleep(1)
            return till.signals

    said = virtual_time.run(main())
    assert said == [
        LinkUp(),
        PosNoSale(till="3", cashier="17", test=True),
        PosDrawerOpened(till="3"),
        PosRefund(till="3", original="1"),
    ]
    assert said[1].fields() == {"till": "3", "cashier": "17", "test": True}
    assert said[3].fields() == {"till": "3", "original": "1"}


def test_a_till_hears_its_own_records_on_a_port_that_several_share() -> None:
    async def main() -> list[Signal]:
        async with watching(by_lines(till="3")) as till:
            port = till.house.text("tills")
            port.up()
            port.say("NOSALE till=4 cashier=1")
            port.say("NOSALE till=03 cashier=2")
            port.say("NOSALE cashier=3")
            port.say("DRAWER OPEN till=4")
            await asyncio.sleep(1)
            return till.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        PosNoSale(till="3", cashier="2"),
        PosNoSale(till="3", cashier="3"),
    ]


def test_the_drawers_of_several_tills_are_open_while_any_is() -> None:
    async def main() -> Said:
        async with watching(by_lines()) as till:
            port = till.house.text("tills")
            port.up()
            port.say("DRAWER CLOSED till=5")
            port.say("DRAWER OPEN till=3")
            await asyncio.sleep(2)
            port.say("DRAWER OPEN till=4")
            port.say("DRAWER OPEN till=3")
            await asyncio.sleep(3)
            port.say("DRAWER CLOSED till=3")
            port.say("DRAWER CLOSED till=4")
            await asyncio.sleep(1)
            return till.said

    assert virtual_time.run(main()) == [
        (0.001, LinkUp()),
        (0.001, PosDrawerClosed(till="5")),
        (0.001, PosDrawerOpened(till="3")),
        (2.001, PosDrawerOpened(till="4")),
        (5.001, PosDrawerClosed(till="3", open_for=5.0)),
        (5.001, StateKnown(values={"drawer": "open"})),
        (5.001, PosDrawerClosed(till="4", open_for=3.0)),
    ]


def test_a_drawer_by_its_contact_is_open_when_the_wire_is_cut() -> None:
    async def main() -> Said:
        async with watching(Pos(drawer=DRAWER, till="03"), di6=True) as till:
            drawer = SimulatedDrawer(till.house, "m.di6")
            await asyncio.sleep(1)
            drawer.open()
            await asyncio.sleep(90)
            drawer.close()
            await asyncio.sleep(1)
            drawer.cut()
            await asyncio.sleep(1)
            return till.said

    assert virtual_time.run(main()) == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"drawer": "closed"})),
        (1.001, PosDrawerOpened(till="3")),
        (91.001, PosDrawerClosed(till="3", open_for=90.0)),
        (92.001, PosDrawerOpened(till="3")),
    ]


def test_a_contact_goes_before_what_the_records_say_of_the_drawer() -> None:
    async def main() -> list[Signal]:
        async with watching(by_lines(drawer=DRAWER), di6=False) as till:
            port = till.house.text("tills", b"\r\n")
            port.up()
            await asyncio.sleep(1)
            lane = SimulatedTill(port)
            lane.drawer_close()
            lane.no_sale()
            SimulatedDrawer(till.house, "m.di6").close()
            await asyncio.sleep(1)
            return till.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        StateKnown(values={"drawer": "open"}),
        PosNoSale(till="3", cashier="17"),
        PosDrawerClosed(),
    ]


def test_a_till_is_heard_while_its_feed_or_its_drawer_is() -> None:
    async def main() -> tuple[Said, list[tuple[float, str]]]:
        async with watching(by_lines(drawer=DRAWER), di6=True) as till:
            port = till.house.text("tills", b"\r\n")
            await asyncio.sleep(20)
            port.up()
            await asyncio.sleep(10)
            till.house.lose("m", "no answer")
            await asyncio.sleep(10)
            port.down("cable pulled")
            await asyncio.sleep(60)
            port.up()
            SimulatedTill(port).no_sale()
            await asyncio.sleep(10)
            till.house.set("m.di6", True)
            await asyncio.sleep(10)
            return till.said, till.lost

    said, lost = virtual_time.run(main())
    assert said == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"drawer": "closed"})),
        (10.0, InputFault(input="port", reason="tills: not connected yet")),
        (20.001, InputRestored(input="port")),
        (30.001, InputFault(input="drawer", reason="m.di6: no answer", affects=("drawer",))),
        (100.001, LinkUp()),
        (100.001, InputFault(input="drawer", reason="m.di6: no answer", affects=("drawer",))),
        (100.001, PosNoSale(till="3", cashier="17")),
        (110.001, InputRestored(input="drawer")),
        (110.001, StateKnown(values={"drawer": "closed"})),
    ]
    assert lost == [(40.001, "tills: cable pulled")]


def test_a_till_with_both_is_lost_when_neither_is_ever_heard() -> None:
    async def main() -> tuple[Said, list[tuple[float, str]]]:
        async with watching(by_lines(drawer=DRAWER)) as till:
            await asyncio.sleep(100)
            return till.said, till.lost

    said, lost = virtual_time.run(main())
    assert said == []
    assert len(lost) == 1
    assert lost[0][0] == 10.0


def test_a_till_waits_for_its_drawer_when_its_feed_is_refused() -> None:
    async def main() -> tuple[Said, list[tuple[float, str]]]:
        async with watching(by_lines(drawer=DRAWER)) as till:
            port = till.house.text("tills")
            await asyncio.sleep(1)
            port.down("refused")
            await asyncio.sleep(2)
            till.house.set("m.di6", True)
            await asyncio.sleep(20)
            return till.said, till.lost

    said, lost = virtual_time.run(main())
    assert said == [
        (3.001, LinkUp()),
        (3.001, InputFault(input="port", reason="tills: refused")),
        (3.001, StateKnown(values={"drawer": "closed"})),
    ]
    assert lost == []


def test_a_till_whose_feed_goes_before_its_drawer_was_ever_read_is_lost() -> None:
    async def main() -> tuple[Said, list[tuple[float, str]]]:
        async with watching(by_lines(drawer=DRAWER)) as till:
            port = till.house.text("tills")
            port.up()
            await asyncio.sleep(5)
            port.down("cable pulled")
            await asyncio.sleep(3)
            till.house.set("m.di6", True)
            await asyncio.sleep(1)
            return till.said, till.lost

    said, lost = virtual_time.run(main())
    assert said == [
        (0.001, LinkUp()),
        (8.001, LinkUp()),
        (8.001, InputFault(input="port", reason="tills: cable pulled")),
        (8.001, StateKnown(values={"drawer": "closed"})),
    ]
    assert lost == [(5.001, "tills: cable pulled")]


def test_a_card_number_in_a_record_that_nobody_can_read_is_not_shown() -> None:
    async def main() -> list[Signal]:
        async with watching(by_lines()) as till:
            port = till.house.text("tills")
            port.up()
            port.say("\x07CARD 4111 1111 1111 1111 EXP 12/28")
            port.say("SALE till=3 receipt=4111111111111111 amount=5")
            port.say("SALE till=3 amount=five")
            await asyncio.sleep(61)
            return till.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        BadRecord(reason="cannot read 'CARD **** **** **** 1111 EXP 12/28'", count=1),
        PosSale(till="3", receipt="************1111", amount=5.0),
        BadRecord(reason="cannot read 'SALE till=3 amount=five'", count=1),
    ]


def test_a_silent_feed_with_a_sign_of_life_is_a_lost_link() -> None:
    async def main() -> list[tuple[float, str]]:
        async with watching(by_lines(silence=Seconds(60))) as till:
            port = till.house.text("tills")
            port.up()
            await asyncio.sleep(50)
            port.say("OK")
            await asyncio.sleep(100)
            return till.lost

    assert virtual_time.run(main()) == [(110.001, "silent for 60 s")]


def test_what_changed_while_nobody_listened_is_said_of_the_drawer() -> None:
    till = Pos(drawer=DRAWER, till="03")
    assert till.signal_for("drawer", "open") == PosDrawerOpened(till="3")
    assert till.signal_for("drawer", "closed") == PosDrawerClosed(till="3")
    assert till.signal_for("drawer", "unknown") is None
    assert till.lines() == {"drawer": "m.di6"}
    assert by_lines().lines() == {}


@pytest.mark.parametrize(
    ("given", "setting", "message"),
    [
        ({}, "port", "a till needs a port or a drawer contact"),
        ({"drawer": DRAWER, "profile": "generic_lines"}, "profile", "profile is for a text port"),
        ({"drawer": DRAWER, "silence": Seconds(5)}, "silence", "silence is for a text port"),
        ({"port": TILLS}, "port", "a port needs a profile or patterns"),
        ({"port": TILLS, "profile": "x"}, "profile", "unknown profile 'x'"),
        (
            {"port": TILLS, "profile": "generic_lines", "silence": Seconds(0)},
            "silence",
            "silence is more than 0 s",
        ),
        (
            {"port": TILLS, "patterns": (TextPattern(pattern="REFUND", signal="pos.refund"),)},
            "patterns",
            "pos.refund needs its original",
        ),
        (
            {"port": TILLS, "patterns": (TextPattern(pattern="NO", signal="note"),)},
            "patterns",
            "what is noted would never be forgotten",
        ),
    ],
)
def test_settings_that_no_till_can_have_are_refused(
    given: dict[str, object], setting: str, message: str
) -> None:
    with pytest.raises(SettingError) as refused:
        Pos(**given)  # type: ignore[arg-type]
    assert (refused.value.setting, str(refused.value)) == (setting, message)
