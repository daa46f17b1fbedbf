"""Unpack a bundle and make its release: what it holds is believed only when it is verified."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.upgrade import signed
from edge.upgrade.layout import Layout, is_version
from edge.upgrade.preflight import free
from edge.upgrade.service import last_line, run

MOST = 1 << 30
"""Bytes that a bundle may hold."""
MOST_FILES = 10_000
TIMES = 3
"""A release takes so many times what its bundle holds, with what is compiled."""
INSTALL_WITHIN = 1800.0
"""Seconds: an old SD card takes minutes."""


class NotInstalled(Exception):
    """There is no new release; the text says why."""


def install(layout: Layout, bundle: Path, signers: Path, *, unsigned: bool) -> str:
    """Make the release that `bundle` holds, beside the one that runs; returns its version.

    Nothing changes in what runs. A release that is there already is left as it is, and another
    build of the same version is refused.

    Raises:
        NotInstalled, NotTrusted: it is not one, or there is no room.
        OSError: the folder of the releases can't be written.
    """
    layout.releases.mkdir(parents=True, exist_ok=True)
    with unpacked(bundle, layout.root) as folder:
        signed.verify(folder, signers, unsigned=unsigned)
        version = (folder / "VERSION").read_text(encoding="utf-8").strip()
        if not is_version(version) or folder.name != f"storewarden-{version}":
            raise NotInstalled(f"{bundle}: {version!r} is no version of {folder.name}")
        done = run(
            "sh", str(folder / "install.sh"), *_at(layout), "release",
            within=INSTALL_WITHIN, cwd=str(folder),
        )  # fmt: skip
        if done.code or not layout.complete(version):
            raise NotInstalled(f"{version} can't be installed: {last_line(done)}")
    return version


def _at(layout: Layout) -> list[str]:
    """Return the option that has install.sh install below another root than /."""
    root = layout.root.absolute()
    if root.parts[-2:] != ("opt", "storewarden"):
        raise NotInstalled(f"{root} is not an opt/storewarden")
    return [] if root.parents[1] == Path("/") else ["--root", str(root.parents[1])]


@contextmanager
def unpacked(bundle: Path, room: Path) -> Iterator[Path]:
    """Unpack a bundle in a folder of `room` that is gone at the end; yields the folder in it.

    Raises:
        NotInstalled: it is damaged, or there is not enough room.
    """
    for left in room.glob(".bundle-*"):  # of one that was killed, or cut off
        shutil.rmtree(left, ignore_errors=True)
    made = tempfile.mkdtemp(prefix=".bundle-", dir=room)
    try:
        try:
            with tarfile.open(bundle, "r:gz") as tar:
                names = _extract(tar, Path(made), room)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise NotInstalled(f"{bundle} can't be unpacked: {error}") from None
        if len(names) != 1:
            raise NotInstalled(f"{bundle} is no bundle: it holds {len(names)} folders, not one")
        yield Path(made, names.pop())
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _extract(tar: tarfile.TarFile, to: Path, room: Path) -> set[str]:
    """Unpack files and folders whose names stay within; returns the names at the top.

    Raises:
        ValueError: something in it is neither, leads out, or it is too large.
    """
    total, folder = 0, free(room)
    members: list[tarfile.TarInfo] = []
    names: set[str] = set()
    seen: set[tuple[str, ...]] = set()
    for member in tar:
        parts = Path(member.name).parts
        if not member.isfile() and not member.isdir():
            raise ValueError(f"{member.name} is no file")
        if not parts or Path(member.name).is_absolute() or ".." in parts:
            raise ValueError(f"{member.name!r} leads out of it")
        if parts in seen:
            raise ValueError(f"{member.name} is in it twice")
        seen.add(parts)
        total += member.size
        members.append(member)
        names.add(parts[0])
        if total > MOST or len(members) > MOST_FILES:
            raise ValueError("it is too large")
    if TIMES * total > folder:
        raise NotInstalled(
            f"{room} has {folder >> 20} MB free; the release needs {TIMES * total >> 20}"
        )
    for member in members:
        target = to / member.name
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        source = tar.extractfile(member)
        if source is None:
            raise ValueError(f"{member.name} is no file")
        with source, target.open("xb") as file:
            shutil.copyfileobj(source, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
    return names
