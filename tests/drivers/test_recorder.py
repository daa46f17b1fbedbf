"""The recorder with a real ffmpeg against the simulated RTSP camera, in real time."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.commands import RecordClip, Silence
from drivers.contract import CommandFailed, LinkLost, SettingError
from drivers.recorder import Recorder
from drivers.settings import Seconds, Secret
from drivers.signals import LinkUp, RecordingConfirmed, RecordingMissing, Signal
from drivers.sim.recorder import RtspCameraSimulator
from drivers.sim.wires import MemoryHouse

PATIENCE = 30.0  # seconds that a busy machine may take


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
        """Wait until that many segments have been finished since the link came up."""
        ring = _folder(self.driver) / "ring"
        async with asyncio.timeout(PATIENCE):
            while not list(ring.glob(f"*-{count:06d}.ts")):
                await asyncio.sleep(0.05)


def _folder(driver: Recorder) -> Path:
    assert driver._video is not None
    return driver._video.folder


def recorder(url: str, folder: Path, **more: object) -> Recorder:
    lengths = {"segment": Seconds(0.5), "ring": Seconds(30.0)}
    driver = Recorder(url=url, **{**lengths, **more})  # type: ignore[arg-type]
    driver.attach(MemoryHouse(folder))
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
        async with RtspCameraSimulator(gop=5, username="warden", password="p%w'@:/x") as camera:
            driver = recorder(
                camera.url,
                tmp_path,
                username="warden",
                password=Secret("p%w'@:/x"),
                ring=Seconds(1.5),
            )
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await hearing.has(5)
                ordered = datetime.now(UTC)
                await driver.perform(RecordClip(before=Seconds(1.0), duration=Seconds(2.0)))
                done = await hearing.next(RecordingConfirmed)
                assert isinstance(done, RecordingConfirmed)
                clip = tmp_path / "video" / "clips" / done.clip
                assert clip.stat().st_size == done.size
                assert hashlib.sha256(clip.read_bytes()).hexdigest() == done.sha256
                assert 1.0 <= done.before <= 2.4
                assert 3.0 <= done.duration <= 5.1
                pictures, seconds = probe(clip)
                assert abs(seconds - done.duration) < 0.3
                assert abs(pictures - 15 * done.duration) <= 3
                about = json.loads(clip.with_suffix(".json").read_text())
                ago = ordered - datetime.fromisoformat(about["segments"][0]["start"])
                assert abs(ago.total_seconds() - done.before) < 0.5
                assert "warden" not in clip.with_suffix(".json").read_text()
                async with asyncio.timeout(PATIENCE):  # what no clip needs leaves the ring
                    while list((tmp_path / "video" / "ring").glob("*-000001.ts")):
                        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_second_order_while_a_clip_runs_extends_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with RtspCameraSimulator(gop=5) as camera:
            driver = recorder(camera.url, tmp_path)
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await hearing.has(4)
                await driver.perform(RecordClip(before=Seconds(0.0), duration=Seconds(0.5)))
                await driver.perform(RecordClip(before=Seconds(1.0), duration=Seconds(2.0)))
                done = await hearing.next(RecordingConfirmed)
                assert isinstance(done, RecordingConfirmed)
                assert done.duration >= 3.0
                assert len(list((tmp_path / "video" / "clips").glob("*.ts"))) == 1

    asyncio.run(main())


def test_what_was_before_the_first_picture_is_missing_and_the_rest_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with RtspCameraSimulator(gop=5) as camera:
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
        async with RtspCameraSimulator(gop=5) as camera:
            driver = recorder(camera.url, tmp_path)
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await hearing.has(4)
                await driver.perform(RecordClip(before=Seconds(0.5), duration=Seconds(3.0)))
                await camera.vanish()
                assert await hearing.lost() == f"127.0.0.1:{camera.port} ended the stream"
                with pytest.raises(CommandFailed, match="no video from the camera now"):
                    await driver.perform(RecordClip(before=Seconds(0.5), duration=Seconds(3.0)))
                await asyncio.sleep(1.0)  # how long the camera is away
                await camera.appear()
                hearing.again()
                await hearing.next(LinkUp, 2)
                done = await hearing.next(RecordingMissing)
                assert isinstance(done, RecordingMissing)
                assert done.reason.endswith("s within are missing")
                assert done.clip is not None
                pictures, seconds = probe(tmp_path / "video" / "clips" / done.clip)
                assert pictures >= 20
                assert 3 < seconds < 12

    asyncio.run(main())


def test_a_frozen_camera_is_a_lost_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.wire.video.SOCKET_LIMIT", 1.0)

    async def main() -> None:
        async with (
            RtspCameraSimulator(gop=5) as camera,
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
    monkeypatch.setattr("drivers.wire.video.STILL", 1.5)

    async def main() -> None:
        async with (
            RtspCameraSimulator(gop=5) as camera,
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
        async with RtspCameraSimulator(gop=5) as camera:
            driver = recorder(camera.url, tmp_path)
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                await hearing.has(5)
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
        async with RtspCameraSimulator(gop=5, username="warden") as camera:
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
    monkeypatch.setattr("drivers.wire.video.SOCKET_LIMIT", 1.0)

    async def main() -> None:
        async with RtspCameraSimulator(gop=5) as camera:
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
        async with RtspCameraSimulator(gop=5, username="warden", password="hunter2") as camera:
            driver = recorder(camera.url, tmp_path, username="warden", password=Secret("hunter2"))
            async with recording(driver) as hearing:
                await hearing.next(LinkUp)
                (line,) = command_lines(tmp_path).values()
                assert b"hunter2" not in line
                assert b"warden" not in line
                assert "hunter2" not in repr(driver)
            assert command_lines(tmp_path) == {}

    asyncio.run(main())


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
