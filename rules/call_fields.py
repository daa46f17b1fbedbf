"""What a field of `since` and `count` may be compared with: `cashier=event.cashier`."""

from __future__ import annotations

import ast

from rules.model import FieldWords
from rules.terms import Kind, Term, Wrong, equal
from rules.words import YES_NO

KIND: dict[str, Kind] = {"str": "word", "int": "number", "float": "number", "bool": "yesno"}


def literal(node: ast.expr) -> Term | None:
    """Return a word or number that is written out; None for anything else.

    Raises:
        Wrong: it is written as in Python, and means nothing in a condition.
    """
    match node:
        case ast.Constant(value=bool() | None as value):
            raise Wrong(node, f"{value} is not allowed in a condition", "write 'yes' or 'no'")
        case ast.Constant(value=str() as text):
            return Term(kind="word", code=node, shown=repr(text), constant=text)
        case ast.Constant(value=int() | float() as number):
            return Term(kind="number", code=node, shown=str(number), constant=number)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return Term(kind="number", code=node, shown=f"-{number}", constant=-number)
    return None


def fitting(shown: str, words: FieldWords, term: Term, at: ast.expr) -> ast.expr:
    """Return the code of `term`, which is written at `at`, as a value of the field `shown`.

    Raises:
        Wrong: the field never has such a value.
    """
    if words == "object":
        raise Wrong(at, f"{shown} is not one value that can be compared")
    if words == "bool":
        return _yes_or_no(shown, term, at)
    values = words if isinstance(words, tuple) else None
    kind = "word" if values is not None else KIND[str(words)]
    if kind == "word" and term.kind == "number" and term.fixed:
        raise Wrong(at, f"{shown} is a word, not a number", f"write '{term.shown}'")
    equal(Term(kind=kind, code=at, shown=shown, values=values), term, at)
    if words == "int" and isinstance(term.constant, float) and term.constant % 1:
        raise Wrong(at, f"{shown} is a whole number, never {term.constant:g}")
    return term.code


def _yes_or_no(shown: str, term: Term, at: ast.expr) -> ast.expr:
    if term.kind == "yesno":
        return term.code
    if term.constant in YES_NO:
        return ast.Constant(value=term.constant == "yes")
    raise Wrong(at, f"{shown} is yes or no", "write 'yes' or 'no'")
