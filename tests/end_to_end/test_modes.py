"""The site's mode on a running daemon: set by a person, shown, kept over a kill, ended."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from edge.demo.store import Store
from tests.daemon import Daemon
from tests.shop import shop

ANN = ("--by", "Ann", "--reason", "yearly count")


async def shown(daemon: Daemon, *arguments: str) -> Any:
    code, out, err = await daemon.command("mode", *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


async def refused(daemon: Daemon, exit_code: int, *arguments: str) -> str:
    code, out, err = await daemon.command("mode", *arguments)
    assert (code, out) == (exit_code, "")
    return err


def test_a_mode_is_set_shown_kept_over_a_kill_and_ended(tmp_path: Path) -> None:
    async def story(_store: Store, daemon: Daemon) -> None:
        assert (await shown(daemon))["by"] == "hours"
        assert "no mode is set" in await refused(daemon, 1, "end", "--reason", "r")
        err = await refused(daemon, 2, "set", "stocktake", *ANN)
        assert "no mode 'stocktake'; did you mean stock_take?" in err
        err = await refused(daemon, 1, "set", "stock_take", "--for", "3d", *ANN)
        assert "stock_take lasts 12h at most" in err

        async with daemon.tail() as until:
            mode = await shown(daemon, "set", "stock_take", "--for", "2h", *ANN)
            said = await until("site", "mode.changed")
        assert (mode["mode"], mode["by"], mode["reason"]) == ("stock_take", "Ann", "yearly count")
        assert 7190 < mode["ends_in"] <= 7200
        assert (said["data"]["mode"], said["data"]["by"]) == ("stock_take", "Ann")

        await daemon.kill()
        await daemon.start()
        await daemon.until(lambda status: status["mode"]["mode"] == "stock_take")
        code, out, _err = await daemon.command("mode")
        assert code == 0
        mode, known = out.replace("\n    ", " ").splitlines()
        assert mode.startswith("stock_take, set by Ann for ")
        assert mode.endswith(" more: yearly count")
        assert known == (
            "can be set: closed (up to 1d), delivery (up to 2h), maintenance (up to 4h), "
            "open (up to 12h), stock_take (up to 12h)"
        )
        code, out, _err = await daemon.command("status")
        (line,) = [line for line in out.splitlines() if line.startswith("mode ")]
        assert "stock_take, set by Ann" in line
        ended = await shown(daemon, "end", *ANN)
        assert ended["by"] == "hours"

    async def main() -> None:
        async with shop(tmp_path) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())
