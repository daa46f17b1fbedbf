"""The ffmpeg child ends with its parent however that ends, and its words are never repeated."""

import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.wire import ffmpeg

PATIENCE = 40.0


def test_a_reason_never_quotes_ffmpeg() -> None:
    said = ["[concat] Impossible to open 'rtsp://warden:hunter2@10.0.4.52/x'", "strange"]
    assert ffmpeg.why(said, "10.0.4.52:554", seen=True) == "10.0.4.52:554 ended the stream"


CHILD = """
import asyncio, pathlib, sys
from drivers.wire.ffmpeg import child
async def main():
    where = sys.argv[1] + "/video/ring"
    async with child("-loglevel", "quiet", "-re", "-f", "lavfi", "-i", "color=size=16x16:rate=1",
                     "-f", "null", where) as ffmpeg:
        while pathlib.Path(f"/proc/{ffmpeg.pid}/comm").read_text() != "ffmpeg\\n":
            await asyncio.sleep(0.01)  # setpriv ties it to us, then becomes it
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
