"""The power is cut while the journal is written: what was claimed is there."""

import pytest

from bench.prove_power import controls, prove_keeper
from bench.volatile_disk import PACKAGES, missing

needed = missing()
pytestmark = pytest.mark.skipif(
    bool(needed),
    reason=f"a disk that forgets needs {', '.join(needed)}; as root: apt install {PACKAGES}",
)


def test_nothing_claimed_is_lost_to_power_cuts() -> None:
    oracle = prove_keeper(4, "test")
    assert not oracle.faults, oracle.told
    assert oracle.claims > 0
    assert oracle.head > 0


def test_a_disk_that_forgets_is_one_and_shows_who_does_not_sync() -> None:
    assert controls(1)
