"""What the site says of an upgrade, through the control socket of a real daemon."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from edge.config.last_good import hash_of_last_good
from edge.control import Misused
from tests.daemon import running
from tests.edge.shop import written


def test_an_upgrade_becomes_an_event_of_the_site(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(tmp_path, written(tmp_path / "config")) as daemon:
            status = await daemon.ask(do="status")
            assert status["moving"] is True
            config = status["config"]
            shutil.rmtree((tmp_path / "state/last_good").resolve())
            outcome = {"from": "0.1.0", "to": "0.1.1", "reason": "it is mute", "by": "Ann"}
            async with daemon.tail() as until:
                await daemon.ask(do="upgraded", outcome="returned", **outcome)
                assert (await until("site", "upgrade.returned"))["data"] == outcome
                await daemon.ask(do="upgraded", outcome="done", **outcome | {"reason": ""})
                told = await until("site", "upgrade.done")
                assert told["data"] == {"from": "0.1.0", "to": "0.1.1", "by": "Ann"}
                assert hash_of_last_good(tmp_path / "state") == config, "kept once it is decided"
            with pytest.raises(Misused, match="an upgrade ends as done or returned"):
                await daemon.ask(do="upgraded", outcome="refused", **outcome)
            with pytest.raises(Misused, match="from a version to a version"):
                await daemon.ask(do="upgraded", outcome="done", to="0.1.1")

    asyncio.run(main())
