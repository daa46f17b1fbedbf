"""Fire panels by relay: said at once, never normal unless proven, and life safety throughout."""

import asyncio

import pytest

from drivers.contract import SettingError
from drivers.fire_panel import FirePanel
from drivers.priorities import Priority
from drivers.settings import InputSetting
from drivers.signals import (
    BadRecord,
    FireAlarm,
    FireNotice,
    FireRestored,
    FireSupervisory,
    FireSupervisoryRestored,
    FireTrouble,
    FireTroubleRestored,
    InputFault,
    LinkDown,
    LinkUp,
    Signal,
    StateKnown,
)
from drivers.sim.fire_panel import SimulatedRelays
from drivers.sim.wires import MemoryHouse
from drivers.wire.text_profile import TextPattern
from tests import virtual_time
from tests.drivers.watching import Said, watching

ALARM = InputSetting(line="m.di3")
TROUBLE = InputSetting(line="m.di4")
SUPERVISORY = InputSetting(line="m.di5")
WELL = {"di3": False, "di4": True, "di5": False}


def relays() -> FirePanel:
    return FirePanel(alarm=ALARM, trouble=TROUBLE, supervisory=SUPERVISORY)


def simulated(house: MemoryHouse) -> SimulatedRelays:
    return SimulatedRelays(house, "m.di3", "m.di4", "m.di5")


def test_each_relay_is_a_signal_and_its_end_is_one_too() -> None:
    async def main() -> list[Signal]:
        async with watching(relays(), **WELL) as panel:
            sim = simulated(panel.house)
            sim.alarm()
            sim.trouble(True)
            sim.supervisory(True)
            await asyncio.sleep(1)
            await sim.reset()
            sim.trouble(False)
            sim.supervisory(False)
            await asyncio.sleep(1)
            return panel.signals

    assert virtual_time.run(main()) == [
        LinkUp(),
        StateKnown(values={"alarm": "normal", "trouble": "normal", "supervisory": "normal"}),
        FireAlarm(),
        FireTrouble(),
        FireSupervisory(),
        FireRestored(),
        FireTroubleRestored(),
        FireSupervisoryRestored(),
    ]


def test_a_cause_that_persists_after_the_reset_is_a_new_alarm() -> None:
    async def main() -> Said:
        async with watching(relays(), **WELL) as panel:
            panel.take()
            sim = simulated(panel.house)
            sim.alarm()
            sim.cause_persists = True
            await asyncio.sleep(60)
            await sim.reset(dropped_for=4.0)
            await asyncio.sleep(60)
            return panel.said

    assert virtual_time.run(main()) == [
        (0.001, FireAlarm()),
        (60.001, FireRestored()),
        (64.001, FireAlarm()),
    ]


def test_a_panel_without_power_is_in_trouble() -> None:
    async def main() -> list[Signal]:
        async with watching(relays(), **WELL) as panel:
            panel.take()
            simulated(panel.house).power_lost()
            await asyncio.sleep(1)
            return panel.signals

    assert virtual_time.run(main()) == [FireTrouble()]


def test_an_alarm_between_two_polls_is_an_alarm() -> None:
    async def main() -> list[Signal]:
        async with watching(relays(), **WELL) as panel:
            panel.take()
            panel.house.pulse_unseen("m.di3")
            await asyncio.sleep(1)
            return panel.signals

    assert virtual_time.run(main()) == [FireAlarm(), FireRestored()]


def test_a_broken_alarm_wire_is_unknown_and_not_normal() -> None:
    async def main() -> list[Signal]:
        async with watching(relays(), **WELL) as panel:
            panel.take()
            panel.house.fault("m.di3", "loop open")
            await asyncio.sleep(1)
            return panel.signals

    (said,) = virtual_time.run(main())
    assert said == InputFault(input="alarm", reason="loop open", affects=("alarm",))
    assert said.states() == {"alarm": "unknown"}


def test_an_alarm_in_the_second_before_the_host_runs_it_again_is_found() -> None:
    async def main() -> tuple[Said, list[tuple[float, str]]]:
        async with watching(relays(), **WELL) as panel:
            panel.take()
            panel.house.lose("m", "no answer within 1 s")
            await asyncio.sleep(0.5)
            for line, level in {**WELL, "di3": True}.items():
                panel.house.set(f"m.{line}", level)
            await asyncio.sleep(5)
            return panel.said, panel.lost

    said, lost = virtual_time.run(main())
    assert said == [
        (1.001, LinkUp()),
        (
            1.001,
            StateKnown(values={"alarm": "active", "trouble": "normal", "supervisory": "normal"}),
        ),
    ]
    assert lost == [(0.001, "m.di3: no answer within 1 s")]


@pytest.mark.parametrize(
    "signal",
    [
        FireAlarm(),
        FireRestored(),
        FireNotice(text="x"),
        LinkUp(),
        LinkDown(reason="x"),
        StateKnown(values={}),
        InputFault(input="alarm", reason="x"),
        BadRecord(reason="x", count=1),
    ],
)
def test_whatever_a_fire_panel_says_is_life_safety(signal: Signal) -> None:
    assert relays().priority_of(signal) is Priority.life_safety


def test_it_can_be_told_nothing() -> None:
    assert FirePanel.accepts == frozenset()


def test_an_active_alarm_without_a_known_last_value_is_a_fire_alarm() -> None:
    assert relays().alarms_without_history() == {("alarm", "active")}
    assert relays().signal_for("alarm", "active") == FireAlarm()
    assert relays().signal_for("trouble", "normal") == FireTroubleRestored()
    assert relays().signal_for("alarm", "unknown") is None
    assert relays().signal_for("link", "up") is None


NOTICE = TextPattern(pattern="x", signal="fire.notice")
REFUSED: list[tuple[dict[str, object], str, str]] = [
    ({}, "alarm", "a fire panel needs a relay or a port"),
    ({"alarm": ALARM, "profile": "kidde_fx64"}, "profile", "profile is for a text port"),
    ({"alarm": ALARM, "silence": 60.0}, "silence", "silence is for a text port"),
    ({"port": "printer", "silence": 0.0}, "silence", "silence is more than 0 s"),
    (
        {"port": "printer", "trouble": TROUBLE, "profile": "kidde_fx64"},
        "trouble",
        "a fire panel has either relays or a port",
    ),
    ({"port": "printer"}, "port", "no record of this panel would be a fire alarm"),
    (
        {"port": "printer", "patterns": (NOTICE,)},
        "port",
        "no record of this panel would be a fire alarm",
    ),
    (
        {"port": "printer", "profile": "x", "patterns": (NOTICE,)},
        "profile",
        "unknown profile 'x'",
    ),
]


@pytest.mark.parametrize(("given_settings", "setting", "message"), REFUSED)
def test_settings_that_no_fire_panel_can_have_are_refused(
    given_settings: dict[str, object], setting: str, message: str
) -> None:
    with pytest.raises(SettingError) as refused:
        FirePanel(**given_settings)  # type: ignore[arg-type]
    assert (refused.value.setting, str(refused.value)) == (setting, message)
