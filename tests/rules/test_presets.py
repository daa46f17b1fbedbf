"""`preset: event.device`: one rule for many gates; a camera has a preset called like each."""

from __future__ import annotations

from rules import yaml_source as ys
from rules.convert import Context
from rules.loader import load_rules
from rules.problems import Problems
from rules.scenario import play
from tests.rules.worlds import SHOP

LOOKED_AT = """
rules:
  look:
    when: {gates: eas.alarm}
    do: [{goto: cam_exit, preset: event.device, for: 10s}, {incident: look}]
    escalate: [{after: 20s, do: [{goto: cam_exit, preset: event.device}]}]
tests:
  - name: each gate has its preset, also when nobody answers
    timeline:
      - {at: 0s, eas_front: eas.alarm}
      - {at: 5s, eas_back: eas.alarm}
      - {at: 21s, acknowledge: look}
    expect:
      - {at: 0s, goto: cam_exit, preset: eas_front}
      - {at: 0s, incident: look}
      - {at: 5s, goto: cam_exit, preset: eas_back}
      - {at: 5s, incident: look}
      - {at: 10s, ends: cam_exit}
      - {at: 15s, ends: cam_exit}
      - {at: 20s, goto: cam_exit, preset: eas_front}
"""


def test_the_camera_turns_to_the_preset_of_the_device() -> None:
    problems = Problems()
    node = ys.read_text(LOOKED_AT, "rules/a.yaml", problems)
    assert node is not None
    rules = load_rules([("rules/a.yaml", node)], SHOP, Context(problems=problems))

    assert str(problems) == ""
    (case,) = rules.tests
    assert play(case, rules, SHOP) == []
