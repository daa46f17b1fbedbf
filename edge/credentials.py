"""What the site shows to the broker: renewed without a restart, and watched for when it ends."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from buffer import x509
from buffer.message import Unreachable
from drivers.priorities import Priority
from edge.clock import Clock
from edge.config.model import Mqtt
from edge.encode import utc
from edge.speaker import Speaker

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
"""Seconds between looks at the files."""
WARNED = 30 * 86400.0
"""Seconds before its end from which a certificate is spoken of."""
AGAIN = 86400.0
"""Seconds after which that is said again."""


class Shown(Protocol):
    """What `buffer.mqtt.Connector` tells of the last connection."""

    @property
    def presented(self) -> bytes | None:
        """The certificate that the broker showed, DER."""

    def renewed(self) -> bool:
        """Whether the files hold something else than what was shown; blocks on the disk."""


class Credentials:
    """Password, certificates and key of the uplink."""

    def __init__(
        self,
        mqtt: Mqtt,
        shown: Shown,
        renew: Callable[[str], None],
        speaker: Speaker,
        clock: Clock,
    ) -> None:
        """`renew` is called with the reason why the link must be made anew."""
        self._mqtt, self._shown, self._renew = mqtt, shown, renew
        self._speaker, self._clock = speaker, clock
        self._unfit = ""
        self._said: dict[str, tuple[str, float, float]] = {}
        """By certificate: what was said, of which end, at which tick."""
        self.ends: Mapping[str, float] = {}
        """When each certificate ends, Unix time: `own`, `broker`, `ca`; those that are known."""

    async def run(self) -> None:
        """Look at the files until cancelled; return at once where there are none."""
        if self._mqtt.renewed is None and not self._mqtt.url.startswith("mqtts:"):
            return
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Have the link made anew when the files have changed; say which certificates end soon."""
        try:
            changed, self.ends = await asyncio.to_thread(self._read)
        except (Unreachable, OSError, ValueError) as error:
            # Half a change, perhaps: the link stays as it is.
            if str(error) != self._unfit:
                self._unfit = str(error)
                log.warning("the credentials for the broker cannot be used: %s", error)
        else:
            self._unfit = ""
            if changed:
                log.info("the credentials for the broker have changed")
                self._renew("the credentials have changed")
        self._say()

    def _read(self) -> tuple[bool, dict[str, float]]:
        changed = self._shown.renewed()
        ends: dict[str, float] = {}
        presented = self._shown.presented
        broker = None if presented is None else x509.read(presented)
        if self._mqtt.cert is not None:
            own = x509.read_pem(self._mqtt.cert.read_text(encoding="utf-8", errors="replace"))
            ends["own"] = min(one.ends for one in own)
        if broker is not None:
            ends["broker"] = broker.ends
        if self._mqtt.ca is not None:
            ends["ca"] = _authority(self._mqtt.ca, broker)
        return changed, ends

    def _say(self) -> None:
        if not self._speaker.trusted:
            return
        tick, now = self._clock.tick(), self._clock.now().timestamp()
        for certificate, ends in self.ends.items():
            left = ends - now
            if left > WARNED:
                continue
            kind = "certificate.expiring" if left > 0 else "certificate.expired"
            before = self._said.get(certificate)
            if before and before[:2] == (kind, ends) and tick - before[2] < AGAIN:
                continue
            self._said[certificate] = (kind, ends, tick)
            fields = {
                "certificate": certificate,
                "expires": utc(datetime.fromtimestamp(ends, UTC)),
                "days": math.floor(left / 86400),
            }
            log.warning("%s: the certificate %r, %d days left", kind, certificate, fields["days"])
            self._speaker.site(kind, Priority.operations, fields)


def _authority(path: Path, broker: x509.Certificate | None) -> float:
    """Return when the authority ends that has signed the broker, else the first of the file to.

    Of an authority that is there twice, one is enough.
    """
    found = x509.read_pem(path.read_text(encoding="utf-8", errors="replace"))
    signers = [one.ends for one in found if broker and one.subject == broker.issuer]
    return max(signers) if signers else min(one.ends for one in found)
