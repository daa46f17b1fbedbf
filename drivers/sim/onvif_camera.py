"""A PTZ camera on loopback that speaks ONVIF, remembers what it was told, and can misbehave.

Answers are shaped after the ONVIF WSDLs; logins are checked as cameras do: a WS-UsernameToken is
refused when its time is more than 5 s from the camera's own, or when its nonce was seen before.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Literal, Self

from aiohttp import web

from drivers.sim.http_digest import DigestLogin
from drivers.sim.onvif_answers import (
    Refusal,
    Told,
    capabilities,
    date_and_time,
    device_information,
    fault,
    message,
    presets,
    profiles,
    ptz_capabilities,
    read,
    services,
    status,
    stream_uri,
)
from drivers.wire.onvif import CONTENT_TYPE, password_digest

Trouble = Literal[
    "none", "slow", "soap_fault", "unauthorized", "hang_up", "silence", "rubbish", "huge"
]
TOLERANCE = 5.0
"""Seconds by which a token's time may differ from the camera's."""


@dataclass(slots=True, kw_only=True, eq=False)
class OnvifCameraSimulator:
    """`async with OnvifCameraSimulator() as camera: camera.host`. All times in seconds."""

    presets: tuple[str, ...] = ("lobby", "gate", "evacuation")
    username: str = "warden"
    password: str = "secret"  # noqa: S105 - of a simulator
    login: Literal["token", "http_digest"] = "token"
    skew: float = 0.0
    """The camera's clock minus the real one."""
    travel: float = 0.3
    """How long every move takes."""
    move_status: Literal["told", "absent", "unknown"] = "told"
    old: bool = False
    """True: knows no GetServices, as cameras before 2011."""
    told_host: str | None = None
    """The host it names in its addresses; None: the one it is asked at."""
    trouble: Trouble = "none"
    delay: float = 1.0
    """How slow `slow` is."""
    port: int = 0
    """0: any free one."""
    stream: str | None = None
    """The RTSP address it names; None: it knows of none."""

    went: list[tuple[float, str]] = field(default_factory=list, init=False)
    """Loop time and preset of every accepted GotoPreset, oldest first."""
    asked: list[str] = field(default_factory=list, init=False)
    """Every operation it was asked for, also those it refused."""
    _tokens: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _nonces: set[bytes] = field(default_factory=set, init=False, repr=False)
    _login: DigestLogin | None = field(default=None, init=False, repr=False)
    _running: AsyncExitStack | None = field(default=None, init=False, repr=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    @property
    def host(self) -> str:
        """`host:port`, as the driver's setting takes it."""
        return f"127.0.0.1:{self.port}"

    def reboot(self) -> None:
        """Come back on 1 Jan 2000, as without a battery, with the tokens dealt out anew."""
        first, *others = self._tokens.values()
        self._tokens = dict(zip(self._tokens, [*others, first], strict=True))
        self.skew = (datetime(2000, 1, 1, tzinfo=UTC) - datetime.now(UTC)).total_seconds()

    def forget_tokens(self) -> None:
        """Name every preset by a token that was never used before; the names stay."""
        self._tokens = {f"{token}_": name for token, name in self._tokens.items()}

    async def until_asked(self, operation: str, times: int = 1) -> None:
        """Wait until it has been asked for `operation` so often."""
        while self.asked.count(operation) < times:
            self._changed.clear()
            await self._changed.wait()

    async def __aenter__(self) -> Self:
        self._tokens = {f"preset_{n}": name for n, name in enumerate(self.presets, 1)}
        app = web.Application()
        app.router.add_post("/onvif/{service}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        async with AsyncExitStack() as stack:
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
            await site.start()
            self.port = runner.addresses[0][1]
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

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        told = read(await request.read())
        self.asked.append(told.operation)
        self._changed.set()
        if self.trouble == "silence":
            await asyncio.Event().wait()
        if self.trouble == "slow":
            await asyncio.sleep(self.delay)
        if self.trouble == "hang_up":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if self.trouble == "rubbish":
            return web.Response(body=b"\xff\xfe<html>502 <b>Bad Gateway", content_type="text/html")
        if self.trouble == "huge":
            return web.Response(body=b" " * 3_000_000)
        if self.trouble == "unauthorized":
            return self._challenge_for_login()
        if self.trouble == "soap_fault":
            return _fault(500, "Receiver", "Action", "the camera is busy")
        if told.operation != "GetSystemDateAndTime":
            if self.login == "http_digest" and not self._knows(request):
                return self._challenge_for_login()
            if self.login == "token" and not self._trusts(told):
                return _fault(400, "Sender", "NotAuthorized", "Sender not Authorized")
        try:
            body = self._do(told, request.host)
        except Refusal as refusal:
            return _fault(
                500 if refusal.codes[0] == "Receiver" else 400, *refusal.codes, str(refusal)
            )
        return _message(body)

    def _do(self, told: Told, host: str) -> str:
        match told.operation:
            case "GetSystemDateAndTime":
                return date_and_time(self._now())
            case "GetDeviceInformation":
                return device_information()
            case "GetServices" if not self.old:
                return services(self.told_host or host)
            case "GetCapabilities":
                return capabilities(self.told_host or host)
            case "GetProfiles":
                return profiles()
            case "GetStreamUri" if self.stream is not None:
                return stream_uri(self.stream)
            case "GetServiceCapabilities":
                return ptz_capabilities(move_status=self.move_status != "absent")
            case "GetPresets":
                return presets(self._tokens)
            case "GotoPreset":
                return self._go(told.arguments.get("PresetToken", ""))
            case "GetStatus":
                return status(self._moving(), self._now())
        raise Refusal("the camera does not know this", "Receiver", "ActionNotSupported")

    def _go(self, token: str) -> str:
        if token not in self._tokens:
            raise Refusal(
                "the requested preset token does not exist", "Sender", "InvalidArgVal", "NoToken"
            )
        self.went.append((asyncio.get_running_loop().time(), self._tokens[token]))
        return '<GotoPresetResponse xmlns="http://www.onvif.org/ver20/ptz/wsdl"/>'

    def _moving(self) -> Literal["IDLE", "MOVING", "UNKNOWN"] | None:
        if self.move_status != "told":
            return "UNKNOWN" if self.move_status == "unknown" else None
        since = self.went[-1][0] if self.went else None
        now = asyncio.get_running_loop().time()
        # a motor starts a moment after the order
        moves = since is not None and min(0.1, self.travel / 4) <= now - since < self.travel
        return "MOVING" if moves else "IDLE"

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.skew)

    def _trusts(self, told: Told) -> bool:
        if told.username != self.username or told.created is None:
            return False
        late = abs((told.created - self._now()).total_seconds())
        if late > TOLERANCE or told.nonce in self._nonces:
            return False
        self._nonces.add(told.nonce)
        return told.digest == password_digest(told.nonce, told.stamp, self.password)

    def _challenge_for_login(self) -> web.Response:
        challenge = {"WWW-Authenticate": self._digest.challenge}
        return web.Response(status=401, headers=challenge)

    def _knows(self, request: web.Request) -> bool:
        return self._digest.knows(request.method, request.headers.get("Authorization", ""))

    @property
    def _digest(self) -> DigestLogin:
        if self._login is None:
            self._login = DigestLogin(self.username, self.password)
        return self._login


def _message(body: str, status_code: int = 200) -> web.Response:
    return web.Response(
        status=status_code, body=message(body), headers={"Content-Type": CONTENT_TYPE}
    )


def _fault(status_code: int, *codes_and_reason: str) -> web.Response:
    *codes, reason = codes_and_reason
    return _message(fault(tuple(codes), reason), status_code)
