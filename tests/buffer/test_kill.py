"""kill -9 at any moment: what was said to be committed is there, once, in order."""

import asyncio
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench.prove_kill import prove_children
from buffer.journal import Journal

WRITER = """
import asyncio, secrets, sys
from pathlib import Path
from buffer.record import Draft, Kind
from buffer.writer import Writer

async def main():
    async with Writer.open(Path(sys.argv[1]), max_wait=0.005) as writer:
        def committed(records):
            for record in records:
                if record.topic:
                    sys.stdout.write(f"{record.sequence} {record.body.decode()}\\n")
                if int(record.body) % 3 == 0:
                    writer.mark_sent(record)
            sys.stdout.flush()
        await writer.changed(0)
        writer.follow(committed)
        number = 0
        while True:
            for _ in range(number % 40 + 1):
                writer.keep(Draft(id=secrets.token_hex(16), kind=Kind.EVENT,
                                  priority=number % 5, topic="t", body=b"%d" % number))
                number += 1
            await asyncio.sleep(0.0005)

asyncio.run(main())
"""


@pytest.mark.parametrize("seed", range(4))
def test_nothing_committed_is_lost_to_kill_9(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "j.db"
    accepted: list[str] = []
    for _ in range(2):
        enough = random.Random(seed).randint(1, 3000)
        accepted += [line.split()[1] for line in run_until(path, enough)]
        accepted.append("killed")
    with Journal.open(path) as journal:
        kept = [record.body.decode() for record in journal.since(1)]
        assert journal.verify() is None
        records = {r.sequence: r for r in journal.since(1)}
        unsent = [
            record.sequence
            for priority, spans in journal.unsent().items()
            for span in spans
            for record in journal.published(priority, span.first, span.last, span.count)
        ]
        assert len(unsent) == len(set(unsent)) == sum(journal.stat().unsent)
    never_sent = {s for s, r in records.items() if int(r.body) % 3}
    assert never_sent <= set(unsent)
    second = kept.index("0", 1)
    for lives, said in (
        (kept[:second], accepted[: accepted.index("killed")]),
        (kept[second:], accepted[accepted.index("killed") + 1 : -1]),
    ):
        assert lives == [str(n) for n in range(len(lives))]
        assert lives[: len(said)] == said


def test_what_was_claimed_is_kept_and_arrives_through_kills_and_outages() -> None:
    assert asyncio.run(prove_children(8, 1, None))


def test_a_writer_that_claims_too_early_is_caught() -> None:
    assert not asyncio.run(prove_children(60, 1, "claim-early"))


def run_until(path: Path, enough: int) -> list[str]:
    """Run the program, kill it after `enough` lines, and return the whole lines it wrote."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        limit = threading.Timer(60, writer.kill)
        limit.start()
        lines = [writer.stdout.readline() for _ in range(enough)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        limit.cancel()
        limit.join()
    return [line for line in lines if line.endswith("\n")]
