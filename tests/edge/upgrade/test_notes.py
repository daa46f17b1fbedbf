"""The files that tell of upgrades: written at once, read whatever a cut has left of them."""

from __future__ import annotations

import fcntl
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.upgrade import durable, handing, trial
from edge.upgrade.layout import COMPLETE, Layout, is_version
from edge.upgrade.trial import Outcome, Trial

TEXT = st.text(max_size=30)
TRIALS = st.builds(
    Trial,
    from_=TEXT,
    to=TEXT,
    began=TEXT,
    boot=TEXT,
    previous=st.none() | TEXT,
    reason=TEXT,
    by=TEXT,
)
OUTCOMES = st.builds(
    Outcome,
    outcome=st.sampled_from(["done", "returned", "refused"]),
    from_=TEXT,
    to=TEXT,
    began=TEXT,
    ended=TEXT,
    reason=TEXT,
    by=TEXT,
    downtime=st.none() | st.floats(0, 1e6),
    back=st.none() | st.floats(0, 1e6),
)


@given(TRIALS)
def test_a_trial_that_was_written_is_read(plan: Trial) -> None:
    with tempfile.TemporaryDirectory() as made:
        layout = Layout(root=Path(made))
        trial.write(layout, plan)
        assert trial.read(layout) == plan
        trial.end(layout)
        assert trial.read(layout) is None


@given(st.lists(OUTCOMES, max_size=5), st.data())
def test_of_outcomes_a_cut_leaves_the_whole_lines(
    outcomes: list[Outcome], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as made:
        layout = Layout(root=Path(made))
        for outcome in outcomes:
            trial.record(layout, outcome)
        assert trial.outcomes(layout) == outcomes
        if not outcomes:
            return
        whole = layout.outcomes.read_bytes()
        last = len(whole.splitlines(keepends=True)[-1])
        cut = data.draw(st.integers(2, last))
        layout.outcomes.write_bytes(whole[:-cut])
        after = Outcome(outcome="done", from_="1", to="2", began="a", ended="b")
        trial.record(layout, after)
        assert trial.outcomes(layout) == [*outcomes[:-1], after]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_none(noise: bytes) -> None:
    with tempfile.TemporaryDirectory() as made:
        layout = Layout(root=Path(made))
        layout.trial.write_bytes(noise)
        layout.outcomes.write_bytes(noise)
        layout.untold.write_bytes(noise)
        trial.read(layout)
        trial.outcomes(layout)
        trial.untold(layout)


def test_a_refusal_is_recorded_and_not_told(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path)
    plan = Trial(from_="0.1.0", to="0.1.1", began="a", by="Ann")
    trial.record(layout, trial.refused(plan, "an evacuation is on"))

    assert layout.outcomes.read_text().startswith(
        '{"outcome":"refused","from":"0.1.0","to":"0.1.1"'
    )
    assert trial.untold(layout) is None
    assert trial.decided(layout, plan) is None


def test_what_writes_is_never_seen_half_done(tmp_path: Path) -> None:
    durable.write(tmp_path / "note", b"one")
    durable.write(tmp_path / "note", b"two")
    durable.point(tmp_path / "link", Path("releases/1"))
    durable.point(tmp_path / "link", Path("releases/2"))

    assert (tmp_path / "note").read_bytes() == b"two"
    assert (tmp_path / "link").readlink() == Path("releases/2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "note"]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("0.1.0", True),
        ("0.1.1rc2+local", True),
        ("..", False),
        ("../0.1.0", False),
        ("0..1", False),
        ("", False),
        ("current", False),
        ("0/1", False),
        ("0.1\n", False),
    ],
)
def test_a_version_is_the_name_of_one_folder(text: str, good: bool) -> None:
    assert is_version(text) is good


def test_a_release_without_its_last_file_does_not_count(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path)
    for version in ("0.1.0", "0.1.1", "0.1.2"):
        layout.release(version).mkdir(parents=True)
        (layout.release(version) / COMPLETE).touch()
    (layout.release("0.1.2") / COMPLETE).unlink()
    layout.point("current", "0.1.1")

    assert layout.complete_ones() == ["0.1.0", "0.1.1"]
    assert (layout.version("current"), layout.version("previous")) == ("0.1.1", None)
    assert layout.prune({"0.1.1"}) == ["0.1.0", "0.1.2"]
    assert layout.complete_ones() == ["0.1.1"]
    assert (tmp_path / "current").readlink() == Path("releases/0.1.1")


def test_no_release_goes_while_install_sh_makes_one(tmp_path: Path) -> None:
    layout = Layout(root=tmp_path)
    layout.release("0.1.2").mkdir(parents=True)
    with (tmp_path / ".lock").open("ab") as held:  # as install.sh does
        fcntl.flock(held, fcntl.LOCK_EX)
        assert layout.prune({"0.1.1"}) == []
    assert layout.prune({"0.1.1"}) == ["0.1.2"]


def test_a_unit_is_named_as_systemd_unescapes_it() -> None:
    assert handing.unit("0.1.1") == "storewarden-upgrade@0.1.1.service"
    assert handing.unit("0.1.1+a-b") == r"storewarden-upgrade@0.1.1\x2ba\x2db.service"
