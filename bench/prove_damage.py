"""Damage files of a journal in every way: what stands on whole pages must be there afterwards.

Every page zeroed and garbled, cuts of the file and of its log, bits that flip. After each the
journal is opened as the daemon opens it, and the oracle asks: is every record whose pages are
untouched there, with its id, link and body? Is there none that was never written? Does the chain
verify, and are numbers used once only?
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from buffer.journal import Journal
from buffer.pages import TABLE, cell, kind_of, places
from buffer.record import PRIORITIES, TELEMETRY, Draft, Kind, Record

PAGE = 2048
FRAME = PAGE + 24
LOG_HEADER = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A journal as files, and what it holds."""

    files: dict[str, bytes]
    """By suffix."""
    records: dict[int, Record]
    ever: dict[int, Record]
    """Those too that had to go."""
    where: dict[str, dict[int, list[frozenset[int]]]]
    """By file and number of a record: the pages, or frames, that each copy of it lies on."""

    @property
    def head(self) -> int:
        return max(self.records)


@dataclass(frozen=True, slots=True)
class Case:
    """One damage."""

    what: str
    part: str
    """The suffix of the file."""
    apply: Callable[[bytearray], None]
    hit: frozenset[int]
    """The pages, or frames, that it touches."""
    distrust: bool
    """Whether the file is taken for damaged though SQLite may open it."""


def made(folder: Path, seed: int, *, log: bool) -> Made:
    """Make a journal of every kind of record; with its last ones in the log, or without."""
    dice = random.Random(seed)
    path = folder / "journal.db"
    ever: dict[int, Record] = {}
    with Journal.open(path, max_size=1 << 20) as journal:
        _fill(journal, dice, 1200, ever)
    with Journal.open(path, max_size=1 << 20) as journal:
        if log:
            _fill(journal, dice, 300, ever)
            journal.anchor()
        records = {r.sequence: r for r in journal.since(0)}
        suffixes = ("", "-wal", ".reserved") if log else ("", ".reserved")
        if not log:
            journal.close()
        files = {suffix: Path(f"{path}{suffix}").read_bytes() for suffix in suffixes}
    return Made(files=files, records=records, ever=ever | records, where=_where(files))


def _fill(journal: Journal, dice: random.Random, count: int, ever: dict[int, Record]) -> None:
    ever |= {r.sequence: r for r in journal.since(0)}
    for n in range(0, count, 16):
        drafts = []
        for m in range(n, n + 16):
            priority = dice.choices(PRIORITIES, (1, 1, 3, 10, 30))[0]
            kind, size, topic = Kind.EVENT, dice.randrange(20, 900), f"store/{m % 7}"
            if m % 150 == 149:
                kind, priority, size = Kind.SNAPSHOT, TELEMETRY, 9000
            body = json.dumps({"n": m, "x": dice.randbytes(size // 2).hex()}).encode()
            draft = Draft(
                id=dice.randbytes(16).hex(), kind=kind, priority=priority,
                topic=None if kind is Kind.SNAPSHOT else topic, body=body,
            )  # fmt: skip
            drafts.append(draft)
        found = journal.append(drafts)
        ever |= {r.sequence: r for r in found}
        journal.mark_sent([r for r in found if r.topic and dice.random() < 0.6])


def _where(files: dict[str, bytes]) -> dict[str, dict[int, list[frozenset[int]]]]:
    return {part: _copies(files[part], log=part != "") for part in ("", "-wal") if part in files}


def _copies(data: bytes, *, log: bool) -> dict[int, list[frozenset[int]]]:
    size, start = (FRAME, LOG_HEADER) if log else (PAGE, 0)
    starts = range(start, len(data) - size + 1, size)
    images = [data[at : at + size][-PAGE:] for at in starts]
    newest = {
        int.from_bytes(data[at : at + 4], "big") if log else index + 1: index
        for index, at in enumerate(starts)
    }
    found: dict[int, list[frozenset[int]]] = {}
    for index, page in enumerate(images):
        if (index == 0 and not log) or kind_of(page, first=False) != TABLE:
            continue
        for at in places(page, first=False):
            row = cell(page, at, first=False)
            if row is None or len(row.types) != 8:
                continue
            needed, following, left = {index}, row.next, row.size - len(row.local)
            while left > 0 and following in newest:
                needed.add(newest[following])
                left -= PAGE - 4
                following = int.from_bytes(images[newest[following]][:4], "big")
            if left <= 0:
                found.setdefault(row.number, []).append(frozenset(needed))
    return found


def owed(sample: Made, case: Case) -> set[int]:
    """Return the records that lie on whole pages."""
    found = set()
    for part, copies in sample.where.items():
        hit = case.hit if part == case.part else frozenset()
        for number, pages in copies.items():
            # Of long records of the file the rest may have another image in the log.
            sure = [p for p in pages if len(p) == 1 or part or "-wal" not in sample.where]
            if any(not p & hit for p in sure):
                found.add(number)
    return found & sample.records.keys()


def page_cases(files: Made, dice: random.Random) -> Iterator[Case]:
    """Yield each page of the file, zeroed, garbled, and half written."""
    for page in range(len(files.files[""]) // PAGE):
        noise = dice.randbytes(PAGE)
        for what, content in (("zeroed", bytes(PAGE)), ("garbled", noise), ("torn", noise[:512])):
            at = page * PAGE + (PAGE - len(content))
            yield Case(f"page {page} {what}", "", _put(at, content), frozenset({page}), True)


def cut_cases(files: Made, part: str, every: int) -> Iterator[Case]:
    """Yield cuts of one file, each as many bytes after the one before."""
    data = files.files[part]
    size, start = (FRAME, LOG_HEADER) if part else (PAGE, 0)
    for cut in range(0, len(data), every):
        gone = frozenset(range(max(0, cut - start) // size, len(data) // size + 1))
        yield Case(f"file{part} cut at {cut}", part, _cut(cut), gone, False)


def flip_cases(files: Made, dice: random.Random, count: int) -> Iterator[Case]:
    """Yield bits that flip, four at once, somewhere in the file or the log."""
    for n in range(count):
        part = dice.choice([part for part in ("", "-wal") if part in files.files])
        data = files.files[part]
        size, start = (FRAME, LOG_HEADER) if part else (PAGE, 0)
        spots = [dice.randrange(len(data)) for _ in range(4)]
        bits = [1 << dice.randrange(8) for _ in spots]

        def flip(found: bytearray, spots: list[int] = spots, bits: list[int] = bits) -> None:
            for at, bit in zip(spots, bits, strict=True):
                found[at] ^= bit

        hit = frozenset(max(0, at - start) // size for at in spots)
        yield Case(f"flips {n}: file{part} at {spots}", part, flip, hit, n % 2 == 0)


def _put(at: int, content: bytes) -> Callable[[bytearray], None]:
    def put(found: bytearray) -> None:
        found[at : at + len(content)] = content

    return put


def _cut(at: int) -> Callable[[bytearray], None]:
    def cut(found: bytearray) -> None:
        del found[at:]

    return cut


def judge(folder: Path, sample: Made, case: Case) -> tuple[list[str], int]:
    """Damage, open, take over; return what is wrong, and how many records are gone."""
    path = folder / "journal.db"
    for old in folder.iterdir():
        old.unlink()
    for part, data in sample.files.items():
        content = bytearray(data)
        if part == case.part:
            case.apply(content)
        Path(f"{path}{part}").write_bytes(content)
    wrong: list[str] = []
    with Journal.open(
        path, max_size=4 << 20, distrust="damage" if case.distrust else None
    ) as journal:
        while journal.salvage():
            pass
        new = journal.append([Draft(id="new", kind=Kind.EVENT, priority=1, topic="t", body=b"{}")])
        if new[-1].sequence <= sample.head:
            wrong.append(f"number {new[-1].sequence} is used again")
        broken = journal.verify()
        found = {r.sequence: r for r in journal.since(0) if r.sequence <= sample.head}
        told = [json.loads(r.body) for r in journal.since(sample.head) if r.topic is None]
    whole = owed(sample, case)
    changed = [n for n, record in found.items() if not _as_written(sample, n, record)]
    if any(words.get("signal") == "journal.salvaged" for words in told):
        if broken is not None:
            wrong.append(f"verify: {broken.reason}")
        # Right after a loss the chain cannot tell, and verifying does not say it is proven.
        changed = [n for n in changed if n - 1 in found or n not in sample.ever]
    elif broken is not None:
        # SQLite reads it and nothing was taken over: verifying is what tells a changed record.
        changed = []
    wrong += [f"record {n} was never written like that" for n in changed]
    copies = sample.where[case.part]
    hurt = {n for n, pages in copies.items() if any(p & case.hit for p in pages)}
    kept = (whole - hurt) & found.keys()
    wrong += [f"record {n} has another id" for n in kept if found[n].id != sample.records[n].id]
    lost = sample.records.keys() - found.keys()
    if missed := lost & whole:
        wrong.append(f"{len(missed)} records on whole pages are gone, first {min(missed)}")
    gaps = sum(
        words["count"] for words in told if words.get("reason") == "damage" and "count" in words
    )
    if len(lost) > gaps:
        wrong.append(f"{len(lost)} are lost, {gaps} are told")
    return wrong, len(lost)


def _as_written(sample: Made, sequence: int, record: Record) -> bool:
    """Return whether what the chain protects is as it was; the id is no part of it."""
    before = sample.ever.get(sequence)
    return before is not None and (before.link, before.body) == (record.link, record.body)


def main() -> int:
    """Run every case; exit 1 when one is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=64, help="bytes between two cuts")
    parser.add_argument("--flips", type=int, default=400)
    parser.add_argument("--seconds", type=float, help="stop after so long, evenly over all cases")
    chosen = parser.parse_args()
    dice = random.Random(chosen.seed)
    logging.disable()
    begun = time.monotonic()
    counts: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("file", "log", "state"):
            (folder / part).mkdir()
        whole = made(folder / "file", chosen.seed, log=False)
        logged = made(folder / "log", chosen.seed + 1, log=True)
        cases = [(whole, case) for case in page_cases(whole, dice)]
        cases += [(whole, case) for case in cut_cases(whole, "", chosen.every)]
        cases += [(logged, case) for case in cut_cases(logged, "-wal", chosen.every)]
        cases += [(whole, case) for case in flip_cases(whole, dice, chosen.flips // 2)]
        cases += [(logged, case) for case in flip_cases(logged, dice, chosen.flips // 2)]
        dice.shuffle(cases)
        for sample, case in cases:
            if chosen.seconds and time.monotonic() - begun > chosen.seconds:
                break
            group = next(
                word for word in ("zeroed", "garbled", "torn", "file-wal cut", "cut", "flips")
                if word in case.what
            )  # fmt: skip
            wrong, gone = judge(folder / "state", sample, case)
            counts[group] += 1
            lost[group] += gone
            if wrong:
                failures += 1
                sys.stdout.write(f"WRONG {case.what}: {'; '.join(wrong)}\n")
        records = len(whole.records), len(logged.records)
    sys.stdout.write(
        f"seed {chosen.seed}, {sum(counts.values())} of {len(cases)} damages to journals of"
        f" {records[0]} and {records[1]} records, {time.monotonic() - begun:.0f} s\n"
    )
    for group, number in sorted(counts.items()):
        sys.stdout.write(
            f"  {group:12} {number:6} times, {lost[group] / number:6.1f} records gone each\n"
        )
    sys.stdout.write(f"wrong: {failures}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
