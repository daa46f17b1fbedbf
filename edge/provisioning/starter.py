"""A commented configuration made of what was found; what nobody has said stays a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from drivers.contract import SettingError
from drivers.lines import modbus_address, modbus_profile
from drivers.wire.own_words import printable
from edge.discovery.found import Camera, Found, GpioChip, SerialPort, Unit

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}(:[1-9]\d{0,4})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a person has said of a camera; the password goes into a file of its own."""

    username: str
    secret: str
    """The name of that file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """What a person has said of the broker."""

    url: str
    username: str = ""
    secret: str = ""
    """The name of the password's file; empty: none is used."""


def starter(
    found: Found,
    *,
    site: str,
    timezone: str,
    logins: Mapping[str, Login] | None = None,
    broker: Broker | None = None,
) -> dict[str, str]:
    """Return the text of each file of the configuration, by name.

    `logins` are by the id of the camera, as `camera_ids` gives them; the others stay comments.
    """
    devices, watched = _devices(found, logins or {})
    files = {
        "site.yaml": _site(site, timezone, broker),
        "devices.yaml": devices,
        "rules/box.yaml": _BOX,
    }
    if watched:
        files["rules/links.yaml"] = _LINKS.replace("FIRST", watched[0])
    return files


def camera_ids(found: Found) -> dict[str, Camera]:
    """Return the cameras that can be written as a device, each by its id: cam_1, cam_2 …"""
    fitting = [camera for camera in found.cameras if _host(camera.host)]
    return {f"cam_{number}": camera for number, camera in enumerate(fitting, 1)}


def _host(text: str) -> bool:
    found = _HOST.fullmatch(text)
    return found is not None and int((found[1] or ":80")[1:]) < 65536


def _site(site: str, timezone: str, broker: Broker | None) -> str:
    told = _NO_BROKER.replace("SITE", site)
    if broker is not None:
        lines = ["mqtt:", f"  url: {quoted(broker.url)}"]
        lines += [f"  username: {quoted(broker.username)}"] if broker.username else []
        lines += [f"  password: !secret {broker.secret}"] if broker.secret else []
        told = "\n".join(lines) + "\n"
    return _SITE.replace("SITE", quoted(site)).replace("ZONE", quoted(timezone)) + told + _REST


def _devices(found: Found, logins: Mapping[str, Login]) -> tuple[str, list[str]]:
    """Return devices.yaml, and the ids that are more than comments in it."""
    watched: list[str] = []
    lines = [_DEVICES, "io:"]
    for number, unit in enumerate(found.units, 1):
        lines += _unit(f"module_{number}", unit, watched)
    for number, chip in enumerate(found.gpio_chips, 1):
        lines += _chip(f"pins_{number}", chip)
    for number, port in enumerate(found.serial_ports, 1):
        lines += _port(f"port_{number}", port)
    lines += ["", "devices:"]
    for name, camera in camera_ids(found).items():
        lines += _camera(name, camera, logins.get(name), watched)
    modules = [name for name in watched if name.startswith("module_")]
    lines += [_WIRED.replace("MODULE", modules[0] if modules else "module_1")]
    lines += ["groups:", f"  watched: [{', '.join(watched)}]"]
    return "\n".join(lines) + "\n", watched


def _unit(name: str, unit: Unit, watched: list[str]) -> list[str]:
    told = printable(f"{unit.vendor} {unit.product} {unit.revision}")
    try:
        known = unit.profile in modbus_profile.names() and bool(modbus_address.parse(unit.url))
    except (SettingError, ValueError):
        known = False
    known = known and 1 <= unit.unit <= 247
    at = f"type: modbus, url: {quoted(unit.url)}, unit: {unit.unit}"
    if known:
        watched.append(name)
        return [
            f"  # It says that it is: {told}. Compare with its label.",
            f"  {name}: {{{at}, profile: {unit.profile}}}",
        ]
    return [
        f"  # It answers, and says {f'that it is: {told}' if told else 'nothing of itself'}.",
        "  # Name its profile (docs/configuration.md lists them), or its inputs and outputs:",
        f"  # {name}: {{{at}, inputs: {{di0: {{discrete: 0}}}}, outputs: {{do0: {{coil: 0}}}}}}",
    ]


def _chip(name: str, chip: GpioChip) -> list[str]:
    of = quoted(chip.label or chip.path)
    about = f"{chip.lines} lines" if chip.lines else printable(chip.problem) or "not asked"
    return [
        f"  # GPIO chip {printable(chip.path)}: {about}. Which line is wired to what?",
        f"  # {name}: {{type: gpio, chip: {of}, inputs: {{door: {{line: 17, pull: up}}}}}}",
    ]


def _port(name: str, port: SerialPort) -> list[str]:
    told = printable(f"{port.vendor} {port.product} {port.serial}") or "nobody says whose"
    url, modbus = quoted(f"serial:{port.path}?baud=9600"), quoted(f"rtu:{port.path}?baud=9600")
    return [
        f"  # Serial port ({told}). Text is heard on it, or Modbus spoken:",
        f"  # {name}: {{type: text, url: {url}}}",
        f"  # {name}: {{type: modbus, url: {modbus}, unit: 1, profile: waveshare_relay_8ch}}",
    ]


def _camera(name: str, camera: Camera, login: Login | None, watched: list[str]) -> list[str]:
    told = printable(f"{camera.name} {camera.hardware} {camera.location}")
    title = quoted(camera.name or name)
    about = f"  # It says that it is: {told or 'nothing'}."
    entry = f"{name}: {{type: onvif_camera, name: {title}, host: {quoted(camera.host)}"
    if login is not None:
        watched.append(name)
        user = f"username: {quoted(login.username)}, password: !secret {login.secret}"
        return [about, f"  {entry}, {user}}}"]
    return [
        f"{about} Its login is not known: put the password into secrets/{name}, mode 0600.",
        f"  # {entry}, username: WHO, password: !secret {name}}}",
    ]


def quoted(text: str) -> str:
    """Return `text` as YAML takes it whatever is in it, on one line."""
    return json.dumps(printable(text), ensure_ascii=False)


_SITE = """# Every setting is in docs/configuration.md. `storewarden check` says what is wrong.
site: SITE
timezone: ZONE

# Opening hours, for rules that ask site.open:
# hours: {mon-sat: "09:00-21:00", sun: "10:00-18:00"}

# Wanted as soon as there is a fire panel or a lock:
# evacuation: {on: [fire_main], release: [exits], silence: [theft_sirens]}

"""
_NO_BROKER = """# The broker. Until it is named all is kept and nothing forwarded. The password
# belongs into secrets/mqtt_password, mode 0600; there is no such file yet.
# mqtt:
#   url: mqtts://broker.example.com:8883
#   username: SITE
#   password: !secret mqtt_password
"""
_REST = """
http: {listen: "127.0.0.1:9464"}
buffer: {path: /var/lib/storewarden, max_size: 512MB, keep: 90d}
"""
_DEVICES = """# What is found is written here; what nobody has said is a comment.
# docs/device-types.md has every type of device and its settings."""
_WIRED = """
  # What is wired to the modules, for example:
  # door_front: {type: door, name: "Front door", contact: MODULE.di0}
  # siren_front: {type: siren, name: "Siren at the front", output: MODULE.do0, max_on: 2m}
"""
_LINKS = """rules:
  link_lost:
    description: A device can't be heard for a while.
    requires: [watched]
    priority: operations
    when: {watched: down, for: 1m}
    do: [{incident: link_lost}]

tests:
  - name: a device that stays away opens an incident
    given: {now: "2026-11-20T12:00:00"}
    timeline:
      - {at: 0s, down: FIRST}
    expect:
      - {at: 1m, rule: link_lost, incident: link_lost}

  - name: a link that comes back in time is no incident
    given: {now: "2026-11-20T12:00:00"}
    timeline:
      - {at: 0s, down: FIRST}
      - {at: 30s, up: FIRST}
    expect: []
"""
_BOX = """rules:
  records_lost:
    description: Records were lost before the broker had them.
    priority: operations
    when: {site: buffer.gap}
    do: [{incident: records_lost}]

tests:
  - name: a gap in the journal opens an incident
    given: {now: "2026-11-20T12:00:00"}
    timeline:
      - {at: 0s, site: buffer.gap}
    expect:
      - {at: 0s, rule: records_lost, incident: records_lost}
"""
