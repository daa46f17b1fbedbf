"""What was done to a chain where it does not hold: changed, removed, added or reordered.

Told by what still fits: a link is made of the one before it, a place, a priority and a body, so a
record that stands elsewhere now is known by the link that it would have had here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from buffer import chain
from buffer.chain import Break, Entry
from buffer.proof import Item, records
from buffer.record import PRIORITIES

_TAKEN_OUT = 10_000
"""Records taken out in one place, and the rest renumbered, that are recognised at most."""


def diagnose(links: Sequence[bytes], expected: int, sure: int, items: Iterator[Item]) -> Break:
    """Return what was done, given the items from the first that does not fit on.

    `links` are some before it, the newest last; `expected` is the number that belongs there, `sure`
    the last record whose own link was found to be right.
    """
    found = next(items)
    first = found[0]
    if first > expected:
        return _missing(links[-1] if links else None, expected, found, items)
    if not isinstance(found, Entry):
        reason = f"changed: what stands for {records(first, found.last)} does not belong here"
        return Break(sequence=first, until=found.last, what="changed", reason=reason)
    if first < expected:
        return Break(sequence=first, what="added", reason="added: it stands there a second time")
    if sure + 1 < expected:
        reason = f"changed: one of the records {sure + 1} to {expected}, most only hashes by now"
        return Break(sequence=sure + 1, until=expected, what="changed", reason=reason)
    return _unfit(links, found, items)


def _missing(head: bytes | None, expected: int, found: Item, items: Iterator[Item]) -> Break:
    """Tell of a number that is left out."""
    until = found[0] - 1
    item: Item | None = found
    while item is not None:
        if isinstance(item, Entry):
            if item.sequence == expected:
                return _break(expected, "reordered", "it stands further on")
            if head is not None and item.link == _after(head, item, expected - item.sequence):
                return _break(expected, "reordered", f"it stands as record {item.sequence}")
        item = next(items, None)
    more = "" if until == expected else f": {records(expected, until)}"
    return Break(sequence=expected, until=until, what="removed", reason=f"removed{more}")


def _unfit(links: Sequence[bytes], found: Entry, items: Iterator[Item]) -> Break:
    """Tell of a record in its place whose link is not the one that follows."""
    place, head = found.sequence, links[-1]
    for priority in PRIORITIES:
        if found.link == chain.link(head, place, priority, found.body_hash):
            return _break(place, "changed", f"its priority was {priority}")
    if (copied := next((n for n, link in enumerate(links[::-1], 1) if link == found.link), 0)) > 0:
        return _break(place, "added", f"a copy of record {place - copied}")
    for back in range(1, len(links)):
        if found.link == chain.link(
            links[-1 - back], place - back, found.priority, found.body_hash
        ):
            return _renumbered(place - back, "added", back)
    follower = item = next(items, None)
    if isinstance(follower, Entry) and found.link is not None:
        if follower.link == _after(
            chain.link(head, place, found.priority, found.body_hash), follower
        ):
            return _break(place, "changed", "its link")
        for gone in range(1, _TAKEN_OUT + 1):
            if follower.link == _after(found.link, follower, gone):
                return _renumbered(place, "removed", gone)
    before = found.link
    while item is not None:
        later = next(items, None)
        # One that fits where it stands is not missed here, even if it would fit here too.
        intact = isinstance(item, Entry) and before and item.link == _after(before, item)
        if isinstance(item, Entry) and item.sequence > place and not intact:
            here = chain.link(head, place, item.priority, item.body_hash)
            if item.link == here and _shifted(found, item, later):
                return _renumbered(place, "added", item.sequence - place)
            alone = chain.link(head, place, found.priority, item.body_hash)
            if found.link in (here, alone) or item.link == here:
                return _break(
                    place, "reordered", f"what belongs here stands as record {item.sequence}"
                )
        before, item = item.link if isinstance(item, Entry) else None, later
    last = found.link
    if isinstance(follower, Entry) and last is not None and follower.link == _after(last, follower):
        return _break(place, "changed", "its body")
    return _break(place, "changed", "its body and what follows, or it was added")


def _shifted(found: Entry, item: Entry, later: Item | None) -> bool:
    """Return whether all from `item` on, which belongs where `found` is, was moved to make room."""
    if item.link is None:
        return False
    if isinstance(later, Entry):
        gone = found.sequence - item.sequence
        return later.link == _after(item.link, later, gone)
    swapped = chain.link(item.link, item.sequence, found.priority, found.body_hash)
    return found.link != swapped


def _after(before: bytes, item: Entry, moved: int = 0) -> bytes:
    """Return the link of `item` after `before`, had it stood `moved` places further on."""
    place = max(item.sequence + moved, 0)
    return chain.link(before, place, item.priority, item.body_hash)


def _renumbered(place: int, what: Literal["removed", "added"], many: int) -> Break:
    count = "it was" if many == 1 else f"{many} records were"
    how = "taken out" if what == "removed" else "put in"
    return _break(place, what, f"{count} {how}, and the rest was renumbered")


def _break(
    sequence: int, what: Literal["changed", "removed", "added", "reordered"], how: str
) -> Break:
    return Break(sequence=sequence, what=what, reason=f"{what}: {how}")
