"""EAS gateways that write text: records become signals, and the unreadable is shown."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.eas_pedestal import SAID_BY_TEXT, EasPedestal
from drivers.settings import PortName
from drivers.signals import (
    BadRecord,
    EasAlarm,
    EasDeactivated,
    EasEnded,
    EasMetal,
    EasVisitors,
    LinkUp,
    Signal,
    StateKnown,
)
from drivers.sim.eas_pedestal import SimulatedGateway
from drivers.wire.text_profile import PatternTable, TextPattern, build, load_profile
from tests import virtual_time
from tests.drivers.watching import Said, watching

GENERIC = load_profile("eas", "text_generic").patterns
TABLE = PatternTable(
    GENERIC,
    signals=SAID_BY_TEXT,
    words=frozenset({"eas.ended", "ignore"}),
    groups=frozenset({"aisle"}),
)


@settings(max_examples=100)
@given(st.text(max_size=200) | st.from_regex(GENERIC[1].pattern))
def test_any_record_is_understood_or_not_and_never_an_error(record: str) -> None:
    meaning = TABLE.read(record)
    if meaning is not None and meaning.word in SAID_BY_TEXT:
        build(SAID_BY_TEXT[meaning.word], meaning.values)


def test_a_gateway_says_alarms_with_aisle_and_direction() -> None:
    driver = EasPedestal(port=PortName("gate"), profile="text_generic")

    async def main() -> list[Signal]:
        async with watching(driver) as gate:
            port = gate.house.text("gate", b"|")
            port.up()
            gateway = SimulatedGateway(port)
            gateway.heartbeat()
            gateway.alarm(2, "out")
            gateway.alarm(2, "out")
            gateway.alarm(1)
            gateway.alarm_ended(2)
            gateway.metal(3)
            gateway.deactivated(4)
            gateway.visitors(3, 1)
            await asyncio.sleep(20)
            return gate.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        EasAlarm(aisle=2, direction="out"),
        EasAlarm(aisle=1),
        EasEnded(aisle=2, count=2, duration=0.0),
        StateKnown(values={"alarm": "active"}),
        EasMetal(aisle=3),
        EasDeactivated(till=4),
        EasVisitors(entered=3, left=1),
        EasEnded(aisle=1, count=1, duration=0.0),
    ]


def test_an_unreadable_record_is_shown_at_once_and_then_once_a_minute() -> None:
    pattern = TextPattern(pattern="^A(?P<aisle>[0-9]+)", signal="eas.alarm")
    driver = EasPedestal(port=PortName("gate"), patterns=(pattern,))

    async def main() -> Said:
        async with watching(driver) as gate:
            port = gate.house.text("gate", b"|")
            port.up()
            for _ in range(20):
                port.say("EXIT 3 TAG")
                await asyncio.sleep(7)
            port.bad("no separator within 4096 bytes", 4096)
            await asyncio.sleep(60)
            return gate.said

    assert virtual_time.run(main()) == [
        (0.001, LinkUp()),
        (0.001, BadRecord(reason="cannot read 'EXIT 3 TAG'", count=1)),
        (60.001, BadRecord(reason="cannot read 'EXIT 3 TAG'", count=8)),
        (120.001, BadRecord(reason="cannot read 'EXIT 3 TAG'", count=9)),
        (180.001, BadRecord(reason="no separator within 4096 bytes (4096 bytes)", count=3)),
    ]


def test_a_port_that_goes_down_is_a_lost_link_and_comes_back_with_nothing_proven() -> None:
    driver = EasPedestal(port=PortName("gate"), profile="text_generic")

    async def main() -> tuple[list[Signal], list[tuple[float, str]]]:
        async with watching(driver) as gate:
            port = gate.house.text("gate")
            await asyncio.sleep(60)
            port.up()
            await asyncio.sleep(1)
            port.say("ALARM 1")
            port.down("cable pulled")
            await asyncio.sleep(60)
            port.up()
            await asyncio.sleep(20)
            return gate.signals, gate.lost

    said, lost = virtual_time.run(main())
    assert said == [LinkUp(), EasAlarm(), LinkUp()]
    assert lost == [(10.0, "gate: not connected yet"), (61.001, "gate: cable pulled")]
