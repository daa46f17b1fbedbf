"""Who may talk to a port that listens."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterable

from drivers.contract import SettingError

MOST_REMEMBERED = 100
"""Strangers whose refusal has been logged once; a scan of the network must not fill memory."""

log = logging.getLogger(__name__)


class Peers:
    """The allow-list of one port. Empty lets everybody in."""

    def __init__(self, allowed: Iterable[str], *, port: str) -> None:
        """Take addresses (`10.0.4.31`) and networks (`10.0.4.0/24`).

        Raises:
            SettingError: one is neither.
        """
        self._port = port
        self._refused: set[str] = set()
        self._networks = []
        for one in allowed:
            try:
                self._networks.append(ipaddress.ip_network(one, strict=False))
            except ValueError as error:
                hint = "write 10.0.4.31 or 10.0.4.0/24"
                raise SettingError("peers", f"{one!r} is no address", hint) from error

    def admits(self, peer: str) -> bool:
        """Return whether `peer`, an address, may talk; say it once when it may not."""
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        if not self._networks or any((mapped or address) in each for each in self._networks):
            return True
        if peer not in self._refused and len(self._refused) < MOST_REMEMBERED:
            self._refused.add(peer)
            log.warning("port %s: %s is none of its peers and is not heard", self._port, peer)
        return False
