"""`storewarden check`: every problem of a configuration, at its place."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.cli import words
from edge.cli.exits import Failed, WrongUsage

SHOWN = 5
"""Folders that are named where several say the same."""


def add(commands: Any) -> None:
    check = words.command(
        commands,
        "check",
        "say what is wrong with a configuration folder; touches no device",
        act,
        "storewarden check --config examples/demo_store",
    )
    words.config_option(check)
    words.json_option(check)
    check.add_argument(
        "--fleet", type=Path, metavar="DIR", help="check every folder in DIR that has a site.yaml"
    )


def act(chosen: argparse.Namespace) -> int:
    from edge.config.checked import checked
    from edge.config.load import load
    from rules.problems import ConfigurationRefused, Problem

    folders = _folders(chosen)
    found: list[tuple[Path, Problem]] = []
    for folder in folders:
        try:
            problems = checked(load(folder))
        except ConfigurationRefused as refused:
            problems = refused.problems
        found += [(folder, problem) for problem in problems.all]
    errors = sum(problem.level == "error" for _, problem in found)
    if chosen.json:
        words.print_json([_as_json(folder, problem) for folder, problem in found])
        return words.answer(good=not errors)
    for said, where in _once(found).items():
        prefix = f"{where[0]}/" if chosen.fleet else ""
        words.show(f"{prefix}{said}")
        if len(where) > 1:
            words.show(f"    also in {_named(where[1:])}")
    if errors:
        raise Failed(words.counted(errors, "problem"))
    warned = words.counted(sum(p.level == "warning" for _, p in found), "warning")
    print(f"{words.counted(len(folders), 'configuration')} checked: no problems, {warned}")
    return words.answer(good=True)


def _once(found: list[tuple[Path, Any]]) -> dict[str, list[Path]]:
    """Return each problem with its folders: stores of a fleet share the files of its rules."""
    once: dict[str, list[Path]] = {}
    for folder, problem in found:
        once.setdefault(str(problem), []).append(folder)
    return once


def _named(folders: list[Path]) -> str:
    shown = ", ".join(folder.name for folder in folders[:SHOWN])
    rest = len(folders) - SHOWN
    return shown + (f", and {rest} more" if rest > 0 else "")


def _folders(chosen: argparse.Namespace) -> list[Path]:
    if chosen.fleet is None:
        if not chosen.config.is_dir():
            raise WrongUsage(f"there is no folder {chosen.config}")
        return [chosen.config]
    folders = sorted(path.parent for path in chosen.fleet.glob("*/site.yaml"))
    if not folders:
        raise WrongUsage(f"no folder in {chosen.fleet} has a site.yaml")
    return folders


def _as_json(folder: Path, problem: Any) -> dict[str, Any]:
    mark = problem.mark
    return {
        "folder": str(folder),
        "file": mark.file,
        "line": mark.line,
        "column": mark.column,
        "level": problem.level,
        "message": problem.message,
        "hint": problem.hint,
    }
