"""Every simulator by the name of its type: it starts, takes words and faults."""

from __future__ import annotations

import asyncio
import inspect
import shutil
from pathlib import Path

import pytest

from edge.simulation import TYPES, simulation

LIMIT = 30.0
NOBODY = "wait for `connected` first"
MEANT = {
    "modbus": "set di0 on",
    "text": "say EAS ALARM",
    "eas_pedestal": "pulse 0.01",
    "eas_gateway": "alarm",
    "fire_printer": "alarm",
}


@pytest.mark.parametrize("kind", TYPES)
def test_it_starts_says_its_words_and_takes_a_fault(kind: str) -> None:
    if kind == "recorder" and not (shutil.which("ffmpeg") and shutil.which("mediamtx")):
        pytest.skip("needs ffmpeg and an RTSP server on the machine")

    async def main() -> None:
        async with asyncio.timeout(LIMIT), simulation(kind) as running:
            assert running.url
            words = running.words()
            assert words
            plain = [
                name
                for name, signature in words.items()
                if all(
                    p.default is not inspect.Parameter.empty or p.kind is p.VAR_POSITIONAL
                    for p in signature.parameters.values()
                )
            ]
            line = MEANT.get(kind) or (plain[0] if plain else "")
            if line.split()[0] in words:
                assert await running.say(line) in {"", f"{line.split()[0]}: {NOBODY}"}
            unknown = await running.say("sing a song")
            assert unknown.startswith("unknown word 'sing'; known: ")
            assert await running.say("fault no_such 1") == "there is no fault 'no_such'"

    asyncio.run(main())


def test_a_type_that_there_is_not_is_a_key_error() -> None:
    async def main() -> None:
        async with simulation("toaster"):
            pass

    with pytest.raises(KeyError):
        asyncio.run(main())


def test_wrong_arguments_are_told_and_end_nothing() -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT), simulation("modbus") as running:
            assert (await running.say("set")).startswith("set: ")
            assert (await running.say("set nowhere on")).startswith("set: ")
            assert await running.say("set di0 on") == ""
            assert await running.say("fault silent on") == ""
            assert await running.say("pulse di0 seconds=0.001") == ""
            assert await running.say("pulse di0 secs=1") != ""

    asyncio.run(main())


def test_a_serial_cable_appears_where_it_is_wanted(tmp_path: Path) -> None:
    async def main() -> None:
        link = tmp_path / "tty"
        async with asyncio.timeout(LIMIT), simulation("fire_printer", link=link) as running:
            assert link.exists()
            assert str(link) in running.url or "/dev/" in running.url
            assert running.words()

    asyncio.run(main())
