"""The judge of the proofs finds each sort of fault, and none in a journal that is whole."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.keeper import arrival, claim, content, heard, render, told
from bench.oracle import Arrival, Claim, Found, Oracle, findings, look
from buffer.chain import body_hash
from buffer.journal import Journal
from buffer.record import Draft, Kind, Record


def written(path: Path, count: int = 6) -> list[Record]:
    """Append so many records of two priorities, and return what a journal made of them."""
    drafts = [
        Draft(
            id=secrets.token_hex(16),
            kind=Kind.EVENT,
            priority=2 + number % 2,
            topic="t",
            body=b'{"number": %d}' % number,
        )
        for number in range(count)
    ]
    with Journal.open(path) as journal:
        return journal.append(drafts)


def claim_of(record: Record) -> Claim:
    line = f"{record.sequence} {record.id} {body_hash(record.body).hex()} {record.link.hex()}\n"
    made = claim(line.encode())
    assert made is not None
    return made


def arrival_of(record: Record, *, replayed: bool = False) -> Arrival:
    return arrival(render(record, replayed).payload)


def judged(
    path: Path,
    records: list[Record],
    *,
    claims: Callable[[Claim], Claim] = lambda one: one,
    arrivals: Callable[[list[Arrival]], list[Arrival]] = lambda all_: all_,
    found: Callable[[Found], Found] = lambda one: one,
) -> Oracle:
    oracle = Oracle()
    for record in records:
        oracle.claimed(claims(claim_of(record)))
    for arrived in arrivals([arrival_of(record) for record in records]):
        oracle.arrived(arrived)
    oracle.found(found(look(path, 0, content, whole=True)))
    oracle.ended()
    return oracle


def test_a_journal_that_kept_and_sent_all_is_faultless(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    oracle = judged(path, written(path))
    assert not oracle.faults
    assert (oracle.claims, oracle.owed, oracle.head) == (6, 6, 7)
    assert "lost" in findings(oracle, upstream=True)


def test_a_claim_that_is_not_in_the_file_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    oracle = judged(path, written(path), claims=lambda one: replace(one, id="0" * 32))
    assert oracle.faults["lost"] == 6


def test_a_claim_whose_body_sequence_or_link_is_another_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    records = written(path)
    for wrong in ({"digest": "0" * 64}, {"sequence": 99}, {"link": "0" * 64}):
        oracle = judged(path, records, claims=lambda one, wrong=wrong: replace(one, **wrong))  # type: ignore[misc]
        assert oracle.faults["changed"] == 6, wrong


def test_a_head_beyond_the_file_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    records = written(path)
    oracle = Oracle()
    oracle.claimed_head(records[-1].sequence + 4)
    oracle.found(look(path, 0, content, whole=False))
    assert oracle.faults == {"lost": 4}


def test_what_never_arrives_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    oracle = judged(path, written(path), arrivals=lambda all_: all_[:-2])
    assert oracle.faults == {"never arrived": 2}


def test_what_arrives_and_was_never_kept_is_a_lie(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    stranger = Arrival(
        id="f" * 32, sequence=9, previous=None, priority=2, replayed=False, content=""
    )
    oracle = judged(path, written(path), arrivals=lambda all_: [*all_, stranger])
    assert oracle.faults == {"never kept": 1}


def test_what_arrives_changed_is_found(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    oracle = judged(
        path,
        written(path),
        arrivals=lambda all_: [*all_[:-1], replace(all_[-1], content="other")],
    )
    assert oracle.faults == {"changed": 1}


def test_order_counts_within_a_lane_and_not_between_lanes(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    records = written(path)
    swapped = judged(path, records, arrivals=lambda all_: [all_[2], all_[0], *all_[1:2], *all_[3:]])
    assert swapped.faults == {"reordered": 1}
    lanes = judged(path, records, arrivals=lambda all_: [*all_[1::2], *all_[::2]])
    assert not lanes.faults


def test_repeats_are_counted_and_bounded_by_the_interruptions(tmp_path: Path) -> None:
    records = written(tmp_path / "j.db")
    oracle = Oracle(repeats_allowed=3)
    oracle.found(look(tmp_path / "j.db", 0, content, whole=True))
    for record in [*records, *records[:3]]:
        oracle.arrived(arrival_of(record))
    oracle.interrupted()
    oracle.ended()
    assert (oracle.repeats, oracle.interruptions) == (3, 1)
    assert not oracle.faults
    oracle.arrived(arrival_of(records[0]))
    oracle.ended()
    assert oracle.faults == {"repeated too often": 1}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: replace(found, broken="a page is torn"),
        lambda found: replace(found, kept=[*found.kept[:2], *found.kept[3:]]),
        lambda found: replace(found, kept=[replace(k, digest="0" * 64) for k in found.kept]),
        lambda found: replace(found, kept=[replace(k, previous=1) for k in found.kept]),
    ],
    ids=["damage", "a hole", "another body", "another predecessor"],
)
def test_a_file_that_is_not_whole_is_broken(
    tmp_path: Path, spoil: Callable[[Found], Found]
) -> None:
    path = tmp_path / "j.db"
    oracle = judged(path, written(path), found=spoil)
    assert oracle.faults["broken"]


def test_another_journal_in_its_place_is_broken(tmp_path: Path) -> None:
    oracle = judged(tmp_path / "j.db", written(tmp_path / "j.db"))
    written(tmp_path / "other.db")
    oracle.found(look(tmp_path / "other.db", 0, content, whole=True))
    assert oracle.faults["broken"]


def test_a_file_that_is_not_there_is_broken(tmp_path: Path) -> None:
    found = look(tmp_path / "none.db", 0, content, whole=True)
    assert found.broken
    assert not found.kept


def test_what_a_file_holds_can_be_told_over_a_wire(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    written(path)
    found = look(path, 2, content, whole=True)
    lines = told(found)
    assert heard(lines) == found
    assert len(found.kept) == 5
    with pytest.raises(ValueError, match="not all was said"):
        heard(lines[:-1])
    with pytest.raises(ValueError, match="nothing was said"):
        heard([])


def test_half_a_claim_is_no_claim() -> None:
    assert claim(b"12 abc") is None
    assert claim(b"12 abc def 00") is None
    assert claim(b"0 abc def -\n") == Claim(id="abc", digest="def")
