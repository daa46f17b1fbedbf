"""Who restarts what hangs: systemd the daemon, the hardware the box."""

from __future__ import annotations

from collections.abc import AsyncIterator

from edge.doctor.box import Box
from edge.doctor.finding import Check, Finding, Subject
from edge.doctor.service import UNIT

SERVICE = Check(
    "watchdog.service",
    "does systemd restart a daemon that hangs?",
    "WatchdogSec=10s in the unit: run install.sh system again, then systemctl daemon-reload",
)
HARDWARE = Check(
    "watchdog.hardware",
    "does hardware restart a box whose kernel hangs?",
    "RuntimeWatchdogSec=30s in /etc/systemd/system.conf.d/watchdog.conf; systemctl daemon-reexec",
)


async def _look(box: Box) -> AsyncIterator[Finding]:
    wanted = "--property=LoadState,ActiveState,WatchdogUSec"
    told = await box.properties("systemctl", "show", UNIT, wanted)
    if told.get("LoadState") == "loaded":
        every = told.get("WatchdogUSec", "0")
        if every in ("0", "infinity") and told.get("ActiveState") == "inactive":
            # systemd tells none of a unit that never ran
            yield SERVICE.unknown("it does not run", "look again when it runs")
        elif every in ("0", "infinity"):
            yield SERVICE.problem("the unit has no WatchdogSec")
        else:
            yield SERVICE.ok(f"after {every}")
    yield await _hardware(box)


async def _hardware(box: Box) -> Finding:
    there = sorted((box.root / "sys/class/watchdog").glob("watchdog[0-9]*"))
    if not there:
        return HARDWARE.warning(
            "this box has none that the kernel knows",
            "modprobe the driver of its watchdog (PC: iTCO_wdt, Raspberry Pi: bcm2835_wdt)",
        )
    told = await box.properties("systemctl", "show", "--property=RuntimeWatchdogUSec")
    at = f"sys/class/watchdog/{there[0].name}"
    name, state = box.text(f"{at}/identity") or there[0].name, box.text(f"{at}/state")
    every = told.get("RuntimeWatchdogUSec")
    if every is None:
        if state == "active":
            return HARDWARE.ok(f"{name}, {box.text(f'{at}/timeout')} s, somebody feeds it")
        return HARDWARE.unknown(f"{name}: systemd does not tell", "systemctl show")
    if every in ("0", "infinity"):
        return HARDWARE.warning(f"{name} is there, and systemd does not feed it")
    return HARDWARE.ok(f"{name}, fed by systemd, after {every}")


SUBJECT = Subject("watchdog", (SERVICE, HARDWARE), _look)
