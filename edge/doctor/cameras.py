"""I/O modules and devices: heard or not, and whether the clocks of cameras are right.

Read-only. While the daemon runs it is asked, for a module may have room for one connection only;
a serial port is never opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from drivers.contract import DriverError, SettingError
from drivers.lines import modbus_address
from drivers.onvif_camera import OnvifCamera
from drivers.ports import address
from drivers.ports.address import NetAddress
from drivers.ports.reason import in_words
from drivers.settings import Secret
from drivers.wire.onvif import SoapFault
from edge.config.model import Configured
from edge.doctor.box import GUESSED, Box, seconds_in_words
from edge.doctor.finding import Check, Finding, Subject

HEARD = Check(
    "devices.heard",
    "is every I/O module and device heard?",
    "look at power, cable and address of {device}; storewarden devices shows when it is heard",
)
CLOCK = Check(
    "cameras.clock",
    "does the clock of each ONVIF camera show our time?",
    "set the time server of {device} on its own page: the one of this box",
)
OFF, FAR_OFF = 5.0, 60.0
"""Seconds by which a camera's clock may differ before it is a warning, a problem."""
REACHED_WITHIN = 3.0
CLOCK_WITHIN = 6.0
AT_ONCE = 8


async def _look(box: Box) -> AsyncIterator[Finding]:
    if box.configuration is None:
        return
    everything = {**box.configuration.io, **box.configuration.devices}
    if not everything:
        return
    turns = asyncio.Semaphore(AT_ONCE)
    clocks = [
        asyncio.ensure_future(_clock(box, turns, one, one.driver))
        for one in everything.values()
        if isinstance(one.driver, OnvifCamera)
    ]
    try:
        if box.status is not None:
            for finding in _told(box):
                yield finding
        else:
            reached = await asyncio.gather(*(_reached(turns, one) for one in everything.values()))
            for found in reached:
                if found is not None:
                    yield found
        for clock in clocks:
            yield await clock
    finally:
        for clock in clocks:
            clock.cancel()


def _told(box: Box) -> list[Finding]:
    """Return what the daemon hears: one finding for all that are up, one for each that is not."""
    links = {str(d["device"]): str(d["states"]["link"]["value"]) for d in box.devices}
    silent = [device for device, link in links.items() if link != "up"]
    found = [HEARD.problem(f"{d}: its link is {links[d]}", device=d) for d in silent]
    up = len(links) - len(silent)
    if up:
        found.insert(0, HEARD.ok(f"the daemon hears {up} of {len(links)}"))
    return found


async def _reached(turns: asyncio.Semaphore, one: Configured) -> Finding | None:
    """Return whether a TCP connection to it can be made; it is closed at once."""
    if (at := _address(one)) is None:
        if getattr(one.driver, "url", None) or one.type == "gpio":
            return HEARD.unknown(f"{one.id}: only the daemon asks it", "storewarden run")
        return None
    async with turns:
        try:
            async with asyncio.timeout(REACHED_WITHIN):
                _, writer = await asyncio.open_connection(at.host, at.port)
        except TimeoutError:
            return HEARD.problem(f"{one.id}: {at} does not answer", device=one.id)
        except OSError as error:
            return HEARD.problem(f"{one.id}: {at}: {in_words(error)}", device=one.id)
        writer.close()
    return HEARD.ok(f"{one.id}: {at} answers")


def _address(one: Configured) -> NetAddress | None:
    if isinstance(one.driver, OnvifCamera):
        host, _, port = one.driver.host.rpartition(":")
        named = bool(host) and port.isdecimal() and not port.endswith("]")
        return NetAddress(
            kind="tcp",
            host=(host if named else one.driver.host).strip("[]"),
            port=int(port) if named else 80,
        )
    url = getattr(one.driver, "url", None)
    if not isinstance(url, str):
        return None
    if url.startswith(("rtsp://", "rtsps://")):
        told = urlsplit(url)
        usual = 322 if told.scheme == "rtsps" else 554
        return NetAddress(kind="tcp", host=told.hostname or "", port=told.port or usual)
    for parse in (address.parse, modbus_address.parse):
        try:
            found = parse(url)
        except SettingError:
            continue
        at = found.at if isinstance(found, modbus_address.ModbusAddress) else found
        return at if isinstance(at, NetAddress) and at.kind == "tcp" else None
    return None


async def _clock(
    box: Box, turns: asyncio.Semaphore, one: Configured, camera: OnvifCamera
) -> Finding:
    from drivers.wire.onvif_client import connect

    guessed = camera.password.reveal() == GUESSED
    password = Secret("") if guessed else camera.password
    try:
        async with (
            turns,
            asyncio.timeout(CLOCK_WITHIN),
            connect(camera.host, camera.username, password) as client,
        ):
            told = await client.time()
    except (DriverError, SoapFault, TimeoutError) as error:
        why = str(error) or f"no answer within {CLOCK_WITHIN:g} s"
        if guessed:
            return CLOCK.unknown(f"{one.id}: {why}; its password can't be read")
        return CLOCK.unknown(f"{one.id}: {why}", f"storewarden devices; is {one.id} on?")
    if told is None:
        return CLOCK.unknown(f"{one.id} tells no UTC time", f"the page of {one.id}")
    off = (told - box.now()).total_seconds()
    seen = f"{one.id}: {seconds_in_words(off)} off"
    if abs(off) >= FAR_OFF:
        return CLOCK.problem(seen, device=one.id)
    return CLOCK.warning(seen, device=one.id) if abs(off) >= OFF else CLOCK.ok(seen)


SUBJECT = Subject("devices", (HEARD, CLOCK), _look, within=12.0)
