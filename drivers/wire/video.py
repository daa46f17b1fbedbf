"""One camera's video: a ring of RTSP segments on disk, and clips out of it when ordered.

An ffmpeg child copies the picture, never decoded and without sound, into short MPEG-TS segments
that begin with a key frame. A clip is its segments' bytes one after the other. The login goes to
ffmpeg through a pipe, so it is in no process list, file or log.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from drivers.commands import RecordClip
from drivers.contract import CommandFailed, Emit, LinkLost
from drivers.settings import Secret
from drivers.signals import LinkUp, RecordingConfirmed, RecordingMissing, Signal
from drivers.wire.clips import clear, drop, write_clip
from drivers.wire.ffmpeg import child, why
from drivers.wire.segments import Entry, Ring, Segment, Stretch, entry, missing

FIRST_PICTURE = 15.0
"""Seconds in which a camera must begin to send."""
STILL = 10.0
"""Seconds without a packet after which the camera is gone; ffmpeg itself should say so before."""
SOCKET_LIMIT = 3.0
"""Seconds after which ffmpeg gives up a silent connection and closes its last segment."""
LATE = 10.0
"""Seconds after a clip is due in which its last segment must be there."""
LAST_WORDS = 2.0
"""Seconds in which an ffmpeg that was told to stop may close its last segment."""
_URL = re.compile(r"rtsps?://[^\s'\\@]+")


@dataclass(slots=True, kw_only=True)
class _Clip:
    """A clip that was ordered; times are loop times."""

    ordered: float
    start: float
    due: float


@dataclass(slots=True, kw_only=True, eq=False)
class Video:
    """The ring of one camera. `record` is done when the clip is sure to be cut."""

    url: str
    """As `is_stream` takes it: without user name and password."""
    username: str | None
    password: Secret | None
    ring: float
    """Seconds of video kept on disk for orders to come."""
    segment: float
    """Seconds of a piece, at least."""
    folder: Path

    _began: float | None = field(default=None, init=False, repr=False)
    _video: Ring = field(default_factory=Ring, init=False, repr=False)
    _wanted: _Clip | None = field(default=None, init=False, repr=False)
    _cutting: _Clip | None = field(default=None, init=False, repr=False)
    _cut: asyncio.Task[None] | None = field(default=None, init=False, repr=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _link: bool = field(default=False, init=False, repr=False)

    async def run(self, emit: Emit) -> None:
        """Keep the ring until the camera or ffmpeg ends; says LinkUp when pictures come.

        Raises:
            LinkLost: always, in the end.
        """
        loop = asyncio.get_running_loop()
        ring, clips = self.folder / "ring", self.folder / "clips"
        if self._began is None:
            await asyncio.to_thread(clear, ring, clips)
            self._began = loop.time()
        # time stamps go on over lost links, so that a clip over a gap can be played
        stretch = Stretch(begins=round(loop.time() - self._began, 3) + 1)
        finisher = asyncio.create_task(self._finish_clips(clips, emit), name=f"clips {self._where}")
        try:
            await self._follow(stretch, ring, emit)
        except asyncio.CancelledError:
            await self._stop(finisher)
            if self._wanted is not None:
                await self._keep(self._wanted, clips, emit)
            raise
        finally:
            await self._stop(finisher)

    def record(self, command: RecordClip) -> None:
        """Have a clip cut; what became of it is said as a signal.

        Raises:
            CommandFailed: no pictures come now, or the clip has no length.
        """
        if command.before < 0 or command.duration <= 0:
            raise CommandFailed("a clip needs a positive length")
        now = asyncio.get_running_loop().time()
        start, due = now - command.before, now + command.duration
        if self._wanted is None:
            self._wanted = _Clip(ordered=now, start=start, due=due)
        else:
            self._wanted.start = min(self._wanted.start, start)
            self._wanted.due = max(self._wanted.due, due)
        self._changed.set()
        if not self._link:
            raise CommandFailed("no video from the camera now; what there is will be kept")

    @property
    def _where(self) -> str:
        return _host(self.url)

    async def _follow(self, stretch: Stretch, ring: Path, emit: Emit) -> None:
        """Fill the ring until the camera or ffmpeg ends.

        Raises:
            LinkLost: always, in the end.
        """
        errors: deque[str] = deque(maxlen=20)
        async with child(*self._arguments(stretch, ring), stdin=self._script()) as process:
            listener = asyncio.create_task(_listen(process.errors, errors))
            try:
                silent = await self._fill(process.told, stretch, ring, emit)
            finally:
                seen, self._link = self._link, False
                process.ask_to_stop()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_WORDS):
                        async for line in process.told:
                            self._take(line, stretch, ring)
                listener.cancel()
                await asyncio.gather(listener, return_exceptions=True)
        raise LinkLost(silent or why(errors, self._where, seen=seen))

    async def _fill(
        self, told: asyncio.StreamReader, stretch: Stretch, ring: Path, emit: Emit
    ) -> str:
        """Return what is wrong when no packets come any more, empty when ffmpeg ended."""
        loop = asyncio.get_running_loop()
        heard, limit, position = loop.time(), FIRST_PICTURE, b""
        while True:
            try:
                async with asyncio.timeout_at(heard + limit):
                    line = await told.readline()
            except TimeoutError:
                return f"{self._where} sent nothing for {limit:g} s"
            if not line:
                return ""
            if line.startswith(b"out_time_us=") and line != position and b"N/A" not in line:
                position, heard = line, loop.time()
                if not self._link:
                    self._link, limit = True, STILL
                    await emit(LinkUp())
            elif self._take(line, stretch, ring):
                await self._trim()

    def _take(self, line: bytes, stretch: Stretch, ring: Path) -> Entry | None:
        found = entry(line.decode("ascii", "replace"))
        if found is not None:
            now = asyncio.get_running_loop().time()
            self._video.add(found, stretch, ring, now, datetime.now(UTC))
            self._changed.set()
        return found

    async def _trim(self) -> None:
        """Delete what is older than the ring and in no clip."""
        oldest = asyncio.get_running_loop().time() - self.ring - self.segment
        held = [clip.start for clip in (self._wanted, self._cutting) if clip is not None]
        dropped = self._video.drop_before(min([oldest, *held]))
        if dropped:
            await asyncio.to_thread(drop, dropped)

    async def _finish_clips(self, clips: Path, emit: Emit) -> None:
        """Cut each clip as soon as its last segment is there, or `LATE` after it is due."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            clip = self._wanted
            if clip is not None and (
                self._video.reaches(clip.due) or loop.time() >= clip.due + LATE
            ):
                self._cut = asyncio.create_task(self._keep(clip, clips, emit))
                await asyncio.shield(self._cut)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout_at(clip.due + LATE if clip else None):
                    await self._changed.wait()

    async def _stop(self, finisher: asyncio.Task[None]) -> None:
        """End the finisher, but not the clip that it is writing."""
        finisher.cancel()
        await asyncio.wait({finisher})
        if self._cut is not None:
            await asyncio.wait({self._cut})
        if not finisher.cancelled():
            finisher.result()

    async def _keep(self, clip: _Clip, clips: Path, emit: Emit) -> None:
        """Write `clip` to disk and say what became of it."""
        self._wanted, self._cutting = None, clip
        try:
            await emit(await self._written(clip, clips))
        finally:
            self._cutting = None

    async def _written(self, clip: _Clip, clips: Path) -> Signal:
        segments = self._video.between(clip.start, clip.due)
        lacks = missing(segments, clip.start, clip.due)
        if not segments:
            return RecordingMissing(reason=lacks)
        name = f"{secrets.token_hex(8)}.ts"
        before = round(max(0.0, clip.ordered - segments[0].start), 3)
        duration = round(sum(s.last - s.first for s in segments), 3)
        about = {
            "url": self.url,
            "before": before,
            "duration": duration,
            "missing": lacks,
            "segments": [_described(s) for s in segments],
        }
        try:
            size, sha256 = await asyncio.to_thread(
                write_clip, clips / name, [s.path for s in segments], json.dumps(about, indent=1)
            )
        except OSError as error:
            return RecordingMissing(reason=f"the clip could not be written: {error.strerror}")
        if lacks:
            return RecordingMissing(reason=lacks, clip=name)
        return RecordingConfirmed(
            clip=name, before=before, duration=duration, size=size, sha256=sha256
        )

    def _arguments(self, stretch: Stretch, ring: Path) -> list[str]:
        names = ring / f"{secrets.token_hex(4)}-%06d.ts"
        return [
            *("-nostdin", "-loglevel", "error", "-stats_period", "0.5", "-progress", "pipe:1"),
            *("-f", "concat", "-safe", "0"),
            *("-protocol_whitelist", "pipe,rtsp,rtp,tcp,tls", "-i", "pipe:0"),
            *("-map", "0:v:0", "-c", "copy", "-output_ts_offset", f"{stretch.begins:.3f}"),
            *("-f", "segment", "-segment_time", f"{self.segment:g}", "-segment_format", "mpegts"),
            # marks the joints, where a player would else see packets lost
            *("-segment_format_options", "mpegts_flags=initial_discontinuity"),
            *("-segment_list", "pipe:1", "-segment_list_type", "csv", str(names)),
        ]

    def _script(self) -> bytes:
        """Return the list that ffmpeg reads from its pipe, with the login in it."""
        url = self.url
        if self.username is not None and self.password is not None:
            login = f"{quote(self.username, safe='')}:{quote(self.password.reveal(), safe='')}"
            url = url.replace("://", f"://{login.replace(chr(39), '%27')}@", 1)
        return (
            f"ffconcat version 1.0\nfile '{url}'\noption rtsp_transport tcp\n"
            f"option timeout {int(SOCKET_LIMIT * 1e6)}\n"
            "option fpsprobesize 0\noption analyzeduration 1000000\n"
        ).encode()


def is_stream(url: str) -> bool:
    """Return whether `url` is an RTSP address without a login."""
    return _URL.fullmatch(url) is not None and bool(_host(url))


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port or 554}" if parts.hostname else ""
    except ValueError:
        return ""


def _described(segment: Segment) -> dict[str, str | float]:
    return {
        "start": segment.start_at.isoformat(timespec="milliseconds"),
        "monotonic": round(segment.start, 3),
        "seconds": round(segment.last - segment.first, 3),
    }


async def _listen(errors: asyncio.StreamReader, kept: deque[str]) -> None:
    async for line in errors:
        kept.append(line.decode("utf-8", "replace"))
