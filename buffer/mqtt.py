"""Connections to the MQTT broker: found, secured, and made one after the other."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from buffer.client import AckClient as AckClient
from buffer.dial import Dialer, secured, unsecured
from buffer.endpoint import KEEPALIVE as KEEPALIVE
from buffer.endpoint import Endpoint as Endpoint
from buffer.endpoint import credentials, read_credentials
from buffer.message import Conversation, Unreachable

CONSENT_WAITS = (5.0, 10.0, 20.0)
"""Seconds from the TCP connection to TLS, and from there to the broker's consent, in turn. A broker
to which thousands come back at once answers late, and whoever gives up early has it do the work
again; a hole that swallows all after the TCP connection is not waited for for ever."""


class Connector:
    """Makes one connection after the other to a broker: `async with connector() as link`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._dialer = Dialer(endpoint.host, endpoint.port)
        self._waits = itertools.cycle(CONSENT_WAITS)
        self._mark = b""
        self.presented: bytes | None = None
        """The certificate that the broker showed last, DER."""

    def __call__(self) -> AbstractAsyncContextManager[Conversation]:
        return self._connection(next(self._waits))

    def renewed(self) -> bool:
        """Whether the files hold other credentials than those of the last attempt.

        Blocks on the disk. Raises Unreachable when they cannot be used.
        """
        return read_credentials(self._endpoint).mark != self._mark

    @asynccontextmanager
    async def _connection(self, wait: float) -> AsyncIterator[Conversation]:
        endpoint = self._endpoint
        where = f"{endpoint.host}:{endpoint.port}"
        found = await credentials(endpoint)
        self._mark = found.mark
        try:
            link = await self._dialer.dial()
            if found.tls is not None:
                async with asyncio.timeout(wait):
                    link = await secured(link, found.tls, endpoint.host)
                self.presented = link.getpeercert(binary_form=True)
        except TimeoutError as error:
            raise Unreachable(f"{where} does not answer") from error
        except ssl.SSLError as error:
            raise unsecured(where, error) from error
        except OSError as error:
            raise Unreachable(f"{where}: {error.strerror or error}") from error
        client = AckClient(endpoint, found, link)
        try:
            await client.open(wait)
            yield _Link(client)
        finally:
            await client.close()


def connector(endpoint: Endpoint) -> Connector:
    """Return what makes one connection after the other to `endpoint`.

    Password, certificates and key are read at each connection, so renewed ones need no restart.
    """
    return Connector(endpoint)


class _Link:
    """What the uplink sees of a connection."""

    def __init__(self, client: AckClient) -> None:
        self._client = client
        self.receive_maximum = client.receive_maximum
        self.ended = client.ended
        self.publish = client.send
        self.hear = client.hear
