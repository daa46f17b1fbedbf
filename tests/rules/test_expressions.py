"""Conditions: what they answer, what is refused and where, and that any text is survived."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.event import Event
from drivers.priorities import Priority
from rules import yaml_source as ys
from rules.expressions import Compiled, compile_condition
from rules.model import FieldWords
from rules.problems import Mark, Problems
from rules.tallies import NO_FIELDS
from tests.rules.worlds import SHOP

EVENT_FIELDS: Mapping[str, FieldWords] = {
    **SHOP.devices["eas_front"].says["eas.alarm"],
    "text": "str",
    "device": ("eas_front", "eas_back"),
    "signal": ("eas.alarm",),
    "list": "object",
}


@dataclass(frozen=True)
class Shop:
    """States and histories as literals."""

    states: Mapping[str, str] = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def state(self, device: str, state: str) -> str:
        return self.states.get(f"{device}.{state}", "unknown")

    def since(self, device: str, kind: str, fields: Mapping[str, Any] = NO_FIELDS) -> float | None:
        return self.ages.get(f"{device}.{kind}{told(fields)}")

    def held(self, device: str, state: str) -> float | None:
        return self.ages.get(f"{device}.{state}")

    def count(
        self, device: str, kind: str, within: float, fields: Mapping[str, Any] = NO_FIELDS
    ) -> int:
        return self.counts.get(f"{device}.{kind}.{within:g}{told(fields)}", 0)


def told(fields: Mapping[str, Any]) -> str:
    return "".join(f" {name}={value!r}" for name, value in fields.items())


def an_event(**fields: Any) -> Event:
    return Event(
        id="0",
        device="eas_front",
        kind="eas.alarm",
        priority=Priority.security,
        tick=0.0,
        at=datetime(2026, 11, 20, 12, tzinfo=UTC),
        boot="b",
        trusted=True,
        fields=fields,
    )


def scalar(text: str) -> ys.Scalar:
    return ys.Scalar(mark=Mark("r.yaml", 1, 1), text=text, plain=True, inset=0)


def compiled(
    text: str,
    *,
    event_fields: Mapping[str, FieldWords] | None = EVENT_FIELDS,
    event_only: bool = False,
    steady: bool = False,
) -> tuple[Compiled | None, str]:
    problems = Problems()
    found = compile_condition(
        scalar(text),
        SHOP,
        event_fields=event_fields,
        problems=problems,
        event_only=event_only,
        steady=steady,
    )
    return found, str(problems)


def answer(text: str, shop: Shop, event: Event | None = None) -> str:
    condition, problems = compiled(text)
    assert condition is not None, problems
    return condition.evaluate(shop, event)


OPEN = Shop(states={"site.open": "yes", "door_front.contact": "open", "site.mode": "stock_take"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("site.open", "yes"),
        ("not site.open", "no"),
        ("site.open == 'yes'", "yes"),
        ("door_front.contact == 'open'", "yes"),
        ("'open' != door_front.contact", "no"),
        ("door_front.contact in ['closed']", "no"),
        ("door_front.contact not in ('closed',)", "yes"),
        ("site.mode == 'stock_take' and door_front.contact == 'open'", "yes"),
        ("site.mode == 'maintenance'", "no"),
        ("door_front.contact == 'open' == 'open'", "refused"),
        ("site.open and door_back.contact == 'open'", "unknown"),
        ("not site.open and door_back.contact == 'open'", "no"),
        ("site.open or door_back.contact == 'open'", "yes"),
        ("door_back.contact == 'open' or site.open", "unknown"),
        ("door_back.contact == 'unknown'", "yes"),
        ("door_back.contact == 'unknown' or door_back.contact == 'open'", "yes"),
        ("door_back.contact in ['unknown', 'open']", "yes"),
        ("door_back.contact == 'open' or door_back.contact == 'unknown'", "yes"),
        ("door_back.forced or door_back.contact == 'unknown'", "unknown"),
        ("site.delivery == 'unknown' and not site.delivery", "yes"),
    ],
)
def test_states_answer_yes_no_or_unknown(text: str, expected: str) -> None:
    condition, _ = compiled(text)
    assert ("refused" if condition is None else condition.evaluate(OPEN, None)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("event.direction == 'out'", "yes"),
        ("event.direction in ['in', 'unknown']", "no"),
        ("event.aisle >= 2", "yes"),
        ("1 < event.aisle <= 2", "yes"),
        ("event.aisle * 2 + 1 - -1 == 6", "yes"),
        ("event.aisle % 2 == 0 and event.aisle / 4 == 0.5", "yes"),
        ("event.aisle / (event.aisle - 2) > 1", "unknown"),
        ("event.device == 'eas_front'", "yes"),
        ("event.device == 'eas_back'", "no"),
        ("event.signal == 'eas.alarm'", "yes"),
        ("event.changed_while_down", "no"),
        ("not event.changed_while_down", "yes"),
        ("event.text == 'a'", "unknown"),
    ],
)
def test_event_fields_are_read_from_the_completing_event(text: str, expected: str) -> None:
    assert answer(text, Shop(), an_event(direction="out", aisle=2)) == expected


def test_a_text_can_be_looked_for_in_an_open_field() -> None:
    assert answer("'bag' in event.text", Shop(), an_event(text="a bag")) == "yes"
    assert answer("'bag' not in event.text", Shop(), an_event(text="a bag")) == "no"


def test_a_field_of_the_wrong_type_makes_the_answer_unknown() -> None:
    assert answer("event.aisle > 1", Shop(), an_event(aisle="two")) == "unknown"


def test_since_is_the_age_of_a_signal_and_unknown_when_it_was_never_said() -> None:
    shop = Shop(ages={"eas_back.eas.alarm": 31.0, "eas_front.eas.alarm": 40.0})
    assert answer("since('eas_back', 'eas.alarm') > duration('30s')", shop) == "yes"
    assert answer("since(eas_back, 'eas.alarm') > 31", shop) == "no"
    assert answer("since('gates', 'eas.alarm') == 31", shop) == "yes"
    assert answer("since(door_front, 'door.opened') > 1", shop) == "unknown"


def test_held_is_how_long_a_state_has_its_value() -> None:
    shop = Shop(ages={"door_front.contact": 12.0})
    assert answer("held('door_front', 'contact') >= duration('12s')", shop) == "yes"
    assert answer("held('door_back', 'contact') >= duration('12s')", shop) == "unknown"


def test_count_adds_up_the_members_of_a_group() -> None:
    shop = Shop(counts={"eas_front.eas.alarm.300": 2, "eas_back.eas.alarm.300": 1})
    assert answer("count('gates', 'eas.alarm', '5m') == 3", shop) == "yes"
    assert answer("count(eas_front, 'eas.alarm', duration('5m')) == 2", shop) == "yes"
    assert answer("count(eas_front, 'eas.metal', '5m') == 0", shop) == "yes"


def test_a_group_that_is_empty_here_said_nothing() -> None:
    assert answer("count('nobody', 'button.pressed', '5m') == 0", Shop()) == "yes"


def test_a_function_may_ask_about_the_device_of_the_event() -> None:
    shop = Shop(ages={"eas_front.eas.metal": 3.0})
    assert answer("since(event.device, 'eas.metal') < 5", shop, an_event()) == "yes"
    assert answer("since(event.device, 'eas.metal') < 5", shop, None) == "unknown"


def test_what_is_read_and_counted_is_told() -> None:
    condition, _ = compiled(
        "site.open and event.aisle > 1 and held('door_front', 'contact') > 3"
        " and count('gates', 'eas.alarm', '5m') > count('eas_back', 'eas.alarm', '1h')"
    )
    assert condition is not None
    assert condition.reads == {("site", "open"), ("event", "aisle"), ("door_front", "contact")}
    assert condition.counts == {
        ("eas_front", "eas.alarm"): 300.0,
        ("eas_back", "eas.alarm"): 3600.0,
    }


WRONG = [
    ("site.opn", "1:1: unknown state site.opn", "did you mean open?"),
    ("door_front.zzz", "1:1: unknown state door_front.zzz", "known: contact, forced, held, link,"),
    ("not sit.open", "1:5: unknown device 'sit'", "did you mean site?"),
    (
        "site.open and door_front.contact == 'opn'",
        "1:37: unknown value 'opn' of door_front.contact",
        "did you mean open?",
    ),
    ("'opn' == door_front.contact", "1:1: unknown value 'opn'", "did you mean open?"),
    ("door_front.contact in ['opn']", "1:24: unknown value 'opn'", "did you mean open?"),
    ("event.direction == 'unknwn'", "1:20: unknown value 'unknwn' of event.direction", "unknown?"),
    ("event.device == 'door_front'", "1:17: unknown value 'door_front'", "eas_front"),
    ("door_front.contact", "1:1: door_front.contact is a word, not yes or no", "== 'open'"),
    ("event.aisle", "1:1: event.aisle is a number, not yes or no", "event.aisle > 1"),
    ("door_front.contact == 3", "1:23: door_front.contact (a word) is compared with 3", ""),
    ("event.aisle == '3'", "1:16: event.aisle (a number) is compared with '3'", ""),
    ("event.changed_while_down == 'yes'", "1:29: event.changed_while_down (yes or no)", ""),
    ("door_front.contact > 'a'", "1:1: door_front.contact (a word) has no order", "write =="),
    ("event.aisle < 'a'", "1:15: 'a' has no order", "write =="),
    ("door_front.contact = 'open'", "1:20: not an expression", "write == to compare"),
    ("site.open && site.drill", "1:11: not an expression", "write `and`, `or`"),
    ("event.text == '=' <> 'a'", "1:19: not an expression", "write !="),
    ("!site.open", "1:1: not an expression", "write `not`"),
    ("site.open and", "not an expression", ""),
    ("", "1:1: an expression is wanted, not nothing", ""),
    ("open", "1:1: unknown name 'open'", "did you mean site.open?"),
    ("closed", "1:1: unknown name 'closed'", "did you mean 'closed'? words stand in quotes"),
    ("door_front", "1:1: door_front is a device, not a condition", "write door_front.contact"),
    ("exits.lock == 'locked'", "1:1: exits is a group and has no state", "lock_exit"),
    ("True", "1:1: True is not allowed in a condition", ""),
    ("1 == 1", "1:6: a comparison that is always the same", "compare a state or a field"),
    ("site.open or 1 < 2", "1:18: a comparison that is always the same", ""),
    ("'a'", "1:1: 'a' is always the same", ""),
    ("event.direction == door_front.contact", "are never the same", ""),
    ("event.aisel == 2", "1:1: the trigger does not say 'aisel'", "did you mean aisle?"),
    ("event.list == 2", "1:1: event.list is not one value that can be compared", ""),
    ("event.near.cameras == 'x'", "1:1: write <device>.<state>, one dot only", "cameras.<state>"),
    ("event.aisle ** 2 > 3", "1:1: power is not allowed in a condition", ""),
    ("'a' * 3 == event.text", "1:1: 'a' is no number", ""),
    ("event.text + 'a' == 'b'", "1:1: event.text (a word) is no number", ""),
    ("event.aisle / 0 > 1", "1:15: division by zero", ""),
    ("event.aisle / (2 - 2) > 1", "1:16: division by zero", ""),
    ("event.aisle > 1e300", "1:15: the number is too large", ""),
    ("[site.open for x in y]", "1:1: a loop is not allowed in a condition", ""),
    ("lambda: site.open", "1:1: `lambda` is not allowed in a condition", ""),
    ("site.open if site.drill else site.open", "`if … else` is not allowed in a condition", ""),
    ("site.mode is 'night'", "1:1: `is` is not allowed here", "write =="),
    ("site['open']", "1:1: `[…]` is not allowed in a condition", ""),
    ("~event.aisle == 1", "1:1: `~` is not allowed in a condition", ""),
    ("print('x')", "1:1: unknown function 'print'", "known: count, duration, held, since, var"),
    ("site.open.upper()", "1:1: unknown function 'site.open.upper'", "known: count"),
    ("since('door_front') > 1", "1:1: since() takes other arguments", "since('device', 'signal')"),
    ("since('door_frnt', 'door.opened') > 1", "1:7: unknown device 'door_frnt'", "door_front?"),
    (
        "since('door_front', 'door.opned') > 1",
        "1:21: door_front never says 'door.opned'",
        "door.opened?",
    ),
    ("since('gates', 'door.opened') > 1", "1:16: eas_front never says 'door.opened'", "says: eas."),
    ("since('nobody', 'door.opened') > 1", "1:7: the group nobody is empty", "requires:"),
    ("held('door_front', 'open') > 1", "1:20: door_front has no state 'open'", "it has: contact"),
    ("held('gates', 'alarm') > 1", "1:6: gates is a group and has no state", ""),
    ("count('gates', 'eas.alarm', 5) > 1", "1:29: '5' is not a duration", "did you mean 5s?"),
    ("count('gates', 'eas.alarm', '0s') > 1", "1:29: a window of no length", ""),
    ("event.aisle in 'abc'", "1:16: event.aisle (a number) is no text", ""),
    ("event.text in 'abc'", "1:15: `in` wants a list here", "write in ['abc']"),
    ("'open' in door_front.contact", "1:11: door_front.contact is one word", "write =="),
    ("door_front.contact in []", "1:23: nothing is in an empty list", ""),
    ("(site.open, site.drill)", "1:1: a list stands only after `in`", ""),
    ("'ä' == 'ä' or site.opn", "1:15: unknown state site.opn", "did you mean open?"),
]


FIELDS_WRONG = [
    ("direction='im'", "1:37: unknown value 'im' of direction of eas.alarm", "known: in, out"),
    ("directon='in'", "1:27: eas.alarm has no field 'directon'", "did you mean direction?"),
    ("direction=3", "1:37: direction of eas.alarm is a word, not a number", "write '3'"),
    ("aisle='3'", "1:33: aisle of eas.alarm (a number) is compared with '3'", ""),
    ("aisle=2.5", "1:33: aisle of eas.alarm is a whole number, never 2.5", ""),
    ("aisle=event.direction", "compared with event.direction (a word)", ""),
    ("aisle=event.aisel", "1:33: the trigger does not say 'aisel'", "did you mean aisle?"),
    ("aisle=1 + 1", "1:33: a word, a number or event.<field> is wanted", "aisle=event.aisle"),
    ("direction=site.mode", "1:37: a word, a number or event.<field> is wanted", ""),
    ("changed_while_down=True", "1:46: True is not allowed in a condition", "write 'yes' or 'no'"),
    ("changed_while_down=1", "1:46: changed_while_down of eas.alarm is yes or no", "'yes' or 'no'"),
    ("test='yes'", "1:27: test can't be asked for here", "what is said in a test never counts"),
    ("**site", "1:1: since() takes other arguments", "write since('device', 'signal')"),
]


@pytest.mark.parametrize(("field", "message", "hint"), FIELDS_WRONG)
def test_a_field_that_can_not_be_is_said_at_its_column(field: str, message: str, hint: str) -> None:
    condition, problems = compiled(f"since('gates','eas.alarm',{field}) > 3")
    assert condition is None
    assert message in problems
    assert hint in problems


def test_only_since_and_count_take_fields() -> None:
    _, problems = compiled("held('door_front', 'contact', direction='in') > 3")
    assert "1:1: held() takes other arguments" in problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("since('gates', 'eas.alarm', direction='in') == 4", "yes"),
        ("since('gates', 'eas.alarm', direction='out') == 4", "unknown"),
        ("since('gates', 'eas.alarm', direction=event.direction) == 4", "yes"),
        ("count('gates', 'eas.alarm', '1m', direction='in', aisle=event.aisle) == 3", "yes"),
        ("count('gates', 'eas.alarm', '1m', aisle=event.aisle, direction='in') == 3", "yes"),
        ("count('gates', 'eas.alarm', '1m', aisle=-1) == 5", "yes"),
        ("count('gates', 'eas.alarm', '1m', changed_while_down='yes') == 6", "yes"),
        (
            "count('gates', 'eas.alarm', '1m', changed_while_down=event.changed_while_down) == 0",
            "yes",
        ),
        ("count('gates', 'eas.alarm', '1m', direction=event.text) == 0", "unknown"),
        ("count('nobody', 'eas.alarm', '1m', direction='in') == 0", "yes"),
    ],
)
def test_fields_are_asked_for_in_the_order_of_their_names(text: str, expected: str) -> None:
    shop = Shop(
        ages={"eas_front.eas.alarm direction='in'": 4.0},
        counts={
            "eas_front.eas.alarm.60 aisle=2 direction='in'": 1,
            "eas_back.eas.alarm.60 aisle=2 direction='in'": 2,
            "eas_back.eas.alarm.60 aisle=-1": 5,
            "eas_front.eas.alarm.60 changed_while_down=True": 6,
        },
    )
    assert answer(text, shop, an_event(aisle=2, direction="in")) == expected


def test_what_is_told_apart_is_told_and_since_has_no_window() -> None:
    condition, _ = compiled(
        "since('gates', 'eas.alarm', direction='in') > 3"
        " or count('eas_back', 'eas.alarm', '1h', direction=event.direction) > 1"
        " or count('eas_back', 'eas.alarm', '2m', direction='in', aisle=1) > 1"
    )
    assert condition is not None
    assert condition.reads == {("event", "direction")}
    assert condition.counts == {
        ("eas_front", "eas.alarm", "direction"): 0.0,
        ("eas_back", "eas.alarm", "direction"): 3600.0,
        ("eas_back", "eas.alarm", "aisle", "direction"): 120.0,
    }


@pytest.mark.parametrize(("text", "message", "hint"), WRONG)
def test_what_is_wrong_is_said_at_its_column_with_a_hint(
    text: str, message: str, hint: str
) -> None:
    condition, problems = compiled(text)
    assert condition is None
    assert message in problems
    assert hint in problems


def test_every_part_is_checked_not_only_the_first() -> None:
    _, problems = compiled("site.opn and (door_front.contact == 'opn' or nobody.x)")
    assert problems.count("r.yaml:1:") == 3


def test_where_there_is_no_event_none_can_be_read() -> None:
    _, problems = compiled("event.aisle > 1", event_fields=None)
    assert problems.startswith("r.yaml:1:1: event.aisle can't be read here")
    members: Mapping[str, FieldWords] = {"device": ("door_back",)}
    _, problems = compiled("event.aisle > 1", event_fields=members)
    assert problems.startswith("r.yaml:1:1: event.aisle can't be read here")
    condition, _ = compiled("event.device == 'door_back'", event_fields=members)
    assert condition is not None


def test_a_life_safety_condition_reads_nothing_but_the_event() -> None:
    _, problems = compiled("event.aisle > 1 and site.open", event_only=True)
    assert problems == (
        "r.yaml:1:21: a life_safety rule reads event.* only, not site.open\n"
        "    a life_safety rule must not depend on what may be unknown"
    )
    _, problems = compiled("since('eas_back', 'eas.alarm') > 1", event_only=True)
    assert "a life_safety rule reads event.* only, not since()" in problems


def test_what_changes_with_time_alone_is_refused_where_only_changes_are_noticed() -> None:
    _, problems = compiled("since('eas_back', 'eas.alarm') > 1", steady=True)
    assert "since() changes with time alone and can't stand here" in problems


@pytest.mark.parametrize(
    ("yaml", "place"),
    [
        ("if: site.opn", "1:5"),
        ('if: "site.opn"', "1:6"),
        ("if: 'site.opn'", "1:6"),
        ('if: "  not site.opn "', "1:12"),
        ("if:   not   site.opn", "1:13"),
        ("if: |\n  site.open and\n  site.opn", "1:5"),
        ("if: site.open and\n  site.opn", "1:5"),
    ],
)
def test_the_place_is_precise_where_the_text_stands_on_one_line(yaml: str, place: str) -> None:
    problems = Problems()
    node = ys.read_text(yaml, "r.yaml", problems)
    assert isinstance(node, ys.Mapping)
    condition = node.items["if"]
    compile_condition(condition, SHOP, event_fields=EVENT_FIELDS, problems=problems)
    assert str(problems).startswith(f"r.yaml:{place}: unknown state site.opn")


def test_an_expression_has_at_most_a_thousand_characters() -> None:
    long = "event.text == '" + "n" * 984 + "'"
    assert len(long) == 1000
    assert compiled(long)[0] is not None
    condition, problems = compiled(long.replace("==", "!= "))
    assert condition is None
    assert problems == "r.yaml:1:1: an expression has at most 1000 characters"


def test_a_condition_over_several_lines_is_one_condition() -> None:
    assert answer("site.open and\n door_front.contact == 'open'", OPEN) == "yes"


WORDS = r"""site event open door_front contact . == 'open' ' " ( ) [ ] , and or not in - + * / %
1 0 since held duration count eas_front 'eas.alarm' '5m' \ # : := lambda if else é 1e999
event.aisle site.open {} f'' b'' 0x 1if ... ~ ^ ** //"""
ALPHABET = st.sampled_from([*WORDS.split(), "\n", "\t", ""])


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(ALPHABET, max_size=12).map(" ".join)))
def test_any_text_is_a_condition_or_a_problem(text: str) -> None:
    condition, problems = compiled(text)
    assert (condition is None) == bool(problems)
    if condition is not None:
        assert condition.evaluate(OPEN, an_event(aisle=1)) in {"yes", "no", "unknown"}


@pytest.mark.parametrize(
    "text", ["(" * 400, "-" * 900, "not " * 240, "a." * 490 + "a", "f()" * 300]
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert compiled(text)[0] is None


# --- a second, naive evaluator ---------------------------------------------------------------

STATES = {
    "site.open": ["yes", "no", "unknown"],
    "site.delivery": ["yes", "no", "unknown"],
    "door_front.contact": ["open", "closed", "unknown"],
    "door_back.contact": ["open", "closed", "unknown"],
}
LEAVES = st.one_of(
    st.sampled_from(["site.open", "site.delivery", "event.aisle > 1", "event.aisle * 2 == 4"]),
    st.builds(
        "{}.contact {} '{}'".format,
        st.sampled_from(["door_front", "door_back"]),
        st.sampled_from(["==", "!="]),
        st.sampled_from(["open", "closed", "unknown"]),
    ),
    st.builds(
        "{}.contact in {!r}".format,
        st.sampled_from(["door_front", "door_back"]),
        st.lists(st.sampled_from(["open", "closed", "unknown"]), min_size=1, max_size=2),
    ),
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda part: st.one_of(
        st.builds("not ({})".format, part),
        st.builds("({}) {} ({})".format, part, st.sampled_from(["and", "or"]), part),
    ),
    max_leaves=6,
)


class _Nobody(Exception):
    pass


def naive(node: ast.expr, states: Mapping[str, str], asked: set[str], aisle: int | None) -> Any:
    """Evaluate by walking the tree; a switch is a bool where truth is asked."""

    def walk(part: ast.expr) -> Any:
        return naive(part, states, asked, aisle)

    def sure(part: ast.expr) -> bool:
        found = walk(part)
        return found == "yes" if isinstance(found, str) else bool(found)

    match node:
        case ast.BoolOp(op=ast.And()):
            return all(sure(part) for part in node.values)
        case ast.BoolOp():
            return any(sure(part) for part in node.values)
        case ast.UnaryOp():
            return not sure(node.operand)
        case ast.Constant():
            return node.value
        case ast.List():
            return [walk(item) for item in node.elts]
        case ast.BinOp():
            return walk(node.left) * walk(node.right)
        case ast.Attribute(value=ast.Name(id="event")):
            if aisle is None:
                raise _Nobody
            return aisle
        case ast.Attribute():
            name = ast.unparse(node)
            if states[name] == "unknown" and name not in asked:
                raise _Nobody
            return states[name]
        case ast.Compare():
            left, right = walk(node.left), walk(node.comparators[0])
            match node.ops[0]:
                case ast.Eq():
                    return left == right
                case ast.NotEq():
                    return left != right
                case ast.In():
                    return left in right
                case _:
                    return left > right
    raise AssertionError(ast.dump(node))


def asked_unknown(tree: ast.expr) -> set[str]:
    compares = [node for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    return {
        ast.unparse(node.left)
        for node in compares
        if "'unknown'" in ast.unparse(node.comparators[0])
    }


@settings(max_examples=200, deadline=None)
@given(
    EXPRESSIONS,
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in STATES.items()}),
    st.sampled_from([None, 1, 2]),
)
def test_compiled_code_agrees_with_a_walk_over_the_tree(
    text: str, states: dict[str, str], aisle: int | None
) -> None:
    tree = ast.parse(text, mode="eval").body
    try:
        found = naive(tree, states, asked_unknown(tree), aisle)
        expected = "yes" if found is True or found == "yes" else "no"
    except _Nobody:
        expected = "unknown"
    event = an_event() if aisle is None else an_event(aisle=aisle)
    assert answer(text, Shop(states=states), event) == expected
