"""storewarden.yaml, what a box shall be: read strictly, every mistake at its place."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from rules import convert
from rules import yaml_source as ys
from rules.convert import WRONG, Context
from rules.problems import Mark, Problems, did_you_mean

FILE = "storewarden.yaml"
LARGEST = 100_000
"""Bytes."""
_SITE = re.compile(r"[a-z0-9_-]{1,64}")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,14}")
_HOST_HINT = "write mqtts://broker.example.com:8883"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """`network:`; by DHCP, or an address of its own."""

    interface: str | None = None
    """`eth0`; None: every wired one, by DHCP only."""
    dhcp: bool = False
    address: str | None = None
    """`10.0.4.10/24`."""
    gateway: str | None = None
    dns: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """`mqtt:`; what is not written stays as the configuration has it."""

    url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """storewarden.yaml."""

    site: str
    timezone: str | None = None
    serial: str | None = None
    """The file is for the box with this serial number only."""
    machine: str | None = None
    """The file is for the box with this /etc/machine-id only."""
    replace: bool = False
    """Whether a box that is another site, or has a configuration, takes this one in its place."""
    network: Network | None = None
    mqtt: Broker | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A file that could be read."""

    wanted: Wanted
    text: str
    without_password: str
    """The same file after the password was taken out."""


def read(text: str, problems: Problems) -> Read | None:
    """Return what the text of storewarden.yaml says; None after saying every mistake in it.

    No message holds the password.
    """
    root = _parsed(text, problems)
    if root is None:
        if not problems.errors:
            problems.error(Mark(FILE, 1, 1), "the file is empty", "at least: site: store_0421")
        return None
    password = _password(root, problems)
    if problems.errors:
        return None
    context = Context(problems=problems)
    wanted = convert.convert(root, Wanted, context)
    if wanted is WRONG or not isinstance(root, ys.Mapping) or problems.errors:
        return None
    _check(root, wanted, problems)
    if problems.errors:
        return None
    without = text if password is None else _without(text, password)
    if password is not None and not _same_but_for_it(without, wanted):
        hint = "write it on a line of its own"
        problems.error(password.mark, "the password can't be taken out again here", hint)
        return None
    return Read(wanted=wanted, text=text, without_password=without)


def _parsed(text: str, problems: Problems) -> ys.Node | None:
    """Return the document; what is said of it shows no word that may be a password."""
    found = Problems()
    root = ys.read_text(text, FILE, found)
    for problem in found.all:
        quoting = next((m for m in _QUOTING if problem.message.startswith(m)), None)
        message, hint = (quoting, "") if quoting else (problem.message, problem.hint)
        say = problems.error if problem.level == "error" else problems.warning
        say(problem.mark, message, hint or ('write it in quotes: "…"' if quoting else ""))
    return root


_QUOTING = ("unknown alias", "unknown tag", "these are no quotes in YAML")
"""Messages that show what was written: of them the beginning only."""


def _password(root: ys.Node, problems: Problems) -> ys.Scalar | None:
    """Return where the password stands, before anything else could show it in a message."""
    mqtt = root.items.get("mqtt") if isinstance(root, ys.Mapping) else None
    for key, mark in mqtt.keys.items() if isinstance(mqtt, ys.Mapping) else ():
        if key not in convert.words(Broker):
            hint = "known: password, url, username; in quotes where a comma is in it"
            problems.error(mark, "this is no setting of mqtt:", hint)
    node = mqtt.items.get("password") if isinstance(mqtt, ys.Mapping) else None
    if node is None or (isinstance(node, ys.Scalar) and node.null):
        return None
    if not isinstance(node, ys.Scalar) or node.tag or node.inset is None or not node.text.strip():
        hint = 'write it on one line: password: "…"; it goes into secrets/ of the box'
        problems.error(node.mark, "this is no password", hint)
        return None
    if not node.text.isprintable():
        problems.error(node.mark, "the password has characters that can't be typed")
    return node


def _without(text: str, password: ys.Scalar) -> str:
    lines = text.splitlines(keepends=True)
    at, column = password.mark.line - 1, password.mark.column - 1
    quotes = 2 * (password.inset or 0)
    line = lines[at]
    lines[at] = line[:column] + "~" + line[column + len(password.text) + quotes :]
    return "".join(lines)


def _same_but_for_it(text: str, wanted: Wanted) -> bool:
    """Return whether the text says the same without a password."""
    root = ys.read_text(text, FILE, problems := Problems())
    if root is None or problems.errors:
        return False
    found = convert.convert(root, Wanted, Context(problems=problems))
    mqtt = None if wanted.mqtt is None else replace(wanted.mqtt, password=None)
    return found is not WRONG and bool(found == replace(wanted, mqtt=mqtt))


def _check(root: ys.Mapping, wanted: Wanted, problems: Problems) -> None:
    if not _SITE.fullmatch(wanted.site):
        hint = "small letters, digits, _ and -"
        problems.error(convert.place(root, "site"), f"{wanted.site!r} is not a site's id", hint)
    if wanted.timezone is not None and not _is_zone(wanted.timezone):
        hint = did_you_mean(wanted.timezone, zoneinfo.available_timezones())
        mark = convert.place(root, "timezone")
        problems.error(mark, f"unknown timezone {wanted.timezone!r}", hint)
    if wanted.network is not None:
        _network(root.items["network"], wanted.network, problems)
    if wanted.mqtt is not None:
        _mqtt(root.items["mqtt"], wanted.mqtt, problems)


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _mqtt(node: ys.Node, wanted: Broker, problems: Problems) -> None:
    if isinstance(node, ys.Mapping) and not node.keys:
        problems.error(node.mark, "'mqtt' says nothing", _HOST_HINT)
    if wanted.url is not None:
        mark = convert.place(node, "url")
        try:
            url = urlsplit(wanted.url)
            good = url.scheme in ("mqtt", "mqtts") and bool(url.hostname)
            login = "@" in url.netloc
        except ValueError:
            good = login = False
        if login:
            problems.error(mark, "no user and no password in an address", _HOST_HINT)
        elif not good or not wanted.url.isprintable() or " " in wanted.url:
            problems.error(mark, f"{wanted.url!r} is no broker's address", _HOST_HINT)
    if wanted.username is not None and not wanted.username.isprintable():
        problems.error(convert.place(node, "username"), "this is no user name")


def _network(node: ys.Node, wanted: Network, problems: Problems) -> None:
    if wanted.interface is not None and not _INTERFACE.fullmatch(wanted.interface):
        mark = convert.place(node, "interface")
        problems.error(mark, f"{wanted.interface!r} is no interface", "like eth0")
    fixed = [name for name in ("address", "gateway", "dns") if getattr(wanted, name)]
    if wanted.dhcp and fixed:
        problems.error(convert.place(node, fixed[0]), f"'dhcp: yes' and {fixed[0]!r}: choose one")
    elif not wanted.dhcp and wanted.address is None:
        problems.error(node.mark, "'address' is missing", "or write dhcp: yes")
    elif wanted.address is not None:
        _address(node, wanted, problems)
    servers = node.items.get("dns") if isinstance(node, ys.Mapping) else None
    marks = servers.items if isinstance(servers, ys.Sequence) else (servers or node,) * 9
    for server, place in zip(wanted.dns, marks, strict=False):
        if _ip(server) is None:
            problems.error(place.mark, f"{server!r} is no address", "like 10.0.4.1")


def _address(node: ys.Node, wanted: Network, problems: Problems) -> None:
    mark = convert.place(node, "address")
    if wanted.interface is None:
        problems.error(mark, "'interface' is missing", "an address needs one: interface: eth0")
    try:
        own = ipaddress.ip_interface((wanted.address or "").replace("%", " "))
    except ValueError:
        problems.error(mark, f"{wanted.address!r} is no address", "like 10.0.4.10/24")
        return
    if "/" not in (wanted.address or "") or own.network.num_addresses == 1:
        problems.error(mark, f"{wanted.address} does not say its network", "like 10.0.4.10/24")
    elif own.version == 4 and own.ip in (
        own.network.network_address,
        own.network.broadcast_address,
    ) and own.network.prefixlen < 31:  # fmt: skip
        problems.error(mark, f"{own.ip} is the network itself, no box in it")
    if wanted.gateway is None:
        return
    gateway, place = _ip(wanted.gateway), convert.place(node, "gateway")
    if gateway is None:
        problems.error(place, f"{wanted.gateway!r} is no address", "like 10.0.4.1")
    elif gateway.version == own.version and gateway not in own.network:
        if not (gateway.version == 6 and gateway.is_link_local):
            problems.error(place, f"{gateway} can't be reached from {own}")
    elif gateway == own.ip:
        problems.error(place, "the gateway is the box itself")


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None
