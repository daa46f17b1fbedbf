"""The values an expression is made of, and which of them may be compared with which."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

from drivers.signals import UNKNOWN
from rules.problems import did_you_mean
from rules.words import YES_NO

Kind = Literal["word", "number", "yesno"]
KINDS: dict[Kind, str] = {"word": "a word", "number": "a number", "yesno": "yes or no"}


class Wrong(Exception):
    """A mistake at one place of an expression."""

    def __init__(self, at: ast.AST, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.at, self.message, self.hint = at, message, hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A value: what it is, what it may be, and the code that yields it."""

    kind: Kind
    code: ast.expr
    shown: str
    """How it is written, for messages."""
    values: tuple[str, ...] | None = None
    """The words it may have; None when they are open."""
    constant: str | float | None = None
    """Set when it is written out or computed from what is."""
    state: tuple[str, str] | None = None
    """(device, state) when it is a state."""
    varies: bool = False
    """A variable is in it: it is constant here, and something else in another store."""

    @property
    def fixed(self) -> bool:
        """Whether it is the same in every store."""
        return self.constant is not None and not self.varies


def truth(term: Term, at: ast.AST) -> ast.expr:
    """Return the code that asks whether `term` is so.

    Raises:
        Wrong: it is neither yes nor no.
    """
    if term.kind == "yesno":
        return term.code
    if term.values is not None and set(term.values) == set(YES_NO):
        yes = ast.Constant(value="yes")
        return ast.Compare(left=term.code, ops=[ast.Eq()], comparators=[yes])
    if term.fixed:
        raise Wrong(at, f"{term.shown} is always the same", "compare a state or a field with it")
    hint = f"compare it: {term.shown} > 1"
    if term.kind == "word":
        hint = f"compare it: {term.shown} == '{(term.values or ('...',))[0]}'"
    raise Wrong(at, f"{term.shown} is {KINDS[term.kind]}, not yes or no", hint)


def equal(left: Term, right: Term, at: ast.AST) -> None:
    """Check that two terms can be equal at all.

    Raises:
        Wrong: their kinds differ, or a word is written that the other can't be.
    """
    if left.kind != right.kind:
        raise Wrong(at, f"{_named(left)} is compared with {_named(right)}")
    if left.kind == "yesno":
        odd = left if left.constant is None else right
        raise Wrong(at, f"{odd.shown} is yes or no by itself", "write it alone, or `not` before it")
    if left.fixed and right.fixed:
        raise Wrong(at, "a comparison that is always the same", "compare a state or a field")
    for one, other in ((left, right), (right, left)):
        if isinstance(one.constant, str):
            _possible(one.constant, other, at)
    if left.constant is None and right.constant is None and left.values and right.values:
        _overlap(left, right, at)


def _overlap(left: Term, right: Term, at: ast.AST) -> None:
    if not set(left.values or ()) & set(right.values or ()):
        raise Wrong(at, f"{left.shown} and {right.shown} are never the same")


def _possible(word: str, term: Term, at: ast.AST) -> None:
    if term.values is None or word in term.values or (term.state and word == UNKNOWN):
        return
    hint = did_you_mean(word, term.values) or f"known: {', '.join(term.values)}"
    raise Wrong(at, f"unknown value {word!r} of {term.shown}", hint)


def ordered(left: Term, right: Term, at: ast.AST, before: ast.AST) -> None:
    """Check that two terms, written at `before` and `at`, have an order.

    Raises:
        Wrong: one is no number, or neither is read from anything.
    """
    for term, place in ((left, before), (right, at)):
        if term.kind != "number":
            raise Wrong(place, f"{_named(term)} has no order", "compare numbers, or write ==")
    if left.fixed and right.fixed:
        raise Wrong(at, "a comparison that is always the same", "compare a state or a field")


def contains(left: Term, right: Term, at: ast.AST) -> None:
    """Check that a text can be looked for in another.

    Raises:
        Wrong: one is no text, or the other has fixed words.
    """
    for term in (left, right):
        if term.kind != "word":
            raise Wrong(at, f"{_named(term)} is no text to look in or for")
    if right.constant is not None:
        raise Wrong(at, "`in` wants a list here", f"write in [{right.shown}]")
    if right.values is not None:
        raise Wrong(at, f"{right.shown} is one word, not a list", "write ==")
    if left.constant == "":
        raise Wrong(at, "nothing is in every text")


def number(term: Term, at: ast.AST) -> Term:
    """Return `term`, a number.

    Raises:
        Wrong: it is none.
    """
    if term.kind != "number":
        raise Wrong(at, f"{_named(term)} is no number")
    return term


def _named(term: Term) -> str:
    return term.shown if term.fixed else f"{term.shown} ({KINDS[term.kind]})"
