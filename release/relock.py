"""Writes the lock anew from pyproject.toml: `./dev lock`, to be run when a dependency changes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from release import lock, wheelhouse
from release.targets import TARGETS


def main() -> int:
    """Write release/requirements.txt; what no target installs is left out of it."""
    pins = lock.compile_pins()
    with tempfile.TemporaryDirectory() as made:
        kept: set[str] = set()
        for one in TARGETS:
            folder = Path(made, one.name)
            wheelhouse.download(pins, one, folder)
            kept |= {wheelhouse.digest(wheel) for wheel in folder.glob("*.whl")}
    few = lock.trimmed(pins, frozenset(kept))
    lock.LOCK.write_text(lock.HEAD + "".join(pin.text() for pin in few), encoding="utf-8")
    shown = lock.LOCK.relative_to(lock.TREE)
    sys.stdout.write(f"{shown}: {len(few)} packages, {len(kept)} wheels\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
