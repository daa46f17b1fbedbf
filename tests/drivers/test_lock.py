"""Locks: locked and released as read back, and no setting that leaves people inside."""

import asyncio

import pytest

from drivers.commands import Release, Relock, Sound
from drivers.contract import CommandFailed, SettingError
from drivers.lock import Lock
from drivers.settings import OutputSetting, Seconds
from drivers.signals import LinkUp, LockLocked, LockReleased, OutputMismatch, StateKnown
from drivers.sim.lock import SimulatedLock
from tests import virtual_time
from tests.drivers.watching import Said, watching

OUTPUT = OutputSetting(line="m.do0")


def test_a_lock_energised_to_lock_is_released_by_switching_its_output_off() -> None:
    async def main() -> tuple[Said, list[tuple[float, bool]]]:
        async with watching(Lock(output=OUTPUT), do0=True) as lock:
            await asyncio.sleep(1)
            await lock.driver.perform(Release())
            await asyncio.sleep(1)
            await lock.driver.perform(Relock())
            await asyncio.sleep(1)
            written = lock.house.output("m.do0").written
            return lock.said, [(round(at, 3), on) for at, on in written]

    said, written = virtual_time.run(main())
    assert said == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"lock": "locked"})),
        (1.001, LockReleased()),
        (2.001, LockLocked()),
    ]
    assert written == [(1.001, False), (2.001, True)]


def test_a_lock_energised_to_release_works_the_other_way_round() -> None:
    driver = Lock(output=OUTPUT, energised="released", fail="secure")

    async def main() -> tuple[Said, bool | None]:
        async with watching(driver, do0=False) as lock:
            await lock.driver.perform(Release())
            await asyncio.sleep(1)
            return lock.said, lock.house.output("m.do0").on

    said, level = virtual_time.run(main())
    assert said == [
        (0.0, LinkUp()),
        (0.0, StateKnown(values={"lock": "locked"})),
        (0.001, LockReleased()),
    ]
    assert level is True


def test_a_lock_that_does_not_hold_what_it_was_told_is_a_mismatch() -> None:
    async def main() -> Said:
        async with watching(Lock(output=OUTPUT), do0=True) as lock:
            await lock.driver.perform(Release())
            await asyncio.sleep(1)
            lock.take()
            lock.house.set("m.do0", True)
            await asyncio.sleep(10)
            return lock.said

    assert virtual_time.run(main()) == [
        (1.001, LockLocked()),
        (1.251, OutputMismatch(expected="released", read="locked")),
    ]


def test_by_default_it_is_kept_at_start_released_at_stop_and_locked_at_rest() -> None:
    lock = Lock(output=OUTPUT)
    assert (lock.at_start(), lock.at_stop(), lock.rest()) == (None, Release(), Relock())
    free = Lock(output=OUTPUT, start_as="lock", stop_as="lock", resting="release")
    assert (free.at_start(), free.at_stop(), free.rest()) == (Relock(), Relock(), Release())
    assert lock.longest(Release()) is None
    assert Lock(output=OUTPUT, max_on=Seconds(30)).longest(Release()) == 30.0
    assert lock.longest(Relock()) is None


def test_the_state_found_changed_is_the_ordinary_signal() -> None:
    lock = Lock(output=OUTPUT)
    assert lock.signal_for("lock", "released") == LockReleased()
    assert lock.signal_for("lock", "locked") == LockLocked()
    assert lock.signal_for("lock", "unknown") is None


def test_settings_that_would_leave_people_inside_are_refused() -> None:
    with pytest.raises(SettingError, match="nobody is left to release it") as kept:
        Lock(output=OUTPUT, stop_as="keep")
    assert kept.value.setting == "at_stop"
    with pytest.raises(SettingError, match="it is not fail-safe") as unsafe:
        Lock(output=OUTPUT, energised="released", fail="safe")
    assert unsafe.value.setting == "fail"
    with pytest.raises(SettingError, match="with energised which way") as inverted:
        Lock(output=OutputSetting(line="m.do0", active="off"))
    assert inverted.value.setting == "output"
    with pytest.raises(SettingError, match="max_per_hour is more than 0 s"):
        Lock(output=OUTPUT, max_per_hour=Seconds(0))


def test_it_takes_no_other_command() -> None:
    async def main() -> None:
        async with watching(Lock(output=OUTPUT), do0=True) as lock:
            with pytest.raises(CommandFailed, match="a lock cannot sound"):
                await lock.driver.perform(Sound())

    virtual_time.run(main())


def test_the_simulated_lock_lets_people_out_when_its_power_is_lost() -> None:
    lock = SimulatedLock(energised="locked")
    lock.relay(True, at=0.0)
    assert lock.locked
    lock.power_lost(at=5.0)
    assert not lock.locked
    assert SimulatedLock(energised="released").locked
