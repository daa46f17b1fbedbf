"""The clock: does it follow a time server, how far off is it, and what happens without power."""

from __future__ import annotations

import re
import secrets
import socket
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from edge.doctor.box import Box, aside, seconds_in_words
from edge.doctor.finding import Check, Finding, Subject

SYNCHRONISED = Check(
    "time.synchronised",
    "does the clock follow a time server?",
    "apt-get install -y systemd-timesyncd; timedatectl set-ntp true, and a server that answers in "
    "/etc/systemd/timesyncd.conf",
)
OFFSET = Check(
    "time.offset",
    "how far is the clock from what a time server says?",
    "systemctl restart systemd-timesyncd, or chronyc makestep",
)
ZONE = Check("time.zone", "is the time zone of the site known here?", "apt-get install -y tzdata")
BATTERY = Check(
    "time.battery",
    "does a battery clock keep the time without power, and is it right?",
    "hwclock --systohc --utc; if it is wrong again after a day without power, change its battery",
)
OFF, FAR_OFF = 1.0, 60.0
"""Seconds from which a difference is a warning, and a problem."""
BATTERY_OFF = 120.0
_SERVERS = (
    "etc/systemd/timesyncd.conf",
    "etc/chrony/chrony.conf",
    "etc/ntpsec/ntp.conf",
    "etc/ntp.conf",
)
_NAMED = re.compile(r"^\s*(?:NTP=|server\s+|pool\s+)([A-Za-z0-9.:-]+)", re.M)
ASK_WITHIN = 2.0
_EPOCH_1900 = 2_208_988_800


async def _look(box: Box) -> AsyncIterator[Finding]:
    if box.synchronised():
        yield SYNCHRONISED.ok("the kernel's clock follows one")
    else:
        told = await box.properties("timedatectl", "show")
        asked = {"yes": ", though it is asked to", "no": ": nobody asks it to"}
        yield SYNCHRONISED.problem(f"it does not{asked.get(told.get('NTP', ''), '')}")
    yield _zone(box)
    if (battery := _battery(box)) is not None:
        yield battery
    yield await _offset(box)


def _zone(box: Box) -> Finding:
    if box.configuration is None:
        return ZONE.unknown("the configuration could not be read", "storewarden check")
    name = box.configuration.site.timezone
    try:
        return ZONE.ok(f"{name}, {box.now().astimezone(ZoneInfo(name)):%Y-%m-%d %H:%M %Z} there")
    except ZoneInfoNotFoundError:
        return ZONE.problem(f"{name} is in no database of this box")


def _battery(box: Box) -> Finding:
    shown = box.number("sys/class/rtc/rtc0/since_epoch")
    if shown is None:
        if (box.root / "sys/class/rtc/rtc0").is_dir():
            return BATTERY.unknown("there is one, and it can't be read", "hwclock --show")
        return BATTERY.warning(
            "there is none: after a power cut the clock is wrong until a time server answers",
            "fit one (Raspberry Pi 5: a battery at J5), or see that a time server is reachable",
        )
    if "LOCAL" in (box.text("etc/adjtime") or ""):
        return BATTERY.warning("it shows local time", "timedatectl set-local-rtc 0")
    off = shown - box.now().timestamp()
    seen = f"{datetime.fromtimestamp(shown, UTC):%Y-%m-%d %H:%M} UTC, {seconds_in_words(off)} off"
    return BATTERY.ok(seen) if abs(off) < BATTERY_OFF else BATTERY.warning(seen)


async def _offset(box: Box) -> Finding:
    told = await box.properties("timedatectl", "show-timesync")
    configured = (box.text(name) or "" for name in _SERVERS)
    named = [told.get("ServerAddress", ""), told.get("ServerName", "")]
    named += [name for text in configured for name in _NAMED.findall(text)]
    servers = list(dict.fromkeys(filter(None, named)))
    if not servers:
        return OFFSET.unknown(
            "no time server is named on this box",
            "name one, NTP= in /etc/systemd/timesyncd.conf; systemctl restart systemd-timesyncd",
        )
    for server in servers[:2]:
        try:
            off = await aside(lambda server=server: asked(server))  # type: ignore[misc]
        except (OSError, ValueError):
            continue
        seen = f"{seconds_in_words(off)} from {server}"
        if abs(off) >= FAR_OFF:
            return OFFSET.problem(seen)
        return OFFSET.warning(seen) if abs(off) >= OFF else OFFSET.ok(seen)
    return OFFSET.warning(
        f"{', '.join(servers[:2])}: no answer within {ASK_WITHIN:g} s",
        "let UDP port 123 out, or name a time server that can be reached",
    )


def asked(server: str, port: int = 123) -> float:
    """Return our clock minus the server's, in seconds, by one question of SNTP (RFC 4330).

    Raises:
        OSError: it can't be reached, or does not answer.
        ValueError: what it answers is no time.
    """
    family, _, _, _, address = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM)[0]
    mark = secrets.token_bytes(8)
    with socket.socket(family, socket.SOCK_DGRAM) as to:
        to.settimeout(ASK_WITHIN)
        to.connect(address)
        sent = datetime.now(UTC).timestamp()
        to.send(b"\x23" + b"\0" * 39 + mark)
        told = to.recv(512)
        back = datetime.now(UTC).timestamp()
    return (sent + back) / 2 - server_time(told, mark)


def server_time(told: bytes, mark: bytes) -> float:
    """Return the time in an answer of SNTP to the question with this mark, Unix time.

    Raises:
        ValueError: it is no answer to that, or the server does not know the time.
    """
    if len(told) < 48 or told[0] & 7 != 4 or told[24:32] != mark:
        raise ValueError("no answer of a time server")
    if told[0] >> 6 == 3 or not 0 < told[1] < 16:
        raise ValueError("the time server does not know the time")
    received, transmitted = (_unix(*struct.unpack_from(">II", told, at)) for at in (32, 40))
    return (received + transmitted) / 2


def _unix(seconds: int, fraction: int) -> float:
    # RFC 4330, 3: with the first bit 0 they count from 2036.
    era = _EPOCH_1900 if seconds & 0x8000_0000 else _EPOCH_1900 - 2**32
    return seconds - era + fraction / 2**32


SUBJECT = Subject("time", (SYNCHRONISED, OFFSET, ZONE, BATTERY), _look)
