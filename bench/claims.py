"""A writer that says aloud what it keeps and what it claims: what the faults happen to.

python -m bench.claims PATH [--rounds 12] [--size 200] [--limit 20000] [--early] …

On stdout, each line in one write: `kept ID` before a record is handed over, `claimed SEQUENCE ID`
once it is said to be committed, `beat` twenty times a second from the loop, `life N` at the start
of each opening, and in the end `end PENDING LOST LONGEST`: records that wait, records counted lost,
and the longest time in milliseconds that the loop did not run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from buffer.journal import Journal
from buffer.record import PRIORITIES, Draft, Kind, Record
from buffer.storage import JournalError
from buffer.writer import Writer

BEAT = 0.05
"""Seconds between two beats."""


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


class Life:
    """What one process does over all its openings of the file."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._number = 0
        self._longest = 0.0

    async def run(self) -> None:
        beating = asyncio.create_task(self._beat())
        lost = pending = 0
        for life in range(self._chosen.lives):
            say(f"life {life}")
            left, gone = await self._live()
            pending, lost = left, lost + gone
        beating.cancel()
        say(f"end {pending} {lost} {self._longest * 1000:.0f}")

    async def _live(self) -> tuple[int, int]:
        chosen = self._chosen
        async with Writer.open(
            chosen.path, max_wait=0.002, limit=chosen.limit, max_size=chosen.max_size or None
        ) as writer:
            seen: list[Record] = []

            def committed(records: Sequence[Record]) -> None:
                for record in records:
                    if not chosen.early:
                        say(f"claimed {record.sequence} {record.id}")
                    if record.sequence % 3 == 0:
                        writer.mark_sent(record)
                seen.extend(records)

            writer.follow(committed)
            for number in range(chosen.rounds):
                self._keep(writer, number)
                await asyncio.sleep(chosen.pause)
                if number % 4 == 3:
                    await self._look(writer)
            try:
                async with asyncio.timeout(chosen.patience):
                    await writer.flush()
            except TimeoutError:
                pass
        await asyncio.sleep(0)
        stats = writer.stats
        return stats.pending, sum(stats.lost)

    def _keep(self, writer: Writer, number: int) -> None:
        drafts = []
        for _ in range(number % 3 + 1):
            self._number += 1
            priority = self._number % len(PRIORITIES)
            draft = Draft(
                id=secrets.token_hex(16),
                kind=Kind.EVENT,
                priority=priority,
                topic=None if self._number % 7 == 0 else f"t/{self._number % 4}",
                body=b"%d " % self._number + b"x" * self._chosen.size,
            )
            say(f"kept {draft.id}")
            drafts.append(draft)
        writer.keep(*drafts)
        if self._chosen.early:
            for draft in drafts:
                say(f"claimed 0 {draft.id}")

    async def _look(self, writer: Writer) -> None:
        """Read as the uplink does; a disk that refuses is no reason to stop."""

        def read(journal: Journal) -> None:
            for priority, spans in journal.unsent().items():
                for span in spans:
                    journal.published(priority, span.first, span.last, 20)
            journal.stat()

        with contextlib.suppress(JournalError):
            await writer.call(read)

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            await asyncio.sleep(BEAT)
            now = loop.time()
            self._longest = max(self._longest, now - last - BEAT)
            last = now
            say("beat")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--lives", type=int, default=2, help="times the file is opened")
    parser.add_argument("--rounds", type=int, default=12, help="hand-overs of records in each")
    parser.add_argument("--pause", type=float, default=0.004, help="seconds between them")
    parser.add_argument("--size", type=int, default=200, help="bytes of a body")
    parser.add_argument("--limit", type=int, default=20_000, help="records held in memory")
    parser.add_argument("--max-size", type=int, default=0, help="bytes of the journal")
    parser.add_argument("--patience", type=float, default=8.0, help="seconds for what waits")
    parser.add_argument("--early", action="store_true", help="claim what is not committed")
    return parser


if __name__ == "__main__":
    asyncio.run(Life(arguments().parse_args()).run())
