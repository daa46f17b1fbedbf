"""Which files of a folder are a configuration, in which order, and their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

REQUIRED = ("site.yaml", "devices.yaml")
FOLDERS = ("devices.d", "rules", "rules.local")
"""Folders whose `*.yaml` files are read, sorted by name."""


def names(folder: Path) -> list[str]:
    """Return the files of the configuration, relative to `folder`, in the order of reading."""
    found = [name for name in REQUIRED if (folder / name).exists()]
    for part in FOLDERS:
        files = (folder / part).glob("*.yaml")
        found += sorted(f"{part}/{file.name}" for file in files if file.is_file())
    return found


def unread(folder: Path) -> list[str]:
    """Return files beside them that look as if they were meant to be read: `*.yml`."""
    found = [file.name for file in folder.glob("*.yml")]
    for part in FOLDERS:
        found += [f"{part}/{file.name}" for file in (folder / part).glob("*.yml")]
    return sorted(found)


def fingerprint(folder: Path) -> str:
    """Return 12 hexadecimal digits of SHA-256 over names and contents; secrets are not read.

    Raises:
        OSError: a file can't be read.
    """
    digest = hashlib.sha256()
    for name in names(folder):
        content = (folder / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:12]
