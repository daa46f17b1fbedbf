"""What outputs and cameras say in a played test, as the real ones do: rules hear it."""

from __future__ import annotations

import textwrap

from rules import yaml_source as ys
from rules.convert import Context
from rules.loader import load_rules
from rules.problems import Problems
from rules.scenario import play
from tests.rules.worlds import SHOP


def played(text: str) -> list[str]:
    """Play the one test of a rule file."""
    problems = Problems()
    node = ys.read_text(textwrap.dedent(text), "rules.yaml", problems)
    assert node is not None, str(problems)
    found = load_rules([("rules.yaml", node)], SHOP, Context(problems=problems))
    assert problems.errors == [], str(problems)
    return play(found.tests[0], found, SHOP)


def test_a_siren_says_that_it_is_on_and_off_again() -> None:
    assert (
        played(
            """
    rules:
      sound: {when: {eas_front: eas.alarm}, do: [{sound: siren_front, for: 10s}]}
      is_on: {when: {siren_front: output.on}, do: {incident: on}}
      is_off: {when: {siren_front: output=off}, do: {incident: off}}
      done: {when: {siren_front: order.done, command: sound, by: rule}, do: {incident: done}}
      rests: {when: {siren_front: order.done, command: silence, by: rest}, do: {incident: rests}}
    tests:
      - name: t
        timeline: [{at: 0s, eas_front: eas.alarm}, {at: 5s, eas_front: eas.alarm}]
        expect:
          - {at: 0s, rule: sound, sound: siren_front}
          - {at: 5s, rule: sound, sound: siren_front}
          - {at: 0s, rule: is_on, incident: on}
          - {at: 0s, rule: done, incident: done}
          - {at: 15s, rule: sound, ends: siren_front}
          - {at: 15s, rule: is_off, incident: off}
          - {at: 15s, rule: rests, incident: rests}
    """
        )
        == []
    )


def test_the_higher_order_shows_and_then_the_other() -> None:
    assert (
        played(
            """
    rules:
      low: {when: {eas_front: eas.alarm}, do: [{sound: siren_front, for: 30s}]}
      high:
        priority: personal_safety
        when: {panic_till: button.pressed}
        do: [{sound: siren_front, for: 10s}]
      quiet: {when: {eas_front: eas.ended}, do: [{silence: siren_front}]}
      refused:
        when: {siren_front: order.failed, reason: rule high holds it at personal_safety}
        do: {incident: refused}
      off: {when: {siren_front: output.off}, do: {incident: off}}
    tests:
      - name: t
        timeline:
          - {at: 0s, eas_front: eas.alarm}
          - {at: 5s, panic_till: button.pressed}
          - {at: 10s, eas_front: eas.ended}
        expect:
          - {at: 0s, rule: low, sound: siren_front}
          - {at: 5s, rule: high, sound: siren_front}
          - {at: 10s, rule: quiet, silence: siren_front}
          - {at: 10s, rule: low, ends: siren_front}
          - {at: 10s, rule: refused, incident: refused}
          - {at: 15s, rule: high, ends: siren_front}
          - {at: 15s, rule: off, incident: off}
    """
        )
        == []
    )


def test_what_a_device_shows_can_be_asked() -> None:
    assert (
        played(
            """
    rules:
      sound: {when: {eas_front: eas.alarm}, do: [{sound: siren_front, for: 10s}]}
      louder:
        when: {eas_front: eas.metal}
        if: siren_front.output == 'on'
        do: [{sound: siren_back, for: 1s}]
    tests:
      - name: t
        timeline:
          - {at: 0s, eas_front: eas.metal}
          - {at: 1s, eas_front: eas.alarm}
          - {at: 2s, eas_front: eas.metal}
        expect:
          - {at: 0s, not_fired: {rule: louder, because: siren_front.output}}
          - {at: 1s, rule: sound, sound: siren_front}
          - {at: 2s, rule: louder, sound: siren_back}
          - {at: 3s, rule: louder, ends: siren_back}
          - {at: 11s, rule: sound, ends: siren_front}
    """
        )
        == []
    )


def test_a_device_that_was_down_does_what_is_still_ordered_when_it_is_up() -> None:
    assert (
        played(
            """
    rules:
      sound: {when: {eas_front: eas.alarm}, do: [{sound: siren_front, for: 60s}]}
      failed: {when: {siren_front: order.failed}, do: {incident: failed}}
      is_on: {when: {siren_front: output.on}, do: {incident: on}}
    tests:
      - name: t
        timeline:
          - {at: 0s, down: siren_front}
          - {at: 10s, eas_front: eas.alarm}
          - {at: 20s, up: siren_front}
        expect:
          - {at: 10s, rule: sound, sound: siren_front}
          - {at: 10s, rule: failed, incident: failed}
          - {at: 20s, rule: is_on, incident: on}
          - {at: 70s, rule: sound, ends: siren_front}
    """
        )
        == []
    )


def test_a_fire_releases_the_locks_and_rules_hear_it() -> None:
    assert (
        played(
            """
    rules:
      free: {when: {lock_exit: lock.released}, do: {incident: free}}
      lit: {when: {beacon_back: output.on}, do: {incident: lit}}
      turned: {when: {cam_exit: camera.arrived, preset: evacuation}, do: {incident: turned}}
    tests:
      - name: t
        timeline: [{at: 3s, fire_main: fire.alarm}]
        expect:
          - {at: 3s, rule: free, incident: free}
          - {at: 3s, rule: lit, incident: lit}
          - {at: 3s, rule: turned, incident: turned}
    """
        )
        == []
    )


def test_an_evacuation_that_a_test_says_is_one_until_it_says_its_end() -> None:
    assert (
        played(
            """
    rules:
      sound: {when: {eas_front: eas.alarm}, do: [{sound: siren_front, for: 5s}]}
      refused: {when: {siren_front: order.failed}, do: {incident: refused}}
      dark: {when: {beacon_back: output.off}, do: {incident: dark}}
      locked: {when: {lock_exit: lock.locked}, do: {incident: locked}}
    tests:
      - name: t
        timeline:
          - {at: 0s, site: evacuation.started, cause: smoke, drill: no}
          - {at: 1s, eas_front: eas.alarm}
          - {at: 60s, site: evacuation.ended}
          - {at: 61s, eas_front: eas.alarm}
        expect:
          - {at: 1s, rule: sound, sound: siren_front}
          - {at: 1s, rule: refused, incident: refused}
          - {at: 60s, rule: dark, incident: dark}
          - {at: 61s, rule: sound, sound: siren_front}
          - {at: 66s, rule: sound, ends: siren_front}
    """
        )
        == []
    )


def test_a_camera_arrives_at_its_preset() -> None:
    assert (
        played(
            """
    rules:
      look: {when: {eas_front: eas.alarm}, do: [{goto: cam_exit, preset: gate}]}
      there:
        when:
          sequence: [{eas_front: eas.alarm}, {cam_exit: camera.arrived, preset: gate}]
          within: 5s
        do: [{record: cam_exit, for: 5s}]
    tests:
      - name: t
        timeline: [{at: 0s, eas_front: eas.alarm}]
        expect:
          - {at: 0s, rule: look, goto: cam_exit, preset: gate}
          - {at: 0s, rule: there, record: cam_exit}
    """
        )
        == []
    )


def test_what_is_said_as_a_test_matches_only_rules_that_ask_for_it() -> None:
    assert (
        played(
            """
    rules:
      alarm: {when: {door_back: door.opened}, do: {incident: opened}}
      tested: {when: {door_back: door.opened, test: yes}, do: {incident: tested}}
      both: {when: {door_back: door.opened, test: [yes, no]}, if: event.test, do: {incident: both}}
    tests:
      - name: t
        timeline:
          - {at: 0s, door_back: door.opened, test: yes}
          - {at: 1s, door_back: door.closed}
          - {at: 2s, door_back: door.opened}
        expect:
          - {at: 0s, rule: tested, incident: tested}
          - {at: 0s, rule: both, incident: both}
          - {at: 2s, rule: alarm, incident: opened}
    """
        )
        == []
    )


def test_a_variable_of_a_test_may_change_a_time_of_day() -> None:
    assert (
        played(
            """
    vars: {at: {type: text, default: "20:00"}}
    rules:
      evening: {when: {daily: !var at}, do: {incident: evening}}
    tests:
      - name: t
        given: {now: "2026-11-20T19:59:00", vars: {at: "20:01"}}
        timeline: []
        expect: [{at: 2m, rule: evening, incident: evening}]
    """
        )
        == []
    )


def test_modes_end_and_hours_go_on_in_a_test() -> None:
    assert (
        played(
            """
    rules:
      counting: {when: {site: mode=stock_take}, do: {incident: counting}}
      over: {when: {site: mode.changed, before: stock_take}, do: {incident: over}}
      wants: {when: {eas_front: eas.alarm}, do: {mode: delivery}}
      not_now: {when: {site: mode.refused}, do: {incident: not_now}}
      shut: {when: {site: closed}, if: site.mode == 'closed', do: {incident: shut}}
      alarm: {when: {door_back: open}, if: site.mode != 'stock_take', do: {incident: alarm}}
    tests:
      - name: t
        given: {now: "2026-11-20T20:00:00"}
        timeline:
          - {at: 0s, mode: stock_take, for: 30m}
          - {at: 1m, eas_front: eas.alarm}
          - {at: 2m, door_back: door.opened}
          - {at: 3m, door_back: door.closed}
          - {at: 40m, mode: open, for: 1h}
          - {at: 2h, door_back: door.opened}
        expect:
          - {at: 0s, rule: counting, incident: counting}
          - {at: 1m, rule: wants, mode: delivery}
          - {at: 1m, rule: not_now, incident: not_now}
          - {at: 2m, not_fired: {rule: alarm, because: site.mode}}
          - {at: 30m, rule: over, incident: over}
          - {at: 100m, rule: shut, incident: shut}
          - {at: 2h, rule: alarm, incident: alarm}
    """
        )
        == []
    )


def test_a_mode_that_is_given_lasts_and_outlives_a_restart() -> None:
    assert (
        played(
            """
    rules:
      alarm: {when: {door_back: open}, if: site.mode == 'maintenance', do: {incident: alarm}}
      late: {when: {site: mode.changed}, do: {incident: late}}
    tests:
      - name: t
        given: {modes: [maintenance]}
        timeline:
          - {at: 1h, restart: 1h}
          - {at: 20h, door_back: door.opened}
        expect:
          - {at: 20h, rule: alarm, incident: alarm}
    """
        )
        == []
    )


def test_a_mode_that_ended_in_a_restart_is_over_after_it() -> None:
    assert (
        played(
            """
    rules:
      over: {when: {site: mode.changed, before: maintenance}, do: {incident: over}}
    tests:
      - name: t
        timeline:
          - {at: 0s, mode: maintenance, for: 30m}
          - {at: 10m, restart: 1h}
        expect:
          - {at: 70m, rule: over, incident: over}
    """
        )
        == []
    )


def test_who_opened_the_store_is_who_set_its_mode() -> None:
    assert (
        played(
            """
    rules:
      early: {when: {site: opened, by: Ann}, if: site.mode == 'open', do: {incident: early}}
      back: {when: {site: closed, by: hours}, do: {incident: back}}
    tests:
      - name: t
        given: {now: "2026-11-20T07:00:00"}
        timeline: [{at: 0s, site: opened, by: Ann}, {at: 30m, site: closed, by: Bo}]
        expect: [{at: 0s, rule: early, incident: early}]
      """
        )
        == []
    )


def test_who_is_refused_hears_who_holds_the_output_highest() -> None:
    assert (
        played(
            """
    rules:
      high:
        priority: personal_safety
        when: {panic_till: button.pressed}
        do: [{sound: siren_front, for: 10s}]
      low: {when: {eas_front: eas.alarm}, do: [{sound: siren_front, for: 10s}]}
      calm: {priority: operations, when: {eas_front: eas.ended}, do: [{silence: siren_front}]}
      refused: {when: {siren_front: order.failed}, if: "'high' in event.reason", do: {incident: no}}
    tests:
      - name: t
        timeline:
          - {at: 0s, panic_till: button.pressed}
          - {at: 1s, eas_front: eas.alarm}
          - {at: 2s, eas_front: eas.ended}
        expect:
          - {at: 0s, rule: high, sound: siren_front}
          - {at: 1s, rule: low, sound: siren_front}
          - {at: 2s, rule: calm, silence: siren_front}
          - {at: 2s, rule: refused, incident: no}
          - {at: 10s, rule: high, ends: siren_front}
          - {at: 11s, rule: low, ends: siren_front}
    """
        )
        == []
    )


def test_a_camera_turns_for_an_equal_and_not_for_a_lower_order() -> None:
    assert (
        played(
            """
    rules:
      look: {when: {eas_front: eas.alarm}, do: [{goto: cam_exit, preset: gate, for: 60s}]}
      till: {when: {eas_front: eas.metal}, do: [{goto: cam_exit, preset: till}]}
      door: {priority: operations, when: {door_back: open}, do: [{goto: cam_exit, preset: door}]}
      there: {when: {cam_exit: camera.arrived, preset: [till, door]}, do: {incident: there}}
      not_there: {when: {cam_exit: order.failed}, do: {incident: not_there}}
    tests:
      - name: t
        timeline:
          - {at: 0s, eas_front: eas.alarm}
          - {at: 1s, eas_front: eas.metal}
          - {at: 2s, door_back: door.opened}
        expect:
          - {at: 0s, rule: look, goto: cam_exit}
          - {at: 1s, rule: till, goto: cam_exit}
          - {at: 1s, rule: there, incident: there}
          - {at: 2s, rule: door, goto: cam_exit}
          - {at: 2s, rule: not_there, incident: not_there}
          - {at: 60s, rule: look, ends: cam_exit}
    """
        )
        == []
    )


def test_devices_come_and_go_while_the_box_is_down_and_nobody_can_do_anything() -> None:
    assert played(
        """
    rules:
      lost: {when: {siren_front: link.down}, do: {incident: lost}}
    tests:
      - name: t
        timeline:
          - {at: 10s, restart: 1m}
          - {at: 20s, down: siren_front}
          - {at: 30s, mode: delivery}
          - {at: 40s, acknowledge: lost}
        expect:
          - {at: 70s, rule: lost, incident: lost}
    """
    ) == [
        "at 30s mode is of no use: the box is down until 70s",
        "at 40s acknowledge is of no use: the box is down until 70s",
    ]
