"""Fire panels by text: restoring, non-restoring and resending printers, noise and silence."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.fire_panel import FirePanel
from drivers.settings import PortName, Seconds
from drivers.signals import (
    FireAlarm,
    FireNotice,
    FireRestored,
    FireSupervisory,
    FireTrouble,
    LinkUp,
    Signal,
    StateKnown,
)
from drivers.sim.fire_panel import SimulatedPrinter
from drivers.wire.fire_text import Panel, table
from drivers.wire.text_profile import TextPattern, load_profile
from tests import virtual_time
from tests.drivers.watching import Said, watching

PRINTER = PortName("printer")
AFP = load_profile("fire", "notifier_afp2800").patterns
NFS = load_profile("fire", "notifier_nfs3030").patterns
FX64 = load_profile("fire", "kidde_fx64").patterns
MIRCOM = (
    TextPattern(pattern=r"^FIRE (?P<point>\w+)", signal="fire.alarm"),
    TextPattern(pattern=r"^RESET", signal="reset"),
)


def afp() -> Panel:
    return Panel(table(AFP), resend_window=30.0)


def kinds(signals: object) -> list[str]:
    return [s.kind for s in signals] if isinstance(signals, list) else []


def test_the_records_of_the_afp_2800_mean_what_its_manual_says() -> None:
    panel = afp()
    assert panel.read(
        ":ALARM             Z001 1.1.Z1   AZF 1 ON MODULE 1 (28 CHAR)  12/08 01:23", 0.0
    ) == [FireAlarm(zone="Z001", text="AZF 1 ON MODULE 1 (28 CHAR)")]
    assert kinds(panel.read(":ISOL ALARM Z002 1.1.Z1 AZF 1 ON MODULE 1  12/08 01:22", 1.0)) == [
        "fire.notice"
    ]
    assert kinds(panel.read(":ACKD ALARM Z001 1.1.Z1 AZF 1 ON MODULE 1  12/08 01:23", 2.0)) == [
        "fire.notice"
    ]
    assert panel.read(":FAULT (F01)       Z001 L2D159   SOUTH WEST  11/12 14:11", 3.0) == [
        FireTrouble(zone="Z001", text="SOUTH WEST")
    ]
    assert panel.read(":MAINS FAIL        Z000 0.2.I5   MAINS FAIL   11/12 15:08", 4.0) == [
        FireTrouble(zone="Z000", text="MAINS FAIL")
    ]
    assert panel.read(":COMMS FAIL        Z000 1.0.--   UNNAMED POINT  11/12 15:09", 5.0) == [
        FireTrouble(zone="Z000", text="UNNAMED POINT")
    ]
    assert panel.read(":ALARM SELF CLEARED Z001 1.1.Z1 AZF 1 ON MODULE 1  12/08 01:23", 6.0) == [
        FireRestored(zone="Z001", text="AZF 1 ON MODULE 1")
    ]
    assert panel.read("hello", 7.0) is None


def test_an_isolated_alarm_is_never_a_fire() -> None:
    panel = afp()
    for record in (":ISOL ALARM Z001", ": ISOL  ALARM  Z001 1.1.Z1 X", ":ISOLATED ALARM Z001 1"):
        assert kinds(panel.read(record, 0.0)) == ["fire.notice"]


def test_an_alarm_that_ran_into_the_record_before_it_is_a_fire() -> None:
    record = ":ACKD ALARM Z001 1.1.Z1 AZF  12/08 01:23 :ALARM Z002 1.1.Z2 AZF 2  12/08 01:24"
    assert kinds(afp().read(record, 0.0)) == ["fire.alarm"]
    assert kinds(afp().read("\x00\x07\ufffd:ALARM Z0", 0.0)) == ["fire.alarm"]


def test_one_of_two_alarms_that_is_over_leaves_the_panel_in_alarm() -> None:
    panel = afp()
    panel.read(":ALARM Z001 1.1.Z1 A  12/08 01:23", 0.0)
    panel.read(":ALARM Z002 1.1.Z2 B  12/08 01:23", 0.0)
    assert kinds(panel.read(":RESET ALARM Z001 1.1.Z1 A  12/08 01:25", 1.0)) == ["fire.notice"]
    assert kinds(panel.read(":RESET ALARM Z001 1.1.Z1 A  12/08 01:25", 1.0)) == ["fire.notice"]
    assert kinds(panel.read(":RESET ALARM Z002 1.1.Z2 B  12/08 01:26", 2.0)) == ["fire.restored"]


def test_the_end_of_an_alarm_that_was_never_heard_proves_nothing() -> None:
    assert kinds(afp().read(":RESET ALARM Z001 1.1.Z1 A  12/08 01:25", 0.0)) == ["fire.notice"]


def test_a_panel_by_text_is_unknown_at_the_start_and_after_a_lost_link() -> None:
    driver = FirePanel(port=PRINTER, profile="notifier_afp2800")

    async def main() -> tuple[list[Signal], list[tuple[float, str]]]:
        async with watching(driver) as panel:
            port = panel.house.text("printer", b";")
            port.up()
            await asyncio.sleep(1)
            SimulatedPrinter(port).event("alarm", 3)
            port.down("cable pulled")
            await asyncio.sleep(5)
            port.up()
            await asyncio.sleep(5)
            return panel.signals, panel.lost

    said, lost = virtual_time.run(main())
    assert said == [LinkUp(), FireAlarm(zone="Z003", text="AZF 3 ON MODULE 1"), LinkUp()]
    assert lost == [(1.001, "printer: cable pulled")]


def test_a_printer_that_restores_goes_back_to_normal_record_by_record() -> None:
    driver = FirePanel(port=PRINTER, profile="notifier_afp2800")

    async def main() -> list[str]:
        async with watching(driver) as panel:
            port = panel.house.text("printer", b";")
            port.up()
            printer = SimulatedPrinter(port, "afp2800")
            await printer.in_pieces("alarm", 1)
            printer.event("isolated", 2)
            printer.page_break()
            printer.noise(60)
            port.say("")
            printer.event("trouble", 4)
            printer.event("restored", 1)
            await asyncio.sleep(1)
            return [signal.kind for signal in panel.signals]

    assert virtual_time.run(main()) == [
        "link.up",
        "fire.alarm",
        "fire.notice",
        "input.unreadable",
        "fire.trouble",
        "fire.restored",
    ]


def test_a_panel_that_prints_no_restores_is_cleared_by_a_reset_that_resends_nothing() -> None:
    driver = FirePanel(port=PRINTER, patterns=MIRCOM, resend_window=Seconds(20))

    async def main() -> Said:
        async with watching(driver) as panel:
            port = panel.house.text("printer")
            port.up()
            port.say("FIRE A1")
            port.say("FIRE A2")
            await asyncio.sleep(60)
            port.say("RESET")
            await asyncio.sleep(5)
            port.say("FIRE A2")
            await asyncio.sleep(60)
            port.say("RESET")
            await asyncio.sleep(60)
            return panel.said

    assert virtual_time.run(main()) == [
        (0.001, LinkUp()),
        (0.001, FireAlarm(text="FIRE A1")),
        (0.001, FireAlarm(text="FIRE A2")),
        (60.001, FireNotice(text="RESET")),
        (65.001, FireAlarm(text="FIRE A2")),
        (80.001, StateKnown(values={"trouble": "normal", "supervisory": "normal"})),
        (125.001, FireNotice(text="RESET")),
        (145.001, FireRestored()),
    ]


def test_a_reset_that_sends_again_what_is_still_so_proves_the_rest_normal() -> None:
    driver = FirePanel(port=PRINTER, profile="notifier_nfs3030")

    async def main() -> list[Signal]:
        async with watching(driver) as panel:
            port = panel.house.text("printer")
            port.up()
            printer = SimulatedPrinter(port, "nfs3030")
            printer.event("alarm", 1)
            printer.event("trouble", 2)
            await asyncio.sleep(60)
            panel.take()
            await printer.reset(gone=[1])
            await asyncio.sleep(60)
            return panel.signals

    said = virtual_time.run(main())
    assert [signal.kind for signal in said] == [
        "fire.notice",
        "fire.trouble",
        "fire.restored",
        "state.known",
    ]
    assert said[-1] == StateKnown(values={"supervisory": "normal"})


def test_system_normal_proves_all_normal_and_nothing_else_does() -> None:
    panel = Panel(table(NFS), resend_window=30.0)
    assert kinds(panel.read("FIRE ALARM: PULL STATION L1M004 01:23:07 WED", 0.0)) == ["fire.alarm"]
    assert kinds(panel.read("CLEARED FIRE ALARM: OTHER L1M009 01:24:00 WED", 1.0)) == [
        "fire.notice"
    ]
    assert panel.read("SYSTEM NORMAL 01:30:00 WED", 2.0) == [
        FireNotice(text="SYSTEM NORMAL 01:30:00 WED"),
        FireRestored(),
        StateKnown(values={"trouble": "normal", "supervisory": "normal"}),
    ]


def test_words_in_a_label_do_not_change_what_a_record_is() -> None:
    panel = Panel(table(NFS), resend_window=30.0)
    assert kinds(panel.read("FIRE ALARM: DISABLED TOILET L1M004 01:23:07", 0.0)) == ["fire.alarm"]
    assert kinds(panel.read("TROUBLE: FIRE ALARM BELL CIRCUIT 01:23:07", 0.0)) == ["fire.trouble"]
    assert kinds(panel.read("ACKNOWLEDGED FIRE ALARM: X 01:23:07", 0.0)) == ["fire.notice"]
    assert kinds(panel.read("~GARBAGE FIRE ALARM: X 01:23:07", 0.0)) == ["fire.alarm"]


def test_the_second_line_of_an_fx64_event_is_its_label_and_not_unreadable() -> None:
    panel = Panel(table(FX64), resend_window=30.0, label_follows=True)
    assert panel.read("TRBL ACT | 18:00:07 01/01/2007 A:008", 0.0) == [
        FireTrouble(text="TRBL ACT | 18:00:07 01/01/2007 A:008")
    ]
    assert panel.read("Annunciator 08", 0.1) == [FireNotice(text="Annunciator 08")]
    assert panel.read("Annunciator 08", 0.2) is None
    assert kinds(panel.read("MON ACT | 18:00:18 01/01/2007 E:010", 1.0)) == ["fire.notice"]
    assert kinds(panel.read("ALRM ACT | 18:00:18 01/01/2007 E:010", 1.0)) == ["fire.alarm"]
    assert panel.read("SUPV ACT | 18:00:18 01/01/2007 E:011", 2.0) == [
        FireSupervisory(text="SUPV ACT | 18:00:18 01/01/2007 E:011")
    ]


def test_silence_is_a_lost_link_until_something_is_heard_again() -> None:
    driver = FirePanel(port=PRINTER, profile="notifier_afp2800", silence=Seconds(600))

    async def main() -> tuple[Said, list[tuple[float, str]]]:
        async with watching(driver) as panel:
            port = panel.house.text("printer", b";")
            port.up()
            await asyncio.sleep(5000)
            SimulatedPrinter(port).event("alarm", 1)
            await asyncio.sleep(10)
            return panel.said, panel.lost

    said, lost = virtual_time.run(main())
    assert said == [
        (0.001, LinkUp()),
        (5000.001, LinkUp()),
        (5000.001, FireAlarm(zone="Z001", text="AZF 1 ON MODULE 1")),
    ]
    assert lost == [(600.001, "silent for 600 s")]


def test_a_storm_of_alarms_is_said_alarm_by_alarm() -> None:
    driver = FirePanel(port=PRINTER, profile="notifier_afp2800")

    async def main() -> list[str]:
        async with watching(driver) as panel:
            port = panel.house.text("printer", b";")
            port.up()
            SimulatedPrinter(port).storm(10)
            await asyncio.sleep(1)
            return [str(signal.fields().get("zone")) for signal in panel.signals[1:]]

    assert virtual_time.run(main()) == [f"Z{zone:03}" for zone in range(1, 11)]


RECORDS = st.lists(
    st.text(max_size=80)
    | st.sampled_from(
        [
            ":ALARM Z001 1.1.Z1 A  12/08 01:23",
            ":ALARM Z002 1.1.Z2 B  12/08 01:23",
            ":RESET ALARM Z001 1.1.Z1 A  12/08 01:25",
            ":RESET ALARM Z002 1.1.Z2 B  12/08 01:25",
            ":ISOL ALARM Z001 1.1.Z1 A  12/08 01:25",
        ]
    ),
    max_size=15,
)


@settings(max_examples=100)
@given(RECORDS)
def test_normal_is_said_only_when_every_alarm_heard_was_restored(records: list[str]) -> None:
    panel, active, state = afp(), set[str](), "unknown"
    for at, record in enumerate(records):
        if record.startswith(":ALARM Z00"):
            active.add(record[7:11])
        elif record.startswith(":RESET ALARM"):
            active.discard(record[13:17])
        for signal in panel.read(record, float(at)) or []:
            state = signal.states().get("alarm", state)
        assert (state == "active") is bool(active)


@settings(max_examples=60)
@given(st.lists(st.text(max_size=120), max_size=8), st.sampled_from([AFP, NFS, FX64]))
def test_no_text_is_an_error(records: list[str], patterns: tuple[TextPattern, ...]) -> None:
    panel = Panel(table(patterns), resend_window=1.0, label_follows=True)
    for at, record in enumerate(records):
        panel.read(record, float(at))
        panel.advance(float(at))
