"""A rule turns a camera and keeps a clip, through the whole daemon, over ONVIF and RTSP."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

from drivers.sim.onvif_camera import OnvifCameraSimulator
from drivers.sim.recorder import RtspCameraSimulator
from edge.demo.store import configured, simulated
from tests.daemon import LIMIT, running
from tests.shop import GATE, state

DEVICES = """\
devices:
  cam_exit: {{type: onvif_camera, name: "Camera at the exit", host: "{host}", username: warden,
             password: !secret cam_exit, home: lobby}}
  cam_tills: {{type: recorder, name: "Camera at the tills", url: "{url}", username: warden,
              password: !secret cam_tills, segment: 1s}}
"""
RULES = """\
rules:
  gate_video:
    description: A tag at the gates is filmed.
    when: {gates: eas.alarm}
    do:
      - {goto: cam_exit, preset: gate, for: 3s}
      - {record: [event.near.cameras, cam_tills], before: 2s, for: 2s}
"""
FILMING = {"cam_exit", "cam_tills"}
SECRET = "sesame, with: #odd 'signs'"


def test_an_alarm_turns_the_camera_keeps_a_clip_and_the_camera_goes_home(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            simulated(tmp_path) as store,
            RtspCameraSimulator(username="warden", password=SECRET) as filming,
            OnvifCameraSimulator(password=SECRET, stream=filming.url) as turning,
        ):
            config = configured(tmp_path, store, None)
            devices = config / "devices.yaml"
            near = "near: {siren: siren_front"
            devices.write_text(devices.read_text().replace(near, f"{near}, cameras: [cam_exit]"))
            cameras = DEVICES.format(host=turning.host, url=filming.url)
            (config / "devices.d").mkdir()
            (config / "devices.d" / "cameras.yaml").write_text(cameras)
            (config / "rules" / "cameras.yaml").write_text(RULES)
            (config / "secrets").mkdir(mode=0o700)
            for name in ("cam_exit", "cam_tills"):
                secret = config / "secrets" / name
                secret.touch(0o600)
                secret.write_text(SECRET)
            async with running(tmp_path, config) as daemon:
                await daemon.until(lambda status: not status["devices_down"])
                await state(daemon, "cam_tills", "link", "up")
                await asyncio.sleep(3)  # of video before the alarm: the world's time, not ours
                async with daemon.tail() as next_of:
                    await store.module.pulse(GATE, 0.5)
                    arrived = await next_of("cam_exit", "camera.arrived")
                    kept: dict[str, dict[str, Any]] = {}
                    while len(kept) < len(FILMING):
                        said = await next_of(None, "recording.confirmed")
                        kept[said["device"]] = said["data"]
                assert arrived["data"]["preset"] == "gate"
                async with asyncio.timeout(LIMIT):
                    while [preset for _at, preset in turning.went][-1] != "lobby":
                        await turning.until_asked("GotoPreset", len(turning.went) + 1)
                code, out, _err = await daemon.command("devices", "--json")
                log = daemon.log
            folders = {d: daemon.state / "devices" / d / "video" / "clips" for d in FILMING}
            clips = {d: (folders[d] / kept[d]["clip"]).read_bytes() for d in FILMING}
            journal = (daemon.state / "journal.db").read_bytes()
        assert [preset for _at, preset in turning.went] == ["gate", "lobby"]
        for device in FILMING:
            assert hashlib.sha256(clips[device]).hexdigest() == kept[device]["sha256"]
            assert len(clips[device]) == kept[device]["size"]
            assert kept[device]["before"] >= 1.5
            assert kept[device]["duration"] >= 3.5
        assert (code, SECRET in out, SECRET in log) == (0, False, False)
        assert SECRET.encode() not in journal
        assert json.loads(out)

    asyncio.run(main())
