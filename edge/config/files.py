"""Which files of a folder are a configuration, in which order, and their hash."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

REQUIRED = ("site.yaml", "devices.yaml")
FOLDERS = ("devices.d", "rules", "rules.local")
"""Folders whose `*.yaml` files are read, sorted by name; names that begin with a dot are not."""


def names(folder: Path) -> list[str]:
    """Return the files of the configuration, relative to `folder`, in the order of reading.

    Among them are those that can't be read, a link to nowhere or a folder called `x.yaml`, so that
    whoever reads them says so. Pipes and devices are no files: `/dev/null` is an empty one.
    """
    found = [name for name in REQUIRED if there(folder / name)]
    for part in FOLDERS:
        files = _like(folder / part, "*.yaml")
        found += sorted(f"{part}/{file.name}" for file in files if _meant(file))
    return found


def there(path: Path) -> bool:
    """Return whether something is at `path`. What nobody may look at is, until it is read."""
    try:
        return path.exists()
    except OSError:
        return True


def _like(folder: Path, pattern: str) -> list[Path]:
    """Return what is called so in a folder; nothing of one that nobody may look into."""
    try:
        return list(folder.glob(pattern))
    except OSError:
        return []


def _meant(file: Path) -> bool:
    try:
        special = file.exists() and not file.is_file() and not file.is_dir()
    except OSError:
        special = False
    return not file.name.startswith(".") and not special


def shut(folder: Path) -> dict[str, str]:
    """Return why a folder of the configuration can't be looked into, by its name."""
    found: dict[str, str] = {}
    for part in FOLDERS:
        try:
            os.scandir(folder / part).close()
        except FileNotFoundError:
            if (folder / part).is_symlink():
                found[part] = "a link to nowhere"
        except OSError as error:
            found[part] = str(error.strerror)
    return found


def unread(folder: Path) -> list[str]:
    """Return files beside them that look as if they were meant to be read: `*.yml`."""
    found = [file.name for file in _like(folder, "*.yml")]
    for part in FOLDERS:
        found += [f"{part}/{file.name}" for file in _like(folder / part, "*.yml")]
    return sorted(found)


def fingerprint(folder: Path) -> str:
    """Return 12 hexadecimal digits of SHA-256 over names and contents; secrets are not read.

    Raises:
        OSError: a file can't be read.
    """
    digest = hashlib.sha256()
    for name in names(folder):
        content = (folder / name).read_bytes()
        digest.update(os.fsencode(f"{name}\0{len(content)}\0"))
        digest.update(content)
    return digest.hexdigest()[:12]
