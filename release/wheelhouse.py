"""The wheels of the lock for one target, fetched from the package index and kept here."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from release.lock import Pin
from release.targets import Target


class FetchFailed(Exception):
    """A wheel could not be had; the message says what pip said."""


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def cache() -> Path:
    """Return the folder that keeps wheels between builds."""
    if given := os.environ.get("STOREWARDEN_WHEEL_CACHE"):
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "storewarden" / "wheels"


def wheels(pins: Sequence[Pin], where: Target) -> tuple[Path, ...]:
    """Return the wheels that `pins` come to at `where`, sorted by name, each hash proven.

    The first call for a lock fetches them; later ones find them in `cache()`.

    Raises:
        FetchFailed: the index was not reached, or has no wheel that fits.
    """
    text = "".join(pin.text(marked=False) for pin in pins if pin.wanted(where))
    folder = cache() / f"{where.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as made:
            download(pins, where, Path(made, "wheels"))
            with suppress(OSError):  # another build was first
                Path(made, "wheels").rename(folder)
    allowed = {one for pin in pins for one in pin.hashes}
    found = tuple(sorted(folder.glob("*.whl")))
    if {digest(wheel) for wheel in found} - allowed or len(found) != text.count("=="):
        shutil.rmtree(folder)
        raise FetchFailed(f"{folder} was changed: it is removed, so build again")
    return found


def download(pins: Sequence[Pin], where: Target, folder: Path) -> None:
    """Fetch the wheels that `pins` come to at `where` into `folder`, which is made.

    Raises:
        FetchFailed: the index was not reached, has no wheel that fits, or another file than locked.
    """
    folder.mkdir(parents=True)
    wanted = folder / "requirements.txt"
    chosen = [pin.text(marked=False) for pin in pins if pin.wanted(where)]
    wanted.write_text("".join(chosen), encoding="utf-8")
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    words += ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
    words += ["--implementation", "cp", "--python-version", where.python]
    words += [word for tag in where.platforms() for word in ("--platform", tag)]
    done = subprocess.run([*words, "-r", str(wanted)], capture_output=True, text=True)
    wanted.unlink()
    found = len(list(folder.glob("*.whl")))
    if done.returncode or found != len(chosen):
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = "\n".join(said) or f"{found} wheels for {len(chosen)} packages"
        raise FetchFailed(f"the wheels of {where.name} could not be had:\n{why}")
