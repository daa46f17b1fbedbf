"""What a box says of itself in /sys and /proc is read as it was recorded."""

from datetime import timedelta
from pathlib import Path

import pytest

from edge.doctor import board, clock, disk, releases, service, watchdog
from tests.edge.doctor import sys_tree
from tests.edge.doctor.looking import NOON, box, folder, look, one, program

PI = {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0"}
HERE = "179:1 / ext4 /dev/mmcblk0p1"


@pytest.mark.parametrize(
    ("told", "level", "part"),
    [
        ("0", "ok", "no under-voltage since"),
        ("50005", "problem", "under-voltage now"),
        ("50000", "warning", "there was under-voltage"),
        ("throttled=0x20000", "ok", "no under-voltage"),
        ("80000", "ok", "no under-voltage since"),
        ("nonsense", "unknown", "does not tell"),
    ],
)
def test_a_pi_tells_whether_its_supply_holds(
    tmp_path: Path, told: str, level: str, part: str
) -> None:
    sys_tree.write(tmp_path, {**PI, board.THROTTLED: f"{told}\n"})
    found = one(board.SUBJECT, box(tmp_path), "board.voltage")
    assert found.level == level
    assert part in found.seen


def test_a_pi_whose_bus_has_its_address_in_its_name_tells_it_too(tmp_path: Path) -> None:
    at = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"
    sys_tree.write(tmp_path, {**PI, at: "50005\n"})
    assert one(board.SUBJECT, box(tmp_path), "board.voltage").level == "problem"


@pytest.mark.parametrize(("alarm", "level"), [("1", "problem"), ("0", "ok")])
def test_a_pi_with_the_kernels_own_driver_tells_it_as_an_alarm(
    tmp_path: Path, alarm: str, level: str
) -> None:
    at = "sys/class/hwmon/hwmon1"
    sys_tree.write(tmp_path, {f"{at}/name": "rpi_volt\n", f"{at}/in0_lcrit_alarm": f"{alarm}\n"})
    assert one(board.SUBJECT, box(tmp_path), "board.voltage").level == level


def test_a_pi_that_tells_nothing_is_unknown_and_another_board_is_not_asked(tmp_path: Path) -> None:
    assert [f.check for f in look(board.SUBJECT, box(tmp_path))] == ["board.temperature"]
    sys_tree.write(tmp_path, PI)
    assert one(board.SUBJECT, box(tmp_path), "board.voltage").level == "unknown"


@pytest.mark.parametrize(
    ("told", "level"),
    [("42000", "ok"), ("70000", "warning"), ("85123", "problem"), ("-999999", "unknown")],
)
def test_the_hottest_zone_counts(tmp_path: Path, told: str, level: str) -> None:
    zone = "sys/class/thermal/thermal_zone"
    files = {f"{zone}0/temp": "30000\n", f"{zone}1/temp": f"{told}\n", f"{zone}1/type": "cpu\n"}
    sys_tree.write(tmp_path, files if level != "unknown" else {f"{zone}1/temp": f"{told}\n"})
    assert one(board.SUBJECT, box(tmp_path), "board.temperature").level == level


@pytest.mark.parametrize(
    ("life", "end", "level"),
    [
        ("0x01 0x01", "0x01", "ok"),
        ("0x08 0x01", "0x01", "warning"),
        ("0x0a 0x01", "0x01", "problem"),
        ("0x01 0x01", "0x02", "warning"),
        ("0x01 0x01", "0x03", "problem"),
        ("0x00 0x00", "0x00", "unknown"),
    ],
)
def test_a_worn_disk_is_said_before_it_ends(
    tmp_path: Path, life: str, end: str, level: str
) -> None:
    files = {"device/life_time": f"{life}\n", "device/pre_eol_info": f"{end}\n"}
    sys_tree.disk(tmp_path, "mmcblk0", "179:1", files)
    sys_tree.mounts(tmp_path, f"{HERE} rw")
    assert one(disk.SUBJECT, box(tmp_path), "disk.wear").level == level


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("179:1 / ext4 /dev/mmcblk0p1 rw", "ok"),
        ("179:1 / ext4 /dev/mmcblk0p1 ro", "problem"),
        ("179:1 / ext4 /dev/mmcblk0p1 rw,nobarrier", "problem"),
        ("179:1 / ext4 /dev/mmcblk0p1 rw,data=writeback", "problem"),
        ("0:30 / tmpfs tmpfs rw", "problem"),
        ("8:1 / vfat /dev/sda1 rw", "warning"),
        ("0:31 / overlay overlay rw,upperdir=/run/up", "problem"),
        ("0:31 / overlay overlay rw,upperdir=/media/up", "ok"),
        ("0:31 / overlay overlay rw,upperdir=/upper/data", "unknown"),
    ],
)
def test_a_mount_that_loses_what_was_synced_is_a_problem(
    tmp_path: Path, line: str, level: str
) -> None:
    others = ("0:24 /run tmpfs tmpfs rw", "179:2 /media ext4 /dev/mmcblk0p2 rw")
    sys_tree.mounts(tmp_path, line, *others)
    assert one(disk.SUBJECT, box(tmp_path), "disk.mount").level == level


def test_bytes_written_are_told_by_the_day_and_errors_are_counted(tmp_path: Path) -> None:
    place = sys_tree.disk(tmp_path, "mmcblk0", "179:1", {"stat": "9 0 9 0 9 0 40000000 0 0 0 0\n"})
    sys_tree.mounts(tmp_path, f"{HERE} rw")
    sys_tree.write(
        tmp_path,
        {"proc/uptime": "43200.5 80000\n", "sys/fs/ext4/mmcblk0p1/errors_count": "3\n"},
    )
    writes = one(disk.SUBJECT, box(tmp_path), "disk.writes")
    assert writes.level == "warning"
    assert "mmcblk0: 20.5 GB in 12.0 h, 41.0 GB a day" in writes.seen
    errors = one(disk.SUBJECT, box(tmp_path), "disk.errors")
    assert (errors.level, errors.seen) == ("problem", "ext4 of mmcblk0p1: 3 errors")
    assert place.name in errors.remedy


def test_a_disk_without_room_for_the_journal_is_a_problem(tmp_path: Path) -> None:
    config = folder(tmp_path, site="site: s1\nbuffer: {max_size: 900000000MB}\n")
    sys_tree.mounts(tmp_path, f"{HERE} rw")
    assert one(disk.SUBJECT, box(tmp_path, config), "disk.room").level == "problem"


@pytest.mark.parametrize(("off", "level"), [(0, "ok"), (119, "ok"), (-600, "warning")])
def test_a_battery_clock_that_is_wrong_is_said(tmp_path: Path, off: int, level: str) -> None:
    shown = int((NOON + timedelta(seconds=off)).timestamp())
    sys_tree.write(tmp_path, {"sys/class/rtc/rtc0/since_epoch": f"{shown}\n"})
    assert one(clock.SUBJECT, box(tmp_path), "time.battery").level == level


def test_a_clock_that_nobody_sets_is_a_problem_and_who_should_is_said(tmp_path: Path) -> None:
    program(tmp_path, "timedatectl", "echo NTP=no")
    found = one(clock.SUBJECT, box(tmp_path, synchronised=lambda: False), "time.synchronised")
    assert (found.level, found.seen) == ("problem", "it does not: nobody asks it to")
    assert "timedatectl set-ntp true" in found.remedy


@pytest.mark.parametrize(
    ("show", "levels"),
    [
        (
            "ActiveState=active\\nSubState=running\\nUnitFileState=enabled\\nNRestarts=0",
            ["ok", "ok"],
        ),
        (
            "ActiveState=active\\nSubState=running\\nUnitFileState=disabled\\nNRestarts=7",
            ["problem", "warning"],
        ),
        (
            "ActiveState=failed\\nSubState=failed\\nUnitFileState=enabled\\nNRestarts=0",
            ["problem", "ok"],
        ),
    ],
)
def test_the_unit_is_looked_at_as_systemd_shows_it(
    tmp_path: Path, show: str, levels: list[str]
) -> None:
    program(tmp_path, "systemctl", f"printf 'LoadState=loaded\\n{show}\\n'")
    found = {f.check: f.level for f in look(service.SUBJECT, box(tmp_path))}
    assert [found["service.active"], found["service.restarts"]] == levels
    assert found["service.answers"] == "problem"


def test_a_box_that_nobody_configured_yet_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    shown = "LoadState=loaded\\nActiveState=inactive\\nSubState=dead\\nConditionResult=no\\n"
    program(tmp_path, "systemctl", f"printf '{shown}'")
    found = one(service.SUBJECT, box(tmp_path), "service.active")
    assert found.level == "problem"
    assert found.seen.startswith("it waits for a configuration: there is no ")
    assert found.remedy.startswith("storewarden init")


@pytest.mark.parametrize(
    ("fed", "level"), [("30s", "ok"), ("0", "warning"), ("infinity", "warning")]
)
def test_a_hardware_watchdog_that_nobody_feeds_is_said(
    tmp_path: Path, fed: str, level: str
) -> None:
    sys_tree.write(tmp_path, {"sys/class/watchdog/watchdog0/identity": "bcm2835\n"})
    said = f"LoadState=loaded\\nWatchdogUSec=10s\\nRuntimeWatchdogUSec={fed}\\n"
    program(tmp_path, "systemctl", f"printf '{said}'")
    found = {f.check: f.level for f in look(watchdog.SUBJECT, box(tmp_path))}
    assert found == {"watchdog.service": "ok", "watchdog.hardware": level}


@pytest.mark.parametrize(("state", "level"), [("inactive", "unknown"), ("active", "problem")])
def test_a_unit_that_never_ran_is_not_blamed_for_the_watchdog_that_systemd_does_not_tell(
    tmp_path: Path, state: str, level: str
) -> None:
    said = f"LoadState=loaded\\nActiveState={state}\\nWatchdogUSec=infinity\\n"
    program(tmp_path, "systemctl", f"printf '{said}'")
    assert one(watchdog.SUBJECT, box(tmp_path), "watchdog.service").level == level


def test_a_program_of_the_system_that_hangs_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.doctor.box.COMMAND_WITHIN", 0.2)
    program(tmp_path, "systemctl", "exec sleep 1000")
    assert one(service.SUBJECT, box(tmp_path), "service.active").level == "unknown"


def test_a_release_that_is_not_whole_and_one_on_trial_are_said(tmp_path: Path) -> None:
    assert look(releases.SUBJECT, box(tmp_path)) == []
    at = tmp_path / "opt/storewarden"
    sys_tree.write(at, {"releases/1.0/.complete": "", "releases/2.0/bin/x": "", "trial.json": "{"})
    (at / "current").symlink_to("releases/2.0")
    (at / "previous").symlink_to("releases/1.0")
    found = {f.check: f.level for f in look(releases.SUBJECT, box(tmp_path))}
    assert found == {
        "release.current": "problem",
        "release.previous": "ok",
        "release.trial": "warning",
    }


def test_a_daemon_of_another_release_that_answers_otherwise_is_unknown(tmp_path: Path) -> None:
    found = look(service.SUBJECT, box(tmp_path, status={"version": "9.0"}))
    assert {finding.level for finding in found} == {"unknown"}
    assert "'up_for'" in found[0].seen
