"""The wear of a disk is what its kernel tells of it, and None where it tells nothing."""

from pathlib import Path

import pytest

from edge.doctor.block import disks_of, mount_of
from edge.doctor.wear import wear
from tests.edge.doctor import sys_tree

STATE = Path("/var/lib/storewarden")


@pytest.mark.parametrize(
    ("life", "used"),
    [("0x01 0x01", 0.1), ("0x02 0x05", 0.5), ("0x0a 0x01", 1.0), ("0x0b 0x01", 1.0)],
)
def test_an_emmc_tells_its_life_in_tenths_and_the_worse_of_two_counts(
    tmp_path: Path, life: str, used: float
) -> None:
    sys_tree.disk(tmp_path, "mmcblk0", "179:1", {"device/life_time": f"{life}\n"})
    sys_tree.mounts(tmp_path, "179:1 / ext4 /dev/root rw")
    assert wear(tmp_path, STATE) == used


@pytest.mark.parametrize("life", ["0x00 0x00", "", "nonsense", "0xff 0xff"])
def test_a_disk_that_tells_no_life_has_none(tmp_path: Path, life: str) -> None:
    sys_tree.disk(tmp_path, "mmcblk0", "179:1", {"device/life_time": f"{life}\n"})
    sys_tree.mounts(tmp_path, "179:1 / ext4 /dev/root rw")
    assert wear(tmp_path, STATE) is None


def test_nothing_is_known_without_proc_and_sys(tmp_path: Path) -> None:
    assert wear(tmp_path, STATE) is None


def test_the_innermost_mount_counts_and_of_two_on_one_point_the_later(tmp_path: Path) -> None:
    sys_tree.mounts(
        tmp_path,
        "179:1 / ext4 /dev/root rw",
        "8:1 /var/lib/storewarden ext4 /dev/sda1 rw",
        "8:2 /var/lib/storewarden xfs /dev/sda2 rw",
        "8:3 /var/lib/store ext4 /dev/sda3 rw",
    )
    found = mount_of(tmp_path, STATE)
    assert found is not None
    assert found.source == "/dev/sda2"


def test_an_overlay_wears_the_disk_of_its_upper_folder(tmp_path: Path) -> None:
    disk = sys_tree.disk(tmp_path, "mmcblk0", "179:1", {"device/life_time": "0x03 0x03\n"})
    sys_tree.mounts(
        tmp_path,
        "0:30 / overlay overlay rw,lowerdir=/lower,upperdir=/media/rw/upper,workdir=/media/rw/w",
        "179:1 /media/rw ext4 /dev/mmcblk0p1 rw",
    )
    assert disks_of(tmp_path, STATE) == [disk]
    assert wear(tmp_path, STATE) == 0.3


def test_an_overlay_over_itself_is_followed_no_further(tmp_path: Path) -> None:
    sys_tree.mounts(tmp_path, "0:30 / overlay overlay rw,upperdir=/upper")
    assert wear(tmp_path, STATE) is None


def test_a_file_system_with_a_number_of_its_own_is_found_by_its_source(tmp_path: Path) -> None:
    sys_tree.disk(tmp_path, "mmcblk0", "179:1", {"device/life_time": "0x04 0x01\n"})
    sys_tree.mounts(tmp_path, "0:31 / btrfs /dev/mmcblk0p1 rw")
    assert wear(tmp_path, STATE) == 0.4


def test_an_encrypted_disk_wears_the_one_below(tmp_path: Path) -> None:
    sys_tree.disk(tmp_path, "mmcblk0", "179:1", {"device/life_time": "0x06 0x01\n"})
    mapped = tmp_path / "sys/devices/virtual/dm-0"
    sys_tree.write(mapped, {"stat": "0 0 0 0 0 0 0 0 0 0 0\n", "slaves/.kept": ""})
    (mapped / "slaves/.kept").unlink()
    (mapped / "slaves/mmcblk0p1").symlink_to(tmp_path / "sys/devices/mmcblk0/mmcblk0p1")
    (tmp_path / "sys/dev/block/253:0").symlink_to(mapped)
    sys_tree.mounts(tmp_path, "253:0 / ext4 /dev/mapper/root rw")
    assert wear(tmp_path, STATE) == 0.6


def test_the_disks_of_this_machine_can_be_asked() -> None:
    used = wear(Path("/"), Path("/"))
    assert used is None or 0.0 <= used <= 1.0
