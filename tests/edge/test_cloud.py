"""What the site says of what the broker refuses."""

import asyncio
from pathlib import Path

import pytest

from buffer.message import Refused
from buffer.record import SECURITY, Kind, Record
from buffer.writer import Writer
from drivers.event import Event
from edge.clock import Clock
from edge.cloud import Cloud
from edge.config.model import Site
from edge.encode import Encoder
from edge.speaker import Speaker
from edge.true_time import Corrections
from rules.states import States


def record(sequence: int) -> Record:
    return Record(
        sequence=sequence,
        id=str(sequence),
        kind=Kind.EVENT,
        priority=SECURITY,
        topic="root/shop/event/a/b",
        body=b"",
        link=b"",
        previous=None,
    )


def test_every_record_set_aside_is_said_but_a_flood_is_not_and_others_once_a_minute(
    tmp_path: Path,
) -> None:
    said: list[Event] = []
    now = 0.0

    async def main() -> None:
        nonlocal now
        clock = Clock(seconds=lambda: now, boot="b" * 32)
        async with Writer.open(tmp_path / "j.db") as writer:
            cloud = Cloud(
                Site(site="shop"),
                writer,
                Encoder("root", "shop", "abc"),
                Speaker(clock, said.append),
                clock,
                States(),
                [],
                Corrections(),
            )
            for sequence in range(15):
                now += 0.1
                cloud._refused(record(sequence), Refused(0x95, "Packet too large"))
                cloud._refused(record(100 + sequence), Refused(0x87, "Not authorized"))
            now += 60.0
            cloud._refused(record(50), Refused(0x95, "Packet too large"))
            cloud._refused(record(51), Refused(0x87, "Not authorized"))

    asyncio.run(main())
    fields = [dict(event.fields) for event in said]
    assert {event.kind for event in said} == {"uplink.refused"}
    assert [f["sequence"] for f in fields if f["set_aside"]] == [*map(str, range(10)), "50"]
    assert [f["sequence"] for f in fields if not f["set_aside"]] == ["100", "51"]
    assert fields[0] == {
        "topic": "root/shop/event/a/b",
        "sequence": "0",
        "reason": "Packet too large",
        "code": 0x95,
        "set_aside": True,
    }


def test_a_record_whose_body_is_damaged_is_no_message_and_ends_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        clock = Clock(seconds=lambda: 0.0, boot="b" * 32)
        async with Writer.open(tmp_path / "j.db") as writer:
            site, encoder = Site(site="shop"), Encoder("root", "shop", "abc")
            speaker = Speaker(clock, lambda _event: None)
            cloud = Cloud(site, writer, encoder, speaker, clock, States(), [], Corrections())
            for body in (b'{"signal":"a","dev', b'{"sigoal":"a"}', b"\xff"):
                damaged = Record(
                    sequence=1,
                    id="1",
                    kind=Kind.EVENT,
                    priority=SECURITY,
                    topic="root/shop/event/a/b",
                    body=body,
                    link=b"",
                    previous=None,
                )
                with pytest.raises(Refused) as refused:
                    cloud._render(damaged, True)
                assert refused.value.final

    asyncio.run(main())
