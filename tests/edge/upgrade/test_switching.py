"""A switch, the way back, and a power cut after each of their steps, with real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from edge.upgrade import telling, trial
from edge.upgrade.layout import Layout
from edge.upgrade.recovering import Recovery
from tests.edge.upgrade.stand_in import Child, device, release, soon, status, switch

STAYS = [
    "previous set",
    "trial written",
    "switched",
    "restarted",
    "watched",
    "recorded",
    "ended",
]
RETURNS = [
    "previous set",
    "trial written",
    "switched",
    "restarted",
    "reason written",
    "switched back",
    "restarted back",
    "seen running",
    "recorded",
    "previous restored",
    "ended",
]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(root=tmp_path / "opt" / "storewarden")
    for version in ("0.0.9", "0.1.0"):
        release(made, version)
    made.point("current", "0.1.0")
    made.point("previous", "0.0.9")
    return made


@pytest.fixture
def child(
    layout: Layout, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Child]:
    run = tmp_path_factory.mktemp("run", numbered=True)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(run))
    made = Child(layout=layout, run=run)
    made.start()
    made.ready()
    yield made
    made.stop()


def recovered(layout: Layout, child: Child, boot: str = "b") -> Recovery:
    found = Recovery(layout=layout, service=child, boot=boot, wait=soon)
    for _ in found.steps():
        pass
    return found


def test_a_good_release_stays_and_the_one_before_is_known(layout: Layout, child: Child) -> None:
    release(layout, "0.1.1")
    made = switch(layout, child, "0.1.1")

    assert list(made.steps()) == STAYS
    assert (layout.version("current"), layout.version("previous")) == ("0.1.1", "0.1.0")
    assert not layout.trial.exists()
    (outcome,) = trial.outcomes(layout)
    assert (outcome.outcome, outcome.from_, outcome.to) == ("done", "0.1.0", "0.1.1")
    assert (outcome.reason, outcome.by) == ("new gates", "Ann")
    assert outcome.downtime is not None
    assert child.look().status == status("0.1.1")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"ends": True}, "0.1.1 ended by itself before it was ready"),
        ({"status": status("0.1.2")}, "what runs is 0.1.2, not 0.1.1"),
        ({"status": status("0.1.1", moving=False)}, "the pipeline does not move"),
        (
            {"status": status("0.1.1", journal={"sequence": 3, "error": None})},
            "the journal went back from 7 to 3",
        ),
    ],
)
def test_a_poor_release_is_gone_back_from(
    layout: Layout, child: Child, broken: dict[str, object], reason: str
) -> None:
    release(layout, "0.1.1", **broken)
    made = switch(layout, child, "0.1.1")

    assert list(made.steps()) == RETURNS
    assert (layout.version("current"), layout.version("previous")) == ("0.1.0", "0.0.9")
    (outcome,) = trial.outcomes(layout)
    assert (outcome.outcome, outcome.reason) == ("returned", reason)
    assert outcome.back is not None
    assert child.ready().status == status("0.1.0")


def test_a_device_that_comes_up_in_time_is_waited_for(layout: Layout, child: Child) -> None:
    release(layout, "0.1.1", devices=[device("door_front", link="down")])
    made = switch(layout, child, "0.1.1", watch=0.01)
    looks = 0

    def wait(_seconds: float) -> None:
        nonlocal looks
        looks += child.look().status is not None
        if looks == 3:
            release(layout, "0.1.1")

    made.wait = wait

    assert list(made.steps()) == STAYS
    assert looks >= 3


@pytest.mark.parametrize("steps", range(len(STAYS) + 1))
def test_a_power_cut_after_any_step_of_a_switch_leaves_a_good_release(
    layout: Layout, child: Child, steps: int
) -> None:
    release(layout, "0.1.1")
    assert len(list(islice(switch(layout, child, "0.1.1").steps(), steps))) == steps
    child.stop()

    recovered(layout, child)
    child.start()

    decided = steps >= STAYS.index("recorded") + 1
    assert layout.version("current") == ("0.1.1" if decided else "0.1.0")
    assert child.ready().status == status("0.1.1" if decided else "0.1.0")
    assert not layout.trial.exists()
    begun = steps >= STAYS.index("trial written") + 1
    words = [outcome.outcome for outcome in trial.outcomes(layout)]
    assert words == (["done"] if decided else ["returned"] if begun else [])
    assert (trial.untold(layout) is not None) == begun
    assert recovered(layout, child).outcome is None


@pytest.mark.parametrize("steps", range(len(RETURNS) + 1))
def test_a_power_cut_after_any_step_of_a_return_leaves_the_old_release(
    layout: Layout, child: Child, steps: int
) -> None:
    release(layout, "0.1.1", status=status("0.1.1", moving=False))
    assert len(list(islice(switch(layout, child, "0.1.1").steps(), steps))) == steps
    child.stop()

    recovered(layout, child)
    child.start()

    assert layout.version("current") == "0.1.0"
    assert child.ready().status == status("0.1.0")
    assert not layout.trial.exists()
    outcomes = trial.outcomes(layout)
    begun = steps >= RETURNS.index("trial written") + 1
    assert [outcome.outcome for outcome in outcomes] == (["returned"] if begun else [])
    known = steps >= RETURNS.index("reason written") + 1
    cut = "the upgrade was cut off by a restart of the box"
    why = ["the pipeline does not move"] if known else [cut] if begun else []
    assert [outcome.reason for outcome in outcomes] == why
    assert layout.version("previous") == ("0.0.9" if begun or not steps else "0.1.0")


@pytest.mark.parametrize("steps", range(2, 6))
def test_a_cut_in_the_middle_of_going_back_at_a_boot_is_made_up_for_at_the_next(
    layout: Layout, child: Child, steps: int
) -> None:
    release(layout, "0.1.1")
    list(islice(switch(layout, child, "0.1.1").steps(), 4))
    child.stop()
    at_boot = Recovery(layout=layout, service=child, boot="b")
    list(islice(at_boot.steps(), steps - 1))

    recovered(layout, child, "c")

    assert (layout.version("current"), layout.version("previous")) == ("0.1.0", "0.0.9")
    assert not layout.trial.exists()
    assert [outcome.outcome for outcome in trial.outcomes(layout)] == ["returned"]


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 6])
def test_an_upgrader_that_is_killed_while_the_box_stays_up_is_made_up_for(
    layout: Layout, child: Child, steps: int
) -> None:
    release(layout, "0.1.1", status=status("0.1.1", moving=steps < 5))
    list(islice(switch(layout, child, "0.1.1").steps(), steps))

    found = recovered(layout, child, "a")

    assert found.outcome is not None
    assert child.ready().status == status("0.1.0")
    assert child.starts[-1] == "0.1.0"
    assert layout.version("current") == "0.1.0"
    assert not layout.trial.exists()


def test_where_the_old_release_is_gone_the_new_one_stays(layout: Layout, child: Child) -> None:
    release(layout, "0.1.1")
    list(islice(switch(layout, child, "0.1.1").steps(), 4))
    child.stop()
    release(layout, "0.1.0", broken=True)

    found = recovered(layout, child)
    child.start()

    assert found.outcome is not None
    assert found.outcome.outcome == "done"
    assert found.outcome.reason == (
        "the upgrade was cut off by a restart of the box, and 0.1.0 does not start: "
        "ModuleNotFoundError: No module named 'absent'"
    )
    assert child.ready().status == status("0.1.1")


@pytest.mark.parametrize("left", ["", "{", '{"from": 3}', "\x00\x00\x00"])
def test_a_note_that_nobody_can_read_is_no_reason_not_to_start(
    layout: Layout, child: Child, left: str
) -> None:
    release(layout, "0.1.1")
    list(islice(switch(layout, child, "0.1.1").steps(), 3))
    child.stop()
    layout.trial.write_text(left)

    recovered(layout, child)

    assert layout.version("current") == "0.1.0"
    assert not layout.trial.exists()


def test_the_daemon_is_told_once_as_soon_as_it_answers(layout: Layout, child: Child) -> None:
    release(layout, "0.1.1")
    list(islice(switch(layout, child, "0.1.1").steps(), 4))
    child.stop()
    recovered(layout, child)

    assert not telling.tell(layout, child, within=0.0)
    child.start()
    child.ready()
    assert telling.tell(layout, child)
    assert telling.tell(layout, child)

    (line,) = (layout.release("0.1.0") / "told").read_text().splitlines()
    told = json.loads(line)
    assert (told["do"], told["outcome"]) == ("upgraded", "returned")
    assert (told["from"], told["to"]) == ("0.1.0", "0.1.1")
