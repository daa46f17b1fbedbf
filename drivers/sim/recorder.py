"""A camera on loopback that streams H.264 over RTSP, and can freeze, hang up or vanish.

ffmpeg draws and packs the picture (RTP over UDP to this process); this process is the RTSP server
(RFC 2326, interleaved over TCP) and passes the packets on. Needs ffmpeg and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from drivers.sim.http_digest import DigestLogin
from drivers.wire.ffmpeg import child

METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
MOST_WAITING = 1_000_000
"""Bytes waiting for one viewer; more are dropped, as a camera does."""


@dataclass(slots=True, kw_only=True, eq=False)
class RtspCameraSimulator:
    """`async with RtspCameraSimulator() as camera: camera.url`."""

    username: str | None = None
    """None: no login."""
    password: str = "secret"  # noqa: S105 - of a simulator
    path: str = "stream1"
    rate: int = 15
    """Pictures a second."""
    gop: int = 15
    """Pictures from key frame to key frame."""
    port: int = 0
    """0: any free one."""

    _moves: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _viewers: set[asyncio.StreamWriter] = field(default_factory=set, init=False, repr=False)
    _playing: set[asyncio.StreamWriter] = field(default_factory=set, init=False, repr=False)
    _sessions: set[asyncio.Task[None]] = field(default_factory=set, init=False, repr=False)
    _login: DigestLogin | None = field(default=None, init=False, repr=False)
    _server: asyncio.Server | None = field(default=None, init=False, repr=False)
    _running: AsyncExitStack | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/{self.path}"

    @property
    def viewers(self) -> int:
        """How many are being sent pictures."""
        return len(self._playing)

    def freeze(self) -> None:
        """Keep every connection open, answer nothing and send nothing, until `thaw`."""
        self._moves.clear()

    def thaw(self) -> None:
        """Answer and send again."""
        self._moves.set()

    def hang_up(self) -> None:
        """End every connection; new ones are served."""
        for writer in list(self._viewers):
            writer.transport.abort()

    async def vanish(self) -> None:
        """End every connection and listen no more, until `appear`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()

    async def appear(self) -> None:
        """Listen again, on the same port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        if self.username is not None:
            self._login = DigestLogin(self.username, self.password)
        self.thaw()
        async with AsyncExitStack() as stack:
            await self.appear()
            stack.push_async_callback(self._leave)
            rtp = await self._hear(0, stack)
            rtcp = await self._hear(1, stack)
            process = await stack.enter_async_context(child(*self._picture(rtp, rtcp)))
            drained = asyncio.create_task(process.errors.read())
            stack.push_async_callback(_end, drained)
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._running is not None:
            await self._running.aclose()
            self._running = None

    def _picture(self, rtp: int, rtcp: int) -> list[str]:
        source = f"testsrc=size=320x240:rate={self.rate}"
        coder = "-c:v libx264 -preset ultrafast -tune zerolatency -pix_fmt yuv420p -b:v 300k"
        keys = f"-g {self.gop} -keyint_min {self.gop} -sc_threshold 0 -bsf:v dump_extra"
        target = f"rtp://127.0.0.1:{rtp}?rtcpport={rtcp}&pkt_size=1200"
        return [
            *("-nostdin", "-loglevel", "quiet", "-re", "-f", "lavfi", "-i", source),
            *coder.split(),
            *keys.split(),
            *("-f", "rtp", "-payload_type", "96", "-sdp_file", "/dev/null", target),
        ]

    async def _hear(self, channel: int, stack: AsyncExitStack) -> int:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Packets(self, channel), local_addr=("127.0.0.1", 0)
        )
        stack.callback(transport.close)
        port: int = transport.get_extra_info("sockname")[1]
        return port

    def pass_on(self, channel: int, packet: bytes) -> None:
        """Send one packet to everyone who watches."""
        if not self._moves.is_set():
            return
        framed = b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet
        for writer in self._playing:
            if writer.transport.get_write_buffer_size() < MOST_WAITING:
                writer.write(framed)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = asyncio.current_task()
        assert session is not None
        self._sessions.add(session)
        self._viewers.add(writer)
        try:
            while request := await _request(reader):
                method, headers = request
                await self._moves.wait()
                writer.write(self._answer(method, headers))
                if method == "PLAY" and self._allows(method, headers):
                    self._playing.add(writer)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            self._playing.discard(writer)
            self._viewers.discard(writer)
            self._sessions.discard(session)
            writer.transport.abort()

    def _allows(self, method: str, headers: Mapping[str, str]) -> bool:
        return self._login is None or self._login.knows(method, headers.get("authorization", ""))

    def _answer(self, method: str, headers: Mapping[str, str]) -> bytes:
        count = f"CSeq: {headers.get('cseq', '0')}"
        if method == "OPTIONS":
            return _message("200 OK", count, f"Public: {METHODS}")
        if self._login is not None and not self._allows(method, headers):
            return _message("401 Unauthorized", count, f"WWW-Authenticate: {self._login.challenge}")
        if method == "DESCRIBE" and not headers["url"].rstrip("/").endswith(f"/{self.path}"):
            return _message("404 Not Found", count)
        if method == "DESCRIBE":
            kind = "Content-Type: application/sdp"
            return _message("200 OK", count, kind, f"Content-Base: {self.url}/", body=SDP)
        if method == "SETUP" and "TCP" not in headers.get("transport", ""):
            return _message("461 Unsupported Transport", count)
        if method == "SETUP":
            way = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"
            return _message("200 OK", count, way, "Session: 1;timeout=60")
        return _message("200 OK", count, "Session: 1;timeout=60")

    async def _leave(self) -> None:
        await self.vanish()
        self.thaw()
        await asyncio.gather(*self._sessions)


SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
    "a=control:track0\r\n"
)


class _Packets(asyncio.DatagramProtocol):
    def __init__(self, camera: RtspCameraSimulator, channel: int) -> None:
        self._camera = camera
        self._channel = channel

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._camera.pass_on(self._channel, data)


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]] | None:
    """Return method and headers of the next request, None at the end of the connection."""
    while (first := await reader.read(1)) == b"$":  # a viewer's RTCP
        channel_and_size = await reader.readexactly(3)
        await reader.readexactly(int.from_bytes(channel_and_size[1:], "big"))
    if not first:
        return None
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().splitlines()
    method, url, _ = head[0].split(" ", 2)
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head)}
    await reader.readexactly(int(headers.get("content-length", "0")))
    return method, headers | {"url": url}


def _message(status: str, *headers: str, body: str = "") -> bytes:
    size = (f"Content-Length: {len(body)}",) if body else ()
    return ("\r\n".join((f"RTSP/1.0 {status}", *headers, *size)) + "\r\n\r\n" + body).encode()


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
