"""A bug in a change stops nothing that runs, and the next change is tried."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from edge import aside
from edge.changes import Changes
from edge.control import Refused
from edge.places import Places
from edge.starting import Start
from tests import virtual_time
from tests.edge.shop import shop


def test_a_bug_in_a_reload_ends_no_daemon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    places = Places(configuration=tmp_path, state=tmp_path, socket=tmp_path / "socket")
    changes = Changes(places, Start(configuration=shop(tmp_path)))  # of no parts: a bug

    async def main() -> None:
        hup, ended = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(changes.run(hup, ended))
        for _ in range(2):
            hup.set()
            await asyncio.sleep(2 * aside.AFTER_A_BUG)
        assert (hup.is_set(), ended.is_set(), running.done()) == (False, False, False)
        running.cancel()
        await asyncio.wait({running})

    with caplog.at_level(logging.ERROR):
        virtual_time.run(main())
    assert caplog.messages == ["a bug while changing what runs"] * 2


def test_what_is_refused_is_told_who_asked() -> None:
    async def no() -> None:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        virtual_time.run(aside.unharmed(no()))
