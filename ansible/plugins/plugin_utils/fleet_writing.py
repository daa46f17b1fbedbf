"""Writes what a store is as YAML, a key a line, so that a place in it says something."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml
from fleet_yaml import Leaf, Map, Place, Seq, Tree

_PLACE = re.compile(r"\$\{([^}]*)\}")
_PLAIN = re.compile(r"[A-Za-z0-9_./+][A-Za-z0-9_./@+-]*(:[A-Za-z0-9_./@+-]+)*")


class Writer:
    """Writes the trees of one store with `${NAME}` filled in; puts in `lacking` what it lacks."""

    def __init__(
        self, name: str, values: Mapping[str, str], lacking: dict[tuple[Place, str], list[str]]
    ) -> None:
        self._name, self._values, self._lacking = name, values, lacking
        self.secrets: set[str] = set()
        """Names after `!secret` in what was written."""

    def text(self, items: Mapping[str, Tree]) -> str:
        lines: list[str] = []
        for key, value in items.items():
            if not (isinstance(value, Map) and not value.items):
                self._entry(f"{_key(key)}:", value, "", lines)
        return "\n".join((*lines, "")) if lines else "{}\n"

    def data(self, tree: Tree) -> Any:
        if isinstance(tree, Map):
            return {key: self.data(value) for key, value in tree.items.items()}
        if isinstance(tree, Seq):
            return [self.data(item) for item in tree.items]
        text = self._filled(tree)
        return text if tree.quoted or not _PLAIN.fullmatch(text) else yaml.safe_load(text)

    def _entry(self, head: str, value: Tree, indent: str, lines: list[str]) -> None:
        if isinstance(value, Leaf):
            lines.append(f"{indent}{head} {self._leaf(value)}".rstrip())
        elif not value.items:
            lines.append(f"{indent}{head} {'{}' if isinstance(value, Map) else '[]'}")
        elif isinstance(value, Map):
            lines.append(f"{indent}{head}")
            for key, item in value.items.items():
                self._entry(f"{_key(key)}:", item, indent + "  ", lines)
        else:
            lines.append(f"{indent}{head}")
            for item in value.items:
                self._entry("-", item, indent + "  ", lines)

    def _leaf(self, leaf: Leaf) -> str:
        filled = self._filled(leaf)
        if leaf.tag == "!secret":
            self.secrets.add(filled)
        as_written = filled == leaf.text and "\n" not in filled
        bare = not leaf.quoted and (as_written or _PLAIN.fullmatch(filled) is not None)
        shown = filled if bare else _quoted(filled)
        return f"{leaf.tag} {shown}" if leaf.tag else shown

    def _filled(self, leaf: Leaf) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] in self._values:
                return self._values[match[1]]
            self._lacking.setdefault((leaf.place, match[1]), []).append(self._name)
            return ""

        return _PLACE.sub(value, leaf.text)


def _key(key: str) -> str:
    return key if _PLAIN.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in shown)
