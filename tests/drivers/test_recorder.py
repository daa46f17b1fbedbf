"""The recorder with a real ffmpeg against the simulated RTSP camera, in real time."""

import asyncio
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import RecordClip, Silence
from drivers.contract import CommandFailed, LinkLost, SettingError
from drivers.lines.line import InputLine, OutputLine
from drivers.ports.port import TextPort
from drivers.recorder import Recorder
from drivers.settings import Seconds, Secret
from drivers.signals import LinkUp, RecordingConfirmed, RecordingMissing, Signal
from drivers.sim.recorder import RtspCameraSimulator
from drivers.wire import ffmpeg, segments
from drivers.wire.clips import write_clip
from drivers.wire.segments import Entry, Ring, Segment, Stretch

PATIENCE = 40.0
"""Seconds that a busy machine may take."""


class Flat:
    """A house with a folder and nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def input(self, line: str) -> InputLine:
        raise AssertionError(line)

    def output(self, line: str) -> OutputLine:
        raise AssertionError(line)

    def port(self, name: str) -> TextPort:
        raise AssertionError(name)

    def folder(self, name: str) -> Path:
        found = self.path / name
        found.mkdir(exist_ok=True)
        return found


class Hearing:
    """What a recorder says, for as long as it is run."""

    def __init__(self, driver: Recorder) -> None:
        self.driver = driver
        self.said: list[Signal] = []
        self._more = asyncio.Event()
        self.task = self.again()

    def again(self) -> "asyncio.Task[None]":
        """Run the driver, as a supervisor does after a failure."""
        self.task = asyncio.create_task(self.driver.run(self._hear))
        return self.task

    async def _hear(self, signal: Signal) -> None:
        self.said.append(signal)
        self._more.set()

    async def next(self, kind: type[Signal], times: int = 1) -> Signal:
        """Wait until it has said `kind` so often, and return the last of them."""
        async with asyncio.timeout(PATIENCE):
            while len(found := [s for s in self.said if isinstance(s, kind)]) < times:
                if self.task.done():
                    await self.task
                self._more.clear()
                waiting = asyncio.create_task(self._more.wait())
                await asyncio.wait({waiting, self.task}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
        return found[-1]

    async def lost(self) -> str:
        """Wait until the driver gives up, and return why."""
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(LinkLost) as raised:
                await self.task
        return str(raised.value)

    async def has(self, count: int) -> None:
        """Wait until that many segments have ever been finished and are kept."""
        async with asyncio.timeout(PATIENCE):
            while len(list((_folder(self.driver) / "ring").glob("*.ts"))) <= count:
                await asyncio.sleep(0.05)


def _folder(driver: Recorder) -> Path:
    assert driver._folder is not None
    return driver._folder


def recorder(url: str, folder: Path, **more: object) -> Recorder:
    lengths = {"segment": Seconds(1.0), "ring": Seconds(30.0)}
    driver = Recorder(url=url, **{**lengths, **more})  # type: ignore[arg-type]
    driver.attach(Flat(folder))
    return driver


@asynccontextmanager
async def recording(driver: Recorder) -> AsyncIterator[Hearing]:
    hearing = Hearing(driver)
    try:
        yield hearing
    finally:
        hearing.task.cancel()
        await asyncio.gather(hearing.task, return_exceptions=True)


def probe(clip: Path) -> tuple[int, float]:
    """Decode the whole clip; return pictures and seconds. Fails at the first broken packet."""
    subprocess.run(
        ["ffmpeg", "-v", "error", "-xerror", "-i", str(clip), "-f", "null", "-"],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    what = "format=duration:stream=nb_read_frames"
    found = subprocess.run(
        [
            "ffprobe",
            "-v",
            "error",
            "-count_frames",
            "-of",
            "json",
            "-show_entries",
            what,
            str(clip),
        ],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    told = json.loads(found.stdout)
    return int(told["streams"][0]["nb_read_frames"]), float(told["format"]["duration"])


def test_a_clip_holds_the_time_before_and_after_the_order_and_plays(tmp_path: Path) -> None:
    async def main() -> None:
        async with RtspCameraSimulator(username="warden", password="p%w'@:/x") as camera:
            driver = recorder(
                camera.url,
                tmp_path,
                username="warden",
                password=Secret("p%w'@:/x"),
                ring=Seconds(3.0),
            )
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await hearing.has(3)
                ordered = datetime.now(UTC)
                await driver.perform(RecordClip(before=Seconds(2.0), duration=Seconds(2.0)))
                done = await hearing.next(RecordingConfirmed)
                assert isinstance(done, RecordingConfirmed)
                clip = tmp_path / "video" / "clips" / done.clip
                data = clip.read_bytes()
                assert (len(data), hashlib.sha256(data).hexdigest()) == (done.size, done.sha256)
                assert 2.0 <= done.before <= 3.6
                assert 4.0 <= done.duration <= 6.6
                pictures, seconds = probe(clip)
                assert abs(seconds - done.duration) < 0.3
                assert abs(pictures - 15 * done.duration) <= 3
                about = json.loads(clip.with_suffix(".json").read_text())
                began = datetime.fromisoformat(about["segments"][0]["start"])
                assert abs((ordered - began).total_seconds() - done.before) < 0.5
                assert "warden" not in clip.with_suffix(".json").read_text()
                async with asyncio.timeout(PATIENCE):  # what no clip needs leaves the ring
                    while list((tmp_path / "video" / "ring").glob("*-000001.ts")):
                        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_second_order_while_a_clip_runs_extends_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with RtspCameraSimulator() as camera:
            driver = recorder(camera.url, tmp_path)
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await hearing.has(2)
                await driver.perform(RecordClip(before=Seconds(0.0), duration=Seconds(0.5)))
                await driver.perform(RecordClip(before=Seconds(1.0), duration=Seconds(2.0)))
                done = await hearing.next(RecordingConfirmed)
                assert isinstance(done, RecordingConfirmed)
                assert done.duration >= 3.0
                assert len(list((tmp_path / "video" / "clips").glob("*.ts"))) == 1

    asyncio.run(main())


def test_what_was_before_the_first_picture_is_missing_and_the_rest_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with RtspCameraSimulator() as camera:
            driver = recorder(camera.url, tmp_path)
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await driver.perform(RecordClip(before=Seconds(25.0), duration=Seconds(1.0)))
                done = await hearing.next(RecordingMissing)
                assert isinstance(done, RecordingMissing)
                assert done.reason.startswith("the first 2")
                assert done.clip is not None
                assert probe(tmp_path / "video" / "clips" / done.clip)[0] > 0

    asyncio.run(main())


def test_a_camera_that_hangs_up_in_a_clip_leaves_a_playable_clip_with_its_gap_told(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with RtspCameraSimulator() as camera:
            driver = recorder(camera.url, tmp_path)
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await hearing.has(2)
                await driver.perform(RecordClip(before=Seconds(1.0), duration=Seconds(3.0)))
                await camera.vanish()
                assert await hearing.lost() == f"127.0.0.1:{camera.port} ended the stream"
                with pytest.raises(CommandFailed, match="no video from the camera now"):
                    await driver.perform(RecordClip(before=Seconds(1.0), duration=Seconds(3.0)))
                await camera.appear()
                hearing.again()
                await hearing.next(LinkUp, 2)
                done = await hearing.next(RecordingMissing)
                assert isinstance(done, RecordingMissing)
                assert done.reason.endswith("s within are missing")
                assert done.clip is not None
                pictures, seconds = probe(tmp_path / "video" / "clips" / done.clip)
                assert pictures >= 45
                assert 3 < seconds < 12

    asyncio.run(main())


def test_a_frozen_camera_is_a_lost_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.recorder.SOCKET_LIMIT", 1.0)

    async def main() -> None:
        async with (
            RtspCameraSimulator() as camera,
            recording(recorder(camera.url, tmp_path)) as hearing,
        ):
            await hearing.next(LinkUp)
            camera.freeze()
            frozen = asyncio.get_running_loop().time()
            assert await hearing.lost() == f"127.0.0.1:{camera.port} stopped sending"
            assert asyncio.get_running_loop().time() - frozen < 15

    asyncio.run(main())


def test_an_ffmpeg_that_stalls_without_ending_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.recorder.STILL", 1.5)

    async def main() -> None:
        async with (
            RtspCameraSimulator() as camera,
            recording(recorder(camera.url, tmp_path)) as hearing,
        ):
            await hearing.next(LinkUp)
            (pid,) = command_lines(tmp_path)
            os.kill(pid, signal.SIGSTOP)
            reason = f"127.0.0.1:{camera.port} sent nothing for 1.5 s"
            assert await hearing.lost() == reason
            assert command_lines(tmp_path) == {}

    asyncio.run(main())


def test_a_stop_in_the_middle_of_a_clip_keeps_what_there_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with RtspCameraSimulator() as camera:
            driver = recorder(camera.url, tmp_path)
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await hearing.has(3)
                await driver.perform(RecordClip(before=Seconds(1.0), duration=Seconds(20.0)))
            done = hearing.said[-1]
            assert isinstance(done, RecordingMissing)
            assert done.reason.startswith("the last ")
            assert done.clip is not None
            assert probe(tmp_path / "video" / "clips" / done.clip)[0] >= 15

    asyncio.run(main())


@pytest.mark.parametrize(
    ("path", "password", "reason"),
    [
        ("stream1", "guessed", "refuses this user name or password"),
        ("stream2", "secret", "has no such stream"),
    ],
)
def test_a_wrong_password_and_a_wrong_stream_are_told_apart(
    tmp_path: Path, path: str, password: str, reason: str
) -> None:
    async def main() -> None:
        async with RtspCameraSimulator(username="warden") as camera:
            url = f"rtsp://127.0.0.1:{camera.port}/{path}"
            driver = recorder(url, tmp_path, username="warden", password=Secret(password))
            async with recording(driver) as hearing:
                assert await hearing.lost() == f"127.0.0.1:{camera.port} {reason}"
                assert hearing.said == []

    asyncio.run(main())


def test_an_absent_camera_is_told_apart_from_both(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{taken.getsockname()[1]}"
            async with recording(recorder(f"rtsp://{where}/x", tmp_path)) as hearing:
                assert await hearing.lost() == f"cannot connect to {where}: connection refused"

    asyncio.run(main())


def test_a_frozen_camera_that_takes_connections_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.recorder.SOCKET_LIMIT", 1.0)

    async def main() -> None:
        async with RtspCameraSimulator() as camera:
            camera.freeze()
            async with recording(recorder(camera.url, tmp_path)) as hearing:
                assert f"127.0.0.1:{camera.port}" in await hearing.lost()
                assert hearing.said == []

    asyncio.run(main())


def test_a_machine_without_ffmpeg_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    async def main() -> None:
        async with recording(recorder("rtsp://127.0.0.1/x", tmp_path)) as hearing:
            assert await hearing.lost() == "ffmpeg is not installed: apt install ffmpeg"

    asyncio.run(main())


def command_lines(folder: Path) -> dict[int, bytes]:
    """Return the command lines of the processes that write below `folder`, by process id."""
    found = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            line = (each / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder / "video" / "ring").encode() in line:
            found[int(each.name)] = line
    return found


def test_the_login_is_in_no_process_list_and_ffmpeg_ends_with_the_driver(tmp_path: Path) -> None:
    async def main() -> None:
        async with RtspCameraSimulator(username="warden", password="hunter2") as camera:
            driver = recorder(camera.url, tmp_path, username="warden", password=Secret("hunter2"))
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                (line,) = command_lines(tmp_path).values()
                assert b"hunter2" not in line
                assert b"warden" not in line
                assert "hunter2" not in repr(driver)
            assert command_lines(tmp_path) == {}

    asyncio.run(main())


CHILD = """
import asyncio, sys
from drivers.wire.ffmpeg import child
async def main():
    where = sys.argv[1] + "/video/ring"
    async with child("-loglevel", "quiet", "-re", "-f", "lavfi", "-i", "color=size=16x16:rate=1",
                     "-f", "null", where) as ffmpeg:
        print(ffmpeg.pid, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="util-linux is not installed")
def test_a_daemon_killed_with_minus_nine_leaves_no_ffmpeg_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    ) as daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        watched = os.pidfd_open(pid)
        try:
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
            poll = select.poll()
            poll.register(watched)
            assert poll.poll(PATIENCE * 1000)
        finally:
            os.close(watched)


def test_what_an_earlier_process_left_in_the_ring_is_removed_and_clips_stay(tmp_path: Path) -> None:
    async def main() -> None:
        video = tmp_path / "video"
        (video / "ring").mkdir(parents=True)
        (video / "clips").mkdir()
        for name in ("ring/old.ts", "clips/kept.ts", "clips/half.part"):
            (video / name).write_bytes(b"G")
        async with recording(recorder("rtsp://127.0.0.1:1/x", tmp_path)) as hearing:
            await hearing.lost()
        left = sorted(str(p.relative_to(video)) for p in video.rglob("*") if p.is_file())
        assert left == ["clips/kept.ts"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "more", "setting"),
    [
        ("http://10.0.4.52/x", {}, "url"),
        ("rtsp://user:pw@10.0.4.52/x", {}, "url"),
        ("rtsp:///x", {}, "url"),
        ("rtsp://10.0.4.52/x'\nfile /etc/shadow", {}, "url"),
        ("rtsp://10.0.4.52:99999/x", {}, "url"),
        ("rtsp://10.0.4.52/x", {"username": "u"}, "password"),
        ("rtsp://10.0.4.52/x", {"segment": Seconds(0.1)}, "segment"),
        ("rtsp://10.0.4.52/x", {"ring": Seconds(1.0)}, "ring"),
    ],
)
def test_settings_that_no_recorder_can_have_are_refused(
    url: str, more: dict[str, object], setting: str
) -> None:
    with pytest.raises(SettingError) as raised:
        Recorder(url=url, **more)  # type: ignore[arg-type]
    assert raised.value.setting == setting
    assert "pw" not in str(raised.value)


def test_a_recorder_accepts_nothing_but_record() -> None:
    with pytest.raises(CommandFailed, match="cannot silence"):
        asyncio.run(Recorder(url="rtsp://10.0.4.52/x").perform(Silence()))


# --- segments: pure -----------------------------------------------------------------------


def ring_of(*ends: tuple[float, float, float], begins: float = 0.0) -> tuple[Ring, Stretch]:
    """Return a ring of (first, last, heard at)."""
    ring, stretch = Ring(), Stretch(begins=begins)
    for n, (first, last, now) in enumerate(ends):
        found = Entry(name=f"{n}.ts", first=first, last=last)
        ring.add(found, stretch, Path("/x"), now, datetime(2026, 11, 20, tzinfo=UTC))
    return ring, stretch


def test_the_least_delayed_segment_tells_the_time_of_all() -> None:
    ring, _ = ring_of((0, 2, 104.9), (2, 4, 105.0), (4, 6, 107.2))
    assert [(s.start, s.end) for s in ring.segments] == [(101, 103), (103, 105), (105, 107)]


def test_the_first_segment_begins_where_the_stream_was_made_to_begin() -> None:
    ring, _ = ring_of((0, 502, 102), begins=500.0)
    assert (ring.segments[0].start, ring.segments[0].end) == (100, 102)


def test_a_span_takes_every_segment_it_touches_and_no_other() -> None:
    ring, _ = ring_of((0, 2, 2), (2, 4, 4), (4, 6, 6), (6, 8, 8))
    assert [s.path.name for s in ring.between(2, 4.1)] == ["1.ts", "2.ts"]
    assert [s.path.name for s in ring.between(1.9, 4)] == ["0.ts", "1.ts"]
    assert (ring.reaches(8), ring.reaches(8.1), Ring().reaches(0)) == (True, False, False)
    assert [p.name for p in ring.drop_before(4.0)] == ["0.ts"]
    assert [s.path.name for s in ring.segments] == ["1.ts", "2.ts", "3.ts"]


def test_what_is_missing_is_said_in_seconds() -> None:
    ring, _ = ring_of((0, 2, 12), (2, 4, 14))
    other, _ = ring_of((0, 3, 20))
    kept: list[Segment] = [*ring.segments, *other.segments]
    assert segments.missing([], 0, 9) == "no video of that time"
    assert segments.missing(kept[:2], 10.4, 14) == ""
    assert segments.missing(kept[:2], 9.6, 14) == ""
    assert segments.missing(kept, 9, 21) == (
        "the first 1.0 s are missing, 3.0 s within are missing, the last 1.0 s are missing"
    )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"[a-z0-9./-]{0,9}\.ts,-?[0-9.]{0,9},[0-9.]{0,9}"))
def test_a_line_is_an_entry_with_a_plain_name_or_none(line: str) -> None:
    found = segments.entry(line)
    if found is not None:
        assert "/" not in found.name
        assert 0 <= found.first <= found.last


def test_a_line_of_the_list_is_read() -> None:
    assert segments.entry("a1b2-000007.ts,1006.933333,1007.933333\n") == Entry(
        name="a1b2-000007.ts", first=1006.933333, last=1007.933333
    )
    assert segments.entry("progress=continue\n") is None


def test_a_reason_never_quotes_ffmpeg() -> None:
    said = ["[concat] Impossible to open 'rtsp://warden:hunter2@10.0.4.52/x'", "strange"]
    assert ffmpeg.why(said, "10.0.4.52:554", seen=True) == "10.0.4.52:554 ended the stream"


def test_a_clip_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_clip(tmp_path / "a.ts", [tmp_path / "none.ts"], "{}")
    assert list(tmp_path.iterdir()) == []
