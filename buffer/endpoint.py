"""Where the broker is, who we are to it, and the files that prove it, read afresh each time."""

import asyncio
import hashlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from buffer.message import Message, Unreachable

KEEPALIVE = 10
"""Seconds; a half-open link is found after twice that at most, and a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the broker is, and who we are to it.

    Raises:
        ValueError: the URL is not mqtt://host[:port] or mqtts://host[:port].
    """

    url: str
    client_id: str
    """The same for each connection of one site, so that a new one ends a half-open old one."""
    username: str | None = None
    password: str | Callable[[], str | None] | None = None
    """Or what reads it: asked at each connection, so that a new one needs no restart."""
    ca: str | None = None
    """PEM file of who signs the broker; None means the system's."""
    cert: str | None = None
    """PEM file of our own certificate, for mutual TLS."""
    key: str | None = None
    will: Message | None = None
    """What the broker publishes when the link ends without a goodbye."""
    keepalive: int = KEEPALIVE
    """Seconds without traffic after which the link is tried."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"mqtt://HOST:PORT or mqtts://HOST:PORT, not {self.url!r}")

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r})"

    @property
    def host(self) -> str:
        """Name or address of the broker."""
        return urlsplit(self.url).hostname or ""

    @property
    def secure(self) -> bool:
        """Whether the link is encrypted."""
        return self.url.startswith("mqtts:")

    @property
    def port(self) -> int:
        """TCP port of the broker: 1883, with TLS 8883, unless the URL names one."""
        return urlsplit(self.url).port or (8883 if self.secure else 1883)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one connection is made with."""

    password: str | None
    tls: ssl.SSLContext | None
    mark: bytes
    """Another one when the password or a file has another content."""

    def __repr__(self) -> str:
        return "Credentials(***)"


async def credentials(endpoint: Endpoint) -> Credentials:
    """Return what to connect with now; files are read off the loop.

    Raises:
        Unreachable: a certificate or key cannot be read, or they do not fit each other.
    """
    if not (endpoint.secure or callable(endpoint.password) or endpoint.ca or endpoint.cert):
        return read_credentials(endpoint)
    return await asyncio.to_thread(read_credentials, endpoint)


def read_credentials(endpoint: Endpoint) -> Credentials:
    """Do the same on this thread."""
    try:
        password = endpoint.password() if callable(endpoint.password) else endpoint.password
        # Before the files are used: one that is exchanged in between is seen as new next time.
        mark = _mark(endpoint, password)
        tls = _tls(endpoint) if endpoint.secure else None
        return Credentials(password, tls, mark)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise Unreachable(f"certificates: {error}") from error


def _tls(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=endpoint.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 also asks of an authority what many don't have, so that an upgrade of Debian
    # would cut a store off. Chain, name and time are checked with it or without.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if endpoint.cert:
        # Without a passphrase of its own OpenSSL would ask for one at the terminal.
        context.load_cert_chain(endpoint.cert, endpoint.key, password=lambda: b"")
    return context


def _mark(endpoint: Endpoint, password: str | None) -> bytes:
    """Return a digest of all that is secret, so that no secret is kept to compare with."""
    digest = hashlib.sha256()
    files = [Path(f).read_bytes() for f in (endpoint.ca, endpoint.cert, endpoint.key) if f]
    for part in ((password or "").encode(), *files):
        digest.update(hashlib.sha256(part).digest())
    return digest.digest()
