"""What a person probably did where a text stops being YAML."""

from __future__ import annotations

import yaml


def hint(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return what to write instead, or an empty string where nothing likely is known."""
    said, at = str(error.problem or ""), error.problem_mark
    begun = error.context_mark.line + 1 if error.context_mark else 0
    lines = text.splitlines()
    line = lines[at.line] if at and at.line < len(lines) else ""
    before = line[: at.column] if at else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "a tab stands there; indent with spaces"
    if "cannot start any token" in said:
        return 'a text that begins so needs quotes: "…"'
    if "mapping values are not allowed" in said:
        return "a key ends with a colon; a text with a colon in it needs quotes"
    if "',' or" in said:
        bracket = "{" if "'}'" in said else "["
        closed = f"the {bracket} of line {begun} is not closed"
        return f"{closed}, or a text in it with , or a bracket needs quotes"
    if "end of stream" in said and begun:
        return f"the quote of line {begun} is not closed"
    if "expected key" in said and "'" in before:
        return "within '…' a ' is written twice"
    if "expected key" in said or "block end" in said or "expected '-'" in said:
        return "is it indented like the lines that it belongs to?"
    return ""
