"""Read the url of a Modbus module."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.contract import SettingError
from drivers.ports import address as ports
from drivers.ports.address import NetAddress, SerialAddress

HINT = "write tcp://host:port, rtu:/dev/serial/by-id/…?baud=9600, or rtu+tcp://host:port"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusAddress:
    """Where a module is, and how frames look there."""

    at: NetAddress | SerialAddress
    rtu: bool
    """Whether frames are RTU's: without a number that ties an answer to its question."""

    def __str__(self) -> str:
        return str(self.at)


def parse(url: str) -> ModbusAddress:
    """Return what `url` names.

    Raises:
        SettingError: it is none of the three forms.
    """
    scheme, _, rest = url.partition(":")
    known = {"tcp": "tcp", "rtu": "serial", "rtu+tcp": "tcp"}
    if scheme not in known:
        raise SettingError("url", f"{url!r} is no url of a Modbus module", HINT)
    try:
        at = ports.parse(f"{known[scheme]}:{rest}")
    except SettingError as error:
        message = str(error).replace(f"{known[scheme]}:{rest}", url)
        hint = HINT if error.hint == ports.HINT else error.hint
        raise SettingError("url", message, hint) from error
    return ModbusAddress(at=at, rtu=scheme != "tcp")
