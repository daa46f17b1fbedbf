"""From a parsed expression to code that reads states and events, checking every name and type."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping

from drivers.event import SITE
from drivers.signals import UNKNOWN
from rules.calls import Calls, near_key
from rules.convert import Context
from rules.model import DeviceWords, FieldWords, World
from rules.problems import did_you_mean, nearest_or_all
from rules.terms import Term, Wrong, contains, equal, number, ordered, truth

DEEPEST = 40
LARGEST = 1e15

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_REFUSED: dict[type[ast.AST], str] = {
    ast.Pow: "power",
    ast.FloorDiv: "`//`",
    ast.MatMult: "`@`",
    ast.BitAnd: "`&`",
    ast.BitOr: "`|`",
    ast.BitXor: "`^`",
    ast.LShift: "`<<`",
    ast.RShift: "`>>`",
    ast.Lambda: "`lambda`",
    ast.IfExp: "`if … else`",
    ast.ListComp: "a loop",
    ast.SetComp: "a loop",
    ast.DictComp: "a loop",
    ast.GeneratorExp: "a loop",
    ast.NamedExpr: "`:=`",
    ast.Subscript: "`[…]`",
    ast.JoinedStr: "a format",
    ast.Starred: "`*`",
    ast.Dict: "a mapping",
    ast.Is: "`is`",
    ast.IsNot: "`is not`",
    ast.Invert: "`~`",
}


class Translation(Calls):
    """One expression on its way to code; collects what it reads and what is wrong."""

    def __init__(
        self,
        world: World,
        *,
        event_fields: Mapping[str, FieldWords] | None,
        event_only: bool,
        steady: bool,
        context: Context | None = None,
    ) -> None:
        super().__init__(world, event_fields, event_only=event_only, steady=steady, context=context)
        self.wrong: list[Wrong] = []
        self._asked_unknown: set[tuple[str, str]] = set()
        self._guarded: list[tuple[tuple[str, str], ast.Call]] = []

    def condition(self, tree: ast.expr) -> ast.expr | None:
        """Return the code, or None with the reasons in `wrong`."""
        if _too_deep(tree):
            self.wrong.append(Wrong(tree, "nested too deeply"))
            return None
        code = self._part(tree)
        for state, call in self._guarded:
            if state in self._asked_unknown:
                inner = call.args[0]
                assert isinstance(inner, ast.Call)  # noqa: S101 - built by _state below
                call.func, call.args = inner.func, inner.args
        return code

    def _part(self, node: ast.expr) -> ast.expr | None:
        """Return the truth of a part; its mistake is noted and does not hide those of others."""
        try:
            return self._truth(node)
        except Wrong as wrong:
            self.wrong.append(wrong)
            return None

    def _truth(self, node: ast.expr) -> ast.expr:
        return truth(self._value(node), node)

    def _value(self, node: ast.expr) -> Term:
        match node:
            case ast.BoolOp():
                parts = [self._part(part) for part in node.values]
                values = [part for part in parts if part is not None]
                code: ast.expr = ast.BoolOp(op=node.op, values=values)
                return Term(kind="yesno", code=code, shown=_shown(node))
            case ast.UnaryOp(op=ast.Not()):
                code = ast.UnaryOp(op=ast.Not(), operand=self._truth(node.operand))
                return Term(kind="yesno", code=code, shown=_shown(node))
            case ast.UnaryOp(op=ast.USub()):
                return self._minus(node)
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Compare():
                return self._compare(node)
            case ast.Call():
                return self.call(node)
            case ast.Constant():
                return _constant(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Name():
                raise Wrong(node, *self._bare(node.id))
        named = _REFUSED.get(type(node))
        if isinstance(node, ast.UnaryOp):
            named = _REFUSED.get(type(node.op), "+")
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            raise Wrong(node, "a list stands only after `in`")
        raise Wrong(node, f"{named or 'this'} is not allowed in a condition")

    def _minus(self, node: ast.UnaryOp) -> Term:
        term = number(self._value(node.operand), node.operand)
        code = ast.UnaryOp(op=ast.USub(), operand=term.code)
        constant = -term.constant if isinstance(term.constant, int | float) else None
        return Term(
            kind="number", code=code, shown=_shown(node), constant=constant, varies=term.varies
        )

    def _arithmetic(self, node: ast.BinOp) -> Term:
        if type(node.op) not in _ARITHMETIC:
            raise Wrong(node, f"{_REFUSED[type(node.op)]} is not allowed in a condition")
        left = number(self._value(node.left), node.left)
        right = number(self._value(node.right), node.right)
        if right.constant == 0 and isinstance(node.op, ast.Div | ast.Mod):
            raise Wrong(node.right, "division by zero")
        code = ast.BinOp(left=left.code, op=node.op, right=right.code)
        constant = None
        if isinstance(left.constant, int | float) and isinstance(right.constant, int | float):
            constant = _ARITHMETIC[type(node.op)](left.constant, right.constant)
        varies = left.varies or right.varies
        return Term(kind="number", code=code, shown=_shown(node), constant=constant, varies=varies)

    def _compare(self, node: ast.Compare) -> Term:
        written = [node.left, *node.comparators]
        left = self._value(node.left)
        codes: list[ast.expr] = [left.code]
        for comparison, before, at in zip(node.ops, written, written[1:], strict=False):
            if isinstance(comparison, ast.Is | ast.IsNot):
                hint = "write ==" if isinstance(comparison, ast.Is) else "write !="
                raise Wrong(node, f"{_REFUSED[type(comparison)]} is not allowed here", hint)
            if isinstance(comparison, ast.In | ast.NotIn):
                if isinstance(at, ast.List | ast.Tuple | ast.Set):
                    codes.append(self._list(left, at))
                    break
                right = self._value(at)
                contains(left, right, at)
            else:
                right = self._value(at)
                if isinstance(comparison, _ORDER):
                    ordered(left, right, at, before)
                else:
                    literal = left.constant is not None and right.constant is None
                    equal(left, right, before if literal else at)
                self._compared(left, right)
            codes.append(right.code)
            left = right
        if len(codes) < len(written):
            raise Wrong(node, "nothing can follow a list")
        code = ast.Compare(left=codes[0], ops=node.ops, comparators=codes[1:])
        return Term(kind="yesno", code=code, shown=_shown(node))

    def _list(self, left: Term, node: ast.List | ast.Tuple | ast.Set) -> ast.expr:
        if not node.elts:
            raise Wrong(node, "nothing is in an empty list")
        items = [(self._value(item), item) for item in node.elts]
        for term, item in items:
            if term.constant is None:
                raise Wrong(item, "a list holds words or numbers only")
            equal(left, term, item)
            self._compared(left, term)
        return ast.Tuple(elts=[term.code for term, _ in items], ctx=ast.Load())

    def _compared(self, left: Term, right: Term) -> None:
        for one, other in ((left, right), (right, left)):
            if one.constant == UNKNOWN and other.state:
                self._asked_unknown.add(other.state)

    def _attribute(self, node: ast.Attribute) -> Term:
        key = near_key(node.value)
        if key is not None:
            return self._near_state(node, key)
        if not isinstance(node.value, ast.Name):
            key = near_key(node)
            hint = f"write event.near.{key}.<state>" if key is not None else ""
            raise Wrong(node, "write <device>.<state>, one dot only", hint)
        owner, name = node.value.id, node.attr
        if owner == "event":
            return self.event_field(node, name)
        if owner in self.world.groups:
            hint = f"name one of {', '.join(self.world.groups[owner]) or 'its devices'}"
            raise Wrong(node, f"{owner} is a group and has no state", hint)
        if owner not in self.world.devices:
            known = {**self.world.devices, "event": None}
            raise Wrong(node, f"unknown device {owner!r}", nearest_or_all(owner, known))
        return self._state(node, self.world.devices[owner], name)

    def _state(self, node: ast.Attribute, device: DeviceWords, name: str) -> Term:
        values = _values(node, device, name)
        self.law(node, f"{device.id}.{name}")
        self.reads.add((device.id, name))
        return self._read((device.id, name), ast.Constant(value=device.id), values)

    def _near_state(self, node: ast.Attribute, key: str) -> Term:
        devices, who = self.neighbour(node, key)
        each = [_values(node, device, node.attr) for device in devices]
        self.reads |= {(device.id, node.attr) for device in devices}
        values = tuple(dict.fromkeys(value for some in each for value in some))
        return self._read((f"event.near.{key}", node.attr), who, values if all(each) else ())

    def _read(self, state: tuple[str, str], who: ast.expr, values: tuple[str, ...]) -> Term:
        call = self.runtime("known", self.view("state", who, ast.Constant(value=state[1])))
        self._guarded.append((state, call))
        shown = ".".join(state)
        return Term(kind="word", code=call, shown=shown, values=values or None, state=state)

    def _bare(self, name: str) -> tuple[str, str]:
        """Return message and hint for a name that stands alone."""
        if self.context is not None and name in self.context.types:
            return f"unknown name {name!r}", f"did you mean var('{name}')?"
        if name in self.world.devices:
            states = sorted(self.world.devices[name].states)
            best = "open" if name == SITE else states[0]
            return f"{name} is a device, not a condition", f"write {name}.{best}"
        owners = [d.id for d in self.world.devices.values() if name in d.states]
        if owners:
            return f"unknown name {name!r}", f"did you mean {owners[0]}.{name}?"
        values = {v for d in self.world.devices.values() for s in d.states.values() for v in s}
        if name in values:
            return f"unknown name {name!r}", f"did you mean '{name}'? words stand in quotes"
        return f"unknown name {name!r}", did_you_mean(name, self.world.devices)


def _values(node: ast.expr, device: DeviceWords, name: str) -> tuple[str, ...]:
    if name not in device.states:
        hint = did_you_mean(name, device.states) or f"known: {', '.join(sorted(device.states))}"
        raise Wrong(node, f"unknown state {device.id}.{name}", hint)
    return device.states[name]


def _constant(node: ast.Constant) -> Term:
    value = node.value
    if isinstance(value, bool) or value is None:
        raise Wrong(node, f"{value} is not allowed in a condition", "write `x` or `not x`")
    if isinstance(value, str):
        return Term(kind="word", code=node, shown=repr(value), constant=value)
    if isinstance(value, int | float):
        if not abs(value) < LARGEST:
            raise Wrong(node, "the number is too large")
        return Term(kind="number", code=node, shown=str(value), constant=value)
    raise Wrong(node, "only words in quotes and numbers can be written out")


def _too_deep(tree: ast.AST) -> bool:
    """Return whether a part stands deeper than anybody writes; counts without recursion."""
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return bool(level)


def _shown(node: ast.AST) -> str:
    return ast.unparse(node)
