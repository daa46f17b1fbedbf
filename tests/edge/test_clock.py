"""The tick over restarts and boots, and how far the wall clock is trusted."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import clock as clock_module
from edge.clock import (
    Clock,
    LastRecord,
    battery_clock,
    boot_id,
    boottime,
    keeps_time_without_power,
    synchronised,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def clock(
    seconds: float,
    last: LastRecord | None = None,
    *,
    boot: str = "one",
    now: datetime = NOW,
    server: bool = False,
    battery: bool = True,
) -> Clock:
    return Clock(
        last=last,
        seconds=lambda: seconds,
        now=lambda: now,
        boot=boot,
        follows_server=lambda: server,
        battery=lambda: battery,
    )


def last(tick: float, *, boot: str = "one", offset: float, at: datetime = NOW) -> LastRecord:
    return LastRecord(tick=tick, at=at, boot=boot, offset=offset)


def test_it_begins_at_zero() -> None:
    assert clock(1234.5).tick() == 0.0


def test_within_one_boot_the_time_that_the_process_was_down_counts() -> None:
    assert clock(1100.0, last(50.0, offset=-1000.0)).tick() == 100.0


def test_on_a_new_boot_it_goes_on_from_the_last_record() -> None:
    assert clock(7.0, last(50.0, boot="zero", offset=-1000.0)).tick() == 50.0


def test_it_never_goes_backwards_even_if_the_saved_offset_is_wrong() -> None:
    assert clock(100.0, last(500.0, offset=0.0)).tick() == 500.0


@given(
    st.floats(0, 1e8), st.floats(0, 1e8), st.floats(-1e8, 1e8), st.sampled_from(["one", "other"])
)
def test_no_restart_goes_behind_the_last_record(
    seconds: float, tick: float, offset: float, boot: str
) -> None:
    assert clock(seconds, last(tick, boot=boot, offset=offset)).tick() >= tick - 1e-6


def test_a_time_server_or_a_battery_clock_is_trusted() -> None:
    assert clock(0, server=True, battery=False).trusted()
    assert clock(0, server=False, battery=True).trusted()
    assert not clock(0, server=False, battery=False).trusted()


def test_a_clock_before_any_record_was_made_is_not_trusted() -> None:
    assert not clock(0, server=True, now=datetime(2020, 1, 1, tzinfo=UTC)).trusted()


def test_a_clock_behind_the_last_record_is_trusted_only_from_a_time_server() -> None:
    ahead = last(1, offset=0, at=NOW + timedelta(seconds=301))
    assert not clock(0, ahead).trusted()
    assert clock(0, ahead, server=True).trusted()
    near = last(1, offset=0, at=NOW + timedelta(seconds=300))
    assert clock(0, near).trusted()


def test_it_says_why_it_is_not_trusted() -> None:
    ahead = last(1, offset=0, at=NOW + timedelta(seconds=301))
    assert clock(0, server=True).doubt() is None
    assert clock(0, server=False, battery=False).doubt() == "no time server, and no battery clock"
    early = clock(0, server=True, now=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    assert early.doubt() == "it stands before any record was made"
    behind = "it stands behind the last record, and there is no time server"
    assert clock(0, ahead).doubt() == behind


def test_ticks_of_before_tell_how_long_ago_only_while_their_offset_is_known() -> None:
    assert clock(1100.0, last(50.0, offset=-1000.0)).continues
    assert not clock(7.0, last(50.0, boot="zero", offset=-1000.0)).continues
    assert not clock(100.0, last(50.0, offset=float("-inf"))).continues
    assert not clock(1234.5).continues


def test_a_new_file_in_the_same_process_does_not_stop_the_tick() -> None:
    now = [100.0]
    made = Clock(
        seconds=lambda: now[0],
        now=lambda: NOW,
        boot="one",
        follows_server=lambda: True,
        battery=lambda: True,
    )
    now[0] = 100.5
    opened = made.tick()
    now[0] = 103.0
    made.resume(LastRecord(tick=opened, at=NOW, boot="one", offset=float("-inf")))
    assert made.tick() == 3.0
    assert made.continues


def test_both_times_are_of_one_instant_even_if_the_machine_halts_between() -> None:
    """The machine halts for 100 s after the first look at one of them."""
    seconds = iter([0.0, 1.0, 1.0, 101.0, 101.0001])
    walls = iter([NOW, NOW + timedelta(seconds=100)])
    made = Clock(
        seconds=lambda: 1.0,
        now=lambda: NOW,
        boot="one",
        follows_server=lambda: True,
        battery=lambda: True,
    )
    made.offset, made.seconds, made.now = 0.0, lambda: next(seconds), lambda: next(walls)
    next(seconds), next(seconds)
    assert made.read() == (101.0, NOW + timedelta(seconds=100))


def test_the_battery_clock_is_read_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, mode = tmp_path / "since_epoch", tmp_path / "adjtime"
    monkeypatch.setattr(clock_module, "RTC_TIME", shown)
    monkeypatch.setattr(clock_module, "RTC_MODE", mode)
    assert battery_clock() is None
    shown.write_text("1795176000\n")
    assert battery_clock() == datetime(2026, 11, 20, 12, tzinfo=UTC)
    mode.write_text("0.0 1795176000 0.0\n1795176000\nUTC\n")
    assert battery_clock() == datetime(2026, 11, 20, 12, tzinfo=UTC)
    mode.write_text("0.0 1795176000 0.0\n1795176000\nLOCAL\n")
    assert battery_clock() is None
    mode.unlink()
    shown.write_text("soon\n")
    assert battery_clock() is None


def test_the_kernel_answers() -> None:
    assert boottime() > 0
    assert len(boot_id()) == 32
    assert synchronised() in {True, False}
    assert keeps_time_without_power() in {True, False}


@pytest.mark.parametrize(
    ("ago", "follows"), [(0.0, True), (3600.0, True), (9 * 3600.0 + 60, False), (-60.0, False)]
)
def test_a_service_that_may_not_ask_the_kernel_knows_when_timesyncd_set_the_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ago: float, follows: bool
) -> None:
    mark = tmp_path / "synchronized"
    mark.touch()
    os.utime(mark, (time.time() - ago, time.time() - ago))
    monkeypatch.setattr(clock_module, "SET_RIGHT", mark)

    assert clock_module._set_right() is follows


def test_without_timesyncd_s_mark_no_time_server_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_module, "SET_RIGHT", tmp_path / "none")

    assert clock_module._set_right() is False
