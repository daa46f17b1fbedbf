"""Cameras are found by real multicast on loopback, whoever else answers there."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack

import pytest

from drivers.sim.onvif_probe import DiscoverableCamera, Trouble
from edge.discovery.cameras import searching
from edge.discovery.found import Camera


def found_with(*there: DiscoverableCamera) -> list[Camera]:
    """Return what is found on loopback once all have answered twice, by a port of our own."""

    async def main() -> list[Camera]:
        async with AsyncExitStack() as stack:
            for each in there:
                each.port = there[0].port
                await stack.enter_async_context(each)
            with searching(["lo"], port=there[0].port) as search:
                for times in (1, 2):
                    search.ask()
                    async with asyncio.timeout(60):
                        while not all(len(each.heard) >= times * kinds(each) for each in there):
                            await asyncio.sleep(0.005)
                for _ in range(100):  # what was answered lies in our socket already
                    await asyncio.sleep(0)
                assert search.problems == []
                return search.cameras()

    return asyncio.run(main())


def kinds(camera: DiscoverableCamera) -> int:
    return len({"NetworkVideoTransmitter", "Device"}.intersection(camera.types))


def test_a_camera_is_found_where_it_answers_with_what_it_says() -> None:
    camera = DiscoverableCamera(
        host="127.0.0.1:8080", port=0, location="exit", endpoint="urn:uuid:7"
    )

    assert found_with(camera) == [
        Camera(
            host="127.0.0.1:8080",
            interface="lo",
            endpoint="urn:uuid:7",
            name="Simulated camera",
            hardware="Storewarden",
            location="exit",
            addresses=("http://127.0.0.1:8080/onvif/device_service",),
        )
    ]


def test_a_camera_that_tells_another_address_is_where_it_answers_from() -> None:
    (camera,) = found_with(DiscoverableCamera(host="192.168.1.10", port=0))

    assert camera.host == "127.0.0.1"
    assert camera.addresses == ("http://192.168.1.10/onvif/device_service",)


def test_an_old_camera_and_a_new_one_are_found_and_a_printer_is_not() -> None:
    there = [
        DiscoverableCamera(port=0, types=("NetworkVideoTransmitter",), name="old"),
        DiscoverableCamera(types=("NetworkVideoTransmitter", "Device"), name="new"),
        DiscoverableCamera(types=("Device",), name="a door controller"),
    ]
    assert sorted(camera.name for camera in found_with(*there)) == ["new", "old"]


@pytest.mark.parametrize("trouble", ["rubbish", "bomb", "other", "silence", "twice"])
def test_whoever_misbehaves_hides_no_other(trouble: Trouble) -> None:
    bad = DiscoverableCamera(port=0, trouble=trouble, name="bad")

    names = [camera.name for camera in found_with(bad, DiscoverableCamera(name="good"))]

    assert sorted(names) == (["bad", "good"] if trouble == "twice" else ["good"])


IN_A_STORE = """
import asyncio
from drivers.sim.onvif_probe import DiscoverableCamera
from edge.discovery.cameras import cameras, names

async def main():
    async with DiscoverableCamera(interface="cam1", host="10.98.1.2"):
        async with DiscoverableCamera(interface="cam2", host="10.98.2.2", name="second"):
            found, problems = await cameras(1.0)
    print(names(), [(c.interface, c.name) for c in found], problems)

asyncio.run(main())
"""


@pytest.mark.skipif(
    os.geteuid() != 0
    or shutil.which("ip") is None
    or subprocess.run(("unshare", "--net", "true"), capture_output=True).returncode != 0,
    reason="a network namespace needs root and iproute2",
)
def test_every_interface_of_a_box_is_asked_and_one_without_an_address_is_not() -> None:
    links = """
        ip link set lo up
        ip link add cam1 type veth peer name far1 && ip link set far1 up && ip link set cam1 up
        ip link add cam2 type veth peer name far2 && ip link set far2 up && ip link set cam2 up
        ip link add bare type veth peer name far3 && ip link set bare up
        ip addr add 10.98.1.1/24 dev cam1 && ip addr add 10.98.2.1/24 dev cam2
    """
    done = subprocess.run(
        (
            "unshare",
            "--net",
            "sh",
            "-ec",
            f'{links}\nexec "$0" -c "$1"',
            sys.executable,
            IN_A_STORE,
        ),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout == (
        "['lo', 'cam1', 'cam2'] [('cam1', 'Simulated camera'), ('cam2', 'second')] []\n"
    )
