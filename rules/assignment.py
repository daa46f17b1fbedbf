"""Who takes which role: each an entry of its own, the latest ones that can be. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

Place = tuple[float, int]
"""Where an entry stands in the order; the same place is the same entry."""


def latest(options: Sequence[Sequence[Place]]) -> list[Place] | None:
    """Return a place for each role out of its `options`, which come latest first; None: no way.

    The first role has the latest that leaves one for each other role, then the second. What it
    costs depends on the number of roles only: of as many options as roles one is always free.
    """
    some = [one[: len(options)] for one in options]
    taken: list[Place] = []
    for role, places in enumerate(some):
        for place in places:
            if place not in taken and _possible(some[role + 1 :], [*taken, place]):
                taken.append(place)
                break
        else:
            return None
    return taken


def _possible(options: Sequence[Sequence[Place]], taken: Collection[Place]) -> bool:
    """Return whether each role can have a place of its own that is not `taken`."""
    holders: dict[Place, int] = {}

    def seated(role: int, tried: set[Place]) -> bool:
        for place in options[role]:
            if place in taken or place in tried:
                continue
            tried.add(place)
            if place not in holders or seated(holders[place], tried):
                holders[place] = role
                return True
        return False

    return all(seated(role, set()) for role in range(len(options)))
