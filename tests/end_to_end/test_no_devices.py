"""A box whose devices are still to be wired: the daemon runs as any other."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.daemon import Daemon


def test_a_box_without_devices_runs_and_does_not_begin_again_and_again(tmp_path: Path) -> None:
    async def main() -> None:
        config = tmp_path / "config"
        config.mkdir()
        (config / "site.yaml").write_text(
            "site: shop\nevacuation: {on: []}\nhttp: {listen: '127.0.0.1:0'}\n"
        )
        (config / "devices.yaml").write_text("{}\n")
        daemon = Daemon(tmp_path, config)
        await daemon.start()
        try:
            await daemon.until(lambda status: status["up_for"] > 1.0)
        finally:
            assert await daemon.stop() == 0
        assert daemon.log.count("rules run: 0 devices") == 1

    asyncio.run(main())
