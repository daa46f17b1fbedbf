"""An ONVIF camera that turns to presets, by the names they have on the camera, and keeps clips.

Speaks its own small SOAP (`drivers.wire.onvif`): onvif-zeep-async costs 36 MB, halts the event loop
for 20-30 ms while it is imported even in a thread, sets up the root logger, and knows no HTTP
digest for services. It checks the simulator in the tests instead.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

from drivers.commands import Command, Goto, RecordClip
from drivers.contract import (
    CommandFailed,
    Driver,
    Emit,
    House,
    LinkLost,
    SettingError,
    WireError,
)
from drivers.settings import Seconds, Secret
from drivers.signals import (
    CameraArrived,
    InputFault,
    InputRestored,
    LinkUp,
    RecordingConfirmed,
    RecordingMissing,
    Signal,
)
from drivers.wire.onvif import (
    MEDIA,
    PTZ,
    STREAM_SETUP,
    Request,
    SoapFault,
    move_status,
    preset_tokens,
    ptz_profile,
    stream_address,
    tells_move_status,
)
from drivers.wire.onvif_client import AccessDenied, OnvifClient, connect
from drivers.wire.video import Video, is_stream

CHECK_EVERY = 30.0
"""Seconds between two looks at an idle camera; each also reads its presets anew."""
POLL = 0.15
"""Seconds between two questions whether it still moves."""
START_GRACE = 0.5
"""Seconds in which a camera that was told to go may still say that it stands."""
REBOOT_SKEW = timedelta(seconds=10)
"""A camera whose clock jumped by so much was restarted, and its tokens may mean other presets."""
LONGEST_TRAVEL = 30.0
"""Seconds in which a camera must arrive."""
VIDEO = "video"
SEGMENT = 2.0
"""Seconds of a piece of video, at least."""
VIDEO_RETRY = 5.0
"""Seconds until a lost stream is asked for again."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(\d{1,5}))?")

Proof = Literal["move_status", "settle_time"]


@dataclass(slots=True, kw_only=True)
class _Connection:
    """What is known of the camera while it is connected."""

    client: OnvifClient
    emit: Emit
    profile: str
    tells_move: bool
    presets: dict[str, str]
    """Name to token."""


@dataclass(slots=True, kw_only=True, eq=False)
class OnvifCamera(Driver):
    """A PTZ camera. `goto` is confirmed when the camera stands at the preset.

    It keeps a ring of video as a recorder does; a stream that is lost is an input that can't be
    trusted, and turns the camera all the same.
    """

    says: ClassVar[frozenset[type[Signal]]] = frozenset(
        {CameraArrived, RecordingConfirmed, RecordingMissing}
    )
    accepts: ClassVar[frozenset[type[Command]]] = frozenset({Goto, RecordClip})

    host: str
    """`10.0.4.51` or `10.0.4.51:8080`."""
    username: str
    password: Secret
    home: str | None = None
    """The preset it goes back to when the last order ends; None: it stays."""
    settle: Seconds = Seconds(3.0)
    """How long a camera that can't say whether it moves is given to arrive."""
    stream: str = "auto"
    """`rtsp://10.0.4.51/stream1`; `auto`: the one that the camera names; `off`: no video."""
    ring: Seconds = Seconds(60.0)
    """How much video is kept on disk for orders to come."""

    _folder: Path | None = field(default=None, init=False, repr=False)
    _video: Video | None = field(default=None, init=False, repr=False)
    _connection: _Connection | None = field(default=None, init=False, repr=False)
    _doubt: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    def __post_init__(self) -> None:
        found = _HOST.fullmatch(self.host)
        if found is None and "@" in self.host:
            raise SettingError("host", "no user and no password in an address", "write 10.0.4.51")
        if found is None:
            raise SettingError(
                "host", f"{self.host!r} is no host", "write 10.0.4.51 or 10.0.4.51:8080"
            )
        if found[3] is not None and not 0 < int(found[3]) < 65536:
            raise SettingError("host", f"{found[3]} is no port: 1 to 65535")
        if not 0 < self.settle <= LONGEST_TRAVEL:
            raise SettingError("settle", f"settle must be above 0s and at most {LONGEST_TRAVEL:g}s")
        if self.home == "":
            raise SettingError("home", "home is empty", "leave it out, or name a preset")
        if self.stream not in ("auto", "off") and not is_stream(self.stream):
            hint = "write auto, off, or rtsp://10.0.4.51/stream1 without a login"
            raise SettingError("stream", f"{self.stream!r} is no RTSP address", hint)
        if not 3 * SEGMENT <= self.ring <= 3600:
            raise SettingError("ring", f"ring must be {3 * SEGMENT:g}s to 1h")

    def attach(self, house: House) -> None:
        self._folder = house.folder("video")

    async def run(self, emit: Emit) -> None:
        async with connect(self.host, self.username, self.password) as client:
            with _as_driver_errors(self.host):
                connection = await self._look(client, emit)
                self._video = await self._filmed(connection)
            self._connection = connection
            self._doubt.clear()
            tasks = [asyncio.create_task(self._keep(connection))]
            if self._video is not None:
                tasks.append(asyncio.create_task(self._film(self._video, emit)))
            try:
                await emit(LinkUp())
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                self._connection = None
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    async def _filmed(self, connection: _Connection) -> Video | None:
        """Return the ring of the camera's video; None when there is none."""
        url = self.stream
        if self._folder is None or url == "off":
            return None
        if url == "auto":
            asked = Request(
                service=MEDIA,
                operation="GetStreamUri",
                before=STREAM_SETUP,
                arguments=(("ProfileToken", connection.profile),),
            )
            try:
                found = await connection.client.call(asked)
            except SoapFault:
                return None
            named = _HOST.fullmatch(self.host)
            url = stream_address(found, named[1]) if named else ""
        if not is_stream(url):
            return None
        if self._video is not None and self._video.url == url:
            return self._video
        return Video(
            url=url,
            username=self.username,
            password=self.password,
            ring=self.ring,
            segment=SEGMENT,
            folder=self._folder,
        )

    async def _film(self, video: Video, emit: Emit) -> None:
        """Keep the ring for as long as the camera is connected."""
        lost = False

        async def heard(signal: Signal) -> None:
            nonlocal lost
            if not isinstance(signal, LinkUp):
                await emit(signal)
            elif lost:
                lost = False
                await emit(InputRestored(input=VIDEO))

        while True:
            try:
                await video.run(heard)
            except LinkLost as reason:
                if not lost:
                    lost = True
                    await emit(InputFault(input=VIDEO, reason=str(reason)))
            await asyncio.sleep(VIDEO_RETRY)

    async def perform(self, command: Command) -> None:
        if isinstance(command, RecordClip):
            if self._video is None:
                raise CommandFailed("the camera names no video stream: set stream:")
            self._video.record(command)
            return
        if not isinstance(command, Goto):
            await Driver.perform(self, command)
            return
        connection = self._connection
        if connection is None:
            raise CommandFailed("the camera is not connected")
        started = asyncio.get_running_loop().time()
        try:
            await self._send_to(connection, command.preset)
            proof = await self._arrive(connection, started)
        except (LinkLost, WireError, AccessDenied) as error:
            self._doubt.set()
            raise CommandFailed(str(error)) from error
        except SoapFault as fault:
            raise CommandFailed(f"the camera refused to go to {command.preset!r}: {fault}") from (
                fault
            )
        seconds = asyncio.get_running_loop().time() - started
        await connection.emit(
            CameraArrived(preset=command.preset, proof=proof, seconds=round(seconds, 3))
        )

    def rest(self) -> Command | None:
        return Goto(preset=self.home) if self.home else None

    async def _look(self, client: OnvifClient, emit: Emit) -> _Connection:
        await client.find_services()
        if not client.offers(MEDIA) or not client.offers(PTZ):
            raise LinkLost(f"{self.host}: the camera offers no ONVIF PTZ service")
        found = await client.call(Request(service=MEDIA, operation="GetProfiles"))
        profile = ptz_profile(found)
        if profile is None:
            raise LinkLost(f"{self.host}: no media profile of the camera has PTZ")
        try:
            found = await client.call(Request(service=PTZ, operation="GetServiceCapabilities"))
            tells_move = tells_move_status(found)
        except SoapFault:
            tells_move = False
        presets = await _presets(client, profile)
        return _Connection(
            client=client, emit=emit, profile=profile, tells_move=tells_move, presets=presets
        )

    async def _keep(self, connection: _Connection) -> None:
        """Look at the camera from time to time until it is gone."""
        while True:
            try:
                async with asyncio.timeout(CHECK_EVERY):
                    await self._doubt.wait()
            except TimeoutError:
                pass
            self._doubt.clear()
            with _as_driver_errors(self.host):
                connection.presets = await _presets(connection.client, connection.profile)

    async def _send_to(self, connection: _Connection, preset: str) -> None:
        """Tell it to go, by what its presets are called now."""
        sent, skew = connection.presets.get(preset), connection.client.skew
        if sent is not None:
            try:
                await self._goto(connection, sent)
            except SoapFault as fault:
                if not {"NoToken", "InvalidArgVal"}.intersection(fault.codes):
                    raise
                sent = None
            else:
                if abs(connection.client.skew - skew) < REBOOT_SKEW:
                    return
        connection.presets = await _presets(connection.client, connection.profile)
        if preset not in connection.presets:
            known = ", ".join(sorted(connection.presets)) or "none"
            raise CommandFailed(f"the camera has no preset {preset!r}; it has: {known}")
        if connection.presets[preset] != sent:
            await self._goto(connection, connection.presets[preset])

    async def _goto(self, connection: _Connection, token: str) -> None:
        where = (("ProfileToken", connection.profile), ("PresetToken", token))
        await connection.client.call(Request(service=PTZ, operation="GotoPreset", arguments=where))

    async def _arrive(self, connection: _Connection, started: float) -> Proof:
        """Return, once the camera stands, how that is known."""
        loop = asyncio.get_running_loop()
        told, moved, says = loop.time(), False, connection.tells_move
        status = Request(
            service=PTZ, operation="GetStatus", arguments=(("ProfileToken", connection.profile),)
        )
        while says:
            await asyncio.sleep(POLL)
            now = move_status(await connection.client.call(status))
            moved = moved or now == "MOVING"
            if now == "IDLE" and (moved or loop.time() - told >= START_GRACE):
                return "move_status"
            if loop.time() - started > LONGEST_TRAVEL:
                raise CommandFailed(f"the camera still moves after {LONGEST_TRAVEL:g} s")
            # UNKNOWN is what a camera says that could not find out
            says = now != "UNKNOWN" or loop.time() - told < START_GRACE
        await asyncio.sleep(max(0.0, told + self.settle - loop.time()))
        return "settle_time"


async def _presets(client: OnvifClient, profile: str) -> dict[str, str]:
    found = await client.call(
        Request(service=PTZ, operation="GetPresets", arguments=(("ProfileToken", profile),))
    )
    return preset_tokens(found)


@contextmanager
def _as_driver_errors(host: str) -> Iterator[None]:
    """Say a refused login or request as the lost link that it is; the wording stays."""
    try:
        yield
    except AccessDenied as error:
        raise LinkLost(str(error)) from error
    except SoapFault as fault:
        raise LinkLost(f"{host}: the camera refused to answer: {fault}") from fault


DRIVER = OnvifCamera
