"""What a request to try other rules may say, and when they may not be tried."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import trial
from edge.config.last_good import keep
from edge.config.model import Configuration
from edge.control import Misused, Refused
from edge.places import Places
from tests.edge.shop import RULES_YAML, SITE_YAML, shop, written

FIRE = """  fire:
    priority: life_safety
    when: {fire_main: fire.trouble}
    do: [{incident: fire}]
"""
WITH_FIRE = RULES_YAML + FIRE


def test_what_is_not_said_is_taken_from_site_yaml_or_left_open() -> None:
    found = trial.wanted({"config": "abc"})
    assert (found.config, found.lasts, found.expected, found.limits) == ("abc", None, None, {})
    assert (found.by, found.reason, found.accept_removal) == ("someone on the box", "", frozenset())


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"watch": "30m"}, "watch is a number, not '30m'"),
        ({"watch": 0.5}, "watch is a number of seconds from 1 to 604800"),
        ({"watch": 1e9}, "watch is a number of seconds from 1 to 604800"),
        ({"watch": float("nan")}, "watch is a number, not nan"),
        ({"watch": True}, "watch is a number, not True"),
        ({"expected": 5}, "expected: that is not counted"),
        ({"expected": {"alarms": None}}, "expected: alarms is a number, not None"),
        ({"limits": {"sirens": 1}}, "limits: 'sirens' is not counted; counted are alarms, blind"),
        ({"slack": 1001}, "slack is a number from 0 to 1000"),
        ({"slack": "3"}, "slack is a number, not '3'"),
        ({"accept_removal": "fire"}, "accept_removal is a list of rules"),
    ],
)
def test_a_request_that_cant_be_meant_so_is_no_request(request_: dict[str, Any], why: str) -> None:
    with pytest.raises(Misused, match=re.escape(why)):
        trial.wanted(request_)


VALUES = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.lists(st.integers())
ASKED = (
    "config",
    "watch",
    "slack",
    "expected",
    "limits",
    "accept_removal",
    "by",
    "reason",
    "action",
)


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(ASKED), VALUES | st.dictionaries(st.sampled_from(["alarms", "x"]), VALUES)
    )
)
def test_a_request_is_meant_so_or_it_is_not_and_nothing_else_happens(
    request_: dict[str, Any],
) -> None:
    with suppress(Misused):
        found = trial.wanted(request_)
        assert found.lasts is None or 1 <= found.lasts <= 604_800
    with suppress(Misused):
        assert trial.ending(request_)[0] in {"confirm", "revert"}


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"action": "stop", "reason": "r"}, "rules on trial can be confirmed or reverted"),
        ({"action": "revert", "reason": " "}, "a reason is needed: it is journaled"),
    ],
)
def test_the_end_of_a_watch_needs_an_action_and_a_reason(
    request_: dict[str, Any], why: str
) -> None:
    with pytest.raises(Misused, match=why):
        trial.ending(request_)


@pytest.mark.parametrize(
    ("rules", "lost"),
    [
        (WITH_FIRE.replace("10s", "11s"), {}),
        (RULES_YAML, {"fire": "is removed"}),
        (WITH_FIRE.replace("life_safety", "security"), {"fire": "is of the priority security"}),
        (WITH_FIRE + "    enabled: shadow\n", {"fire": "is enabled: shadow"}),
        (
            WITH_FIRE + "    requires: [call_points]\n",
            {"fire": "becomes inactive: there is no device or group 'call_points'"},
        ),
    ],
)
def test_a_life_safety_rule_that_would_not_work_any_more_is_named(
    tmp_path: Path, rules: str, lost: dict[str, str]
) -> None:
    old, new = shop(tmp_path / "old", rules=WITH_FIRE), shop(tmp_path / "new", rules=rules)
    assert trial.disarmed(old, new).keys() == lost.keys()
    for rule, way in trial.disarmed(old, new).items():
        assert way.split(":")[0] == lost[rule].split(":")[0]


def tried(tmp_path: Path, old: Configuration, **request: Any) -> Configuration:
    places = Places(configuration=old.folder, state=tmp_path / "state", socket=tmp_path / "s")
    return trial.checked(places, old, trial.wanted(request))


def begun(tmp_path: Path) -> Configuration:
    (tmp_path / "state").mkdir()
    old = shop(tmp_path / "config", rules=WITH_FIRE)
    keep(old, tmp_path / "state")
    return old


def test_what_is_in_the_folder_must_be_what_was_checked_elsewhere(tmp_path: Path) -> None:
    old = begun(tmp_path)
    new = shop(tmp_path / "config", rules=WITH_FIRE.replace("10s", "11s"))
    assert tried(tmp_path, old, config=new.hash).hash == new.hash
    with pytest.raises(Refused, match=f"holds {new.hash}, not {old.hash}"):
        tried(tmp_path, old, config=old.hash)


def test_the_daemon_checks_for_itself(tmp_path: Path) -> None:
    old = begun(tmp_path)
    written(tmp_path / "config", rules=WITH_FIRE.replace("sound:", "sund:", 1))
    with pytest.raises(Refused, match=r"rules/shop.yaml:\d+:\d+: "):
        tried(tmp_path, old, config="x")
    new = shop(tmp_path / "config", rules=RULES_YAML)
    with pytest.raises(Refused, match="life_safety rules would be gone: fire"):
        tried(tmp_path, old, config=new.hash)
    assert tried(tmp_path, old, config=new.hash, accept_removal=["fire"]).hash == new.hash
    more = shop(tmp_path / "config", rules=WITH_FIRE, site=SITE_YAML.replace("09:00", "08:00"))
    with pytest.raises(Refused, match=r"more than rules has changed .*\(site.yaml: hours\)"):
        tried(tmp_path, old, config=more.hash)


def test_without_a_copy_of_what_runs_there_is_no_way_back_and_no_trial(tmp_path: Path) -> None:
    old = shop(tmp_path / "config", rules=WITH_FIRE)
    new = shop(tmp_path / "config", rules=WITH_FIRE.replace("10s", "11s"))
    with pytest.raises(Refused, match="has no copy of what runs, so there is no way back"):
        tried(tmp_path, old, config=new.hash)
