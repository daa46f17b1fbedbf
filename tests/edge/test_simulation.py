"""Every simulator by the name of its type: it starts, takes words and faults."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from drivers.ports.address import NetAddress
from edge.simulation import TYPES, simulation

LIMIT = 30.0
NOBODY = "wait for `connected` first"
MEANT = {
    "modbus": "set di0 on",
    "text": "say EAS ALARM",
    "eas_pedestal": "pulse 0.01",
    "eas_gateway": "alarm",
    "fire_printer": "alarm",
    "pos": "sale",
    "recorder": "hang_up",
}


@pytest.mark.parametrize("kind", TYPES)
def test_it_starts_says_its_words_and_takes_a_fault(kind: str) -> None:

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


def test_what_may_be_said_is_shown_as_it_is_said() -> None:
    async def main() -> tuple[list[str], dict[str, object], str]:
        async with asyncio.timeout(LIMIT), simulation("door", unit=7) as running:
            usage = {line.split("  ")[0]: line for line in running.usage()}
            assert await running.say("fault delay 0.5") == ""
            return list(usage), running.faults(), running.about

    usage, faults, about = asyncio.run(main())
    assert {"walk_out [asks=yes] [open_for=3.0]", "set INPUT ON", "close"} < {
        each.strip() for each in usage
    }
    assert faults["silent"] is False
    assert faults["delay"] == 0.5
    assert about == "profile: moxa_e1214, unit: 7; its lines: contact: di0, request_to_exit: di1"


@pytest.mark.parametrize("kind", TYPES)
def test_every_simulator_shows_how_to_use_it(kind: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT), simulation(kind) as running:
            assert len(running.usage()) == len(running.words())
            assert running.faults()
            assert running.about

    asyncio.run(main())


@pytest.mark.parametrize(
    ("profile", "printed"),
    [
        (None, b":ALARM"),
        ("kidde_fx64", b"ALRM ACT | 18:00:07 01/01/2007 E:001\r\n"),
        ("notifier_nfs3030", b"FIRE ALARM: SMOKE DETECTOR L1D001"),
    ],
)
def test_a_printer_prints_as_its_profile_reads(profile: str | None, printed: bytes) -> None:
    async def main() -> bytes:
        async with asyncio.timeout(LIMIT), simulation("fire_printer", profile=profile) as running:
            host, _, port = running.url.removeprefix("tcp://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await running.actors[-1].connected.wait()
            assert await running.say("event alarm 1") == ""
            read = await reader.readexactly(len(printed))
            writer.close()
            return read

    assert asyncio.run(main()) == printed


def test_a_profile_that_no_simulator_has_is_said() -> None:
    async def main() -> None:
        async with simulation("fire_printer", profile="moxa_e1214"):
            pass

    known = "notifier_afp2800, notifier_nfs3030, kidde_fx64"
    with pytest.raises(LookupError, match=f"no fire_printer of profile 'moxa_e1214'; .*{known}"):
        asyncio.run(main())


def test_a_sender_calls_a_port_that_listens_and_sends_any_bytes() -> None:
    async def main() -> bytes:
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await heard.put(await reader.readexactly(4))
            writer.close()

        async with (
            asyncio.timeout(LIMIT),
            await asyncio.start_server(called, "127.0.0.1", 0) as server,
        ):
            port = server.sockets[0].getsockname()[1]
            to = NetAddress(kind="tcp-listen", host="127.0.0.1", port=port)
            async with simulation("text", to=to) as running:
                assert running.url == ""
                assert (await running.say("raw \\q")).startswith("raw: ")
                assert await running.say("raw P 1\\x03") == ""
                return await heard.get()

    assert asyncio.run(main()) == b"P 1\x03"
