"""`30-addresses.conf`: the service reaches the hosts that the configuration names, no others."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from edge.config.model import Configuration
from edge.units.named import doors, peers

NAME = "30-addresses.conf"
RESOLV_CONF = Path("/etc/resolv.conf")
Resolve = Callable[[str], list[str]]


class Unnameable(Exception):
    """The configuration has what can't be put into such a drop-in; the text says what to do."""


def text(
    configuration: Configuration,
    *,
    allow: Sequence[str] = (),
    resolve: Resolve | None = None,
    resolvers: Sequence[str] = (),
) -> str:
    """Return the drop-in; `allow` are networks of senders, `resolve` looks names up now.

    Raises:
        Unnameable: a host is a name and nobody resolves it, or whoever may call is not said.
    """
    waiting = list(doors(configuration))
    if waiting and not allow:
        where = ", ".join(f"{door.of} ({door.at})" for door in waiting)
        raise Unnameable(
            f"{where} listens beyond loopback: say with --allow which network may call it"
        )
    found: dict[str, list[str]] = {"localhost": ["the box itself"]}
    names: dict[str, list[str]] = {}
    for peer in peers(configuration):
        for address in _addresses(peer.host, peer.of, resolve):
            found.setdefault(address, []).append(peer.of)
            if address != peer.host:
                names.setdefault(peer.host, []).append(address)
    for network in allow:
        found.setdefault(network, []).append("--allow")
    if names or resolve is not None:
        for server in resolvers:
            found.setdefault(server, []).append("names")
    lines = ["# Made by: storewarden drop-in addresses. Which hosts the service may reach."]
    for name, looked_up in sorted(names.items()):
        one = ", ".join(dict.fromkeys(looked_up))
        lines.append(f"# {name} was {one} when this was made; make it again when it moves.")
    lines += ["[Service]", "IPAddressDeny=any", "IPAddressAllow="]
    for address, users in found.items():
        lines += [f"# {', '.join(dict.fromkeys(users))}", f"IPAddressAllow={address}"]
    return "\n".join(lines) + "\n"


def _addresses(host: str, of: str, resolve: Resolve | None) -> list[str]:
    if host == "localhost":
        return []
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        if resolve is None:
            raise Unnameable(
                f"{of}: {host} is a name, and systemd takes addresses only: write its address, "
                "or look it up now with --resolve"
            ) from None
    return resolve(host)


def looked_up(host: str) -> list[str]:
    """Return the addresses of a name, by the resolver of this machine.

    Raises:
        Unnameable: nobody knows it.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unnameable(f"{host}: {error.strerror or error}") from None
    return sorted({str(entry[4][0]).partition("%")[0] for entry in found})


def name_servers(file: Path = RESOLV_CONF) -> list[str]:
    """Return the name servers of this machine, loopback left out."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    found = [w[1].partition("%")[0] for w in words if len(w) > 1 and w[0] == "nameserver"]
    return [server for server in dict.fromkeys(found) if _is_address(server)]


def _is_address(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False
