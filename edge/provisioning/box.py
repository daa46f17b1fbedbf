"""Who this box is, and where on it first boot reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from drivers.wire.own_words import printable
from edge.provisioning.wanted import Wanted

_SERIALS = (
    "sys/firmware/devicetree/base/serial-number",
    "sys/class/dmi/id/product_serial",
    "sys/class/dmi/id/board_serial",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """This machine, or one below a folder."""

    root: Path = Path("/")

    @property
    def configuration(self) -> Path:
        return self.root / "etc/storewarden"

    @property
    def machine(self) -> str:
        """Its /etc/machine-id; empty where there is none."""
        return _word(self.root / "etc/machine-id")

    @property
    def serials(self) -> list[str]:
        """The serial numbers that its board tells."""
        return [word for word in (_word(self.root / path) for path in _SERIALS) if word]

    def meant_by(self, wanted: Wanted) -> str:
        """Return why the file is for another box; empty when it is for this one."""
        if wanted.serial is not None and wanted.serial.lower() not in map(str.lower, self.serials):
            own = ", ".join(self.serials) or "not known"
            return f"it is for the box with the serial number {wanted.serial}; this one's: {own}"
        if wanted.machine is not None and wanted.machine != self.machine:
            own = self.machine or "not known"
            return f"it is for the machine {wanted.machine}; this one is {own}"
        return ""


def _word(file: Path) -> str:
    try:
        return printable(file.read_bytes()[:1000].decode("utf-8", "replace").strip("\0\n "))
    except OSError:
        return ""
