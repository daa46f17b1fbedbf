"""Calls and event fields in an expression: the part that depends on devices, not on operators."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from rules.call_fields import KIND, fitting, literal
from rules.convert import Context, duration, duration_hint
from rules.functions import FUNCTIONS, Part
from rules.load_scope import spell
from rules.load_vars import constant
from rules.model import Constant, DeviceWords, FieldWords, World
from rules.problems import Problems, did_you_mean, nearest_or_all
from rules.tallies import Tallied
from rules.terms import Term, Wrong
from rules.words import fields_of_any


class Calls:
    """What one expression reads, and how its calls and event fields become code."""

    def __init__(
        self,
        world: World,
        event_fields: Mapping[str, FieldWords] | None,
        *,
        event_only: bool,
        steady: bool,
        context: Context | None = None,
    ) -> None:
        self.world = world
        self.context = context or Context(problems=Problems())
        self.reads: set[tuple[str, str]] = set()
        self.counts: dict[Tallied, float] = {}
        self.variables: dict[str, Constant] = {}
        self.tables: dict[str, Mapping[str, str]] = {}
        """Names of the code for what it looks up: device to its one neighbour."""
        self._event_fields = event_fields
        self._event_only, self._steady = event_only, steady

    def law(self, node: ast.AST, shown: str) -> None:
        """Refuse to read anything but the event in a life_safety rule."""
        if self._event_only:
            hint = "a life_safety rule must not depend on what may be unknown"
            raise Wrong(node, f"a life_safety rule reads event.* only, not {shown}", hint)

    def runtime(self, name: str, *arguments: ast.expr) -> ast.Call:
        """Return code that calls a function of rules.functions."""
        return ast.Call(func=_name(name), args=list(arguments), keywords=[])

    def view(self, method: str, *arguments: ast.expr) -> ast.Call:
        """Return code that asks the StateView."""
        function = ast.Attribute(value=_name("view"), attr=method, ctx=ast.Load())
        return ast.Call(func=function, args=list(arguments), keywords=[])

    def event_field(self, node: ast.Attribute, name: str) -> Term:
        """Return `event.<name>`.

        Raises:
            Wrong: there is no event, or the triggers don't say that field.
        """
        shown = f"event.{name}"
        fields = self._event_fields
        if fields is None or (name not in fields and fields.keys() <= {"device"}):
            hint = "read states here, or write it in if:"
            raise Wrong(node, f"{shown} can't be read here", hint)
        if name not in fields:
            hint = "event.near… belongs in do:" if name == "near" else nearest_or_all(name, fields)
            raise Wrong(node, f"the trigger does not say {name!r}", hint)
        words = fields[name]
        if words == "object":
            raise Wrong(node, f"{shown} is not one value that can be compared")
        self.reads.add(("event", name))
        special = {"device": "device_of", "signal": "signal_of"}
        if name in special:
            code = self.runtime(special[name], _name("event"))
        else:
            reader = "flag" if words == "bool" else "field"
            code = self.runtime(reader, _name("event"), ast.Constant(value=name))
        if isinstance(words, tuple):
            return Term(kind="word", code=code, shown=shown, values=words)
        return Term(kind=KIND[words], code=code, shown=shown)

    def neighbour(self, node: ast.expr, key: str) -> tuple[list[DeviceWords], ast.expr]:
        """Return who `event.near.<key>` may be, and the code of the id that it is.

        Raises:
            Wrong: there is no event, or one of its devices has no such neighbour, or several.
        """
        shown = f"event.near.{key}"
        self.law(node, shown)
        members = (self._event_fields or {}).get("device")
        if self._steady or not isinstance(members, tuple):
            raise Wrong(node, f"{shown} can't be read here", "write it in if:, or name the device")
        found = {
            member: self._one_near(node, self.world.devices[member], key) for member in members
        }
        self.reads.add(("event", "device"))
        self.tables[f"near_{key}"] = {member: device.id for member, device in found.items()}
        code = self.runtime("neighbour", _name("event"), _name(f"near_{key}"))
        return [*{device.id: device for device in found.values()}.values()], code

    def _one_near(self, node: ast.expr, member: DeviceWords, key: str) -> DeviceWords:
        if key not in member.near:
            hint = did_you_mean(key, member.near) or f"it has near: {spell(member.near)}"
            raise Wrong(node, f"{member.id} has no near: {key}", hint)
        near = member.near[key]
        if len(near) != 1:
            hint = f"there are {len(near)}; name the device, or give it one under a key of its own"
            raise Wrong(node, f"{member.id} has not one device near: {key}", hint)
        return self.world.devices[near[0]]

    def call(self, node: ast.Call) -> Term:
        """Return a call of the table.

        Raises:
            Wrong: no such function, or arguments that don't fit.
        """
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        if name not in FUNCTIONS:
            raise Wrong(node, f"unknown function {name!r}", nearest_or_all(name, FUNCTIONS))
        function = FUNCTIONS[name]
        named = all(each.arg and "signal" in function.parts for each in node.keywords)
        if not named or len(node.args) != len(function.parts):
            raise Wrong(node, f"{name}() takes other arguments", f"write {function.shown}")
        if name == "var":
            return self._variable(node.args[0])
        shown = ast.unparse(node)
        if name == "duration":
            seconds = self._duration(node.args[0])
            code: ast.expr = ast.Constant(value=seconds)
            return Term(kind="number", code=code, shown=shown, constant=seconds)
        self.law(node, f"{name}()")
        if self._steady:
            hint = "write it in if:, or hold a state with for:"
            raise Wrong(node, f"{name}() changes with time alone and can't stand here", hint)
        return Term(
            kind="number",
            code=self._code(node, name, function.parts),
            shown=shown,
        )

    def _variable(self, node: ast.expr) -> Term:
        """Return the value of a variable of the rule file, as if it were written out."""
        name, context = _word(node, "a variable"), self.context
        refused = name in context.refused
        if name not in context.types and not refused:
            if name in context.variables:
                hint = f"declare it in this file: vars: {{{name}: {{type: duration}}}}"
                raise Wrong(node, f"the type of the variable {name!r} is not known", hint)
            hint = nearest_or_all(name, context.types)
            raise Wrong(node, f"unknown variable {name!r}", hint)
        value = None if refused else constant(name, context)
        if value is None:
            raise Wrong(node, "")  # said where its value is written
        self.variables[name] = value
        return Term(
            kind=KIND[type(value).__name__],
            code=ast.Constant(value=value),
            shown=f"var({name!r})",
            constant=value,
            varies=True,
        )

    def _code(self, node: ast.Call, name: str, parts: tuple[Part, ...]) -> ast.expr:
        args = node.args
        members, who = self._devices(args[0], one=parts[0] == "device", nobody=name == "count")
        what = _word(args[1], f"a {parts[1]}")
        if parts[1] == "state":
            for device in members:
                self._has(args[1], device, what, device.states, "state")
                self.reads.add((device.id, what))
        else:
            for device in members:
                self._has(args[1], device, what, device.says, "signal")
        given = [_name("view"), who, ast.Constant(value=what)]
        within = 0.0
        if parts[-1] == "duration":
            within = self._duration(args[2])
            given.append(ast.Constant(value=within))
        fields = sorted(node.keywords, key=lambda field: str(field.arg))
        if fields:
            values = [self._field(field, what, members) for field in fields]
            keys: list[ast.expr | None] = [ast.Constant(value=field.arg) for field in fields]
            given.append(ast.Dict(keys=keys, values=values))
        for device in members if fields or name == "count" else ():
            key = (device.id, what, *(str(field.arg) for field in fields))
            self.counts[key] = max(within, self.counts.get(key, 0.0))
        return self.runtime(name, *given)

    def _field(self, field: ast.keyword, signal: str, members: list[DeviceWords]) -> ast.expr:
        """Return the code of the value that a field of `signal` must have."""
        name, known = str(field.arg), fields_of_any(device.says[signal] for device in members)
        if members and name not in known:
            hint = did_you_mean(name, known) or f"it has: {', '.join(sorted(known))}"
            raise Wrong(field, f"{signal} has no field {name!r}", hint)
        if name == "test":
            hint = "leave it out: what is said in a test never counts"
            raise Wrong(field, "test can't be asked for here", hint)
        node = field.value
        match node:
            case ast.Attribute(value=ast.Name(id="event"), attr=attribute):
                term = self.event_field(node, attribute)
            case ast.Call(func=ast.Name(id="var" | "duration")):
                term = self.call(node)
            case _ if (written := literal(node)) is not None:
                term = written
            case _:
                hint = f"write {name}='…', or {name}=event.{name}"
                raise Wrong(node, "a word, a number or event.<field> is wanted here", hint)
        return fitting(f"{name} of {signal}", known[name], term, node) if members else term.code

    def _devices(
        self, node: ast.expr, *, one: bool, nobody: bool
    ) -> tuple[list[DeviceWords], ast.expr]:
        """Return the devices that an argument names, and the code of a tuple of their ids.

        With `nobody` it may be a group that is empty here.
        """
        shown = ast.unparse(node)
        if shown == "event.device" and isinstance(node, ast.Attribute):
            term = self.event_field(node, "device")
            members = [self.world.devices[d] for d in term.values or ()]
            return members, ast.Tuple(elts=[term.code], ctx=ast.Load())
        if (key := near_key(node)) is not None:
            members, who = self.neighbour(node, key)
            return members, ast.Tuple(elts=[who], ctx=ast.Load())
        name = node.id if isinstance(node, ast.Name) else _word(node, "a device")
        if name in self.world.groups and not one:
            ids: tuple[str, ...] = self.world.groups[name]
        elif name in self.world.devices:
            ids = (name,)
        elif name in self.world.groups:
            raise Wrong(node, f"{name} is a group and has no state", "name one of its devices")
        else:
            known = {*self.world.devices, *self.world.groups}
            raise Wrong(node, f"unknown device {name!r}", nearest_or_all(name, known))
        if not ids and not nobody:
            raise Wrong(node, f"the group {name} is empty", "a rule can require it: requires:")
        code = ast.Tuple(elts=[ast.Constant(value=d) for d in ids], ctx=ast.Load())
        return [self.world.devices[d] for d in ids], code

    def _has(
        self,
        node: ast.expr,
        device: DeviceWords,
        word: str,
        known: Mapping[str, object],
        kind: str,
    ) -> None:
        if word in known:
            return
        verb = "says" if kind == "signal" else "has"
        hint = did_you_mean(word, known) or f"it {verb}: {', '.join(sorted(known))}"
        never = "never says" if kind == "signal" else "has no state"
        raise Wrong(node, f"{device.id} {never} {word!r}", hint)

    def _duration(self, node: ast.expr) -> float:
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "duration":
            written = self.call(node).constant
            assert isinstance(written, float)  # noqa: S101 - duration() is always written out
            return written
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "var":
            return self._length(node)
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str | int | float):
            raise Wrong(node, "a duration is wanted", "write it like '30s'")
        text = str(node.value)
        seconds = duration(text)
        if seconds is None:
            raise Wrong(node, f"{text!r} is not a duration", duration_hint(text))
        if seconds == 0:
            raise Wrong(node, "a window of no length")
        return seconds

    def _length(self, node: ast.Call) -> float:
        """Return the seconds of a variable."""
        term = self.call(node)
        kind = self.context.types[_word(node.args[0], "a variable")]
        if kind != "duration" or not isinstance(term.constant, float):
            raise Wrong(node, f"{term.shown} is no duration", f"its type is {kind}")
        if term.constant == 0:
            raise Wrong(node, "a window of no length")
        return term.constant


def near_key(node: ast.expr) -> str | None:
    """Return the key in `event.near.<key>`; None for anything else."""
    match node:
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="event"), attr="near"), attr=key):
            return key
    return None


def _word(node: ast.expr, what: str) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise Wrong(node, f"{what} is wanted here, in quotes")


def _name(name: str) -> ast.Name:
    return ast.Name(id=name, ctx=ast.Load())
