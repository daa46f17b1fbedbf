"""Rules that set each other off are stopped, and everybody else goes on."""

from __future__ import annotations

from pathlib import Path

from edge.circles import MOST, Circles
from tests.edge.shop import Story, said, shop

ROUND = """
rules:
  chatter:
    when: {site: incident.opened}
    do: [{incident: chatter}]
  gate_alarm:
    when: {eas_front: eas.alarm}
    do: [{incident: gate_alarm}, {sound: siren_front, for: 10s}]
"""


def test_a_hundred_things_in_ten_seconds_are_enough() -> None:
    circles = Circles()
    assert [circles.stops("a", 1.0) for _ in range(MOST)] == [False] * MOST
    assert circles.stops("a", 10.0) is None  # the first one too many
    assert circles.stops("a", 10.9) is True
    assert circles.stops("b", 10.9) is False
    assert circles.stops("a", 11.0) is False
    for _ in range(MOST - 1):
        circles.stops("a", 11.0)
    assert circles.stops("a", 11.0) is None


def test_a_rule_that_goes_round_is_stopped_and_said_once(tmp_path: Path) -> None:
    story = Story(shop(tmp_path, rules=ROUND))
    words = list(story.at(said(0, "eas_front", "eas.alarm")).said)
    heard = []
    while words:
        word = words.pop()
        heard.append(word.kind)
        assert len(heard) < 1000
        event = said(1, "site", word.kind, sets=dict(word.sets), **word.fields)
        words += story.at(event).said
    assert heard.count("incident.opened") == MOST + 1
    assert heard.count("rule.stopped") == 1
    turn = story.at(said(2, "eas_front", "eas.alarm"))
    assert [word.kind for word in turn.said] == ["incident.opened"]
