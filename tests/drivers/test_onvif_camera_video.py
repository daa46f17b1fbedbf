"""Video of an ONVIF camera: the stream it names, the ring, a stream that is lost."""

import asyncio
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from drivers.commands import Goto, RecordClip
from drivers.contract import CommandFailed, SettingError
from drivers.onvif_camera import OnvifCamera
from drivers.settings import Seconds, Secret
from drivers.signals import InputFault, InputRestored, LinkUp, RecordingConfirmed, Signal
from drivers.sim.onvif_camera import OnvifCameraSimulator
from drivers.sim.recorder import RtspCameraSimulator
from drivers.sim.wires import MemoryHouse
from drivers.wire.onvif import stream_address

LIMIT = 60.0
"""Seconds that a busy machine may take over video."""


@asynccontextmanager
async def heard_of(
    driver: OnvifCamera,
) -> AsyncIterator[Callable[[type[Signal]], Awaitable[Signal]]]:
    """Run `driver`; yields what waits for the next signal of a kind."""
    signals: asyncio.Queue[Signal] = asyncio.Queue()
    task = asyncio.create_task(driver.run(signals.put))

    async def said(kind: type[Signal]) -> Signal:
        while not isinstance(found := await signals.get(), kind):
            pass
        return found

    try:
        yield said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_the_address_of_the_stream_is_at_the_host_that_is_configured() -> None:
    def told(uri: str) -> str:
        found = f"<trt:MediaUri><tt:Uri>{uri}</tt:Uri></trt:MediaUri>"
        spaces = 'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tt="urn:tt"'
        return stream_address(ET.fromstring(f"<trt:Answer {spaces}>{found}</trt:Answer>"), "cam")

    assert told("rtsp://192.168.0.9:8554/one?x=1&amp;y=2") == "rtsp://cam:8554/one?x=1&y=2"
    assert told("rtsp://admin:secret@192.168.0.9/one") == "rtsp://cam/one"
    assert told("rtsp://[::1/one") == ""
    assert told("") == ""


@pytest.mark.parametrize("stream", ["rtsp://warden:secret@10.0.4.51/one", "http://cam/one", ""])
def test_a_stream_that_is_no_rtsp_address_is_refused(stream: str) -> None:
    with pytest.raises(SettingError, match="is no RTSP address"):
        OnvifCamera(host="cam", username="warden", password=Secret("secret"), stream=stream)


def test_a_camera_that_names_no_stream_turns_and_refuses_to_record(tmp_path: Path) -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as sim:
            driver = OnvifCamera(host=sim.host, username="warden", password=Secret("secret"))
            driver.attach(MemoryHouse(tmp_path))
            async with asyncio.timeout(LIMIT), heard_of(driver) as said:
                await said(LinkUp)
                with pytest.raises(CommandFailed, match="names no video stream"):
                    await driver.perform(RecordClip())
                await driver.perform(Goto(preset="gate"))

    asyncio.run(main())


def test_a_lost_stream_is_said_and_the_camera_still_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.onvif_camera.VIDEO_RETRY", 0.2)

    async def main() -> None:
        async with (
            RtspCameraSimulator(username="warden") as filming,
            OnvifCameraSimulator(stream=filming.url) as sim,
        ):
            driver = OnvifCamera(host=sim.host, username="warden", password=Secret("secret"))
            driver.attach(MemoryHouse(tmp_path))
            async with asyncio.timeout(LIMIT), heard_of(driver) as said:
                await said(LinkUp)
                while not filming.viewers:
                    await asyncio.sleep(0.05)
                await filming.vanish()
                fault = await said(InputFault)
                assert isinstance(fault, InputFault)
                assert fault.input == "video"
                await driver.perform(Goto(preset="gate"))
                await filming.appear()
                assert await said(InputRestored) == InputRestored(input="video")
                await driver.perform(RecordClip(before=Seconds(0.0), duration=Seconds(1.0)))
                kept = await said(RecordingConfirmed)
                assert isinstance(kept, RecordingConfirmed)
                assert len((tmp_path / "video" / "clips" / kept.clip).read_bytes()) == kept.size

    asyncio.run(main())
