"""What a release on trial is gone back from, and what it is not: looks on a virtual clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edge.upgrade.health import Health, Reason
from edge.upgrade.service import NOTHING, Look
from tests.edge.upgrade.stand_in import status

MB = 1 << 20


def look(version: str = "0.1.1", /, *, pid: int = 2, **more: Any) -> Look:
    made = Look(
        active=True,
        ended=False,
        pid=pid,
        restarts=0,
        status=status(version),
        devices={"door_front": ("door", "up"), "cam_exit": ("onvif_camera", "down")},
        alarm=(),
        journal="a" * 32,
        memory=80 * MB,
    )
    return replace(made, **more)


STARTING = look(active=False, status=None, devices={}, journal="", memory=0)
DEVICES_DOWN = {"door_front": ("door", "down"), "cam_exit": ("onvif_camera", "down")}
OFFLINE = {"connected": False, "error": "no route", "backlog": 9, "published": 5}
STUCK = {"connected": True, "error": None, "backlog": 9, "published": 5}


def seen(*looks: tuple[float, Look], before: Look | None = None) -> Reason | None:
    """Return why a release can't stay that is seen so, seconds after it was told to start."""
    health = Health(version="0.1.1", before=before or look("0.1.0", pid=1), begun=0.0)
    for at, one in looks:
        if reason := health.see(one, at):
            return reason
    return None


def text(*looks: tuple[float, Look]) -> str:
    reason = seen(*looks)
    return "" if reason is None else reason.text


def lasting(one: Look, seconds: float) -> list[tuple[float, Look]]:
    """Return a good start at 1 s, then `one` for so long, a look a second."""
    return [(1.0, look()), *((2.0 + i, one) for i in range(int(seconds) + 1))]


def test_what_does_as_before_is_good() -> None:
    health = Health(version="0.1.1", before=look("0.1.0", pid=1), begun=0.0)
    assert health.see(STARTING, 0.5) is None
    assert not health.settled
    assert health.see(look(), 1.5) is None
    assert (health.ready_at, health.settled) == (1.5, True)


def test_ninety_seconds_are_given_to_be_ready() -> None:
    assert seen((89.9, STARTING)) is None
    assert text((0.0, STARTING), (90.0, STARTING)) == "0.1.1 was not ready within 90 s"


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (look(pid=3), "0.1.1 was started again 9 s after its start"),
        (look(restarts=1), "0.1.1 ended by itself 9 s after its start"),
        (look(ended=True), "0.1.1 ended by itself 9 s after its start"),
        (look("0.1.0"), "what runs is 0.1.0, not 0.1.1"),
        (look(status=status("0.1.1", moving=False)), "the pipeline does not move"),
    ],
)
def test_what_does_not_protect_the_store_is_gone_back_from_at_once(
    later: Look, reason: str
) -> None:
    found = seen((1.0, look()), (10.0, later))
    assert found == Reason(text=reason, grave=True)
    evacuated = status("0.1.1", evacuation="yes") if later.status is None else later.status
    alarm = replace(later, status={**evacuated, "evacuation": "yes"})
    assert seen((1.0, look()), (10.0, alarm)) == found


def test_a_restart_before_the_switch_is_not_its() -> None:
    assert seen((0.1, replace(STARTING, restarts=3)), (1.0, look(restarts=0))) is None
    assert text((0.1, replace(STARTING, restarts=3)), (1.0, look()), (2.0, look(restarts=1))) == (
        "0.1.1 ended by itself 1 s after its start"
    )


def test_sixty_seconds_are_given_to_systemd_to_answer() -> None:
    assert seen(*lasting(NOTHING, 58.0), (61.0, look())) is None
    assert text(*lasting(NOTHING, 59.0)) == "systemd gives no answer for 60 s"


def test_fifteen_seconds_are_given_to_answer() -> None:
    mute = look(status=None, devices={}, journal="")
    assert seen(*lasting(mute, 13.0)) is None
    assert text(*lasting(mute, 14.0)) == "0.1.1 gives no answer for 15 s"


@pytest.mark.parametrize(
    ("one", "limit", "reason"),
    [
        (look(devices=DEVICES_DOWN), 45, "device door_front was up, and is down for 45 s"),
        (
            look(status=status("0.1.1", uplink=OFFLINE)),
            45,
            "the uplink was connected, and is not for 45 s: no route",
        ),
        (
            look(status=status("0.1.1", journal={"sequence": 7, "error": "disk I/O error"})),
            20,
            "the journal takes nothing for 20 s: disk I/O error",
        ),
        (
            look(status=status("0.1.1", journal={"sequence": 0, "error": None})),
            20,
            "the journal takes nothing for 20 s: it is not open",
        ),
        (
            look(status=status("0.1.1", uplink=STUCK)),
            59,  # nothing has been forwarded since the look before
            "9 records wait, and none is forwarded for 60 s",
        ),
    ],
)
def test_what_was_up_before_may_be_down_for_its_time_and_no_longer(
    one: Look, limit: int, reason: str
) -> None:
    assert seen(*lasting(one, limit)) is None
    assert seen(*lasting(one, limit + 1)) == Reason(text=reason, grave=False)
    again = [*lasting(one, limit), (limit + 3.0, look()), (limit + 4.0, one)]
    assert seen(*again) is None


def test_the_watch_can_not_end_while_something_is_down_that_was_up() -> None:
    health = Health(version="0.1.1", before=look("0.1.0", pid=1), begun=0.0)
    for at, one in lasting(look(devices=DEVICES_DOWN), 20.0):
        health.see(one, at)
        assert health.settled == (at == 1.0)


def test_what_was_down_before_is_not_asked_for() -> None:
    before = look(
        "0.1.0",
        pid=1,
        devices=DEVICES_DOWN,
        status=status("0.1.0", uplink=OFFLINE, journal={"sequence": 0, "error": "full"}),
    )
    now = replace(before, pid=2, status={**(before.status or {}), "version": "0.1.1"})
    health = Health(version="0.1.1", before=before, begun=0.0)
    assert all(health.see(now, float(at)) is None for at in range(600))
    assert health.settled


def test_where_nothing_ran_before_it_is_enough_that_it_runs() -> None:
    health = Health(version="0.1.1", before=None, begun=0.0)
    poor = look(devices=DEVICES_DOWN, status=status("0.1.1", uplink=OFFLINE))
    assert all(health.see(poor, float(at)) is None for at in range(600))
    assert health.settled


def test_an_evacuation_keeps_a_release_whose_devices_are_down() -> None:
    evacuated = look(devices=DEVICES_DOWN, status=status("0.1.1", evacuation="yes"))
    in_alarm = look(devices=DEVICES_DOWN, alarm=("fire_main",))
    for one in (evacuated, in_alarm):
        assert seen(*lasting(one, 600.0)) is None
        over = [*lasting(one, 600.0), (603.0, look(devices=DEVICES_DOWN))]
        assert text(*over) == "device door_front was up, and is down for 45 s"


def test_a_journal_that_was_begun_anew_or_went_back_is_seen() -> None:
    assert text((1.0, look(journal="b" * 32))) == "the journal was begun anew"
    back = look(status=status("0.1.1", journal={"sequence": 6, "error": None}))
    assert text((1.0, back)) == "the journal went back from 7 to 6"


def test_memory_may_grow_twofold_or_by_a_hundred_megabytes() -> None:
    assert seen((1.0, look(memory=180 * MB))) is None
    assert text((1.0, look(memory=181 * MB))) == "it takes 181 MB of memory; 80 MB before"
    assert seen((1.0, look(memory=999 * MB)), before=look("0.1.0", pid=1, memory=0)) is None
