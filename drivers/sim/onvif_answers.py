"""What the simulated ONVIF camera reads and answers: SOAP bodies shaped after the ONVIF WSDLs."""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.sax.saxutils import escape, quoteattr

from drivers.wire.onvif import DEVICE, MEDIA, PTZ

_SCHEMA = "http://www.onvif.org/ver10/schema"
_SPACES = (
    'xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:ter="http://www.onvif.org/ver10/error" '
    f'xmlns:tds="{DEVICE}" xmlns:trt="{MEDIA}" xmlns:tptz="{PTZ}" xmlns:tt="{_SCHEMA}"'
)
_SERVICES = {DEVICE: "device_service", MEDIA: "media_service", PTZ: "ptz_service"}


class Refusal(Exception):
    """The camera refuses, with these fault codes, outermost first."""

    def __init__(self, reason: str, *codes: str) -> None:
        super().__init__(reason)
        self.codes = codes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One request, as the camera reads it."""

    operation: str
    arguments: dict[str, str]
    username: str = ""
    digest: str = ""
    nonce: bytes = b""
    stamp: str = ""
    """The token's Created, as written."""

    @property
    def created(self) -> datetime | None:
        try:
            found = datetime.fromisoformat(self.stamp)
        except ValueError:
            return None
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def read(data: bytes) -> Told:
    """Return what a client asks for; an empty operation when it is no SOAP."""
    try:
        root = ET.fromstring(data)  # noqa: S314 - of our own tests and drivers
    except ET.ParseError:
        return Told(operation="", arguments={})
    token = {_local(e): (e.text or "") for e in root.iter() if _local(e) in _TOKEN_PARTS}
    body = next((e for e in root if _local(e) == "Body"), root)
    asked = body[0] if len(body) else body
    return Told(
        operation=_local(asked),
        arguments={_local(e): (e.text or "") for e in asked},
        username=token.get("Username", ""),
        digest=token.get("Password", ""),
        nonce=base64.b64decode(token.get("Nonce", "")),
        stamp=token.get("Created", ""),
    )


_TOKEN_PARTS = frozenset({"Username", "Password", "Nonce", "Created"})


def message(body: str) -> bytes:
    """Return `body` in its envelope."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope {_SPACES}>'
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def fault(codes: tuple[str, ...], reason: str) -> str:
    """Return a fault; `codes` outermost first, the first of SOAP, the others of ONVIF."""
    nested = ""
    for code in reversed(codes[1:]):
        nested = f"<s:Subcode><s:Value>ter:{code}</s:Value>{nested}</s:Subcode>"
    return (
        f"<s:Fault><s:Code><s:Value>s:{codes[0]}</s:Value>{nested}</s:Code>"
        f'<s:Reason><s:Text xml:lang="en">{escape(reason)}</s:Text></s:Reason></s:Fault>'
    )


def date_and_time(now: datetime) -> str:
    return (
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        "<tt:DateTimeType>Manual</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
        "<tt:TimeZone><tt:TZ>GMT0</tt:TZ></tt:TimeZone><tt:UTCDateTime>"
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
        f"<tt:Second>{now.second}</tt:Second></tt:Time>"
        f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month>"
        f"<tt:Day>{now.day}</tt:Day></tt:Date></tt:UTCDateTime>"
        "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
    )


def device_information() -> str:
    return (
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>Storewarden</tds:Manufacturer>"
        "<tds:Model>simulated camera</tds:Model><tds:FirmwareVersion>1</tds:FirmwareVersion>"
        "<tds:SerialNumber>1</tds:SerialNumber><tds:HardwareId>1</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>"
    )


def services(host: str) -> str:
    each = "".join(
        f"<tds:Service><tds:Namespace>{space}</tds:Namespace>"
        f"<tds:XAddr>http://{host}/onvif/{path}</tds:XAddr>"
        "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
        for space, path in _SERVICES.items()
    )
    return f"<tds:GetServicesResponse>{each}</tds:GetServicesResponse>"


def capabilities(host: str) -> str:
    def address(space: str) -> str:
        return f"<tt:XAddr>http://{host}/onvif/{_SERVICES[space]}</tt:XAddr>"

    return (
        "<tds:GetCapabilitiesResponse><tds:Capabilities>"
        f"<tt:Device>{address(DEVICE)}</tt:Device>"
        f"<tt:Media>{address(MEDIA)}<tt:StreamingCapabilities/></tt:Media>"
        f"<tt:PTZ>{address(PTZ)}</tt:PTZ>"
        "</tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def profiles() -> str:
    return (
        '<trt:GetProfilesResponse><trt:Profiles token="fixed" fixed="true">'
        "<tt:Name>without PTZ</tt:Name></trt:Profiles>"
        '<trt:Profiles token="main" fixed="true"><tt:Name>main</tt:Name>'
        '<tt:PTZConfiguration token="ptz"><tt:Name>ptz</tt:Name><tt:UseCount>1</tt:UseCount>'
        "<tt:NodeToken>node</tt:NodeToken></tt:PTZConfiguration></trt:Profiles>"
        "</trt:GetProfilesResponse>"
    )


def stream_uri(address: str) -> str:
    return (
        f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{escape(address)}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
        "</trt:MediaUri></trt:GetStreamUriResponse>"
    )


def ptz_capabilities(*, move_status: bool) -> str:
    offered = ' MoveStatus="true"' if move_status else ""
    return (
        f"<tptz:GetServiceCapabilitiesResponse><tptz:Capabilities{offered}/>"
        "</tptz:GetServiceCapabilitiesResponse>"
    )


def presets(tokens: Mapping[str, str]) -> str:
    each = "".join(
        f"<tptz:Preset token={quoteattr(token)}><tt:Name>{escape(name)}</tt:Name></tptz:Preset>"
        for token, name in tokens.items()
    )
    return f"<tptz:GetPresetsResponse>{each}</tptz:GetPresetsResponse>"


def status(move: str | None, now: datetime) -> str:
    moving = (
        f"<tt:MoveStatus><tt:PanTilt>{move}</tt:PanTilt><tt:Zoom>IDLE</tt:Zoom></tt:MoveStatus>"
        if move
        else ""
    )
    return (
        f"<tptz:GetStatusResponse><tptz:PTZStatus>{moving}"
        f"<tt:UtcTime>{now:%Y-%m-%dT%H:%M:%SZ}</tt:UtcTime>"
        "</tptz:PTZStatus></tptz:GetStatusResponse>"
    )


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
