"""A configuration folder beside storewarden.yaml, read within bounds; no link is followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_FILES = 500
LARGEST_FILE = 4_000_000
LARGEST = 32_000_000
DEEPEST = 3
TAKEN = ("site.yaml", "devices.yaml", "devices.d", "rules", "rules.local", "secrets", "tls")
"""What is a configuration; anything else in the folder is left where it is."""


class NoConfiguration(Exception):
    """The folder can't be taken; the message says why."""


def read_tree(folder: Path) -> dict[str, bytes]:
    """Return each file of a configuration by its name.

    Raises:
        NoConfiguration: something in it is no plain file, or there is too much of it.
        OSError: a file can't be read.
    """
    files: dict[str, bytes] = {}
    for name in TAKEN:
        if (folder / name).is_symlink() or (folder / name).exists():
            _take(folder, name, files, 1)
    if "site.yaml" not in files:
        raise NoConfiguration("config/ has no site.yaml")
    return files


def _take(folder: Path, name: str, files: dict[str, bytes], depth: int) -> None:
    path = folder / name
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode) and depth <= DEEPEST:
        for inner in sorted(each.name for each in path.iterdir()):
            if not inner.startswith("."):
                _take(folder, f"{name}/{inner}", files, depth + 1)
        return
    shown = name.encode("ascii", "backslashreplace").decode()
    if not stat.S_ISREG(mode) or not name.isprintable():
        raise NoConfiguration(f"config/{shown} is no plain file")
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(opened, "rb") as file:
        content = file.read(LARGEST_FILE + 1)
    files[name] = content
    if len(content) > LARGEST_FILE or len(files) > MOST_FILES:
        raise NoConfiguration(f"config/{shown}: more than a configuration has")
    if sum(map(len, files.values())) > LARGEST:
        raise NoConfiguration(f"config/ has more than {LARGEST} bytes")
