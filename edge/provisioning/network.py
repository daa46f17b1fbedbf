"""The network of a box as the files of systemd-networkd or NetworkManager, whichever it uses."""

from __future__ import annotations

import ipaddress
import uuid
from dataclasses import dataclass
from pathlib import Path

from edge.provisioning.wanted import Network

NETWORKD = "etc/systemd/network/05-storewarden.network"
NETWORK_MANAGER = "etc/NetworkManager/system-connections/storewarden.nmconnection"
_SAID = "# Written by storewarden first-boot from storewarden.yaml.\n"
_ID = uuid.UUID("f6b1c1f4-1f0f-5a34-9d0b-5f6a2d1c7e10")


class NoNetwork(Exception):
    """The network can't be set up on this box; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFile:
    """A file to write; it is ours alone, no other is touched."""

    path: str
    """Relative to the root of the box."""
    content: bytes
    mode: int
    service: str
    """What reads it."""


def network_file(wanted: Network, root: Path) -> NetworkFile:
    """Return the file for this box.

    Raises:
        NoNetwork: nobody here would read it, or there is no such interface.
    """
    there = sorted(path.name for path in (root / "sys/class/net").glob("*") if path.name != "lo")
    if wanted.interface is not None and wanted.interface not in there:
        known = ", ".join(there) or "none"
        raise NoNetwork(f"there is no interface {wanted.interface!r} here; there are: {known}")
    if _enabled("NetworkManager.service", root):
        return NetworkFile(
            path=NETWORK_MANAGER,
            content=network_manager(wanted).encode(),
            mode=0o600,
            service="NetworkManager",
        )
    if _enabled("systemd-networkd.service", root):
        return NetworkFile(
            path=NETWORKD, content=networkd(wanted).encode(), mode=0o644, service="systemd-networkd"
        )
    raise NoNetwork(
        "neither NetworkManager nor systemd-networkd is enabled here; "
        "set the network up by hand and leave 'network:' out"
    )


def _enabled(service: str, root: Path) -> bool:
    """Return whether a unit is wanted at boot and not masked."""
    units = root / "etc/systemd/system"
    masked = (units / service).is_symlink() and str((units / service).readlink()) == "/dev/null"
    wants = [*units.glob("*.wants"), *(root / "lib/systemd/system").glob("*.wants")]
    return not masked and any((folder / service).is_symlink() for folder in wants)


def networkd(wanted: Network) -> str:
    """Return a .network file."""
    match = f"Name={wanted.interface}" if wanted.interface else "Type=ether\nName=en* eth*"
    lines = [f"[Match]\n{match}\n", "[Network]"]
    if wanted.dhcp:
        lines.append("DHCP=yes")
    else:
        lines.append(f"Address={_full(wanted)}")
        lines += [f"Gateway={wanted.gateway}"] if wanted.gateway else []
        lines += [f"DNS={server}" for server in wanted.dns]
    return _SAID + "\n".join(lines) + "\n"


def network_manager(wanted: Network) -> str:
    """Return a keyfile."""
    name = wanted.interface or "wired"
    lines = ["[connection]", "id=storewarden", f"uuid={uuid.uuid5(_ID, name)}", "type=ethernet"]
    lines += [f"interface-name={wanted.interface}"] if wanted.interface else []
    lines += ["autoconnect=true", "autoconnect-priority=100", ""]
    own = None if wanted.dhcp else ipaddress.ip_interface(_full(wanted)).version
    for version in (4, 6):
        lines.append(f"[ipv{version}]")
        lines += _method(wanted, version, own)
        servers = [s for s in wanted.dns if ipaddress.ip_address(s).version == version]
        lines += [f"dns={''.join(f'{server};' for server in servers)}"] if servers else []
        lines.append("")
    return _SAID + "\n".join(lines)


def _method(wanted: Network, version: int, own: int | None) -> list[str]:
    if own is None:
        return ["method=auto"]
    if own != version:
        return ["method=disabled"]
    gateway = f",{wanted.gateway}" if wanted.gateway else ""
    return ["method=manual", f"address1={_full(wanted)}{gateway}"]


def _full(wanted: Network) -> str:
    return str(ipaddress.ip_interface(wanted.address or ""))
