"""Why a rule did not fire, in words that people search for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rules.model import Condition, Fact

FORGOTTEN = "too many came within the window to know whether it was among them"


def not_met(condition: Condition, read: Mapping[str, Any]) -> str:
    """Return `site.open was no`, with every value that the condition has read."""
    values = ", ".join(f"{what} was {_shown(value)}" for what, value in read.items())
    values = values or "it was not so"
    return values if condition.source in values else f"if {condition.source}: {values}"


def _shown(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def fact(one: Fact) -> str:
    """Return `door_front door.opened`, `gates alarm=active`."""
    who = one.group or one.members[0]
    what = one.signal if one.signal is not None else f"{one.state}={one.value}"
    return f"{who} {what}"


def facts(some: Iterable[Fact]) -> str:
    return " or ".join(dict.fromkeys(fact(one) for one in some))


def cooling(seconds: float) -> str:
    return f"cooldown for {seconds:.6g} s more"


def stormy(device: str, seconds: float) -> str:
    return f"quiet: {device} keeps on, {seconds:.6g} s more"


def cut_short(held: float, wanted: float) -> str:
    return f"held {held:.6g} s of {wanted:.6g} s"


def blind(device: str) -> str:
    return f"{device} could not be heard meanwhile"


def incomplete(word: str, done: int, wanted: int, within: float, missing: str) -> str:
    """Return `sequence 2 of 3 within 30 s: no door_front door.opened`."""
    return f"{word} {done} of {wanted} within {within:.6g} s: no {missing}"


def wrong_order(first: str, second: str, within: float) -> str:
    """Return `sequence 1 of 2 within 5 s: gates eas.alarm came before door_front door.opened`."""
    return f"sequence 1 of 2 within {within:.6g} s: {second} came before {first}"


def too_late(word: str, what: str, after: float, within: float) -> str:
    """Return `sequence: eas_front eas.alarm came after 5.5 s, not within 5 s`."""
    return f"{word}: {what} came after {after:.6g} s, not within {within:.6g} s"


def too_few(done: int, wanted: int, within: float) -> str:
    """Return `4 of 5 within 60 s`."""
    return f"{done} of {wanted} within {within:.6g} s"


def came(what: str, after: float, within: float) -> str:
    """Return `tills pos.sale came after 55 s of 60 s`."""
    return f"{what} came after {after:.6g} s of {within:.6g} s"


def came_before(what: str, ago: float, within: float) -> str:
    """Return `tills eas.deactivated came 3 s before, within 5 s`."""
    return f"{what} came {ago:.6g} s before, within {within:.6g} s"
