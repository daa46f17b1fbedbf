"""One bundle for all tests of releases: of this tree, for the machine that runs them."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from release import bundle
from release.archive import unpack

TREE = Path(__file__).parents[2]
HERE = f"{os.uname().machine}-{sys.version_info.major}.{sys.version_info.minor}"


def another_version(there: Path, named: str) -> Path:
    """Copy this tree to `there` as the release `named`, and return `there`."""
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "dist", "docs", "bench")
    shutil.copytree(TREE, there, ignore=ignored)
    shutil.copyfile(TREE / ".gitignore", there / ".gitignore")
    text = (TREE / "edge" / "version.py").read_text()
    changed = re.sub(r'(?m)^__version__ = ".*"$', f'__version__ = "{named}"', text)
    (there / "edge" / "version.py").write_text(changed)
    return there


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive; made once for all processes of a test run."""
    if HERE not in bundle.ALL:
        pytest.skip(f"no release is made for {HERE}")
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with (shared / "bundle.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list((shared / "bundle").glob("*.tar.gz"))
        return found[0] if found else bundle.build(shared / "bundle", [HERE])


@pytest.fixture
def unpacked(packed: Path, tmp_path: Path) -> Path:
    """The folder in the archive, to do with as one likes."""
    unpack(packed, tmp_path)
    return tmp_path / packed.name.removesuffix(".tar.gz")
