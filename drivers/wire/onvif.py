"""SOAP as ONVIF cameras speak it, for presets: requests as bytes, answers as values.

Sources: ONVIF Core, PTZ and Media WSDLs (github.com/onvif/specs); WS-Security UsernameToken
Profile 1.0. Element names are compared without their namespace, because firmware gets those wrong.
"""

from __future__ import annotations

import base64
import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from drivers.contract import WireError

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
PTZ = "http://www.onvif.org/ver20/ptz/wsdl"
CONTENT_TYPE = "application/soap+xml; charset=utf-8"
LONGEST_ANSWER = 1_000_000
"""Bytes; a camera that says more is not listened to."""

_SOAP = "http://www.w3.org/2003/05/soap-envelope"
_WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
_WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
_PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_DIGEST = f"{_PROFILE}-username-token-profile-1.0#PasswordDigest"
_BASE64 = f"{_PROFILE}-soap-message-security-1.0#Base64Binary"
STREAM_SETUP = (
    '<StreamSetup><Stream xmlns="http://www.onvif.org/ver10/schema">RTP-Unicast</Stream>'
    '<Transport xmlns="http://www.onvif.org/ver10/schema"><Protocol>RTSP</Protocol></Transport>'
    "</StreamSetup>"
)
"""What GetStreamUri of the Media service wants to be told first."""
_CAPABILITIES = {"Device": DEVICE, "Media": MEDIA, "PTZ": PTZ}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One operation of one service."""

    service: str
    """The service's namespace: `DEVICE`, `MEDIA` or `PTZ`."""
    operation: str
    arguments: tuple[tuple[str, str], ...] = ()
    """In the order of the WSDL."""
    before: str = ""
    """XML that stands before the arguments."""


class SoapFault(Exception):
    """The camera refused. `codes` are its codes without prefix, outermost first."""

    def __init__(self, codes: tuple[str, ...], reason: str) -> None:
        super().__init__(reason or "/".join(codes) or "no reason given")
        self.codes = codes


def password_digest(nonce: bytes, created: str, password: str) -> str:
    """Return Base64(SHA-1(nonce + created + password)), as the UsernameToken Profile wants it."""
    digest = hashlib.sha1(nonce + created.encode() + password.encode(), usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()


def username_token(username: str, password: str, created: datetime, nonce: bytes) -> str:
    """Return the security header; `created` is UTC by the camera's own clock, written with Z."""
    stamp = created.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return (
        f'<w:Security xmlns:w="{_WSSE}" xmlns:u="{_WSU}" s:mustUnderstand="1"><w:UsernameToken>'
        f"<w:Username>{escape(username)}</w:Username>"
        f'<w:Password Type="{_DIGEST}">{password_digest(nonce, stamp, password)}</w:Password>'
        f'<w:Nonce EncodingType="{_BASE64}">{base64.b64encode(nonce).decode()}</w:Nonce>'
        f"<u:Created>{stamp}</u:Created></w:UsernameToken></w:Security>"
    )


def envelope(request: Request, security: str = "") -> bytes:
    """Return `request` as a SOAP 1.2 message; `security` as `username_token` returns it."""
    told = request.before + "".join(f"<{k}>{escape(v)}</{k}>" for k, v in request.arguments)
    return (
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{_SOAP}">'
        f"<s:Header>{security}</s:Header><s:Body>"
        f'<{request.operation} xmlns="{request.service}">{told}</{request.operation}>'
        "</s:Body></s:Envelope>"
    ).encode()


def answer(data: bytes) -> ET.Element:
    """Return what is in the body of a SOAP message.

    Raises:
        SoapFault: it is a fault.
        WireError: it is no SOAP message, or holds what SOAP forbids.
    """
    if b"<!DOCTYPE" in data or b"\0" in data:
        raise WireError("the camera's answer holds a DTD or is no UTF-8")
    try:
        body = _child(ET.fromstring(data), "Body")  # noqa: S314 - it holds no DTD
    except (ET.ParseError, ValueError, LookupError) as error:
        raise WireError(f"the camera's answer is no XML: {error}") from error
    if body is None or not len(body):
        raise WireError("the camera's answer is no SOAP message")
    first = body[0]
    if _local(first) == "Fault":
        raise SoapFault(tuple(_codes(first)), _text(first, "Reason") or _text(first, "faultstring"))
    return first


def camera_time(found: ET.Element) -> datetime | None:
    """Return the UTC time in a GetSystemDateAndTime answer, None if it gives none."""
    utc = _child(found, "UTCDateTime")
    if utc is None:
        return None
    try:
        year, month, day, hour, minute, second = (
            int(_text(utc, name)) for name in ("Year", "Month", "Day", "Hour", "Minute", "Second")
        )
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None


def service_addresses(found: ET.Element) -> dict[str, str]:
    """Return namespace to address from a GetServices or a GetCapabilities answer."""
    addresses = {}
    for each in found.iter():
        address = _child(each, "XAddr", deep=False)
        if address is None or not (address.text or "").strip():
            continue
        named = _child(each, "Namespace", deep=False)
        space = named.text if named is not None else _CAPABILITIES.get(_local(each))
        if space:
            addresses[space.strip()] = (address.text or "").strip()
    return addresses


def ptz_profile(found: ET.Element) -> str | None:
    """Return the token of the first media profile with pan, tilt and zoom in a GetProfiles answer.

    None when no profile has it: a fixed camera.
    """
    for each in found:
        token = each.get("token")
        if token and _child(each, "PTZConfiguration") is not None:
            return token
    return None


def stream_address(found: ET.Element, host: str) -> str:
    """Return the address in a GetStreamUri answer, at `host` and without a login.

    Cameras behind NAT name another host. Empty when the answer holds none.
    """
    try:
        told = urlsplit(_text(found, "Uri"))
        port = f":{told.port}" if told.port else ""
    except ValueError:
        return ""
    query = f"?{told.query}" if told.query else ""
    return f"{told.scheme}://{host}{port}{told.path}{query}" if told.scheme else ""


def preset_tokens(found: ET.Element) -> dict[str, str]:
    """Return name to token from a GetPresets answer; of two presets of one name the first."""
    presets: dict[str, str] = {}
    for each in found:
        token = each.get("token")
        if _local(each) == "Preset" and token:
            presets.setdefault(_text(each, "Name") or token, token)
    return presets


def tells_move_status(found: ET.Element) -> bool:
    """Return whether a PTZ GetServiceCapabilities answer promises MoveStatus."""
    capabilities = _child(found, "Capabilities")
    return capabilities is not None and capabilities.get("MoveStatus") in ("true", "1")


def move_status(found: ET.Element) -> str:
    """Return MOVING if any axis moves in a GetStatus answer, else IDLE, else UNKNOWN."""
    status = _child(found, "MoveStatus")
    axes = set() if status is None else {(each.text or "").strip() for each in status}
    if "MOVING" in axes:
        return "MOVING"
    return "IDLE" if axes == {"IDLE"} else "UNKNOWN"


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(element: ET.Element, name: str, *, deep: bool = True) -> ET.Element | None:
    within = element.iter() if deep else iter(element)
    return next((e for e in within if e is not element and _local(e) == name), None)


def _text(element: ET.Element, name: str) -> str:
    found = _child(element, name)
    return "" if found is None else " ".join("".join(found.itertext()).split())


def _codes(fault: ET.Element) -> Iterator[str]:
    for each in fault.iter():
        if _local(each) in ("Value", "faultcode"):
            yield (each.text or "").strip().rpartition(":")[2]
