"""Prove that a release is the same whoever makes it, and that its packages go on both Debians.

Two clones of the last commit, made under another umask, place and time zone, give the same bundle
and the same Debian packages; the package is installed, upgraded and removed on Debian 12 and 13.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from release import wheelhouse

TREE = Path(__file__).resolve().parents[1]


def made(folder: Path, source: Path, umask: int, zone: str) -> dict[str, str]:
    """Return the sums of what a clone of the last commit of `source` makes, by name."""
    clone, out = folder / "tree", folder / "out"
    subprocess.run(("git", "clone", "-q", source, clone), check=True, umask=umask)
    for module in ("release.bundle", "release.deb"):
        subprocess.run(
            (sys.executable, "-m", module, "--out", out),
            cwd=clone,
            env=os.environ | {"TZ": zone, "PYTHONPATH": str(clone)},
            stdout=subprocess.DEVNULL,
            check=True,
            umask=umask,
        )
    return {file.name: wheelhouse.digest(file) for file in sorted(out.iterdir())}


def main() -> int:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        sums = (
            made(Path(first), TREE, 0o022, "UTC"),
            made(Path(second), Path(first, "tree"), 0o077, "Asia/Tokyo"),  # the same commit
        )
    for name, one in sums[0].items():
        same = "the same twice" if sums[1].get(name) == one else "NOT THE SAME"
        print(f"{one}  {name}  {same}")
    if sums[0] != sums[1]:
        return 1
    print(f"made twice in {time.monotonic() - began:.0f} s")
    return subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "tests/release/test_deb.py"),
        cwd=TREE,
        env=os.environ | {"STOREWARDEN_SUITES": "bookworm trixie", "CI": "true"},
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
