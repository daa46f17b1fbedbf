"""Why the last run ended: noted by systemd's word, told once, and never a reason not to start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import ends


def ended(folder: Path, result: str, status: str = "") -> None:
    ends.note(folder, {"SERVICE_RESULT": result, "EXIT_STATUS": status})


def test_a_watchdog_s_kill_is_told_by_the_next_run_and_by_no_other(tmp_path: Path) -> None:
    assert ends.begun(tmp_path, "boot-a") is None

    ended(tmp_path, "watchdog", "ABRT")

    end = ends.begun(tmp_path, "boot-a")
    assert end is not None
    assert (end.reason, end.status) == ("watchdog", "ABRT")
    assert ends.begun(tmp_path, "boot-a") is None


def test_a_stop_is_counted_and_not_told(tmp_path: Path) -> None:
    ended(tmp_path, "success", "0")

    assert ends.begun(tmp_path, "boot-a") is None
    assert ends.read(tmp_path).counts == {"stop": 1}


def test_a_run_of_an_earlier_boot_without_an_end_lost_its_power(tmp_path: Path) -> None:
    ends.begun(tmp_path, "boot-a")

    end = ends.begun(tmp_path, "boot-b")

    assert end is not None
    assert end.reason == "power"
    assert ends.read(tmp_path).counts == {"power": 1}


def test_a_box_that_was_shut_down_well_did_not_lose_its_power(tmp_path: Path) -> None:
    ends.begun(tmp_path, "boot-a")
    ended(tmp_path, "success", "0")

    assert ends.begun(tmp_path, "boot-b") is None


def test_a_run_that_nobody_supervises_tells_nothing_after_a_kill(tmp_path: Path) -> None:
    ends.begun(tmp_path, "boot-a")

    assert ends.begun(tmp_path, "boot-a") is None
    assert ends.read(tmp_path).counts == {}


def test_ends_are_counted_by_their_reason(tmp_path: Path) -> None:
    for result in ("signal", "watchdog", "signal"):
        ended(tmp_path, result)

    found = ends.read(tmp_path)
    assert found.counts == {"signal": 2, "watchdog": 1}
    assert found.last is not None
    assert found.last.reason == "signal"


@pytest.mark.parametrize(("killed", "reason"), [("1", "oom-kill"), ("0", "signal")])
def test_a_kill_for_memory_is_known_by_the_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str, reason: str
) -> None:
    group = tmp_path / "cgroup" / "system.slice" / "storewarden.service"
    group.mkdir(parents=True)
    (group / "memory.events").write_text(f"low 0\nhigh 4\nmax 9\noom 1\noom_kill {killed}\n")
    (tmp_path / "self").write_text("0::/system.slice/storewarden.service\n")
    monkeypatch.setattr(ends, "CGROUP", tmp_path / "self")
    monkeypatch.setattr(ends, "CGROUPS", tmp_path / "cgroup")

    ended(tmp_path, "signal", "KILL")

    assert ends.read(tmp_path).counts == {reason: 1}


def test_without_a_word_of_systemd_nothing_is_noted(tmp_path: Path) -> None:
    ends.note(tmp_path, {})

    assert list(tmp_path.iterdir()) == []


def test_a_file_of_a_newer_version_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "ends.json").write_text(json.dumps({"version": 2, "counts": {"stop": 5}}))

    assert ends.read(tmp_path).counts == {}


@given(st.binary())
def test_a_damaged_file_stops_nobody(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    folder = tmp_path_factory.mktemp("state")
    (folder / "ends.json").write_bytes(noise)

    assert ends.read(folder) == ends.Ends()
    assert ends.begun(folder, "boot-a") is None
