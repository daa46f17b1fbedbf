"""The power is cut while the journal is written: what was claimed is there."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from bench.prove_power import controls, prove_keeper
from bench.volatile_disk import PACKAGES, missing, volatile_disk


@pytest.fixture(scope="module", autouse=True)
def disk_that_forgets(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where no such disk can be made."""
    if needed := missing():
        pytest.skip(f"needs {', '.join(needed)}; as root: apt install {PACKAGES}")
    folder: Path = tmp_path_factory.mktemp("disk")
    try:
        with volatile_disk(folder, megabytes=16):
            pass
    except (subprocess.CalledProcessError, TimeoutError) as error:
        pytest.skip(f"this system mounts no such disk: {error}")


def test_nothing_claimed_is_lost_to_power_cuts() -> None:
    oracle = asyncio.run(prove_keeper(4, "test"))
    assert not oracle.faults, oracle.told
    assert oracle.claims > 0
    assert oracle.head > 0


def test_a_disk_that_forgets_is_one_and_shows_who_does_not_sync() -> None:
    assert controls(1)
