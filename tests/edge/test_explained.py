"""What the journal tells of firings and near misses, from records that a real road wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from buffer.scan import Scan
from drivers.priorities import Priority
from drivers.signals import OrderDone
from edge.again import Then
from edge.asking import Asked, Found, find, mentions
from edge.cli.main import main
from edge.config.load import load
from edge.stories import as_json
from edge.then import look
from tests.edge.box import Box
from tests.edge.shop import BEGAN, RULES_YAML, written

RULES = RULES_YAML + (
    """
  in_hours:
    when: {eas_front: eas.alarm, direction: out}
    if: site.open
    do: [{incident: theft}]
    cooldown: 30s
  stormy:
    when: {eas_front: eas.metal}
    quiet: {for: 60s, at_most: 10m}
    do: [{incident: metal}]
  unexplained:
    when:
      before: {eas_front: eas.alarm, direction: out}
      without: {panic: button.pressed}
      within: 30s
    do: [{incident: theft}]
  failing:
    when: {cam_exit: order.failed}
    do: [{incident: camera}]
  twice:
    when: {eas_front: eas.jammer}
    do: [{sound: siren_back, for: 5s}]
    escalate: [{after: 10s, do: [{sound: siren_back, for: 5s}]}]
  rehearsed:
    enabled: shadow
    when: {panic: button.pressed}
    do: [{sound: siren_back, for: 5s}]
  off:
    enabled: no
    when: {panic: button.pressed}
    do: [{incident: panic}]
"""
)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Box(tmp_path, rules=RULES) as made:
        made.at(0, "site", "opened", sets={"open": "yes"})
        for device in ("eas_front", "door_back", "panic", "siren_front", "siren_back"):
            made.at(0.1, device, "link.up")
        made.at(0.2, "door_back", "state.known", sets={"contact": "closed"})
        made.snapshot()
        yield made


@pytest.fixture
def told(box: Box, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command beside the box; return its lines, or the JSON."""
    monkeypatch.setenv("STATE_DIRECTORY", str(box.folder / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(box.folder / "run"))

    def run(*arguments: str, code: int = 0) -> Any:
        assert box.path.exists()
        assert main(["rules", "explain", *arguments, "--config", str(box.folder)]) == code
        out, err = capsys.readouterr()
        if code:
            return err.strip()
        return json.loads(out) if "--json" in arguments else out.splitlines()

    return run


def ask(box: Box, **asked: Any) -> Found:
    with Scan(box.path) as scan:
        return find(scan, Asked(**asked))


def then(box: Box, rule: str, since: float, until: float) -> Then:
    (one,) = [r for r in box.configuration.rules.rules if r.id == rule]
    with Scan(box.path) as scan:
        return look(scan, box.configuration, one, at(since), at(until))


def at(tick: float) -> datetime:
    return BEGAN + timedelta(seconds=tick)


def orders(found: Found) -> list[list[tuple[str, str, str]]]:
    return [[(o.device, o.result, o.reason) for o in f.orders] for f in found.firings]


# --- firings -----------------------------------------------------------------------------------


def test_a_firing_is_told_with_what_became_of_its_orders(box: Box, told: Any) -> None:
    box.broken["cam_exit"] = "not connected"
    box.at(10, "eas_front", "eas.alarm", direction="in")
    box.until(100)
    assert told("gate_alarm") == [
        "gate_alarm fired on Fri 20 Nov 2026 12:00:10 (12:00:10 UTC)",
        "  matched     eas_front said eas.alarm (direction in), at that moment",
        "  ordered     siren_front: sound for 10 s: done after 18 ms;"
        " ended after 10 s: its time was over",
        "              cam_exit: goto gate for 60 s: failed: not connected;"
        " ended after 60 s: its time was",
        "              over",
        "              incident gate_activation: opened",
        "  60 s later  siren_back: sound for 5 s: done after 18 ms;"
        " ended after 5 s: its time was over",
    ]


def test_a_hold_says_how_long_and_its_lease_what_ended_it(box: Box, told: Any) -> None:
    box.at(300, "door_back", "door.opened")
    box.at(340, "door_back", "door.closed")
    assert told("propped") == [
        "propped fired on Fri 20 Nov 2026 12:05:20 (12:05:20 UTC)",
        "  matched     door_back said door.opened, 20 s before",
        "  held        door_back was open for 20 s",
        "  ordered     siren_back: sound for 2 min: done after 18 ms;"
        " ended after 20 s: what ends it came",
    ]


def test_a_condition_a_cooldown_and_a_shadow_are_told(box: Box, told: Any) -> None:
    box.at(10, "eas_front", "eas.alarm", direction="out")
    box.at(12, "eas_front", "eas.alarm", direction="out")
    box.at(14, "panic", "button.pressed")
    box.until(60)
    assert told("in_hours")[:5] == [
        "in_hours fired on Fri 20 Nov 2026 12:00:10 (12:00:10 UTC)",
        "  matched     eas_front said eas.alarm (direction out), at that moment",
        "  if          site.open: yes",
        "  ordered     incident theft: opened",
        "  again       once more it would have fired, and was held back",
    ]
    assert told("rehearsed")[1:] == [
        "  shadow      the rule is in shadow: it decides, and nothing is done",
        "  matched     panic said button.pressed, at that moment",
        "  ordered     siren_back: sound for 5 s: not done, in shadow",
    ]


def test_refused_and_renewed_orders_say_why(box: Box) -> None:
    box.at(10, "eas_front", "eas.alarm")
    box.at(15, "eas_front", "eas.alarm")
    box.at(30, "fire_main", "fire.alarm")
    box.at(40, "eas_front", "eas.alarm")
    box.until(200)
    third, second, first = orders(ask(box, rule="gate_alarm"))
    assert first[0] == ("siren_front", "done", "")
    assert second[0] == ("siren_front", "unmoved", "it is so")
    assert third[0][:2] == ("siren_front", "refused")
    assert "evacuation" in third[0][2]
    firings = ask(box, rule="gate_alarm").firings
    assert [(f.orders[0].because, f.orders[0].ended) for f in firings] == [
        ("", None),
        ("for", 10.0),
        ("renewed", 5.0),
    ]


def test_an_order_that_failed_first_was_done_later(box: Box) -> None:
    box.broken["siren_front"] = "not connected"
    box.at(10, "eas_front", "eas.alarm")
    (firing,) = ask(box, rule="gate_alarm").firings
    box.now = 13.0
    done = OrderDone(command="sound", rule="gate_alarm", firing=firing.id, by="rule", seconds=0.1)
    box.speaker.say("siren_front", done, Priority.security)
    box.until(14)
    box.at(14, "eas_front", "eas.ended")
    (again,) = ask(box, rule="gate_alarm").firings
    assert (again.orders[0].result, again.orders[0].after) == ("done", 3.0)
    assert again.orders[0].failures == ["not connected"]


def test_a_step_that_orders_the_same_again_has_its_own_outcome(box: Box) -> None:
    box.at(10, "eas_front", "eas.jammer")
    box.until(15)
    box.broken["siren_back"] = "not connected"
    box.until(30)
    (firing,) = ask(box, rule="twice").firings
    first, second = firing.orders[0], firing.escalated[0].orders[0]
    assert (first.result, round(first.after or 0.0, 3)) == ("done", 0.018)
    assert (second.result, firing.escalated[0].after) == ("failed", 10.0)


def test_repeats_belong_to_the_firing_before_them(box: Box) -> None:
    for tick in (10, 100, 105, 110):
        box.at(tick, "eas_front", "eas.alarm", direction="out")
    box.until(200)
    assert [f.repeats for f in ask(box, rule="in_hours").firings] == [2, 0]


def test_a_storm_counts_for_the_firing_that_began_it(box: Box) -> None:
    for tick in (10, 20, 30, 500):
        box.at(tick, "eas_front", "eas.metal")
    box.until(1000)
    assert [f.repeats for f in ask(box, rule="stormy").firings] == [0, 2]


def test_a_time_begins_with_its_first_instant_and_ends_before_its_last(box: Box) -> None:
    box.at(10, "eas_front", "eas.alarm", direction="in")
    box.until(100)
    assert len(ask(box, rule="gate_alarm", since=at(10), until=at(11)).firings) == 1
    assert ask(box, rule="gate_alarm", since=at(9), until=at(10)).firings == []


def test_a_firing_whose_trace_is_missing_is_there_without_its_reasons(box: Box, told: Any) -> None:
    stamp = box.speaker.stamp("site", "time", box.configuration.rules.rules[0].priority, {}, {})
    data = {"rule": "gate_alarm", "member": "", "cause": "x"}
    box.keep(box.pipeline.encoder.decision(stamp, "rule.fired", data, stamp.priority))
    assert told("gate_alarm")[1:] == ["  the journal has no trace of this firing: why is not known"]


def test_what_an_event_or_a_device_has_a_part_in_is_found(box: Box, told: Any) -> None:
    first = box.at(10, "eas_front", "eas.alarm", direction="in")
    box.at(300, "door_back", "door.opened")
    box.at(340, "door_back", "door.closed")
    (firing,) = ask(box, event=first).firings
    assert (firing.rule, firing.tick) == ("gate_alarm", 10.0)
    assert [f.id for f in ask(box, event=firing.id).firings] == [firing.id]
    assert [f.rule for f in ask(box, device="door_back").firings] == ["propped"]
    assert [f.rule for f in ask(box, device="siren_front").firings] == ["gate_alarm"]
    assert told("--event", "0" * 32, code=1) == (
        f"storewarden: no rule fired on {'0' * 32} or nearly did, as far as the journal says"
    )


def test_the_latest_firings_or_those_since_a_time_are_told(box: Box, told: Any) -> None:
    for tick in (10, 100, 200, 300):
        box.at(tick, "eas_front", "eas.alarm", direction="in")
    box.until(400)
    assert [f.tick for f in ask(box, rule="gate_alarm", firings=2).firings] == [300.0, 200.0]
    assert [f.tick for f in ask(box, rule="gate_alarm", since=at(150)).firings] == [300.0, 200.0]
    until = ask(box, rule="gate_alarm", since=at(50), until=at(150))
    assert [f.tick for f in until.firings] == [100.0]
    assert until.firings[0].orders[0].result == "done"
    assert len(told("gate_alarm", "--json")["firings"]) == 3
    assert len(told("gate_alarm", "--last", "1", "--json")["firings"]) == 1


def test_json_has_what_the_sentences_have(box: Box, told: Any) -> None:
    event = box.at(10, "eas_front", "eas.alarm", direction="out")
    data = told("in_hours", "--json")
    (firing,) = data["firings"]
    assert firing == {
        "rule": "in_hours",
        "at": "2026-11-20T12:00:10.000000Z",
        "tick": 10.0,
        "id": firing["id"],
        "step": 0,
        "after": 0.0,
        "traced": True,
        "why": {
            "trigger": 0,
            "facts": [
                {
                    "device": "eas_front",
                    "signal": "eas.alarm",
                    "at": "2026-11-20T12:00:10.000000Z",
                    "tick": 10.0,
                    "id": event,
                    "fields": {"direction": "out"},
                }
            ],
            "condition": "site.open",
            "answer": "yes",
            "read": {"site.open": "yes"},
        },
        "orders": [
            {
                "device": "site",
                "command": "incident",
                "parameters": {"name": "theft"},
                "result": "given",
            }
        ],
        "repeats": 0,
        "config": box.configuration.hash,
        "sequence": firing["sequence"],
    }
    assert data["near_misses"] == []
    assert data["waits"] is None


# --- near misses -------------------------------------------------------------------------------


def test_near_misses_are_told_few_by_few_and_many_in_one_line(box: Box, told: Any) -> None:
    for number in range(5):
        box.at(100 + number * 30, "door_back", "door.opened")
        box.at(103 + number * 33, "door_back", "door.closed")
    box.at(400, "eas_front", "eas.alarm", direction="in")
    box.at(410, "site", "closed", sets={"open": "no"})
    box.at(411, "eas_front", "eas.alarm", direction="out")
    box.finish()
    assert told("propped") == [
        "propped has not fired since the journal began, 20 Nov 12:00:00",
        "",
        "near misses:",
        "  20 Nov 12:01:43  door_back was open for 3 s of 20 s",
        "  20 Nov 12:03:55  door_back was open for 15 s of 20 s"
        " (the nearest of 4, 20 Nov 12:02:16 to 20 Nov",
        "                   12:03:55)",
    ]
    assert told("in_hours")[-1] == "  20 Nov 12:06:51  if site.open: site.open was no"


def test_thousands_of_near_misses_leave_the_firing_where_it_is_seen(box: Box, told: Any) -> None:
    box.at(5, "eas_front", "eas.alarm", direction="in")
    for number in range(2000):
        box.at(10 + number * 2, "door_back", "door.opened")
        box.at(11 + number * 2, "door_back", "door.closed")
    box.finish()
    lines = told()
    assert lines[0].startswith("20 Nov 12:00:05  gate_alarm fired: eas_front said eas.alarm;")
    assert lines[2:4] == ["", "near misses:"]
    assert lines[4].endswith(
        "propped: door_back was open for 1 s of 20 s (the nearest of 2000 since 20 Nov"
    )
    assert len(lines) == 6


def test_what_nobody_could_know_is_told_even_where_its_trace_was_not_written(box: Box) -> None:
    box.at(10, "site", "clock.untrusted", sets={"open": "unknown"})
    for tick in (20, 30, 40):
        box.at(tick, "eas_front", "eas.alarm", direction="out")
    (group,) = ask(box, rule="in_hours").groups
    assert (group.nearest.miss, group.count) == ("blind", 3)


# --- why it did not ------------------------------------------------------------------------------


def codes(found: Then) -> list[str]:
    return [reason.code for reason in found.reasons]


def test_each_near_miss_of_a_time_is_decided_again(box: Box, told: Any) -> None:
    for number in range(5):
        box.at(100 + number * 30, "door_back", "door.opened")
        box.at(103 + number * 33, "door_back", "door.closed")
    box.until(1000)
    found = then(box, "propped", 90, 200)
    assert [(m.tick, round(m.progress, 2)) for m in found.missed] == [
        (103.0, 0.15),
        (136.0, 0.3),
        (169.0, 0.45),
    ]
    assert (found.fired, codes(found)) == (0, [])
    assert told("propped", "--at", "2026-11-20T12:01:45")[2:4] == [
        "near misses, decided again from what the journal has:",
        "  20 Nov 12:01:43  door_back was open for 3 s of 20 s",
    ]


def test_a_rule_that_another_set_off_is_not_told_among_its_firings(box: Box, told: Any) -> None:
    box.broken["cam_exit"] = "not connected"
    box.at(10, "eas_front", "eas.alarm", direction="in")
    box.until(100)
    assert [firing.rule for firing in ask(box, rule="gate_alarm").firings] == ["gate_alarm"]
    assert told("failing", "--last", "1")[1].startswith(
        "  matched     cam_exit said order.failed (command goto, rule gate_alarm, by "
    )


def test_what_an_absence_waits_for_in_vain_is_not_missed(box: Box) -> None:
    box.at(100, "panic", "button.released")
    box.at(1000, "panic", "button.released")
    found = then(box, "unexplained", 600, 800)
    assert [r.text for r in found.reasons] == ["eas_front did not say eas.alarm"]


def test_a_time_that_is_yet_to_come_is_refused(box: Box, told: Any) -> None:
    box.until(100)
    said = told("propped", "--at", "2199-01-01T10:00", code=2)
    assert said.startswith("storewarden: --at 2199-01-01T10:00 is yet to come: at the site it is ")


def test_a_time_long_before_has_its_year(box: Box, told: Any) -> None:
    box.until(100)
    assert told("propped", "--at", "2025-01-01T10:00") == [
        "propped did not fire from 01 Jan 2025 09:55:00 to 01 Jan 2025 10:05:00",
        "",
        "why not:",
        "  the journal begins later, at 20 Nov 12:00:00",
    ]


def test_a_device_that_said_nothing_or_something_else_is_named(box: Box) -> None:
    box.at(50, "eas_front", "eas.alarm", direction="out")
    box.at(700, "eas_front", "eas.alarm", direction="in")
    box.at(1400, "panic", "button.pressed")
    found = then(box, "in_hours", 600, 800)
    assert [r.text for r in found.reasons] == [
        "eas_front said eas.alarm with direction in, and it asks for direction out"
    ]
    silent = then(box, "in_hours", 1300, 1500)
    assert [r.text for r in silent.reasons] == [
        "eas_front did not say eas.alarm; the last time was 2026-11-20T12:11:40.000000Z"
    ]
    assert codes(silent) == ["silent"]


def test_a_link_that_was_down_is_said_with_its_times(box: Box, told: Any) -> None:
    box.at(100, "door_back", "link.down", sets={"link": "down", "contact": "unknown"})
    box.at(160, "door_back", "link.up")
    box.at(170, "door_back", "state.known", sets={"contact": "closed"})
    assert told("propped", "--at", "2026-11-20T12:02:00") == [
        "propped did not fire from 20 Nov 11:57:00 to 20 Nov 12:07:00",
        "",
        "why not:",
        "  door_back could not be heard from 20 Nov 12:01:40 to 20 Nov 12:02:40",
        "  door_back: contact was never open",
    ]


def test_a_state_that_was_so_before_is_no_beginning(box: Box) -> None:
    box.at(50, "door_back", "door.opened")
    box.at(900, "panic", "button.pressed")
    found = then(box, "propped", 800, 1000)
    assert [r.text for r in found.reasons] == [
        "door_back.contact was open since 2026-11-20T12:00:50.000000Z,"
        " and it fires when that begins"
    ]


def test_a_rule_that_is_off_inactive_or_in_shadow_says_so(box: Box) -> None:
    box.at(50, "panic", "button.pressed")
    assert codes(then(box, "off", 40, 60)) == ["disabled"]
    assert codes(then(box, "rehearsed", 40, 60)) == ["shadow"]
    assert then(box, "rehearsed", 40, 60).fired == 1


def test_a_cooldown_is_a_near_miss_of_that_time(box: Box) -> None:
    box.at(10, "eas_front", "eas.alarm", direction="out")
    box.at(22, "eas_front", "eas.alarm", direction="out")
    assert [m.reason for m in then(box, "in_hours", 15, 30).missed] == ["cooldown for 18 s more"]


def test_a_rule_that_is_newer_or_had_another_text_is_said(box: Box, tmp_path: Path) -> None:
    box.at(50, "panic", "button.pressed")
    before = box.configuration.hash
    rules = RULES.replace("for: 20s}", "for: 30s}").replace("  rehearsed:", "  practised:")
    box.configuration = load(written(tmp_path, rules=rules))
    after = box.configuration.hash
    assert [r.text for r in then(box, "propped", 40, 60).reasons][:2] == [
        f"another configuration ran then: {before}, now {after}",
        "the rule had another text then",
    ]
    assert "newer" in codes(then(box, "practised", 40, 60))


def test_a_box_that_was_down_or_a_journal_that_begins_later_is_said(box: Box) -> None:
    box.at(50, "panic", "button.pressed")
    box.restart(box.configuration, 400)
    down = then(box, "propped", 100, 200)
    assert down.reasons[0].text == (
        "the box did not run from 2026-11-20T12:00:50.018000Z, its last record,"
        " to 2026-11-20T12:06:40.000000Z"
    )


def test_a_clock_that_was_not_trusted_is_said(box: Box) -> None:
    box.at(100, "panic", "button.pressed", trusted=False)
    assert "clock" in codes(then(box, "in_hours", 90, 110))


# --- asking --------------------------------------------------------------------------------------


def test_a_rule_or_a_device_that_there_is_not_is_wrong_usage(told: Any) -> None:
    assert told("gate_alrm", code=2) == (
        "storewarden: there is no rule 'gate_alrm'; did you mean gate_alarm?"
    )
    assert told("--device", "eas_frnt", code=2) == (
        "storewarden: there is no device 'eas_frnt'; did you mean eas_front?"
    )
    assert told("gate_alarm", "--at", "noon", code=2) == (
        "storewarden: 'noon' is no time; write 17:03, 2026-11-22T17:03 or 2h for two hours ago"
    )


def test_a_rule_that_is_gone_is_told_of_as_long_as_the_journal_has_it(
    box: Box, told: Any, tmp_path: Path
) -> None:
    box.at(14, "panic", "button.pressed")
    written(tmp_path, rules=RULES_YAML)
    with Scan(box.path) as scan:
        assert mentions(scan, "rehearsed")
    assert told("rehearsed")[0].startswith("rehearsed fired")


def test_a_journal_alone_is_enough_and_one_that_is_not_there_is_said(
    box: Box, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    box.at(14, "panic", "button.pressed")
    nowhere = ["--config", str(tmp_path / "nowhere")]
    assert main(["rules", "explain", "hold_up", "--journal", str(box.path), *nowhere]) == 0
    out = capsys.readouterr().out
    assert out.startswith("times are UTC: --config DIR names the site")
    assert "panic said button.pressed" in out
    assert main(["rules", "explain", "--journal", str(tmp_path / "none.db"), *nowhere]) == 1
    assert "there is no journal" in capsys.readouterr().err


def test_nothing_in_the_journal_is_said(box: Box, told: Any) -> None:
    assert told() == ["no rule fired or nearly did since the journal began, 20 Nov 12:00:00"]
    assert told("off") == [
        "off has not fired since the journal began, 20 Nov 12:00:00",
        "",
        "it says enabled: no",
    ]


def test_a_group_as_json_leaves_out_what_is_empty(box: Box) -> None:
    box.at(100, "door_back", "door.opened")
    box.at(110, "door_back", "door.closed")
    (group,) = ask(box, rule="propped").groups
    data = as_json(group)
    assert (data["count"], data["nearest"]["why"]["held"]) == (1, 10.0)
    assert "answer" not in data["nearest"]["why"]
