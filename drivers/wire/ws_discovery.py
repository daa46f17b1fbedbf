"""WS-Discovery as ONVIF cameras speak it: a probe as bytes, the answers to it as values.

Sources: Web Services Dynamic Discovery (April 2005), ONVIF Core Specification 7.3. What answers may
be anybody on the network: an answer with a DTD is not read, and texts are cut and made printable.
Element names are compared without their namespace, because firmware gets those wrong.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from drivers.contract import WireError
from drivers.wire.own_words import printable

GROUP, PORT = "239.255.255.250", 3702
LONGEST = 65_535
"""Bytes of a datagram."""
TYPES = ("NetworkVideoTransmitter", "Device")
"""What is asked for; old cameras know the first only, some new ones the second only."""
_SPACES = {
    "NetworkVideoTransmitter": "http://www.onvif.org/ver10/network/wsdl",
    "Device": "http://www.onvif.org/ver10/device/wsdl",
}
_SCOPE = "onvif://www.onvif.org/"
_MOST_MATCHES = 32
"""In one answer; it stands for one device, or for a proxy of several."""
_MOST_ADDRESSES = 8
_LONGEST_ADDRESS = 200
_DISCOVERY = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><s:Envelope '
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    f'xmlns:d="{_DISCOVERY}"><s:Header>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One device that answers a probe, in its own words: nobody has checked them."""

    endpoint: str
    """Its name for ever, `urn:uuid:…`; may be empty."""
    types: tuple[str, ...] = ()
    """Without prefix: `NetworkVideoTransmitter`."""
    addresses: tuple[str, ...] = ()
    """Its services, `http://10.0.4.51/onvif/device_service`."""
    name: str = ""
    hardware: str = ""
    location: str = ""

    @property
    def camera(self) -> bool:
        """Whether it says that it sends video."""
        return "NetworkVideoTransmitter" in self.types


def probe(message: str, wanted: str) -> bytes:
    """Return the question for devices of the type `wanted`, one of TYPES; `message` is its id."""
    return (
        f"{_HEAD}<a:Action>{_DISCOVERY}/Probe</a:Action>"
        f"<a:MessageID>{escape(message)}</a:MessageID>"
        "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header><s:Body>"
        f'<d:Probe><d:Types xmlns:n="{_SPACES[wanted]}">n:{wanted}</d:Types></d:Probe>'
        "</s:Body></s:Envelope>"
    ).encode()


def asked(data: bytes) -> tuple[str, frozenset[str]]:
    """Return the id of a probe, and the types that it asks for.

    Raises:
        WireError: it is none.
    """
    envelope = _read(data)
    found = _child(envelope, "Probe")
    if found is None:
        raise WireError("this is no probe")
    return _text(envelope, "MessageID"), frozenset(map(_local_of, _text(found, "Types").split()))


def answer(to: str, message: str, matches: Sequence[Match]) -> bytes:
    """Return what a device with these properties answers to the probe with the id `to`."""
    each = "".join(map(_match_as_xml, matches))
    return (
        f"{_HEAD}<a:Action>{_DISCOVERY}/ProbeMatches</a:Action>"
        f"<a:MessageID>{escape(message)}</a:MessageID>"
        f"<a:RelatesTo>{escape(to)}</a:RelatesTo></s:Header><s:Body>"
        f"<d:ProbeMatches>{each}</d:ProbeMatches></s:Body></s:Envelope>"
    ).encode()


def matches(data: bytes, messages: frozenset[str]) -> list[Match]:
    """Return the devices that an answer names; none when it answers another's probe.

    An answer that does not say what it answers counts: some firmware forgets.

    Raises:
        WireError: it is no answer to a probe, or holds what SOAP forbids.
    """
    envelope = _read(data)
    found = _child(envelope, "ProbeMatches")
    if found is None:
        raise WireError("this is no answer to a probe")
    relates = _text(envelope, "RelatesTo")
    if relates and relates not in messages:
        return []
    return [_match(each) for each in found if _local(each) == "ProbeMatch"][:_MOST_MATCHES]


def _match(found: ET.Element) -> Match:
    scopes = [scope for scope in _text(found, "Scopes").split() if scope.startswith(_SCOPE)]
    told = {"name": "", "hardware": "", "location": ""}
    for scope in scopes:
        word, _, value = scope.removeprefix(_SCOPE).partition("/")
        if word in told and not told[word]:
            told[word] = printable(unquote(value, errors="replace"))
    return Match(
        endpoint=printable(_text(found, "Address")),
        types=tuple(printable(_local_of(t)) for t in _text(found, "Types").split()[:8]),
        addresses=tuple(_addresses(_text(found, "XAddrs"))),
        **told,
    )


def _addresses(text: str) -> Iterator[str]:
    for word in text.split()[:_MOST_ADDRESSES]:
        try:
            url = urlsplit(word)
            sound = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
        except ValueError:
            continue
        if sound and word.isascii() and word.isprintable() and len(word) <= _LONGEST_ADDRESS:
            yield word


def _match_as_xml(match: Match) -> str:
    spaces = "".join(f' xmlns:t{n}="{_SPACES.get(t, "urn:x")}"' for n, t in enumerate(match.types))
    types = " ".join(f"t{n}:{escape(t)}" for n, t in enumerate(match.types))
    told = {"name": match.name, "hardware": match.hardware, "location": match.location}
    scopes = " ".join(f"{_SCOPE}{k}/{v.replace(' ', '%20')}" for k, v in told.items() if v)
    return (
        f"<d:ProbeMatch><a:EndpointReference><a:Address>{escape(match.endpoint)}</a:Address>"
        f"</a:EndpointReference><d:Types{spaces}>{types}</d:Types>"
        f"<d:Scopes>{escape(scopes)}</d:Scopes>"
        f"<d:XAddrs>{escape(' '.join(match.addresses))}</d:XAddrs>"
        "<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch>"
    )


def _read(data: bytes) -> ET.Element:
    if b"<!DOCTYPE" in data or b"\0" in data:
        raise WireError("it holds a DTD, or is no UTF-8")
    try:
        return ET.fromstring(data)  # noqa: S314 - it holds no DTD
    except (ET.ParseError, ValueError, LookupError) as error:
        raise WireError(f"it is no XML: {error}") from error


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _local_of(name: str) -> str:
    return name.rpartition(":")[2]


def _child(element: ET.Element, name: str) -> ET.Element | None:
    return next((e for e in element.iter() if e is not element and _local(e) == name), None)


def _text(element: ET.Element, name: str) -> str:
    found = _child(element, name)
    return "" if found is None else " ".join((found.text or "").split())
