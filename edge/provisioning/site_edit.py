"""Set values in the text of a site.yaml; comments and everything else stay as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rules import yaml_source as ys
from rules.problems import Mark, Problems

Path = tuple[str, ...]
"""`("site",)` or `("mqtt", "url")`."""


class CannotEdit(ValueError):
    """The text is written so that it can't be changed safely; the message says where."""


def with_values(text: str, values: Mapping[Path, str], secrets: Mapping[Path, str]) -> str:
    """Return the text with these values, and with `!secret NAME` for these secrets.

    The result is read again: it says what was wanted, and otherwise what it said before.

    Raises:
        CannotEdit: the text is no mapping, or is written in a way that is not known here.
    """
    changed = text
    for path, value in values.items():
        changed = _set(changed, path, json.dumps(value, ensure_ascii=False))
    for path, name in secrets.items():
        changed = _set(changed, path, f"!secret {name}")
    expected = _plain(_parsed(text)) if text.strip() else None
    expected = expected if isinstance(expected, dict) else {}
    for path, want in [(p, ("", v)) for p, v in values.items()] + [
        (p, ("!secret", n)) for p, n in secrets.items()
    ]:
        _put(expected, path, want)
    if _plain(_parsed(changed)) != expected:
        raise CannotEdit("site.yaml: write a setting a line, so that it can be changed")
    return changed


def _parsed(text: str) -> ys.Node | None:
    problems = Problems()
    root = ys.read_text(text, "site.yaml", problems)
    if problems.errors:
        raise CannotEdit(str(problems.errors[0]).partition("\n")[0])
    return root


def _plain(node: ys.Node | None) -> Any:
    """Return the value of a node without its places; of a word also its tag."""
    if isinstance(node, ys.Mapping):
        return {key: _plain(item) for key, item in node.items.items()}
    if isinstance(node, ys.Sequence):
        return [_plain(item) for item in node.items]
    if isinstance(node, ys.Scalar) and not node.null:
        return (node.tag, node.text)
    return None


def _put(into: dict[str, Any], path: Path, value: Any) -> None:
    if len(path) > 1:
        inner = into.get(path[0])
        into[path[0]] = dict(inner) if isinstance(inner, dict) else {}
        _put(into[path[0]], path[1:], value)
    else:
        into[path[0]] = value


def _set(text: str, path: Path, shown: str) -> str:
    root = _parsed(text)
    if root is None:
        root = ys.Mapping(mark=Mark("site.yaml", 1, 1))
    if not isinstance(root, ys.Mapping):
        raise CannotEdit("site.yaml: a mapping is wanted")
    holder = root.items.get(path[0])
    if len(path) == 1 or not isinstance(holder, ys.Mapping) or not holder.items:
        if path[0] in root.items:
            if len(path) == 2:
                shown = f"{{{path[1]}: {shown}}}"
            return _over(text, root.items[path[0]], shown)
        line = f"{path[0]}: {shown}" if len(path) == 1 else f"{path[0]}:\n  {path[1]}: {shown}"
        if text and not text.endswith("\n"):
            line = f"\n{line}"
        return f"{text}{line}\n"
    if path[1] in holder.items:
        return _over(text, holder.items[path[1]], shown)
    return _beside(text, holder, f"{path[1]}: {shown}")


def _over(text: str, node: ys.Node, shown: str) -> str:
    """Write over a value that stands on one line."""
    lines = text.split("\n")
    at, column = node.mark.line - 1, node.mark.column - 1
    line = lines[at] if at < len(lines) else ""
    if isinstance(node, ys.Scalar) and node.null:
        length, gap = len(node.text), "" if line[column - 1 : column] in (" ", "") else " "
        lines[at] = f"{line[:column]}{gap}{shown}{line[column + length :]}"
    elif isinstance(node, ys.Scalar) and (node.inset is not None or node.tag):
        inset = node.inset or 0
        length = len(node.text) + 2 * inset
        if node.tag:
            length = len(node.tag) + 1 + len(node.text)
        lines[at] = f"{line[:column]}{shown}{line[column + length :]}"
    else:
        raise CannotEdit(f"site.yaml:{node.mark.line}: write this value on one line")
    return "\n".join(lines)


def _beside(text: str, holder: ys.Mapping, entry: str) -> str:
    """Write an entry as the first one of a mapping."""
    lines = text.split("\n")
    first = min(holder.keys.values(), key=lambda mark: (mark.line, mark.column))
    at, column = holder.mark.line - 1, holder.mark.column - 1
    if lines[at][column : column + 1] == "{":
        lines[at] = f"{lines[at][: column + 1]}{entry}, {lines[at][column + 1 :]}"
    else:
        lines.insert(first.line - 1, f"{' ' * (first.column - 1)}{entry}")
    return "\n".join(lines)
