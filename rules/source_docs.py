"""The docstrings of a class's fields, read from its source: what a setting means, written once."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise
from typing import Any


def field_docs(of: type[Any]) -> dict[str, str]:
    """Return field to its docstring on one line, inherited ones included."""
    bases: list[type] = [base for base in reversed(of.__mro__) if base is not object]
    return {name: text for base in bases for name, text in _own(base).items()}


def summary(of: type[Any]) -> str:
    """Return the first sentence of a class's docstring, on one line."""
    text = inspect.cleandoc(of.__doc__ or "")
    return " ".join(text.split("\n\n")[0].split())


@cache
def _own(of: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(of)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found: dict[str, str] = {}
    for statement, after in pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            found[statement.target.id] = " ".join(after.value.value.split())
    return found
