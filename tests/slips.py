"""Typical slips of the hand in configuration files, and whether `check` and the tests find them.

A slip is found when something is said of its line, or when what is said names the word that was
written or the one that was meant: a device misspelt where it is declared is missed where it is
used. What is harmless, so that nothing need be said, is decided here:

* free text: descriptions, names of tests, texts, incidents, reasons; presets, hosts and paths,
  which only the camera and the network know; the id of the site; values of fields that are text;
* `no` and `on` for each other: each is a word that may stand there;
* a word of the writer's own (tag, key of near:, group, schedule, variable, line, preset) where it
  is declared and nothing uses it, or where nothing tells it from another;
* a tab between words, and another kind of straight quotes round the same text;
* the loss of a key that may be left out.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.config.checked import checked
from edge.config.load import load
from rules import yaml_source as ys
from rules.convert import YES
from rules.problems import ConfigurationRefused, Problem, Problems
from rules.scenario import play

FREE = frozenset(
    {"description", "name", "text", "incident", "because", "reason", "preset", "goto", "url"}
    | {"host", "username", "ca", "cert", "key", "topic_root", "site", "listen", "path", "by"}
    | {"acknowledge", "zone", "cause", "evacuate", "point", "model"}
)
"""Keys whose value is free text, or is known to somebody else only."""
OWN = frozenset({"near", "tags", "vars", "schedules"})
"""Keys under which the writer makes words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A key or a value, and where it stands."""

    file: str
    line: int
    column: int
    text: str
    path: tuple[str, ...]
    """The keys above it, its own last."""
    key: bool
    plain: bool
    tag: str = ""

    @property
    def free(self) -> bool:
        """Whether any other word would do as well."""
        above = self.path[:-1] if self.key else self.path
        return bool(above) and (above[-1] in FREE or bool(OWN & set(above)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """One edit: what a file's text is afterwards."""

    word: Word
    text: str
    written: str
    """What stands there now, for the report."""


def texts(folder: Path) -> dict[str, str]:
    """Return the files of a configuration by name."""
    return {
        str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*.yaml"))
    }


def words(file: str, text: str) -> list[Word]:
    """Return the keys and values of a file in their order."""
    node = ys.read_text(text, file, Problems())
    return list(_words(node, file, ())) if node is not None else []


def _words(node: ys.Node, file: str, path: tuple[str, ...]) -> Iterator[Word]:
    if isinstance(node, ys.Scalar):
        mark = node.mark
        if node.inset is not None or node.tag:
            yield Word(file=file, line=mark.line, column=mark.column, text=node.text, path=path,
                       key=False, plain=node.plain, tag=node.tag)  # fmt: skip
    elif isinstance(node, ys.Sequence):
        for item in node.items:
            yield from _words(item, file, path)
    elif isinstance(node, ys.Mapping):
        for key, mark in node.keys.items():
            yield Word(file=file, line=mark.line, column=mark.column, text=key,
                       path=(*path, key), key=True, plain=True)  # fmt: skip
            if key in node.items:
                yield from _words(node.items[key], file, (*path, key))


# --- the slips -----------------------------------------------------------------------------

Make = Callable[[str, Word, random.Random], str | None]
"""Return the text after the slip; None where it can't be made at this word."""


def _at(text: str, word: Word) -> int:
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: word.line - 1])) + word.column - 1
    return text.find(word.text, start)


def _put(text: str, word: Word, new: str) -> str | None:
    at = _at(text, word)
    if at < 0 or new == word.text:
        return None
    return text[:at] + new + text[at + len(word.text) :]


def misspelt(text: str, word: Word, chance: random.Random) -> str | None:
    """Two letters change places."""
    if word.free or "!" in word.text:
        return None
    places = [m.start() for m in re.finditer(r"(?=[a-z]{2})", word.text)]
    places = [p for p in places if word.text[p] != word.text[p + 1]]
    if not places:
        return None
    p = chance.choice(places)
    t = word.text
    new = t[:p] + t[p + 1] + t[p] + t[p + 2 :]
    return None if new in YES else _put(text, word, new)


def capital(text: str, word: Word, chance: random.Random) -> str | None:
    """A word begins with a capital, as at the beginning of a sentence."""
    if word.free or not re.match(r"[a-z]", word.text):
        return None
    return _put(text, word, word.text[0].upper() + word.text[1:])


_LASTS = re.compile(r"[0-9.]+(ms|s|m|h|d)")


def no_unit(text: str, word: Word, chance: random.Random) -> str | None:
    """A duration without its unit."""
    found = _LASTS.fullmatch(word.text)
    return _put(text, word, word.text.removesuffix(found[1])) if found and not word.key else None


def wrong_unit(text: str, word: Word, chance: random.Random) -> str | None:
    """A unit that is none here."""
    found = _LASTS.fullmatch(word.text)
    if found is None or word.key:
        return None
    number = word.text.removesuffix(found[1])
    return _put(text, word, number + chance.choice([" s", "sec", "S", "mins", "min"]))


def curly(text: str, word: Word, chance: random.Random) -> str | None:
    """Quotes as a word processor makes them."""
    at = _at(text, word)
    if word.plain or word.key or word.free or at < 1 or text[at - 1] not in "'\"":
        return None
    return text[: at - 1] + "\u201c" + word.text + "\u201d" + text[at + len(word.text) + 1 :]


def no_space(text: str, word: Word, chance: random.Random) -> str | None:
    """No space behind a colon."""
    at = _at(text, word)
    end = at + len(word.text)
    return text[: end + 1] + text[end + 2 :] if word.key and text[end : end + 2] == ": " else None


def tab(text: str, word: Word, chance: random.Random) -> str | None:
    """A line that begins with a tab."""
    lines = text.splitlines(keepends=True)
    line = lines[word.line - 1]
    inner = line.lstrip(" ")
    if inner == line or word.column - 1 != len(line) - len(inner) or not word.key:
        return None
    lines[word.line - 1] = "\t" + inner
    return "".join(lines)


def twice(text: str, word: Word, chance: random.Random) -> str | None:
    """A line that was copied and not changed."""
    lines = text.splitlines(keepends=True)
    line = lines[word.line - 1]
    own = word.key and line.strip().startswith(f"{word.text}:") and not line.strip().endswith(":")
    closed = all(line.count(a) == line.count(b) for a, b in ("[]", "{}"))
    folded = line.rstrip().endswith((">", ">-", "|", "|-"))
    if not own or not closed or folded or (word.line < len(lines) and _deeper(lines, word.line)):
        return None
    lines.insert(word.line - 1, line)
    return "".join(lines)


def _deeper(lines: list[str], line: int) -> bool:
    """Return whether the next line belongs to the one before it."""
    own, following = lines[line - 1], lines[line]
    return len(following) - len(following.lstrip()) > len(own) - len(own.lstrip())


def open_end(text: str, word: Word, chance: random.Random) -> str | None:
    """A bracket that is not closed."""
    lines = text.splitlines(keepends=True)
    line = lines[word.line - 1]
    places = [m.start() for m in re.finditer(r"[]}]", line.partition(" #")[0])]
    if not places or '"' in line:
        return None
    at = places[-1]
    lines[word.line - 1] = line[:at] + line[at + 1 :]
    return "".join(lines)


def left_out(text: str, word: Word, chance: random.Random) -> str | None:
    """A key that is needed is left out, with its value."""
    at = _at(text, word)
    found = re.match(rf"{re.escape(word.text)}: [^\s,{{}}\[\]\"']+, ", text[at:])
    needed = word.text in ("type", "at", "name", "preset")
    if not word.key or not needed or found is None or "near" in word.path:
        return None
    line = text.splitlines()[word.line - 1]
    if (word.text == "name" and word.path[0] != "tests") or "not_fired" in line:
        return None
    return text[:at] + text[at + found.end() :]


SLIPS: Mapping[str, Make] = {
    make.__name__: make
    for make in (
        misspelt,
        capital,
        no_unit,
        wrong_unit,
        curly,
        no_space,
        tab,
        twice,
        open_end,
        left_out,
    )
}


# --- whether it is found ----------------------------------------------------------------------


def slips(files: Mapping[str, str], kind: str, chance: random.Random) -> Iterator[Slip]:
    """Return slips of one kind in an endless random order of places."""
    every = [(file, word) for file, text in files.items() for word in words(file, text)]
    chance.shuffle(every)
    for file, word in every:
        text = SLIPS[kind](files[file], word, chance)
        if text is not None:
            before, after = files[file].splitlines(), text.splitlines()
            line = word.line - 1
            shown = after[line] if line < len(after) else ""
            if len(before) == len(after) and shown == before[line]:
                continue
            yield Slip(word=word, text=text, written=shown.strip())


def said(folder: Path) -> list[Problem]:
    """Return what is said of a configuration, by `check` and by its own tests."""
    try:
        configuration = load(folder)
    except ConfigurationRefused as refused:
        return refused.problems.all
    found = checked(configuration).all
    for case in configuration.rules.tests:
        if not case.skipped and play(case, configuration.rules, configuration.world):
            found.append(Problem(case.mark, f"the test fails: {case.name}"))
    return found


def written(folder: Path, to: Path, slip: Slip) -> Path:
    """Write the configuration with the slip into `to`."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    (to / slip.word.file).write_text(slip.text)
    return to


def finds(problems: list[Problem], slip: Slip) -> bool:
    """Return whether what is said leads to the slip."""
    word, line = slip.word, f"line {slip.word.line}"
    return any(
        (problem.mark.file == word.file and abs(problem.mark.line - word.line) <= 1)
        or (problem.mark.file == word.file and line in problem.hint)
        or _names(problem, slip)
        for problem in problems
    )


def _names(problem: Problem, slip: Slip) -> bool:
    """Return whether a message names the word that was meant, or one of the line as it is now."""
    said = f"{problem.message} {problem.hint}"
    meant = re.search(rf"(?<![\w.]){re.escape(slip.word.text)}(?![\w.])", said)
    now = re.findall(r"[^,:{}\[\]\"']+", slip.written)
    return bool(meant) or any(f"'{part.strip()}'" in said for part in now)
