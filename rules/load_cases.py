"""Read `tests:` of a rule file: what is given, what happens, and what is expected of the rules."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rules import yaml_source as ys
from rules.convert import Context
from rules.load_actions import known_mode
from rules.load_expect import expectation
from rules.load_scope import Scope
from rules.load_timeline import happening
from rules.model import Moment, Rule, TestCase
from rules.problems import Problems, nearest_or_all

KEYS = ("name", "with", "given", "timeline", "expect")
GIVEN = ("now", "site", "vars", "mode", "modes", "states")
WithVars = Callable[
    [tuple[str, ...], Mapping[str, ys.Node]], tuple[dict[str, Rule], tuple[Moment, ...]]
]


def case(
    node: ys.Node,
    scope: Scope,
    *,
    file: str,
    by_file: Mapping[str, Mapping[str, Rule]],
    active: Mapping[str, Rule],
    local: bool,
    with_vars: WithVars,
) -> TestCase | None:
    """Return one test, or None after saying what is wrong with it.

    `by_file` are the rules of each file as written there, `active` those in force at this site.
    A file of the fleet plays all rules as written, one of this store (`local`) plays those of
    other files that are in force. A test that can't be played because one of its rules is
    inactive says so in `skipped`.
    """
    found = scope.mapping(node, "write name:, timeline: and expect:")
    if found is None:
        return None
    scope.known_keys(found, KEYS)
    if scope.missing(found, "name", "expect"):
        return None
    files = _files(found, scope, file, by_file)
    rules = dict(by_file[file])
    for other in files[1:]:
        rules |= {
            name: one
            for name, one in by_file[other].items()
            if not local or active.get(name) is one
        }
    resting = next((r for r in rules.values() if r.inactive), None)
    said = Problems() if resting else scope.problems
    inner = dataclasses.replace(scope, context=_saying(scope.context, said))
    test = _test(found, inner, file, rules)
    given = found.items.get("given")
    over = given.items.get("vars") if isinstance(given, ys.Mapping) else None
    variant = {name: one for name, one in rules.items() if active.get(name) is not one}
    moments: tuple[Moment, ...] = ()
    if isinstance(over, ys.Mapping):
        others, moments = with_vars(files, over.items)
        variant |= {name: one for name, one in others.items() if name in rules}
    skipped = ""
    if resting is not None and (said.errors or _names(test, resting.id)):
        skipped = f"{resting.id} {resting.inactive}"
    return dataclasses.replace(test, variant=variant, moments=moments, skipped=skipped)


def left_out(node: ys.Node, file: str, rules: Mapping[str, Rule], site: str) -> TestCase:
    """Return a test of a file that is tested at another site, unread: its devices are there."""
    name = node.items.get("name") if isinstance(node, ys.Mapping) else None
    return TestCase(
        name=name.text if isinstance(name, ys.Scalar) else "",
        mark=node.mark,
        file=file,
        given={},
        timeline=(),
        expect=(),
        rules=tuple(rules),
        skipped=f"it is for {site}",
        elsewhere=True,
    )


def _saying(context: Context, problems: Problems) -> Context:
    return dataclasses.replace(context, problems=problems)


def _names(test: TestCase, rule: str) -> bool:
    """Return whether a test expects anything of a rule."""
    return any(
        entry.get("rule", entry.get("not_fired", {}).get("rule")) == rule for entry in test.expect
    )


def _files(
    node: ys.Mapping, scope: Scope, file: str, by_file: Mapping[str, Mapping[str, Rule]]
) -> tuple[str, ...]:
    """Return the files whose rules are played: the test's own and those of `with`.

    A file is named as seen from the test's own folder, or from the configuration's.
    """
    found = [file]
    folder = file.rpartition("/")[0]
    for item in scope.items(node.items["with"]) if "with" in node.items else ():
        name = scope.word(item)
        if name is None:
            continue
        beside = posixpath.normpath(posixpath.join(folder, name))
        named = next((whole for whole in (beside, name) if whole in by_file), None)
        if named is None:
            known = [other.removeprefix(f"{folder}/") for other in by_file if other != file]
            scope.unknown(item.mark, "rule file", name, known)
        elif named not in found:
            found.append(named)
    return tuple(found)


def _test(node: ys.Mapping, scope: Scope, file: str, rules: Mapping[str, Rule]) -> TestCase:
    timeline = []
    told = node.items.get("timeline")
    for item in scope.items(told) if told is not None and not _null(told) else ():
        entry = happening(item, scope)
        if entry is not None:
            timeline.append(entry)
    wanted = node.items["expect"]
    if _null(wanted):
        hint = "write expect: [] where the rules are to do nothing"
        scope.problems.error(wanted.mark, "expect: says nothing", hint)
    expected = [
        (item.mark, entry)
        for item in (scope.items(wanted) if not _null(wanted) else ())
        if (entry := expectation(item, scope, rules)) is not None
    ]
    return TestCase(
        name=scope.word(node.items["name"]) or "",
        mark=node.mark,
        file=file,
        given=_given(node.items["given"], scope) if "given" in node.items else {},
        timeline=tuple(sorted(timeline, key=lambda entry: entry["at"])),
        expect=tuple(entry for _, entry in expected),
        rules=tuple(rules),
        marks=tuple(mark for mark, _ in expected),
    )


def _null(node: ys.Node) -> bool:
    return isinstance(node, ys.Scalar) and node.null


def _given(node: ys.Node, scope: Scope) -> dict[str, Any]:
    found = scope.mapping(node)
    given: dict[str, Any] = {}
    if found is None:
        return given
    scope.known_keys(found, GIVEN)
    states: dict[str, dict[str, str]] = {}
    for key, item in found.items.items():
        if key == "now":
            given["now"] = _now(item, scope)
        elif key in ("mode", "modes"):
            mode = _mode(item, scope)
            if mode is not None:
                states.setdefault("site", {})["mode"] = mode
        elif key == "site":
            _states("site", item, scope, states)
        elif key == "states":
            for device, values in _entries(item, scope):
                if device in scope.world.devices:
                    _states(device, values, scope, states)
                else:
                    known = scope.world.devices
                    scope.unknown(_key(item, device).mark, "device", device, known)
    return {**given, "states": states}


def _mode(node: ys.Node, scope: Scope) -> str | None:
    """Return the mode of `modes: stock_take`, or of a list with one."""
    items = scope.items(node)
    if len(items) != 1:
        scope.problems.error(
            node.mark, "the site has one mode at a time", "write modes: stock_take"
        )
        return None
    return scope.word(items[0]) if known_mode(items[0], scope) else None


def _entries(node: ys.Node, scope: Scope) -> list[tuple[str, ys.Node]]:
    found = scope.mapping(node)
    return list(found.items.items()) if found else []


def _key(node: ys.Node, key: str) -> ys.Node:
    """Return a node that stands where a key stands."""
    assert isinstance(node, ys.Mapping)  # noqa: S101 - its entries were read before
    return ys.Node(mark=node.keys[key])


def _now(node: ys.Node, scope: Scope) -> datetime | None:
    text = scope.word(node)
    if text is None:
        return None
    hint = 'local time of the site: "2026-11-20T12:00:00"'
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        scope.problems.error(node.mark, f"{text!r} is no date and time", hint)
        return None
    if found.tzinfo is not None:
        scope.problems.error(node.mark, f"{text!r} has a zone of its own", hint)
        return None
    return found


def _states(device: str, node: ys.Node, scope: Scope, states: dict[str, dict[str, str]]) -> None:
    known = scope.world.devices[device].states
    for state, item in _entries(node, scope):
        value = scope.word(item)
        if state not in known:
            hint = nearest_or_all(state, known)
            mark = _key(node, state).mark
            scope.problems.error(mark, f"{device} has no state {state!r}", hint)
        elif value is not None and known[state] and value not in (*known[state], "unknown"):
            scope.no_value(item.mark, value, f"{device}.{state}", known[state])
        elif value is not None:
            states.setdefault(device, {})[state] = value
