"""One connection to the MQTT broker, on aiomqtt, with every PUBACK awaited and its code read.

What aiomqtt 2.5 leaves to its user and this module adds: reason codes of a PUBACK; waking what
waits when the link ends; a client that is never entered twice (it would send old messages again);
the broker's Receive Maximum and Maximum Packet Size; TCP_NODELAY; and a writer that is never
registered on a closed file descriptor.
"""

import asyncio
import contextlib
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.exception import MQTTException
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from buffer.message import Connect, Message, Publisher, Refused, Unreachable

KEEPALIVE = 10
"""Seconds; a half-open link is found after twice that at most."""
CONNECT_WAITS = (1.0, 1.0, 1.0, 5.0)
"""Seconds a TCP connection may take, in turn: short, so that a broker behind a hole is found soon
after it is back, and sometimes long, for a slow line."""
CONNACK_WAIT = 10.0
"""Seconds from the TCP connection to the broker's consent."""
GOODBYE_WAIT = 1.0
"""Seconds that a clean disconnect may take."""
UNLIMITED = 65_535
"""Receive Maximum of a broker that names none."""
_HANDSHAKE_WAIT = 3.0
"""Seconds a TLS handshake may take at least."""
_ROOM_FOR_HEADERS = 256
"""Bytes left for header and properties when a packet is measured."""
_TOO_LARGE, _BAD_TOPIC = 0x95, 0x90
_QOS = 1


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
    password: str | None = None
    ca: str | None = None
    """PEM file of who signs the broker; None means the system's."""
    cert: str | None = None
    """PEM file of our own certificate, for mutual TLS."""
    key: str | None = None
    will: Message | None = None
    """What the broker publishes when the link ends without a goodbye."""

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


def connector(endpoint: Endpoint) -> Connect:
    """Return what makes one connection after the other to `endpoint`.

    Certificates are read at each connection, so renewed files need no restart.
    """
    waits = itertools.cycle(CONNECT_WAITS)

    def connect() -> AbstractAsyncContextManager[Publisher]:
        return _connection(endpoint, next(waits))

    return connect


@asynccontextmanager
async def _connection(endpoint: Endpoint, connect_wait: float) -> AsyncIterator[Publisher]:
    try:
        tls = await asyncio.to_thread(_tls, endpoint) if endpoint.secure else None
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(f"certificates: {error}") from error
    client = AckClient(endpoint, tls, connect_wait)
    await client.open()
    try:
        yield _Link(client)
    finally:
        await client.close()


def _tls(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=endpoint.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if endpoint.cert:
        context.load_cert_chain(endpoint.cert, endpoint.key)
    return context


class AckClient(aiomqtt.Client):
    """A client for one connection: `open`, `send` until `ended`, `close`."""

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext | None, connect_wait: float) -> None:
        will = endpoint.will
        super().__init__(
            endpoint.host,
            endpoint.port,
            username=endpoint.username,
            password=endpoint.password,
            identifier=endpoint.client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE,
            will=None
            if will is None
            else aiomqtt.Will(will.topic, will.payload, _QOS, will.retain),
            max_inflight_messages=0,
        )
        self._tls = tls
        self._connect_wait = connect_wait
        self._client._create_socket = self._create_socket  # type: ignore[method-assign]
        self._acks: dict[int, asyncio.Future[None]] = {}
        self._largest: int | None = None
        self._packed: dict[tuple[object, ...], Properties] = {}
        self._watched: int | None = None
        self._writing = False
        self._disconnected.add_done_callback(self._link_ended)
        self.receive_maximum = UNLIMITED
        self.ended: asyncio.Future[str] = self._loop.create_future()

    async def open(self) -> None:
        """Connect.

        Raises:
            Unreachable: no connection, no answer, or the broker does not want us.
        """
        connecting = self._loop.run_in_executor(None, self._client_connect)
        try:
            await asyncio.shield(connecting)
            self._misc_task = self._loop.create_task(self._misc_loop())
            async with asyncio.timeout(CONNACK_WAIT):
                await asyncio.shield(self._connected)
        except TimeoutError as error:
            await self.close()
            raise Unreachable(f"{self._hostname}:{self._port} does not answer") from error
        except (OSError, aiomqtt.MqttError) as error:
            await self.close()
            raise Unreachable(f"{self._hostname}:{self._port}: {error}") from error
        except asyncio.CancelledError:
            connecting.add_done_callback(lambda _: self._drop("cancelled"))
            if self._misc_task is not None:
                await self.close()
            raise

    def send(self, message: Message) -> asyncio.Future[None]:
        """Publish `message`; see `Publisher.publish`."""
        future: asyncio.Future[None] = self._loop.create_future()
        size = len(message.topic) + len(message.payload) + _ROOM_FOR_HEADERS
        if self._largest is not None and size > self._largest:
            _fail(future, Refused(_TOO_LARGE, "Packet too large"))
            return future
        try:
            info = self._client.publish(
                message.topic, message.payload, _QOS, message.retain, self._properties_of(message)
            )
        except ValueError as error:
            _fail(future, Refused(_BAD_TOPIC, f"Topic name invalid: {error}"))
            return future
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS or self.ended.done():
            _fail(future, Unreachable(f"not sent: {info.rc.name}"))
        else:
            self._acks[info.mid] = future
        return future

    async def close(self) -> None:
        """Say goodbye if the link is up, and let go of everything. Never raises."""
        if self._connected.done() and not self.ended.done():
            self._client.disconnect()
            await asyncio.wait([self.ended], timeout=GOODBYE_WAIT)
        self._drop("closed")
        self._client._sock_close()
        if self._misc_task is not None:
            self._misc_task.cancel()
            await asyncio.gather(self._misc_task, return_exceptions=True)
        if self._connected.done() and not self._connected.cancelled():
            self._connected.exception()

    def _create_socket(self) -> socket.socket:
        """Connect, on paho's behalf and thread; leaves nothing open when it fails."""
        link = socket.create_connection((self._hostname, self._port), timeout=self._connect_wait)
        try:
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return link
            secure = self._tls.wrap_socket(
                link, server_hostname=self._hostname, do_handshake_on_connect=False
            )
        except BaseException:
            link.close()
            raise
        try:
            secure.settimeout(max(self._connect_wait, _HANDSHAKE_WAIT))
            secure.do_handshake()
        except BaseException:
            secure.close()
            raise
        return secure

    def _properties_of(self, message: Message) -> Properties:
        pairs = tuple(message.properties.items())
        key = (message.content_type, message.expiry, pairs)
        if (known := self._packed.get(key)) is not None:
            return known
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if message.content_type is not None:
            properties.ContentType = message.content_type
        if message.expiry is not None:
            properties.MessageExpiryInterval = message.expiry
        if pairs:
            properties.UserProperty = list(pairs)
        else:
            self._packed[key] = properties
        return properties

    def _on_connect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.receive_maximum = getattr(properties, "ReceiveMaximum", UNLIMITED)
        self._largest = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(f"hung up: {reason_code}"))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        self._drop(str(reason_code))

    def _on_publish(
        self,
        client: PahoClient,
        userdata: Any,
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,
    ) -> None:
        future = self._acks.pop(mid, None)
        if future is None or future.done():
            return
        if reason_code.is_failure:
            _fail(future, Refused(reason_code.value, str(reason_code)))
        else:
            future.set_result(None)

    def _link_ended(self, disconnected: "asyncio.Future[None]") -> None:
        error = None if disconnected.cancelled() else disconnected.exception()
        self._drop(str(error or "closed"))

    def _drop(self, reason: str) -> None:
        """Close the socket and wake everything that waits for it."""
        if not self.ended.done():
            self.ended.set_result(reason)
        self._unwatch()
        # Not here: paho may be in one of its callbacks, and would wait for itself.
        self._loop.call_soon(self._client._sock_close)
        acks, self._acks = self._acks, {}
        for future in acks.values():
            if not future.done():
                _fail(future, Unreachable(reason))

    # The socket on the loop. Paho calls these from the connecting thread too.

    def _on_socket_open(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._watch, sock)

    def _on_socket_close(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        if self._on_loop_thread():
            self._unwatch()

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        if self._on_loop_thread():
            self._loop.call_soon(self._write, sock)
        else:
            self._loop.call_soon_threadsafe(self._write, sock)

    def _on_socket_unregister_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        if self._on_loop_thread():
            self._stop_writing()

    def _on_loop_thread(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _watch(self, sock: socket.socket) -> None:
        if sock.fileno() >= 0 and not self.ended.done():
            self._watched = sock.fileno()
            self._loop.add_reader(self._watched, self._read, sock)

    def _unwatch(self) -> None:
        self._stop_writing()
        if self._watched is not None:
            self._loop.remove_reader(self._watched)
            self._watched = None

    def _stop_writing(self) -> None:
        if self._writing and self._watched is not None:
            self._loop.remove_writer(self._watched)
        self._writing = False

    def _read(self, sock: socket.socket) -> None:
        with self._dropping_on_error():
            self._client.loop_read()
            while isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending():
                self._client.loop_read()

    def _write(self, sock: socket.socket) -> None:
        if sock.fileno() < 0 or self.ended.done():
            return
        with self._dropping_on_error():
            self._client.loop_write()
        if self._client.want_write() and not self._writing and sock.fileno() == self._watched:
            self._writing = True
            self._loop.add_writer(self._watched, self._write, sock)

    @contextlib.contextmanager
    def _dropping_on_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, LookupError, AssertionError, MQTTException) as error:
            self._drop(f"{type(error).__name__}: {error}")
        except BaseException:
            self._drop("bug in the MQTT library")
            raise


class _Link:
    """What the uplink sees of a connection."""

    def __init__(self, client: AckClient) -> None:
        self._client = client
        self.receive_maximum = client.receive_maximum
        self.ended = client.ended
        self.publish = client.send


def _fail(future: "asyncio.Future[None]", error: Exception) -> None:
    future.set_exception(error)
    # Whoever let go of it does not want to hear of it either.
    future.exception()
