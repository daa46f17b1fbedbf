"""Files of a configuration folder: written whole, synced, readable for the daemon and root only."""

from __future__ import annotations

import grp
import os
from collections.abc import Mapping
from pathlib import Path

from edge.config.last_good import sync

GROUP = "storewarden"
FILE_MODE, FOLDER_MODE = 0o640, 0o750
SECRET_MODE, SECRETS_MODE = 0o600, 0o700
SECRETS = "secrets"
TLS = "tls"
CERTIFICATES = frozenset({"ca.pem", "cert.pem"})
"""In `tls`, for whoever is on the box to read; another file there may be a key."""

BROUGHT = frozenset({"rules", "rules.local", "devices.d", SECRETS, TLS, "release-signers"})
"""What is in a folder before anybody has written a configuration into it."""


def write_new(folder: Path, files: Mapping[str, str | bytes]) -> list[str]:
    """Write the files that are not there yet; return their names. A folder is made as needed.

    Raises:
        OSError: one can't be written.
    """
    written = []
    for name, content in files.items():
        path = folder / name
        if os.path.lexists(path):
            continue
        _folders(folder, path.parent)
        replace(path, content.encode() if isinstance(content, str) else content, SECRET_MODE)
        owned(path)
        written.append(name)
    return written


def replace(path: Path, content: bytes, mode: int) -> None:
    """Write a file anew; whoever reads it, also after a power cut, finds the old or the new one.

    Raises:
        OSError: it can't be written; its `filename` says which. What was there is as it was.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(opened, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    sync(path.parent)


def owned(path: Path) -> None:
    """Give a file or folder of a configuration its mode and, as root, its group."""
    mode, group = FOLDER_MODE if path.is_dir() else FILE_MODE, True
    if SECRETS in {path.name, path.parent.name}:
        mode, group = SECRETS_MODE if path.is_dir() else SECRET_MODE, False
    elif path.name == TLS:
        mode, group = 0o755, False
    elif path.parent.name == TLS and path.name in CERTIFICATES:
        mode, group = 0o644, False
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 0, _group() if group else 0)


def _group() -> int:
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return 0


def _folders(top: Path, wanted: Path) -> None:
    """Make the folders from `top` down to `wanted`."""
    for path in (top, *[p for p in reversed(wanted.parents) if top in p.parents], wanted):
        if not path.is_dir():
            path.mkdir(parents=path == top)
            owned(path)
