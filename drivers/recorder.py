"""A recorder: keeps the last minute of an RTSP camera on disk, and clips out of it when ordered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from drivers.commands import Command, RecordClip
from drivers.contract import Driver, Emit, House, LinkLost, SettingError
from drivers.settings import Seconds, Secret
from drivers.signals import RecordingConfirmed, RecordingMissing, Signal
from drivers.wire.video import Video, is_stream


@dataclass(slots=True, kw_only=True, eq=False)
class Recorder(Driver):
    """One camera's video. `record` is done when the clip is sure to be cut; a signal follows."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset({RecordingConfirmed, RecordingMissing})
    accepts: ClassVar[frozenset[type[Command]]] = frozenset({RecordClip})

    url: str
    """`rtsp://10.0.4.52/stream1`, without user name and password."""
    username: str | None = None
    password: Secret | None = None
    ring: Seconds = Seconds(60.0)
    """How much video is kept on disk for orders to come."""
    segment: Seconds = Seconds(2.0)
    """How long a piece is, at least; it goes on to the camera's next key frame."""

    _video: Video | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not is_stream(self.url):
            hint = "write rtsp://10.0.4.52/stream1, the login in username and password"
            raise SettingError("url", "this is no RTSP address without a login", hint)
        if (self.username is None) != (self.password is None):
            raise SettingError("password", "username and password belong together")
        if not 0.5 <= self.segment <= 10:
            raise SettingError("segment", "segment must be 500ms to 10s")
        if not 3 * self.segment <= self.ring <= 3600:
            raise SettingError("ring", "ring must be at least three segments and at most 1h")

    def attach(self, house: House) -> None:
        self._video = Video(
            url=self.url,
            username=self.username,
            password=self.password,
            ring=self.ring,
            segment=self.segment,
            folder=house.folder("video"),
        )

    async def run(self, emit: Emit) -> None:
        if self._video is None:
            raise LinkLost("the recorder was lent no folder")
        await self._video.run(emit)

    async def perform(self, command: Command) -> None:
        if not isinstance(command, RecordClip) or self._video is None:
            await Driver.perform(self, command)
            return
        self._video.record(command)


DRIVER = Recorder
