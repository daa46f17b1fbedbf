"""A journal's writer and uplink without the shop: keeps seeded records, says aloud what it claims.

python -m bench.keeper JOURNAL [--seed 1] [--broker URL] [--drain] [--control NAME]
python -m bench.keeper JOURNAL --read [--after SEQUENCE]

On stdout a line for each record that is claimed to be committed: SEQUENCE ID DIGEST LINK, in hex.
`--drain` keeps nothing and ends once the broker has everything. `--read` prints a line for each
record of a file that nobody writes, then what is wrong with the file.

Controls, which a proof must catch: `claim-early` claims what was only handed over, and
`synchronous-off` never waits for the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import secrets
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.oracle import Arrival, Claim, Found, Kept, look
from buffer.chain import body_hash
from buffer.message import Message
from buffer.mqtt import Endpoint, connector
from buffer.record import Draft, Kind, Record
from buffer.uplink import Uplink
from buffer.writer import Writer

CONTROLS = ("claim-early", "synchronous-off")
MAX_SIZE = 2_000_000_000
"""Bytes of the file at most: so many that nothing has to leave in the longest proof."""
TOPIC = "keeper/event"
WEIGHTS = (5, 5, 15, 20, 55)
"""How often each priority comes, in percent."""


def stream(rng: random.Random) -> Iterator[tuple[float, list[Draft]]]:
    """Yield for ever how long to wait, and what to keep then: lone records, trickles and bursts.

    Ids are never used again, whatever the seed.
    """
    number = 0
    while True:
        pause, least, most = rng.choice(
            ((0.02, 1, 1), (0.002, 1, 4), (0.005, 1, 20), (0.02, 40, 400))
        )
        for _ in range(rng.randint(3, 20)):
            drafts = []
            for _ in range(rng.randint(least, most)):
                number += 1
                body = {"number": number, "filling": rng.randbytes(rng.randint(10, 300)).hex()}
                drafts.append(
                    Draft(
                        id=secrets.token_hex(16),
                        kind=Kind.EVENT,
                        priority=rng.choices(range(5), WEIGHTS)[0],
                        topic=TOPIC if rng.random() < 0.9 else None,
                        body=json.dumps(body).encode(),
                    )
                )
            yield rng.uniform(0, 2 * pause), drafts


def render(record: Record, replayed: bool) -> Message:
    """Return the message of a record: all that an oracle compares."""
    told = Arrival(
        id=record.id,
        sequence=record.sequence,
        previous=record.previous,
        priority=record.priority,
        replayed=replayed,
        content=content(record),
    )
    return Message(topic=TOPIC, payload=json.dumps(asdict(told)).encode())


def arrival(payload: bytes) -> Arrival:
    """Return the arrival of such a message."""
    told: dict[str, Any] = json.loads(payload)
    return Arrival(**told)


def content(record: Record) -> object:
    """Return what must arrive upstream of a record."""
    return body_hash(record.body).hex()[:16]


def claim(line: bytes) -> Claim | None:
    """Return the claim of a line of output; None of half a line."""
    words = line.split()
    if not line.endswith(b"\n") or len(words) != 4:
        return None
    sequence, own, digest, link = (word.decode() for word in words)
    return Claim(sequence=int(sequence), id=own, digest=digest, link=link if link != "-" else "")


def say(lines: Sequence[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


async def keep(chosen: argparse.Namespace) -> None:
    """Keep records, and forward them where a broker is named, until killed or drained."""
    rng = random.Random(chosen.seed)
    early = chosen.control == "claim-early"

    def committed(records: Sequence[Record]) -> None:
        say([f"{r.sequence} {r.id} {body_hash(r.body).hex()} {r.link.hex()}" for r in records])

    async with Writer.open(chosen.journal, max_size=MAX_SIZE) as writer:
        if not early:
            writer.follow(committed)
        await writer.changed(0)
        uplink = None
        if chosen.broker:
            endpoint = Endpoint(url=chosen.broker, client_id="keeper")
            forwarding = Uplink(writer, connector(endpoint), render)
            uplink = asyncio.create_task(forwarding.run())
        if chosen.drain:
            await drained(writer)
        else:
            for pause, drafts in stream(rng):
                writer.keep(*drafts)
                if early:
                    say([f"0 {d.id} {body_hash(d.body).hex()} -" for d in drafts])
                await asyncio.sleep(pause)
        if uplink is not None:
            uplink.cancel()
            await asyncio.gather(uplink, return_exceptions=True)


async def drained(writer: Writer) -> None:
    """Wait until the broker has everything."""
    while any((await writer.begin_lanes())[0].values()):
        await asyncio.sleep(0.05)


def forget_to_sync() -> None:
    """Make every connection to SQLite one that never waits for the disk."""

    class Hasty(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            if sql.lower().startswith("pragma synchronous"):
                sql = "PRAGMA synchronous = OFF"
            return super().execute(sql, *values)

    connect = sqlite3.connect

    def hasty(*where: Any, **how: Any) -> sqlite3.Connection:
        return connect(*where, **how, factory=Hasty)

    sqlite3.connect = hasty  # type: ignore[assignment]


def told(found: Found) -> list[str]:
    """Return what a file holds as lines."""
    return [
        *(json.dumps(asdict(kept)) for kept in found.kept),
        json.dumps({"journal": found.journal, "broken": found.broken}),
    ]


def heard(lines: Sequence[str]) -> Found:
    """Return what such lines say.

    Raises:
        ValueError: they are not such lines, or not all of them.
    """
    if not lines:
        raise ValueError("nothing was said")
    last = json.loads(lines[-1])
    if "journal" not in last:
        raise ValueError("not all was said")
    return Found(kept=[Kept(**json.loads(line)) for line in lines[:-1]], **last)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("journal", type=Path)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--broker")
    parser.add_argument("--drain", action="store_true")
    parser.add_argument("--control", choices=CONTROLS)
    parser.add_argument("--read", action="store_true")
    parser.add_argument("--after", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.read:
        say(told(look(chosen.journal, chosen.after, content, whole=True)))
        return 0
    if chosen.control == "synchronous-off":
        forget_to_sync()
    # Lost links are what it is made for.
    logging.getLogger().setLevel(logging.ERROR)
    chosen.journal.parent.mkdir(parents=True, exist_ok=True)
    asyncio.run(keep(chosen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
