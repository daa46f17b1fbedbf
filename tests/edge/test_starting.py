"""Which configuration a start runs when rules were on trial, and what was gone back from."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge import watch_file
from edge.config import reverted
from edge.config.last_good import (
    hash_of_last_good,
    keep,
    load_or_last_good,
    promote,
    stage,
)
from edge.config.load import load
from edge.config.reverted import Reverted
from edge.starting import choose, keep_accepted, keep_good
from edge.upgrade import trial
from edge.upgrade.layout import Layout
from edge.upgrade.trial import Trial
from edge.watch import Plan
from tests.edge.shop import RULES_YAML, shop, written

BOOT, OTHER_BOOT = "b" * 32, "c" * 32
LONGER = RULES_YAML.replace("for: 10s", "for: 11s")


def on_trial(folder: Path, state: Path) -> Plan:
    """Run the shop, apply longer sirens to it; return the watch over them."""
    state.mkdir()
    before = shop(folder)
    keep(before, state)
    new = shop(folder, rules=LONGER)
    stage(new, state)
    plan = Plan(
        config=new.hash,
        before=before.hash,
        began=100.0,
        lasts=1800.0,
        expected={"alarms": 2.0},
        limits={"alarms": 0.2},
        by="Ann",
        boot=BOOT,
    )
    watch_file.write(plan, state)
    return plan


def test_a_watch_goes_on_and_the_rules_on_trial_are_not_the_good_ones_yet(tmp_path: Path) -> None:
    state = tmp_path / "state"
    plan = on_trial(tmp_path / "config", state)
    start = choose(tmp_path / "config", state, OTHER_BOOT)
    assert start.watch == replace(plan, boot=OTHER_BOOT)
    assert (start.configuration.hash, start.refused, start.reverted) == (plan.config, None, None)
    keep_good(start, state)
    assert hash_of_last_good(state) == plan.before


def test_a_watch_over_files_that_were_changed_since_is_void(tmp_path: Path) -> None:
    state = tmp_path / "state"
    on_trial(tmp_path / "config", state)
    written(tmp_path / "config", rules=LONGER.replace("11s", "12s"))
    start = choose(tmp_path / "config", state, BOOT)
    assert (start.watch, start.reverted, watch_file.read(state)) == (None, None, None)
    keep_good(start, state)
    assert hash_of_last_good(state) == start.configuration.hash


def test_a_watch_whose_rules_were_confirmed_just_before_a_kill_is_over(tmp_path: Path) -> None:
    state = tmp_path / "state"
    plan = on_trial(tmp_path / "config", state)
    promote(plan.config, state)
    start = choose(tmp_path / "config", state, BOOT)
    assert (start.configuration.hash, start.watch, start.refused) == (plan.config, None, None)
    assert watch_file.read(state) is None


def test_the_third_crash_within_one_boot_is_blamed_on_the_rules(tmp_path: Path) -> None:
    state = tmp_path / "state"
    plan = on_trial(tmp_path / "config", state)
    for crashes in (1, 2):
        start = choose(tmp_path / "config", state, BOOT)
        assert start.watch is not None
        assert start.watch.crashes == crashes
    start = choose(tmp_path / "config", state, BOOT)
    assert (start.configuration.hash, start.watch) == (plan.before, None)
    assert start.reverted is not None
    assert start.reverted.reason == "the daemon ended unexpectedly 3 times within the watch"
    assert "rules:1:1: was reverted at" in str(start.refused)


def test_a_release_on_trial_leaves_the_good_configuration_to_the_one_before(tmp_path: Path) -> None:
    state, layout = tmp_path / "state", Layout(root=tmp_path)
    plan = Trial(from_="0.1.0", to="0.2.0", began="2026-11-22T20:00:00Z")
    trial.write(layout, plan)
    first = shop(tmp_path / "config")
    keep_accepted(first, state, tmp_path)
    assert hash_of_last_good(state) == first.hash, "one is better than none"

    new = shop(tmp_path / "config", rules=LONGER)
    keep_accepted(new, state, tmp_path)
    assert hash_of_last_good(state) == first.hash

    trial.end(layout)
    keep_accepted(new, state, tmp_path)
    assert hash_of_last_good(state) == new.hash


def test_power_cuts_and_stops_are_no_crashes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    on_trial(tmp_path / "config", state)
    for boot in ("1" * 32, "2" * 32, "3" * 32, "4" * 32):
        start = choose(tmp_path / "config", state, boot)
        assert start.watch is not None
        watch_file.write(replace(start.watch, stopped=True), state)
        again = choose(tmp_path / "config", state, boot)
        assert again.watch is not None
        assert again.watch.crashes == 0


def test_what_a_kill_left_unsaid_of_going_back_is_to_be_said(tmp_path: Path) -> None:
    state = tmp_path / "state"
    plan = on_trial(tmp_path / "config", state)
    gone = Reverted(config=plan.config, to=plan.before, at="2026-11-20T12:00:00Z", reason="loud")
    reverted.write(gone, state)
    start = choose(tmp_path / "config", state, BOOT)
    assert (start.reverted, start.watch) == (gone, None)
    watch_file.remove(state)
    later = choose(tmp_path / "config", state, BOOT)
    assert (later.reverted, later.configuration.hash) == (None, plan.before)


def test_what_was_gone_back_from_is_refused_until_its_files_change(tmp_path: Path) -> None:
    config, state = tmp_path / "config", tmp_path / "state"
    plan = on_trial(config, state)
    at = "2026-11-20T12:00:00Z"
    reverted.write(Reverted(config=plan.config, to=plan.before, at=at, reason="loud"), state)
    found, refused = load_or_last_good(config, state)
    assert found.hash == plan.before
    assert str(refused) == (
        "rules:1:1: was reverted at 2026-11-20 12:00 UTC: loud\n"
        "    change it, or apply it once more: storewarden rules apply"
    )
    written(config, rules=LONGER.replace("11s", "12s"))
    assert load_or_last_good(config, state)[1] is None
    written(config, rules=LONGER)
    reverted.forget(state)
    assert load_or_last_good(config, state)[1] is None


def test_rules_that_were_gone_back_from_are_better_than_none(tmp_path: Path) -> None:
    config, state = tmp_path / "config", tmp_path / "state"
    state.mkdir()
    alone = shop(config)
    reverted.write(Reverted(config=alone.hash, to="gone", at="2026-11-20", reason="x"), state)
    found, refused = load_or_last_good(config, state)
    assert found.hash == alone.hash
    assert refused is not None


def test_a_copy_on_trial_becomes_the_last_good_one_when_it_is_promoted(tmp_path: Path) -> None:
    config, state = tmp_path / "config", tmp_path / "state"
    plan = on_trial(config, state)
    assert hash_of_last_good(state) == plan.before
    written(config, rules="rules: {}\n")
    promote(plan.config, state)
    assert load(state / "last_good", secrets_of=config).hash == plan.config
    assert [path.name for path in state.glob("last_good.*")] == [f"last_good.{plan.config}"]
    with pytest.raises(FileNotFoundError):
        promote("000000000000", state)
    assert hash_of_last_good(state) == plan.config


def test_what_was_written_of_a_watch_is_read_again_and_of_another_version_is_not(
    tmp_path: Path,
) -> None:
    plan = on_trial(tmp_path / "config", tmp_path / "state")
    file = tmp_path / "state" / "watch.json"
    assert watch_file.read(tmp_path / "state") == plan
    file.write_text(file.read_text().replace('"version": 1', '"version": 2'))
    assert watch_file.read(tmp_path / "state") is None


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = PLAIN | st.lists(PLAIN, max_size=3) | st.dictionaries(st.text(max_size=5), PLAIN)
NAMES = [*list(Plan.__dataclass_fields__), *Reverted.__dataclass_fields__]
FILES = st.dictionaries(st.sampled_from(NAMES), JSON)


@settings(max_examples=60, deadline=None)
@given(FILES.map(json.dumps) | st.builds(lambda f: json.dumps({"version": 1, "watch": f}), FILES))
@example("")
@example("{")
@example("[]")
def test_a_file_that_says_nothing_is_no_watch_and_no_way_back(text: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        _nothing(Path(made), text)


def _nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "watch.json").write_text(text)
    (tmp_path / "reverted.json").write_text(text)
    plan, gone = watch_file.read(tmp_path), reverted.read(tmp_path)
    assert plan is None or (plan.ends > plan.began and plan.at_most("alarms") >= 0)
    assert gone is None or str(reverted.problems(gone))
    assert hash_of_last_good(tmp_path) == ""
