"""Compile `if:` and `while:`: Python's syntax, a short list of what is allowed, checked names."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from drivers.event import Event
from rules import yaml_source as ys
from rules.convert import Context
from rules.functions import RUNTIME, Unknown
from rules.model import Answer, Constant, FieldWords, StateView, World
from rules.problems import Mark, Problems
from rules.tallies import Tallied
from rules.translate import Translation

NO_VARIABLES: Mapping[str, Constant] = MappingProxyType({})
LONGEST = 1000
"""Characters of one expression."""

_Run = Callable[[StateView, Event | None], bool]


class Compiled:
    """A checked expression as code. Answers `unknown` when something it reads is unknown.

    `mark` is where it stands; `exact` says that `source` stands there character for character.
    """

    __slots__ = ("_run", "counts", "exact", "mark", "reads", "source", "variables")

    def __init__(
        self, source: str, run: _Run, translation: Translation, *, mark: Mark, exact: bool
    ) -> None:
        self.source = source
        self.mark, self.exact = mark, exact
        self.reads = frozenset(translation.reads)
        self.counts: Mapping[Tallied, float] = MappingProxyType(dict(translation.counts))
        self.variables: Mapping[str, Constant] = translation.variables or NO_VARIABLES
        self._run = run

    def evaluate(self, view: StateView, event: Event | None) -> Answer:
        """Return the answer now; never raises."""
        try:
            return "yes" if self._run(view, event) else "no"
        except (Unknown, ArithmeticError, TypeError):
            return "unknown"

    def __repr__(self) -> str:
        return f"<if {self.source}>"


def compile_condition(
    node: ys.Node,
    world: World,
    *,
    event_fields: Mapping[str, FieldWords] | None,
    problems: Problems,
    event_only: bool = False,
    steady: bool = False,
    context: Context | None = None,
) -> Compiled | None:
    """Return the expression in `node` as code, or None after saying what is wrong with it.

    `event_fields` are the fields of the completing event, `device` and `signal` among them;
    None where there is no event. `event_only` is the law for life_safety: nothing but event.*
    may be read. `steady` refuses what changes by the passing of time alone (`while:`). `context`
    knows the variables that `var()` may name.
    """
    if not isinstance(node, ys.Scalar) or node.tag or node.null:
        what = f"a {node.tag}" if node.tag else ys.describe(node)
        problems.error(node.mark, f"an expression is wanted, not {what}")
        return None
    source = node.text.strip()
    place = _Place(node)
    tree = _parse(source, place, problems)
    if tree is None:
        return None
    translation = Translation(
        world, event_fields=event_fields, event_only=event_only, steady=steady, context=context
    )
    code = translation.condition(tree)
    for wrong in (each for each in translation.wrong if each.message):
        problems.error(place.of(wrong.at), wrong.message, wrong.hint)
    if code is None or translation.wrong:
        return None
    shown = " ".join(source.split())
    exact = node.inset is not None and shown == source
    run = _compiled(code, translation.tables)
    return Compiled(shown, run, translation, mark=place.at(0), exact=exact)


class _Place:
    """Where a part of an expression stands in its file."""

    def __init__(self, node: ys.Scalar) -> None:
        self._mark, self._inset = node.mark, node.inset
        self._before = len(node.text) - len(node.text.lstrip())
        self._line = node.text.strip()

    def at(self, column: int) -> Mark:
        """Return the place of a character; the start of the text when it is not on one line."""
        if self._inset is None:
            return self._mark
        shift = self._inset + self._before + column
        return Mark(self._mark.file, self._mark.line, self._mark.column + shift)

    def of(self, part: ast.AST) -> Mark:
        """Return the place of a parsed part."""
        column = getattr(part, "col_offset", 0)  # in bytes of UTF-8
        return self.at(len(self._line.encode()[:column].decode(errors="replace")))


def _parse(source: str, place: _Place, problems: Problems) -> ast.expr | None:
    if len(source) > LONGEST:
        problems.error(place.at(0), f"an expression has at most {LONGEST} characters")
        return None
    wrapped = f"({source}\n)" if "\n" in source else source
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(wrapped, mode="eval").body
    except SyntaxError as error:
        offset = max((error.offset or 1) - 1, 0) if error.lineno == 1 else 0
        said = "fields come last" if "follows keyword argument" in error.msg else ""
        column, hint = _habit(source) or (min(offset, len(source)), said)
        problems.error(place.at(column), "not an expression", hint)
    except (ValueError, MemoryError, RecursionError):
        problems.error(place.at(0), "not an expression")
    return None


_TYPING_HABITS = (
    (re.compile(r"!var\b"), "write var('name')"),
    (re.compile(r"&&|\|\|"), "write `and`, `or`"),
    (re.compile(r"!(?!=)"), "write `not`"),
    (re.compile(r"(?<![=!<>:])=(?!=)"), "write == to compare"),
    (re.compile(r"<>"), "write !="),
    (re.compile(r"\b(AND|OR|NOT|IN)\b"), "write and, or, not, in with small letters"),
    (re.compile("[\u2018\u2019\u201c\u201d]"), "write straight quotes"),
)


def _habit(source: str) -> tuple[int, str] | None:
    """Return where another language's operator stands, and what to write; None without one."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"|, *\w+=(?!=)", lambda found: " " * len(found[0]), source)
    for habit, hint in _TYPING_HABITS:
        if found := habit.search(bare):
            return found.start(), hint
    return None


def _compiled(code: ast.expr, tables: Mapping[str, Mapping[str, str]]) -> _Run:
    names = [ast.arg(arg="view"), ast.arg(arg="event")]
    arguments = ast.arguments(
        posonlyargs=[], args=names, kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    whole = ast.Expression(body=ast.Lambda(args=arguments, body=code))
    compiled = compile(ast.fix_missing_locations(whole), "<condition>", "eval")
    scope: dict[str, Any] = {"__builtins__": {}, **RUNTIME, **tables}
    run: _Run = eval(compiled, scope)  # noqa: S307 - built by Translation, never from text
    return run
