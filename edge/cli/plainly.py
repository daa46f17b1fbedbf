"""What a condition has read, and numbers of seconds, in words for people; and lines of a width."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

WIDEST = 100
"""Columns that a line may take."""
_SECONDS = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?(?:e[+-]?\d+)?) s\b")
_VARIABLE = re.compile(r"var\('(\w+)'\)")
_CALL = re.compile(r"(since|held|count)\('(\w+)', '([\w.]+)'(?:, '([\d.e+]+)s')?(.*)\)")
_COLUMN = re.compile(r" *(?:\S+(?: \S+){0,3} {2,})?")
_DEEPEST = 30


def span(seconds: float) -> str:
    """Return `18 ms`, `2.5 s`, `2 min 5 s`, `1 h 5 min`."""
    seconds = max(seconds, 0.0)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 119.5:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")


def seconds(text: str) -> str:
    """Return `text` with `24.9813 s` as `25 s`, and `900 s` as `15 min`."""
    return _SECONDS.sub(lambda found: span(float(found[1])), text)


def reads(read: Mapping[str, Any]) -> str:
    """Return what a condition has read: `site.open was yes, gates said eas.alarm twice in 60 s`."""
    return ", ".join(_read(what, value) for what, value in read.items())


def _read(what: str, value: Any) -> str:
    call = _CALL.fullmatch(what)
    if call is None:
        variable = _VARIABLE.fullmatch(what)
        return f"{variable[1] if variable else what} was {shown(value)}"
    name, device, of, window, fields = call.groups()
    with_ = f" with {fields.removeprefix(', ')}" if fields else ""
    if name == "held":
        told = shown(value) if value is None else span(float(value))
        return f"{device}.{of} was so for {told}"
    if name == "since":
        told = "had not said" if value is None else "said"
        ago = "" if value is None else f" {span(float(value))} before"
        return f"{device} {told} {of}{with_}{ago}"
    if value is None:
        return f"how often {device} said {of} was unknown"
    times = {0: "never", 1: "once", 2: "twice"}.get(value, f"{value} times")
    return f"{device} said {of}{with_} {times} in {span(float(window or 0.0))}"


def shown(value: Any) -> str:
    """Return a value that was read."""
    return "unknown" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def failing(condition: str, read: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the part of `a and b and c` that was not so, `… b`, and what it has read.

    A condition is read from the left and no further than it takes: what was read last is of the
    part that failed. Where a later part may have read the same, all of it is returned.
    """
    whole = (condition, read)
    try:
        tree = ast.parse(condition.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        return whole
    if not read or not isinstance(tree, ast.BoolOp) or not isinstance(tree.op, ast.And):
        return whole
    known = {_stem(what) for what in read}
    asked = [frozenset(_asks(part)) for part in tree.values]
    last = _stem(list(read)[-1])
    first = next((n for n, some in enumerate(asked) if last in some), len(asked))
    possible = [n for n in range(first, len(asked)) if asked[n] & known]
    part = ast.get_source_segment(condition.strip(), tree.values[first]) if possible else None
    if len(possible) != 1 or part is None:
        return whole
    names = {f"var({n.id!r})" for n in ast.walk(tree.values[first]) if isinstance(n, ast.Name)}
    wanted = asked[first] | names
    own = {what: value for what, value in read.items() if _stem(what) in wanted}
    return f"… {part}" if first else part, own


def _stem(what: str) -> str:
    """Return what a value that was read has in common with how a condition asks for it."""
    call = _CALL.fullmatch(what)
    return what if call is None else f"{call[1]} {call[3]}"


def _asks(part: ast.expr) -> Iterable[str]:
    """Yield the stems of what a part asks for; `?` is in those that can't be known."""
    for node in ast.walk(part):
        if isinstance(node, ast.Call):
            words = [a.value for a in node.args if isinstance(a, ast.Constant)]
            name = node.func.id if isinstance(node.func, ast.Name) else "?"
            of = [word for word in words if isinstance(word, str)]
            first = bool(node.args) and isinstance(node.args[0], ast.Constant)
            yield f"{name} {of[1] if first and len(of) > 1 else of[0] if of else '?'}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def wrapped(line: str, below: int | None = None) -> list[str]:
    """Return `line` as lines of at most WIDEST columns.

    What goes on is below the column `below`; if that is not given, below its beginning.
    """
    if len(line) <= WIDEST:
        return [line]
    column = _COLUMN.match(line)
    indent = column.end() if column is not None and column.end() <= _DEEPEST else 0
    indent = indent if below is None else min(below, WIDEST // 2)
    return textwrap.wrap(
        line,
        WIDEST,
        subsequent_indent=" " * max(indent, 4),
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
