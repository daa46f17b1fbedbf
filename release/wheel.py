"""Storewarden's own wheel and source archive, the same bytes for the same commit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Literal

NO_COMMIT = 1580601600
"""2 February 2020: the time of files where neither git nor the environment names one."""


class BuildFailed(Exception):
    """What was to be made could not be made; the message says why."""


def version(tree: Path) -> str:
    """Return the version that edge/version.py of `tree` names.

    Raises:
        BuildFailed: it names none, or one that can't be a folder's name.
    """
    text = (tree / "edge" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([0-9][0-9A-Za-z.+-]*)"$', text, re.MULTILINE)
    if not found:
        raise BuildFailed("edge/version.py names no version")
    return found[1]


def moment(tree: Path) -> int:
    """Return the time that files in what is built carry: SOURCE_DATE_EPOCH, else the commit's."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    return int(git(tree, "log", "-1", "--format=%ct") or NO_COMMIT)


def changed(tree: Path) -> bool:
    """Return whether `tree` is something else than its last commit, as far as git can say."""
    said = git(tree, "status", "--porcelain")
    return said is None or bool(said.strip())


def git(tree: Path, *words: str) -> str | None:
    """Return what git says of `tree`; None where there is no git, or `tree` is none of its own."""
    try:
        done = subprocess.run(("git", "-C", str(tree), *words), capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def build(tree: Path, out: Path, kind: Literal["wheel", "sdist"] = "wheel") -> Path:
    """Make the wheel or the source archive of `tree` in the folder `out`, and return its path.

    Raises:
        BuildFailed: the build backend refused; the message is its own.
    """
    out.mkdir(parents=True, exist_ok=True)
    before = set(out.iterdir())
    done = subprocess.run(
        (sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out.resolve())),
        cwd=tree,
        capture_output=True,
        text=True,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(moment(tree)), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    made = sorted(set(out.iterdir()) - before) or sorted(out.glob("storewarden-*"))
    if done.returncode or len(made) != 1:
        raise BuildFailed(f"hatchling made no {kind}:\n{done.stderr.strip()[-2000:]}")
    return made[0]
