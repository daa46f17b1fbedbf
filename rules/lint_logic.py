"""What conditions can answer: their parts tried with every value that they could read."""

from __future__ import annotations

import ast
import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from drivers.signals import UNKNOWN
from rules.calls import near_key
from rules.convert import duration
from rules.expressions import NO_VARIABLES
from rules.functions import Unknown
from rules.model import Answer, Constant, FieldWords, World

MOST = 4096
"""Combinations of values that are tried; of a condition that has more nothing is said."""
OTHER = "\0other"
"""Stands for every word that is not written in the condition."""
SPEAKER = "event.device"
Value = str | float | bool | None
"""None: nobody knows."""
Kind = Literal["state", "word", "flag", "number", "truth"]
_ORDER: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_MIRRORED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is certain when a condition is asked; what is not named here may be anything."""

    devices: tuple[str, ...] = ()
    """Who may have said the event."""
    signals: tuple[str, ...] | None = None
    fields: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    states: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    said: tuple[tuple[str, ...], str] | None = None
    """(devices, signal): one of them says it in this very moment."""
    held: tuple[tuple[str, ...], str, float, float] | None = None
    """(devices, state, seconds): for how long at least and at most it is so with one of them."""


@dataclass(slots=True, kw_only=True)
class Atom:
    """One thing that is read."""

    key: str
    kind: Kind
    owner: str = ""
    """Device of a state; `event`; the function's name."""
    name: str = ""
    devices: tuple[str, ...] = ()
    values: tuple[str, ...] | None = None
    whole: bool = False
    constants: set[Any] = field(default_factory=set)
    """Words or numbers that it is compared with."""

    def domain(self, given: Given) -> tuple[Value, ...]:
        """Return every value that makes a difference."""
        match self.kind:
            case "state":
                known = given.states.get((self.owner, self.name))
                return known or (*self._words(), UNKNOWN)
            case "truth":
                return (True, False, None)
            case "number":
                return self._numbers(given)
        if self.name == "device":
            return given.devices or (*self._words(), None)
        if self.name == "signal" and given.signals is not None:
            return given.signals
        if self.name in given.fields:
            return given.fields[self.name]
        return (True, False) if self.kind == "flag" else (*self._words(), None)

    def _words(self) -> tuple[str, ...]:
        if self.values:
            return self.values
        return (*sorted(self.constants - {UNKNOWN}), OTHER)

    def _numbers(self, given: Given) -> tuple[Value, ...]:
        low, high, known = -math.inf, math.inf, False
        if self.owner in ("since", "held", "count"):
            low, known = 0.0, self.owner == "count"
        elif self.owner == "event" and self.name in given.fields:
            return given.fields[self.name]
        if given.said and self._is_of(*given.said) and self.owner != "held":
            low, high = (0.0, 0.0) if self.owner == "since" else (1.0, high)
            known = True
        if given.held and self._is_of(*given.held[:2]) and self.owner == "held":
            low, high, known = given.held[2], given.held[3], True
        found = sorted(n for n in self._samples() if low <= n <= high)
        found = found or [low if math.isfinite(low) else 0.0]
        return (*found, *(() if known else (None,)))

    def _is_of(self, devices: tuple[str, ...], name: str) -> bool:
        """Return whether a function asks about whichever of `devices` it was."""
        asked = self.devices == (SPEAKER,) or set(devices) <= set(self.devices)
        return asked and self.name == name

    def _samples(self) -> set[float]:
        marks = sorted(self.constants)
        if not marks:
            return {0.0}
        if self.whole:
            near = (math.floor, math.ceil)
            return {float(turn(m) + d) for m in marks for turn in near for d in (-1, 0, 1)} | {0.0}
        between = {(a + b) / 2 for a, b in itertools.pairwise(marks)}
        return {*marks, *between, marks[0] - 1, marks[-1] + 1, marks[0] / 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a condition; `parts` are those that it is made of."""

    at: ast.expr
    parts: tuple[Part, ...] = ()
    how: Literal["and", "or", "not", "leaf"] = "leaf"
    atoms: frozenset[str] = frozenset()
    test: Callable[[Mapping[str, Value]], bool] | None = None

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Return whether it is so with these values, as compiled code would.

        Raises:
            Unknown: something that is read is not known.
        """
        if self.test is not None:
            return self.test(values)
        if self.how == "not":
            return not self.parts[0].holds(values)
        each = (part.holds(values) for part in self.parts)
        return all(each) if self.how == "and" else any(each)

    def answer(self, values: Mapping[str, Value]) -> Answer:
        try:
            return "yes" if self.holds(values) else "no"
        except Unknown:
            return "unknown"


class Logic:
    """Conditions that are looked at together; what two of them read is one thing."""

    def __init__(self, world: World, event: Mapping[str, FieldWords]) -> None:
        self.world, self.event = world, event
        self.atoms: dict[str, Atom] = {}

    def read(self, source: str | None, variables: Mapping[str, Constant] = NO_VARIABLES) -> Part:
        """Return a condition that was compiled without a mistake; None is always so.

        Words and numbers of `variables` stand in their places; a yes or no may be either.
        """
        if source is None:
            return Part(at=ast.Constant(value="yes"), test=lambda _values: True)
        tree = ast.parse(f"({source})", mode="eval").body
        tree = _Folded(variables).visit(tree)
        return _Reader(self, _asked(tree)).part(tree)

    def answers(self, parts: tuple[Part, ...], given: Given) -> set[tuple[Answer, ...]] | None:
        """Return every combination of answers that there can be; None when it is too many."""
        keys = sorted(frozenset[str]().union(*(part.atoms for part in parts)))
        domains = [self.atoms[key].domain(given) for key in keys]
        if math.prod(map(len, domains)) > MOST:
            return None
        return {
            tuple(part.answer(values) for part in parts)
            for chosen in itertools.product(*domains)
            for values in (dict(zip(keys, chosen, strict=True)),)
        }

    def outcomes(self, part: Part, given: Given) -> set[Answer] | None:
        """Return every answer that there can be; None when too many values would be tried."""
        found = self.answers((part,), given)
        return None if found is None else {answer for (answer,) in found}


def _asked(tree: ast.expr) -> frozenset[str]:
    """Return what is compared with `'unknown'`: its being unknown is a value there."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            words = [e for s in sides for e in (getattr(s, "elts", None) or [s])]
            if any(isinstance(w, ast.Constant) and w.value == UNKNOWN for w in words):
                found |= {ast.unparse(side) for side in sides}
    return frozenset(found)


class _Folded(ast.NodeTransformer):
    """Puts the words and numbers of variables in their places."""

    def __init__(self, variables: Mapping[str, Constant]) -> None:
        self._variables = variables

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Name(id="var"), args=[ast.Constant(value=str(name))]):
                value = ast.Constant(value=self._variables[name])
                if not isinstance(value.value, bool):
                    return ast.copy_location(value, node)
                node.args.append(value)  # another value is another thing
        return node


class _Reader:
    """From syntax to parts."""

    def __init__(self, logic: Logic, asked: frozenset[str]) -> None:
        self._logic, self._asked = logic, asked

    def part(self, node: ast.expr) -> Part:
        match node:
            case ast.BoolOp():
                how: Literal["and", "or"] = "and" if isinstance(node.op, ast.And) else "or"
                return self._of(node, how, [self.part(value) for value in node.values])
            case ast.UnaryOp(op=ast.Not()):
                return self._of(node, "not", [self.part(node.operand)])
            case ast.Compare():
                sides = [node.left, *node.comparators]
                pairs = list(zip(sides, node.ops, sides[1:], strict=False))
                leaves = [self._compared(node, *pair) for pair in pairs]
                return leaves[0] if len(leaves) == 1 else self._of(node, "and", leaves)
        atom = self._atom(node)
        wanted: Value = True if atom.kind in ("flag", "truth") else "yes"
        return self._leaf(node, atom, lambda value: value == wanted)

    def _of(self, node: ast.expr, how: Literal["and", "or", "not"], parts: list[Part]) -> Part:
        atoms = frozenset[str]().union(*(part.atoms for part in parts))
        return Part(at=node, how=how, parts=tuple(parts), atoms=atoms)

    def _leaf(self, node: ast.expr, atom: Atom, test: Callable[[Value], bool]) -> Part:
        tried = self._known(atom, test)
        return Part(at=node, atoms=frozenset({atom.key}), test=tried)

    def _known(
        self, atom: Atom, test: Callable[[Value], bool]
    ) -> Callable[[Mapping[str, Value]], bool]:
        refuses = {None} if atom.key in self._asked or atom.kind != "state" else {None, UNKNOWN}

        def tried(values: Mapping[str, Value]) -> bool:
            value = values[atom.key]
            if value in refuses:
                raise Unknown
            return test(value)

        return tried

    def _compared(
        self, whole: ast.Compare, left: ast.expr, how: ast.cmpop, right: ast.expr
    ) -> Part:
        if isinstance(how, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple | ast.Set) or _constant(left) is not None:
                return self._opaque(whole, ast.Compare(left, [how], [right]))
            atom, items = self._atom(left), {_constant(item) for item in right.elts}
            atom.constants |= items
            wanted = isinstance(how, ast.In)
            return self._leaf(whole, atom, lambda value: (value in items) is wanted)
        one, other = _constant(left), _constant(right)
        if one is None and other is None:
            return self._of_two(whole, left, how, right)
        if one is not None and other is not None:
            return self._opaque(whole, ast.Compare(left, [how], [right]))
        if one is not None:
            left, how, other = right, _MIRRORED.get(type(how), type(how))(), one
        atom, test, constant = self._atom(left), _ORDER[type(how)], other
        atom.constants.add(constant)
        return self._leaf(whole, atom, lambda value: test(value, constant))

    def _of_two(self, whole: ast.Compare, left: ast.expr, how: ast.cmpop, right: ast.expr) -> Part:
        one, other = self._atom(left), self._atom(right)
        if one.kind == "number":
            if one.key > other.key:
                one, other, how = other, one, _MIRRORED.get(type(how), type(how))()
            key = f"{one.key} - {other.key}"
            atom = self._atoms(Atom(key=key, kind="number"))
            atom.constants.add(0.0)
            test = _ORDER[type(how)]
            return self._leaf(whole, atom, lambda value: test(value, 0.0))
        if one.values is None or other.values is None:
            same = ast.Compare(left, [ast.Eq()], [right])
            return self._opaque(whole, same, wanted=isinstance(how, ast.Eq))
        first, second = self._known(one, bool), self._known(other, bool)
        equal = isinstance(how, ast.Eq)

        def tried(values: Mapping[str, Value]) -> bool:
            first(values), second(values)
            return (values[one.key] == values[other.key]) is equal

        return Part(at=whole, atoms=frozenset({one.key, other.key}), test=tried)

    def _opaque(self, node: ast.expr, as_one: ast.expr, *, wanted: bool = True) -> Part:
        atom = self._atoms(Atom(key=ast.unparse(as_one), kind="truth"))
        return self._leaf(node, atom, lambda value: value is wanted)

    def _atoms(self, atom: Atom) -> Atom:
        return self._logic.atoms.setdefault(atom.key, atom)

    def _atom(self, node: ast.expr) -> Atom:
        key = ast.unparse(node)
        match node:
            case ast.Attribute(value=ast.Name(id="event"), attr=name):
                words = self._logic.event.get(name, "str")
                if isinstance(words, tuple):
                    made = Atom(key=key, kind="word", owner="event", name=name, values=words)
                else:
                    kinds: dict[str, Kind] = {"str": "word", "bool": "flag"}
                    kind = kinds.get(words, "number")
                    whole = words == "int"
                    made = Atom(key=key, kind=kind, owner="event", name=name, whole=whole)
            case ast.Attribute(value=ast.Name(id=device), attr=name):
                values = self._logic.world.devices[device].states[name] or None
                made = Atom(key=key, kind="state", owner=device, name=name, values=values)
            case ast.Attribute(value=near, attr=name) if (of := near_key(near)) is not None:
                values = self._near(of, name) or None
                made = Atom(key=key, kind="state", owner=key, name=name, values=values)
            case ast.Call(func=ast.Name(id="var")):
                made = Atom(key=key, kind="flag")
            case ast.Call(func=ast.Name(id=function)):
                made = self._called(node, function)
            case _:
                made = Atom(key=key, kind="number")
        return self._atoms(made)

    def _near(self, key: str, state: str) -> tuple[str, ...]:
        """Return the values of a state of the neighbours; none where one has others than these."""
        devices, speakers = self._logic.world.devices, self._logic.event.get("device", ())
        near = [devices[n] for s in speakers for n in devices[s].near.get(key, ())]
        each = [device.states.get(state, ()) for device in near]
        return tuple(dict.fromkeys(v for some in each for v in some)) if all(each) else ()

    def _called(self, node: ast.Call, function: str) -> Atom:
        first = node.args[0]
        name = first.id if isinstance(first, ast.Name) else getattr(first, "value", None)
        devices = self._logic.world.groups.get(str(name), (str(name),))
        shown = [str(name) if isinstance(name, str) else ast.unparse(first)]
        shown += [ast.unparse(each) for each in node.args[1:]]
        fields = sorted(node.keywords, key=lambda each: str(each.arg))
        shown += [f"{each.arg}={ast.unparse(each.value)}" for each in fields]
        return Atom(
            key=f"{function}({', '.join(shown)})",
            kind="number",
            # What was just said may have other fields, and an event need not say its own.
            owner="" if "event." in "".join(shown[len(node.args) :]) else function,
            name="" if fields else str(_constant(node.args[1])),
            devices=devices if isinstance(name, str) else (ast.unparse(first),),
            whole=function == "count",
        )


def _constant(node: ast.expr) -> Any:
    """Return the word or number that is written out; None for what is read."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            value = _constant(inner)
            return None if value is None else -value
        case ast.Call(func=ast.Name(id="duration"), args=[ast.Constant(value=text)]):
            return duration(str(text))
        case ast.BinOp(left=left, op=op, right=right):
            one, other = _constant(left), _constant(right)
            signs: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
                ast.Add: operator.add,
                ast.Sub: operator.sub,
                ast.Mult: operator.mul,
                ast.Div: operator.truediv,
                ast.Mod: operator.mod,
            }
            if one is not None and other is not None:
                return signs[type(op)](one, other)
    return None


def leaves(part: Part) -> Iterator[Part]:
    """Return the parts that are made of no others."""
    if not part.parts:
        yield part
    for inner in part.parts:
        yield from leaves(inner)
