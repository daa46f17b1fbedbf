"""The camera driver against the simulated camera, and the simulator against a foreign client."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers.commands import Goto, Sound
from drivers.contract import CommandFailed, LinkLost, SettingError, WireError
from drivers.onvif_camera import OnvifCamera
from drivers.settings import Seconds, Secret
from drivers.signals import CameraArrived, LinkUp, Signal
from drivers.sim.onvif_camera import OnvifCameraSimulator, Trouble
from tests import virtual_time


class Link:
    """A running driver and what it has said."""

    def __init__(self, driver: OnvifCamera) -> None:
        self.said: list[Signal] = []
        self.up = asyncio.Event()
        self.task = asyncio.create_task(driver.run(self._hear))

    async def _hear(self, signal: Signal) -> None:
        self.said.append(signal)
        if isinstance(signal, LinkUp):
            self.up.set()

    async def end(self) -> str:
        """Wait until the driver gives up, and return why."""
        with pytest.raises((LinkLost, WireError)) as raised:
            async with asyncio.timeout(120):
                await self.task
        return str(raised.value)


def driver_for(camera: OnvifCameraSimulator, password: str = "secret") -> OnvifCamera:
    return OnvifCamera(
        host=camera.host, username="warden", password=Secret(password), settle=Seconds(3.0)
    )


@asynccontextmanager
async def connected(
    camera: OnvifCameraSimulator,
) -> AsyncIterator[tuple[OnvifCamera, Link]]:
    driver = driver_for(camera)
    link = Link(driver)
    try:
        async with asyncio.timeout(60):
            await asyncio.wait(
                {link.task, asyncio.ensure_future(link.up.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
        if link.task.done():
            await link.task
        yield driver, link
    finally:
        link.task.cancel()
        await asyncio.gather(link.task, return_exceptions=True)


def test_a_goto_returns_when_the_camera_stands_and_says_how_it_knows() -> None:
    async def main() -> None:
        async with (
            OnvifCameraSimulator(travel=2.0) as camera,
            connected(camera) as (driver, link),
        ):
            await driver.perform(Goto(preset="gate"))
            assert [preset for _, preset in camera.went] == ["gate"]
            up, arrived = link.said
            assert up == LinkUp()
            assert isinstance(arrived, CameraArrived)
            assert (arrived.preset, arrived.proof) == ("gate", "move_status")
            assert 2.0 <= arrived.seconds < 2.5

    virtual_time.run(main())


def test_a_camera_that_already_stands_there_has_arrived_after_the_grace() -> None:
    async def main() -> None:
        async with (
            OnvifCameraSimulator(travel=0.0) as camera,
            connected(camera) as (driver, link),
        ):
            await driver.perform(Goto(preset="lobby"))
            arrived = link.said[-1]
            assert isinstance(arrived, CameraArrived)
            assert 0.5 <= arrived.seconds < 1.0

    virtual_time.run(main())


@pytest.mark.parametrize("tells", ["absent", "unknown"])
def test_a_camera_that_cannot_say_whether_it_moves_is_given_the_settle_time(tells: str) -> None:
    async def main() -> None:
        simulator = OnvifCameraSimulator(travel=2.0)
        simulator.move_status = "absent" if tells == "absent" else "unknown"
        async with simulator as camera, connected(camera) as (driver, link):
            await driver.perform(Goto(preset="gate"))
            arrived = link.said[-1]
            assert isinstance(arrived, CameraArrived)
            assert arrived.proof == "settle_time"
            assert 3.0 <= arrived.seconds < 3.5

    virtual_time.run(main())


def test_a_camera_that_never_stops_fails_the_order() -> None:
    async def main() -> None:
        async with OnvifCameraSimulator(travel=999) as camera, connected(camera) as (driver, link):
            with pytest.raises(CommandFailed, match="still moves after 30 s"):
                await driver.perform(Goto(preset="gate"))
            assert link.said == [LinkUp()]

    virtual_time.run(main())


def test_a_forgotten_token_is_found_again_by_the_preset_name() -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera, connected(camera) as (driver, _):
            camera.forget_tokens()
            await driver.perform(Goto(preset="evacuation"))
            assert [preset for _, preset in camera.went] == ["evacuation"]
            assert camera.asked.count("GotoPreset") == 2

    virtual_time.run(main())


def test_after_a_reboot_the_next_check_learns_which_token_is_which_preset() -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera, connected(camera) as (driver, _):
            camera.reboot()
            await asyncio.sleep(31)
            await driver.perform(Goto(preset="gate"))
            assert [preset for _, preset in camera.went] == ["gate"]

    virtual_time.run(main())


def test_a_reboot_noticed_by_an_order_still_ends_at_the_right_preset() -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera, connected(camera) as (driver, _):
            camera.reboot()
            await driver.perform(Goto(preset="gate"))
            assert [preset for _, preset in camera.went] == ["evacuation", "gate"]

    virtual_time.run(main())


def test_a_preset_that_the_camera_does_not_have_is_named_with_those_it_has() -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera, connected(camera) as (driver, link):
            with pytest.raises(
                CommandFailed,
                match="the camera has no preset 'till'; it has: evacuation, gate, lobby",
            ):
                await driver.perform(Goto(preset="till"))
            assert (camera.went, link.said) == ([], [LinkUp()])

    virtual_time.run(main())


@pytest.mark.parametrize("skew", [-826_000_000.0, 3600.0])
def test_a_camera_whose_clock_is_wrong_is_signed_for_by_its_own_time(skew: float) -> None:
    async def main() -> None:
        async with OnvifCameraSimulator(skew=skew) as camera, connected(camera) as (driver, _):
            await driver.perform(Goto(preset="gate"))
            assert len(camera.went) == 1

    virtual_time.run(main())


def test_a_camera_whose_clock_jumps_while_connected_is_asked_for_its_time_again() -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera, connected(camera) as (driver, _):
            camera.skew = -7200.0
            await driver.perform(Goto(preset="gate"))
            assert len(camera.went) == 1

    virtual_time.run(main())


def test_a_camera_that_wants_http_digest_is_answered_so() -> None:
    async def main() -> None:
        async with (
            OnvifCameraSimulator(login="http_digest") as camera,
            connected(camera) as (driver, _),
        ):
            await driver.perform(Goto(preset="gate"))
            assert len(camera.went) == 1

    virtual_time.run(main())


def test_a_camera_without_get_services_and_behind_nat_is_found_by_its_capabilities() -> None:
    async def main() -> None:
        async with (
            OnvifCameraSimulator(old=True, told_host="192.168.1.108:80") as camera,
            connected(camera) as (driver, _),
        ):
            await driver.perform(Goto(preset="gate"))
            assert len(camera.went) == 1

    virtual_time.run(main())


@pytest.mark.parametrize("login", ["token", "http_digest"])
def test_a_wrong_password_is_told_apart_from_an_absent_camera(login: str) -> None:
    async def main() -> None:
        simulator = OnvifCameraSimulator()
        simulator.login = "token" if login == "token" else "http_digest"
        async with simulator as camera:
            link = Link(driver_for(camera, password="guessed"))
            assert await link.end() == f"{camera.host}: refuses this user name or password"
            assert link.said == []

    virtual_time.run(main())


def test_an_absent_camera_is_a_lost_link() -> None:
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            host = f"127.0.0.1:{taken.getsockname()[1]}"
            driver = OnvifCamera(host=host, username="warden", password=Secret("x"))
            assert await Link(driver).end() == f"cannot connect to {host}: Connection refused"
            with pytest.raises(CommandFailed, match="not connected"):
                await driver.perform(Goto(preset="gate"))

    virtual_time.run(main())


def test_what_is_no_camera_is_told_from_a_camera_that_is_away() -> None:
    async def main() -> str:
        async def another(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            writer.close()

        server = await asyncio.start_server(another, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            host = f"127.0.0.1:{port}"
            driver = OnvifCamera(host=host, username="warden", password=Secret("x"))
            with pytest.raises(WireError) as told:
                await driver.run(_nobody)
        return str(told.value).replace(host, "HOST")

    assert asyncio.run(main()) == "HOST: what answers there speaks no HTTP"


async def _nobody(signal: Signal) -> None:
    pass


TROUBLES: list[tuple[Trouble, str]] = [
    ("silence", "no answer within 5 s"),
    ("hang_up", "ended the connection"),
    ("unauthorized", "refuses this user name or password"),
    ("soap_fault", "the camera refused to answer: the camera is busy"),
    ("rubbish", "HTTP 200: the camera's answer is no XML"),
    ("huge", "an answer of more than 1 MB"),
]


@pytest.mark.parametrize(("trouble", "reason"), TROUBLES)
def test_trouble_while_connected_ends_the_link_at_the_next_check(
    trouble: Trouble, reason: str
) -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera, connected(camera) as (_, link):
            camera.trouble = trouble
            began = asyncio.get_running_loop().time()
            assert reason in await link.end()
            assert asyncio.get_running_loop().time() - began <= 36.0

    virtual_time.run(main())


@pytest.mark.parametrize("trouble", ["silence", "hang_up"])
def test_a_failed_order_makes_the_driver_look_at_the_camera_at_once(trouble: Trouble) -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera, connected(camera) as (driver, link):
            camera.trouble = trouble
            with pytest.raises(CommandFailed):
                await driver.perform(Goto(preset="gate"))
            failed = asyncio.get_running_loop().time()
            await link.end()
            assert asyncio.get_running_loop().time() - failed <= 6.0

    virtual_time.run(main())


def test_a_slow_camera_is_waited_for() -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera, connected(camera) as (driver, _):
            camera.trouble, camera.delay = "slow", 2.0
            await driver.perform(Goto(preset="gate"))
            assert len(camera.went) == 1

    virtual_time.run(main())


def test_a_camera_accepts_nothing_but_goto() -> None:
    async def main() -> None:
        async with OnvifCameraSimulator() as camera:
            with pytest.raises(CommandFailed, match="cannot sound"):
                await driver_for(camera).perform(Sound())

    virtual_time.run(main())


def test_rest_is_the_home_preset_if_there_is_one() -> None:
    password = Secret("x")
    stays = OnvifCamera(host="a", username="u", password=password)
    returns = OnvifCamera(host="a", username="u", password=password, home="lobby")
    assert (stays.rest(), returns.rest()) == (None, Goto(preset="lobby"))


@pytest.mark.parametrize("host", ["", "http://10.0.4.51", "10.0.4.51:0", "10.0.4.51:70000", "a b"])
def test_a_host_that_no_camera_can_have_is_refused(host: str) -> None:
    with pytest.raises(SettingError) as raised:
        OnvifCamera(host=host, username="u", password=Secret("x"))
    assert raised.value.setting == "host"


def test_a_password_in_the_host_is_not_repeated() -> None:
    with pytest.raises(SettingError) as raised:
        OnvifCamera(host="http://u:hunter2@10.0.4.51", username="u", password=Secret("x"))
    assert "hunter2" not in str(raised.value)


def test_the_password_is_in_no_text_of_the_driver() -> None:
    driver = OnvifCamera(host="10.0.4.51", username="u", password=Secret("hunter2"))
    assert "hunter2" not in repr(driver)


@pytest.mark.filterwarnings("ignore")
def test_the_simulator_satisfies_the_wsdls_as_a_foreign_client_reads_them() -> None:
    from onvif import ONVIFCamera
    from zeep.exceptions import Fault

    async def main() -> None:
        async with OnvifCameraSimulator(skew=-5000.0, travel=30) as camera:
            client = ONVIFCamera(
                "127.0.0.1", camera.port, "warden", "secret", no_cache=True, adjust_time=True
            )
            try:
                async with asyncio.timeout(60):
                    await client.update_xaddrs()
                    device = await client.create_devicemgmt_service()
                    assert (await device.GetDeviceInformation()).Model == "simulated camera"
                    assert (await client.get_capabilities())["PTZ"]["XAddr"].endswith("ptz_service")
                    media = await client.create_media_service()
                    found = await media.GetProfiles()
                    assert [p.token for p in found if p.PTZConfiguration] == ["main"]
                    ptz = await client.create_ptz_service()
                    offered = await ptz.GetServiceCapabilities()
                    assert offered._attr_1 == {"MoveStatus": "true"}
                    profile = {"ProfileToken": "main"}
                    found = await ptz.GetPresets(profile)
                    assert [(p.token, p.Name) for p in found] == [
                        ("preset_1", "lobby"),
                        ("preset_2", "gate"),
                        ("preset_3", "evacuation"),
                    ]
                    await ptz.GotoPreset(profile | {"PresetToken": "preset_2"})
                    assert (await ptz.GetStatus(profile)).MoveStatus.Zoom == "IDLE"
                    with pytest.raises(Fault, match="does not exist"):
                        await ptz.GotoPreset(profile | {"PresetToken": "preset_9"})
                    assert [preset for _, preset in camera.went] == ["gate"]
            finally:
                await client.close()

    asyncio.run(main())
