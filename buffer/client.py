"""One connection to the MQTT broker, on aiomqtt, with every PUBACK awaited and its code read.

What aiomqtt 2.5 leaves to its user and this module adds: reason codes of PUBACK, CONNACK and
DISCONNECT; waking what waits when the link ends; a client that is never entered twice (it would
send old messages again); the broker's Receive Maximum and Maximum Packet Size; a connection that is
made without a thread; and one write and one read for many messages.
"""

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.exception import MQTTException
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from buffer import packets
from buffer.dial import unsecured
from buffer.endpoint import Credentials, Endpoint
from buffer.message import Message, Refused, Unreachable
from buffer.reasons import KEPT_ALIVE_IN_VAIN, name, told

GOODBYE_WAIT = 1.0
"""Seconds that a clean disconnect may take."""
UNLIMITED = 65_535
"""Receive Maximum of a broker that names none."""
_CHUNK = 65_536
_TOO_LARGE, _BAD_TOPIC = 0x95, 0x90
_QOS = 1


class AckClient(aiomqtt.Client):
    """A client for one connection: `open`, `send` until `ended`, `close`."""

    def __init__(self, endpoint: Endpoint, found: Credentials, link: socket.socket) -> None:
        will = endpoint.will
        super().__init__(
            endpoint.host,
            endpoint.port,
            username=endpoint.username,
            password=found.password,
            identifier=endpoint.client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=endpoint.keepalive,
            will=None
            if will is None
            else aiomqtt.Will(will.topic, will.payload, _QOS, will.retain),
        )
        self._link = link
        self._client._create_socket = lambda: link  # type: ignore[method-assign]
        self._client._sock_recv = self._from_inbox  # type: ignore[method-assign,assignment]
        self._client._sock_send = self._to_socket  # type: ignore[method-assign,assignment]
        self._acks: dict[int, asyncio.Future[None]] = {}
        self._largest: int | None = None
        self._packed: dict[tuple[str | None, int | None], bytes] = {}
        self._inbox = bytearray()
        self._outbox: list[bytes] = []
        self._heard: dict[str, Callable[[bytes], None]] = {}
        self._watched: int | None = None
        self._writing = False
        self._disconnected.add_done_callback(self._link_ended)
        self.receive_maximum = UNLIMITED
        self.ended: asyncio.Future[Unreachable] = self._loop.create_future()

    async def open(self, wait: float) -> None:
        """Ask the broker for its consent, for `wait` seconds.

        Raises:
            Unreachable: no answer, or the broker does not want us.
        """
        try:
            self._client.connect(self._hostname, self._port, self._keepalive, clean_start=True)
            self._misc_task = self._loop.create_task(self._misc_loop())
            async with asyncio.timeout(wait):
                await asyncio.shield(self._connected)
        except TimeoutError as error:
            raise Unreachable(f"{self._hostname}:{self._port} does not answer") from error
        except (OSError, ValueError, aiomqtt.MqttError) as error:
            raise Unreachable(f"{self._hostname}:{self._port}: {error}") from error

    def send(self, message: Message) -> asyncio.Future[None]:
        """Publish `message`; see `Publisher.publish`."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self.ended.done():
            _fail(future, self.ended.result())
            return future
        try:
            topic, said = packets.topic_name(message.topic), self._properties_of(message)
        except ValueError as error:
            _fail(future, Refused(_BAD_TOPIC, f"{name(_BAD_TOPIC)}: {error}"))
            return future
        mid = self._free_mid() if message.qos else 0
        if message.qos:
            packet = packets.publish(topic, message.payload, said, mid, retain=message.retain)
        else:
            packet = packets.publish_unconfirmed(
                topic, message.payload, said, retain=message.retain
            )
        if len(packet) > (self._largest or len(packet)) or not packets.fits(len(packet)):
            _fail(future, Refused(_TOO_LARGE, name(_TOO_LARGE)))
            return future
        if message.qos:
            self._acks[mid] = future
        else:
            future.set_result(None)
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(packet)
        return future

    def hear(self, topic: str, heard: Callable[[bytes], None]) -> None:
        """Subscribe; see `Publisher.hear`."""
        self._heard[topic] = heard
        if not self.ended.done():
            self._client.subscribe(topic, _QOS)

    async def close(self) -> None:
        """Say goodbye if the link is up, and let go of everything, also when cancelled."""
        try:
            if self._connected.done() and not self.ended.done():
                self._client.disconnect()
                await asyncio.wait([self.ended], timeout=GOODBYE_WAIT)
        finally:
            self._drop(Unreachable("closed"))
            self._client._sock_close()
            self._link.close()
            if self._connected.done() and not self._connected.cancelled():
                self._connected.exception()
            if self._misc_task is not None:
                self._misc_task.cancel()
        if self._misc_task is not None:
            await asyncio.gather(self._misc_task, return_exceptions=True)

    def _free_mid(self) -> int:
        while (mid := self._client._mid_generate()) in self._acks:
            pass
        return mid

    def _properties_of(self, message: Message) -> bytes:
        if message.properties:
            return packets.properties(message)
        key = (message.content_type, message.expiry)
        if (known := self._packed.get(key)) is None:
            known = self._packed[key] = packets.properties(message)
        return known

    def _flush(self) -> None:
        """Hand all that was sent in this turn of the loop to the socket at once."""
        outbox, self._outbox = self._outbox, []
        if not self.ended.done():
            self._client._packet_queue(packets.PUBLISH, b"".join(outbox), 0, _QOS)

    # What the broker says. Paho calls these.

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
        if reason_code.is_failure:
            self._drop(self._because(reason_code.value, properties))
        else:
            super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: PahoClient,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if flags.is_disconnect_packet_from_server and reason_code.is_failure:
            self._drop(self._because(reason_code.value, properties))
        elif reason_code.value == KEPT_ALIVE_IN_VAIN:
            self._drop(Unreachable("no sign of life from the broker: Keep alive timeout"))
        else:
            self._drop(Unreachable("the broker hung up", hung_up=True))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: PahoClient, userdata: Any, message: MQTTMessage) -> None:
        if (heard := self._heard.get(message.topic)) is not None:
            heard(bytes(message.payload))

    def _on_subscribe(self, *_told: Any) -> None:
        """Take a SUBACK for what it is: a broker that refuses never sends, which is the same."""

    def _because(self, code: int, properties: Properties | None) -> Unreachable:
        more = [getattr(properties, key, None) for key in ("ReasonString", "ServerReference")]
        text = told(code, ", ".join(filter(None, more)))
        return Unreachable(f"{self._hostname}:{self._port}: {text}", code=code)

    def _acknowledged(self, mid: int, code: int) -> None:
        future = self._acks.pop(mid, None)
        if future is None or future.done():
            return
        if code >= 0x80:
            _fail(future, Refused(code, name(code)))
        else:
            future.set_result(None)

    def _link_ended(self, disconnected: "asyncio.Future[None]") -> None:
        if not disconnected.cancelled():
            disconnected.exception()
        self._drop(Unreachable("closed"))

    def _drop(self, why: Unreachable) -> None:
        """Close the socket and wake everything that waits for it."""
        if not self.ended.done():
            self.ended.set_result(why)
        if not self._connected.done():
            self._connected.set_exception(why)
        self._unwatch()
        # Not here: paho may be in one of its callbacks, and would wait for itself.
        self._loop.call_soon(self._client._sock_close)
        acks, self._acks = self._acks, {}
        for future in acks.values():
            if not future.done():
                _fail(future, why)

    # The socket on the loop. Paho calls the first four.

    def _on_socket_open(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        self._watched = sock.fileno()
        self._loop.add_reader(sock.fileno(), self._read, sock)

    def _on_socket_close(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        self._unwatch()

    def _on_socket_register_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        self._loop.call_soon(self._write, sock)

    def _on_socket_unregister_write(self, client: PahoClient, userdata: Any, sock: Any) -> None:
        self._stop_writing()

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
            try:
                chunk = sock.recv(_CHUNK)
                while chunk and isinstance(sock, ssl.SSLSocket) and sock.pending():
                    chunk += sock.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            self._client._last_bytes_received = time.monotonic()
            self._inbox += chunk
            if not chunk:
                self._drop(Unreachable("the broker hung up", hung_up=True))
            self._take_inbox()

    def _take_inbox(self) -> None:
        """Read the PUBACKs, and leave every other packet to paho."""
        inbox, at = self._inbox, 0
        while at < len(inbox) and not self.ended.done():
            if inbox[at] == packets.PUBACK and self._client._in_packet["command"] == 0:
                found = packets.read_puback(inbox, at)
                if found is None:
                    break
                at, mid, code = found
                self._acknowledged(mid, code)
            else:
                del inbox[:at]
                at = 0
                self._client.loop_read()
        del inbox[:at]

    def _from_inbox(self, size: int) -> bytes:
        """Stand in for `recv`, on paho's behalf."""
        if not self._inbox:
            raise BlockingIOError
        taken = bytes(self._inbox[:size])
        del self._inbox[:size]
        return taken

    def _to_socket(self, data: bytes) -> int:
        """Stand in for `send`; where that fails, what the other side said last is heard first."""
        try:
            return self._link.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error
        except BlockingIOError:
            raise
        except OSError:
            self._read(self._link)
            raise

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
        except ssl.SSLError as error:
            self._drop(unsecured(f"{self._hostname}:{self._port}", error))
        except ConnectionError as error:
            self._drop(Unreachable(f"the broker hung up: {error.strerror}", hung_up=True))
        except (OSError, ValueError, LookupError, AssertionError, MQTTException) as error:
            self._drop(Unreachable(f"{type(error).__name__}: {error}", hung_up=True))
        except BaseException:
            self._drop(Unreachable("bug in the MQTT library"))
            raise


def _fail(future: "asyncio.Future[None]", error: Exception) -> None:
    future.set_exception(error)
    # Whoever let go of it does not want to hear of it either.
    future.exception()
