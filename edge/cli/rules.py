"""`storewarden rules`: play the rules' own tests, list them, and what the modules of PARTS do."""

from __future__ import annotations

import argparse
import importlib
from importlib.util import find_spec
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE, NO, WrongUsage

PARTS = ("explain", "backtest", "apply")
"""Modules of this package; each has `add(parts)` and is light to import."""


def add(commands: Any) -> None:
    rules = words.command(
        commands,
        "rules",
        "test, list, explain, backtest and apply rules",
        _none,
        "storewarden rules test --config DIR",
    )
    parts = rules.add_subparsers(
        dest="part", metavar="|".join(("test", "list", *PARTS)), required=True
    )
    test = words.command(
        parts,
        "test",
        "play the tests in the rule files on a virtual clock",
        act_test,
        "storewarden rules test --config examples/demo_store",
    )
    listed = words.command(
        parts,
        "list",
        "list the rules, and why one is inactive here",
        act_list,
        "storewarden rules list --config examples/demo_store",
    )
    for each in (test, listed):
        words.config_option(each)
        words.json_option(each)
    test.add_argument("--only", metavar="TEXT", help="play tests whose name contains it")
    for part in PARTS:
        module = f"edge.cli.{part}"
        if find_spec(module) is not None:
            importlib.import_module(module).add(parts)


def _none(_chosen: argparse.Namespace) -> int:
    return NO


def act_test(chosen: argparse.Namespace) -> int:
    from rules.scenario import play

    configuration = words.loaded(chosen.config)
    failed = skipped = 0
    results: list[dict[str, Any]] = []
    for case in configuration.rules.tests:
        if chosen.only and chosen.only not in case.name:
            continue
        where = f"{case.mark.file}:{case.mark.line}: {case.name}"
        played = [] if case.skipped else play(case, configuration.rules, configuration.world)
        failed += bool(played)
        skipped += bool(case.skipped)
        results.append(
            {
                "test": case.name,
                "file": case.file,
                "failures": played,
                "skipped": case.skipped or None,
            }
        )
        if not chosen.json:
            for failure in played:
                words.show(f"{where}: {failure}")
            if case.skipped and not case.elsewhere:
                words.show(f"{where}: not played here: {case.skipped}")
    if chosen.only and not results:
        raise WrongUsage(f"no test's name contains {chosen.only!r}")
    if chosen.json:
        words.print_json(results)
    else:
        told = f", {skipped} not played here" if skipped else ""
        elsewhere = any(case.elsewhere for case in configuration.rules.tests)
        told += ": their tests_at: names another site" if skipped and elsewhere else ""
        print(f"{words.counted(len(results), 'test')}, {failed} failed{told}")
    return words.answer(good=not failed)


def act_list(chosen: argparse.Namespace) -> int:
    configuration = words.loaded(chosen.config)
    found = [
        {
            "rule": rule.id,
            "priority": rule.priority.name,
            "enabled": rule.enabled,
            "inactive": rule.inactive,
            "file": f"{rule.mark.file}:{rule.mark.line}",
            "description": rule.description,
        }
        for rule in configuration.rules.rules
    ]
    if chosen.json:
        words.print_json(found)
        return DONE
    print("\n".join(_by_file(found)))
    return DONE


def _by_file(found: list[dict[str, Any]]) -> list[str]:
    """Return the rules of each file below its name, in lines of at most 100 columns."""
    from edge.cli.plainly import wrapped

    width = max((len(rule["rule"]) for rule in found), default=0)
    files: dict[str, list[str]] = {}
    for rule in found:
        state = {"yes": "on", "no": "off"}.get(rule["enabled"], "in shadow")
        state = f"inactive: {rule['inactive']}" if rule["inactive"] else state
        about = f"; {rule['description']}" if rule["description"] else ""
        line = f"  {rule['rule']:<{width}}  {state}, {rule['priority']}{about}"
        file = rule["file"].rpartition(":")[0]
        files.setdefault(file, []).extend(wrapped(line))
    return [line for file, lines in files.items() for line in (file, *lines)]
