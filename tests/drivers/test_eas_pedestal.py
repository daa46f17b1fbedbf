"""EAS pedestals: pulses become alarms, stuck contacts become faults, text becomes signals."""

import asyncio

import pytest

from drivers.contract import SettingError
from drivers.eas_pedestal import EasPedestal
from drivers.settings import InputSetting, Seconds
from drivers.signals import (
    EasAlarm,
    EasEnded,
    EasJammer,
    EasMetal,
    EasTamper,
    EasVisitors,
    InputFault,
    InputRestored,
    InputStuck,
    InputUnstuck,
    LinkUp,
    Signal,
    StateKnown,
)
from drivers.sim.eas_pedestal import SimulatedPedestal
from tests import virtual_time
from tests.drivers.watching import Said, watching

ALARM = InputSetting(line="m.di0")
OUT = InputSetting(line="m.di1")
IN = InputSetting(line="m.di2")
FOUND = [LinkUp(), StateKnown(values={"alarm": "quiet", "input": "ok"})]


def test_an_alarm_is_said_at_its_first_pulse_and_ends_after_the_merge_time() -> None:
    async def main() -> Said:
        async with watching(EasPedestal(alarm=ALARM, aisle=2), di0=False) as gate:
            pedestal = SimulatedPedestal(gate.house, "m.di0")
            await asyncio.sleep(1)
            gate.take()
            await pedestal.pulse(0.5)
            await asyncio.sleep(20)
            return gate.said

    assert virtual_time.run(main()) == [
        (1.001, EasAlarm(aisle=2)),
        (9.501, EasEnded(aisle=2, count=1, duration=0.5)),
    ]


def test_a_burst_of_pulses_is_one_alarm_with_their_count() -> None:
    async def main() -> Said:
        async with watching(EasPedestal(alarm=ALARM), di0=False) as gate:
            gate.take()
            await SimulatedPedestal(gate.house, "m.di0").retrigger(6, width=0.1, gap=0.4)
            await asyncio.sleep(20)
            return gate.said

    assert virtual_time.run(main()) == [
        (0.001, EasAlarm()),
        (10.601, EasEnded(count=6, duration=2.6)),
    ]


def test_a_pulse_exactly_at_the_end_of_the_merge_time_is_a_new_alarm() -> None:
    async def main() -> list[Signal]:
        async with watching(EasPedestal(alarm=ALARM, merge=Seconds(8)), di0=False) as gate:
            gate.take()
            house = gate.house
            house.pulse_unseen("m.di0")
            await asyncio.sleep(8)
            house.pulse_unseen("m.di0")
            await asyncio.sleep(7.5)
            house.pulse_unseen("m.di0")
            await asyncio.sleep(9)
            return gate.signals

    assert virtual_time.run(main()) == [
        EasAlarm(),
        EasEnded(count=1, duration=0.0),
        EasAlarm(),
        EasEnded(count=2, duration=7.5),
    ]


def test_pulses_that_only_the_hardware_counter_saw_count() -> None:
    async def main() -> list[Signal]:
        async with watching(EasPedestal(alarm=ALARM), di0=False) as gate:
            gate.take()
            gate.house.pulse_unseen("m.di0", 3)
            await asyncio.sleep(9)
            return gate.signals

    assert virtual_time.run(main()) == [EasAlarm(), EasEnded(count=3, duration=0.0)]


def test_a_contact_that_stays_active_is_stuck_and_its_alarm_is_over() -> None:
    async def main() -> Said:
        async with watching(EasPedestal(alarm=ALARM), di0=False) as gate:
            gate.take()
            await SimulatedPedestal(gate.house, "m.di0").stuck(300)
            await asyncio.sleep(20)
            await SimulatedPedestal(gate.house, "m.di0").pulse()
            return gate.said

    assert virtual_time.run(main()) == [
        (0.001, EasAlarm()),
        (60.001, EasEnded(count=1, duration=60)),
        (60.001, InputStuck(input="alarm", active_for=60.0)),
        (300.001, InputUnstuck(input="alarm", active_for=300)),
        (320.001, EasAlarm()),
    ]


def test_a_storm_of_phantoms_is_one_alarm_said_at_once() -> None:
    async def main() -> list[Signal]:
        async with watching(EasPedestal(alarm=ALARM), di0=False) as gate:
            gate.take()
            await SimulatedPedestal(gate.house, "m.di0").phantom_storm(2)
            await asyncio.sleep(20)
            return gate.signals

    alarm, ended = virtual_time.run(main())
    assert alarm == EasAlarm()
    assert ended == EasEnded(count=60, duration=118.1)


def test_chatter_is_debounced_to_one_pulse() -> None:
    alarm = InputSetting(line="m.di0", debounce=Seconds(0.1))

    async def main() -> list[Signal]:
        async with watching(EasPedestal(alarm=alarm), di0=False) as gate:
            gate.take()
            await SimulatedPedestal(gate.house, "m.di0").chatter(20, within=0.05)
            await asyncio.sleep(20)
            return gate.signals

    alarm_said, ended = virtual_time.run(main())
    assert alarm_said == EasAlarm()
    assert ended == EasEnded(count=1, duration=0.1)


def test_an_alarm_found_active_is_a_state_and_ends_as_an_alarm() -> None:
    async def main() -> list[Signal]:
        async with watching(EasPedestal(alarm=ALARM), di0=True) as gate:
            await asyncio.sleep(5)
            gate.house.set("m.di0", False)
            await asyncio.sleep(20)
            return gate.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        StateKnown(values={"alarm": "active", "input": "ok"}),
        EasEnded(count=1, duration=5.001),
    ]


def test_a_contact_that_is_active_when_off_is_one_setting() -> None:
    alarm = InputSetting(line="m.di0", active="off")

    async def main() -> list[Signal]:
        async with watching(EasPedestal(alarm=alarm), di0=True) as gate:
            await SimulatedPedestal(gate.house, "m.di0", active=False).pulse()
            await asyncio.sleep(20)
            return gate.signals

    assert virtual_time.run(main()) == [
        *FOUND,
        EasAlarm(),
        EasEnded(count=1, duration=0.1),
    ]


def test_the_direction_wins_when_both_contacts_close_in_one_poll() -> None:
    async def main() -> list[Signal]:
        driver = EasPedestal(alarm=ALARM, alarm_out=OUT, alarm_in=IN)
        async with watching(driver, di0=False, di1=False, di2=False) as gate:
            gate.take()
            gate.house.set("m.di0", True)
            gate.house.set("m.di1", True)
            await asyncio.sleep(0.5)
            gate.house.set("m.di0", False)
            gate.house.set("m.di1", False)
            await asyncio.sleep(9)
            return gate.signals

    assert virtual_time.run(main()) == [
        EasAlarm(direction="out"),
        EasEnded(count=2, duration=0.5),
    ]


def test_an_outbound_tag_is_said_even_while_an_inbound_alarm_goes_on() -> None:
    async def main() -> list[Signal]:
        async with watching(EasPedestal(alarm_out=OUT, alarm_in=IN), di1=False, di2=False) as gate:
            gate.take()
            await SimulatedPedestal(gate.house, "m.di2").pulse()
            await asyncio.sleep(2)
            await SimulatedPedestal(gate.house, "m.di1").pulse()
            await SimulatedPedestal(gate.house, "m.di1").pulse()
            return gate.signals

    assert virtual_time.run(main()) == [EasAlarm(direction="in"), EasAlarm(direction="out")]


def test_metal_jammer_and_tamper_are_said_once_per_run_of_pulses() -> None:
    driver = EasPedestal(
        alarm=ALARM,
        metal=InputSetting(line="m.di3"),
        jammer=InputSetting(line="m.di4"),
        tamper=InputSetting(line="m.di5"),
    )

    async def main() -> list[Signal]:
        levels = {"di0": False, "di3": False, "di4": False, "di5": False}
        async with watching(driver, **levels) as gate:
            gate.take()
            await SimulatedPedestal(gate.house, "m.di3").retrigger(5)
            await SimulatedPedestal(gate.house, "m.di4").retrigger(2)
            await asyncio.sleep(9)
            await SimulatedPedestal(gate.house, "m.di3").pulse()
            await SimulatedPedestal(gate.house, "m.di5").pulse()
            return gate.signals

    assert virtual_time.run(main()) == [EasMetal(), EasJammer(), EasMetal(), EasTamper()]


def test_visitors_are_counted_over_a_minute_and_nobody_is_not_said() -> None:
    driver = EasPedestal(
        alarm=ALARM, people_in=InputSetting(line="m.di3"), people_out=InputSetting(line="m.di4")
    )

    async def main() -> Said:
        async with watching(driver, di0=False, di3=False, di4=False) as gate:
            gate.take()
            await asyncio.sleep(600)
            gate.house.pulse_unseen("m.di3", 4)
            await asyncio.sleep(30)
            await SimulatedPedestal(gate.house, "m.di4").pulse()
            await asyncio.sleep(600)
            return gate.said

    assert virtual_time.run(main()) == [(660.001, EasVisitors(entered=4, left=1))]


def test_a_lost_module_is_a_lost_link_and_the_pedestal_is_back_with_it() -> None:
    async def main() -> tuple[list[Signal], list[tuple[float, str]]]:
        async with watching(EasPedestal(alarm=ALARM, metal=OUT), di0=False, di1=False) as gate:
            gate.take()
            await asyncio.sleep(1)
            gate.house.lose("m", "no answer within 1 s")
            await asyncio.sleep(3600)
            gate.house.set("m.di0", False)
            gate.house.set("m.di1", False)
            await asyncio.sleep(1)
            return gate.signals, gate.lost

    said, lost = virtual_time.run(main())
    assert said == FOUND
    assert lost == [(1.001, "m.di0: no answer within 1 s")]


def test_a_broken_loop_makes_the_states_that_hang_on_it_unknown() -> None:
    async def main() -> list[Signal]:
        async with watching(EasPedestal(alarm=ALARM, metal=OUT), di0=False, di1=False) as gate:
            gate.take()
            gate.house.fault("m.di0", "loop open")
            gate.house.fault("m.di1", "loop short")
            await asyncio.sleep(1)
            gate.house.set("m.di0", False)
            gate.house.set("m.di1", False)
            await asyncio.sleep(1)
            return gate.signals

    assert virtual_time.run(main()) == [
        InputFault(input="alarm", reason="loop open", affects=("alarm", "input")),
        InputFault(input="metal", reason="loop short"),
        InputRestored(input="alarm"),
        StateKnown(values={"alarm": "quiet", "input": "ok"}),
        InputRestored(input="metal"),
    ]


def test_an_input_that_was_never_read_is_a_fault_after_ten_seconds_and_holds_nobody_up() -> None:
    async def main() -> Said:
        async with watching(EasPedestal(alarm=ALARM, metal=InputSetting(line="x.di0"))) as gate:
            gate.house.set("m.di0", False)
            await asyncio.sleep(20)
            return gate.said

    assert virtual_time.run(main()) == [
        (0.001, LinkUp()),
        (0.001, StateKnown(values={"alarm": "quiet", "input": "ok"})),
        (10.001, InputFault(input="metal", reason="not read yet")),
    ]


def test_a_module_that_never_answers_is_a_lost_link_said_once() -> None:
    async def main() -> tuple[list[Signal], list[tuple[float, str]]]:
        async with watching(EasPedestal(alarm=ALARM)) as gate:
            await asyncio.sleep(3600)
            gate.house.set("m.di0", False)
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            return gate.signals, gate.lost

    said, lost = virtual_time.run(main())
    assert said == FOUND
    assert lost == [(10.0, "m.di0: not read yet")]


REFUSED: list[tuple[dict[str, object], str, str]] = [
    ({}, "alarm", "a pedestal needs an input or a port"),
    ({"alarm": ALARM, "aisle": 0}, "aisle", "aisles are numbered from 1"),
    ({"alarm": ALARM, "merge": 0.0}, "merge", "merge is more than 0 s"),
    (
        {"alarm": ALARM, "merge": 10.0, "stuck_after": 10.0},
        "stuck_after",
        "stuck_after is longer than merge, 10 s",
    ),
    ({"alarm": ALARM, "profile": "text_generic"}, "profile", "profile is for a text port"),
    (
        {"alarm": ALARM, "port": "gate", "profile": "text_generic"},
        "alarm",
        "a pedestal has either inputs or a port",
    ),
    ({"port": "gate"}, "port", "a port needs a profile"),
    ({"port": "gate", "profile": "no_such"}, "profile", "unknown profile 'no_such'"),
    (
        {"port": "gate", "profile": "sensormatic_ldm"},
        "profile",
        "sensormatic_ldm has no records of its own",
    ),
]


@pytest.mark.parametrize(("given_settings", "setting", "message"), REFUSED)
def test_settings_that_no_pedestal_can_have_are_refused(
    given_settings: dict[str, object], setting: str, message: str
) -> None:
    with pytest.raises(SettingError) as refused:
        EasPedestal(**given_settings)  # type: ignore[arg-type]
    assert (refused.value.setting, str(refused.value)) == (setting, message)


def test_the_state_of_a_change_found_is_the_ordinary_signal() -> None:
    driver = EasPedestal(alarm=ALARM, aisle=3)
    assert driver.signal_for("alarm", "active") == EasAlarm(aisle=3)
    assert driver.signal_for("alarm", "quiet") is None
    assert driver.signal_for("input", "stuck") is None
