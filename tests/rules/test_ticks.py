"""What comes exactly at a deadline is too late, also where binary fractions would have it early."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rules import ticks
from rules import yaml_source as ys
from rules.convert import Context
from rules.loader import load_rules
from rules.problems import Problems
from rules.scenario import play
from tests.rules.worlds import SHOP

EXACT = """
rules:
  in_order:
    when: {sequence: [{door_front: open}, {door_back: open}], within: 200ms}
    do: [{incident: in_order}]
  often:
    when: {count: 2, of: [{door_front: open}, {door_back: open}], within: 200ms}
    do: [{incident: often}]
  missing:
    when: {after: {door_front: open}, without: {door_back: open}, within: 200ms}
    do: [{incident: missing}]
  held:
    when: {door_front: open, for: 200ms}
    do: [{incident: held}]
  again:
    when: [{door_front: open}, {door_back: open}]
    do: [{incident: again}]
    cooldown: 200ms
tests:
  - name: exactly 200 ms after 100 ms
    timeline:
      - {at: 100ms, door_front: door.opened}
      - {at: 300ms, door_back: door.opened}
    expect:
      - {at: 300ms, rule: held, incident: held}
      - {at: 300ms, rule: missing, incident: missing}
      - {at: 100ms, rule: again, incident: again}
      - {at: 300ms, rule: again, incident: again}
"""


def test_fractions_of_a_second_are_exact() -> None:
    problems = Problems()
    node = ys.read_text(EXACT, "rules/exact.yaml", problems)
    assert node is not None
    found = load_rules([("rules/exact.yaml", node)], SHOP, Context(problems=problems))
    assert [str(problem) for problem in problems.errors] == []
    assert play(found.tests[0], found, SHOP) == []


@given(st.integers(0, 10**12), st.integers(0, 10**10))
def test_sums_and_differences_are_those_of_whole_microseconds(tick: int, more: int) -> None:
    assert ticks.after(tick / 1e6, more / 1e6) == (tick + more) / 1e6
    assert ticks.between(tick / 1e6, (tick + more) / 1e6) == more / 1e6
    assert ticks.before((tick + more) / 1e6, more / 1e6) == tick / 1e6
