"""The tick over restarts and boots, and how far the wall clock is trusted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from edge.clock import Clock, LastRecord, boot_id, boottime, keeps_time_without_power, synchronised

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


def test_the_kernel_answers() -> None:
    assert boottime() > 0
    assert len(boot_id()) == 32
    assert synchronised() in {True, False}
    assert keeps_time_without_power() in {True, False}
