"""Put other rule files into a configuration folder at once, and back again."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from edge.config import files
from edge.config.last_good import sync

PARTS = ("rules", "rules.local")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Source: renameat2(2)."""


def parts_of(source: Path) -> dict[str, Path]:
    """Return which folders of a configuration `source` stands for, each with where its files are.

    A folder with a site.yaml, a `rules/` or a `rules.local/` is a whole configuration; any other
    is a folder of rule files, for `rules/`.
    """
    whole = {part: source / part for part in PARTS if (source / part).is_dir()}
    if whole or (source / files.REQUIRED[0]).exists():
        return whole
    return {PARTS[0]: source}


def compose(folder: Path, parts: Mapping[str, Path], to: Path) -> None:
    """Write into `to` what the configuration `folder` would be with other `parts`.

    Raises:
        OSError: a file can't be read or written.
    """
    for name in files.names(folder):
        if name.partition("/")[0] not in parts:
            _copy(folder / name, to / name)
    for part, source in parts.items():
        for file in sorted(source.glob("*.yaml")):
            if not file.name.startswith("."):
                _copy(file, to / part / file.name)


def differing(folder: Path, candidate: Path) -> list[str]:
    """Return the parts of `folder` that are otherwise in `candidate`."""
    return [part for part in PARTS if _contents(folder / part) != _contents(candidate / part)]


def install(folder: Path, candidate: Path, parts: list[str]) -> None:
    """Exchange the parts of `folder` for those of `candidate`, synced; the old ones are set aside.

    Each part is exchanged at once: whoever reads finds the old files or the new ones. Set aside
    they lie in `rules.exchanged/`, until `finish` or `put_back`.

    Raises:
        OSError: the folder can't be written; nothing was changed.
    """
    for part in parts:
        _stage(folder, part, candidate)
    for part in parts:
        exchange(_aside(folder, part), folder / part)
    sync(folder)


def put_back(folder: Path, parts: list[str]) -> None:
    """Undo `install`.

    Raises:
        OSError: the folder can't be written.
    """
    for part in parts:
        exchange(_aside(folder, part), folder / part)
        shutil.rmtree(_aside(folder, part), ignore_errors=True)
    sync(folder)


def finish(folder: Path, parts: list[str]) -> None:
    """Keep what `install` set aside as `rules.previous/`, to go back to by hand."""
    for part in parts:
        kept = previous(folder, part)
        shutil.rmtree(kept, ignore_errors=True)
        _aside(folder, part).rename(kept)
    sync(folder)


def previous(folder: Path, part: str) -> Path:
    """Return where the files before the last apply are."""
    return folder / f"{part}.previous"


def exchange(one: Path, other: Path) -> None:
    """Let two folders have each other's name, at once where the file system can do that.

    Where it can't, files are replaced one by one: there is no moment without any rules.

    Raises:
        OSError: it can't be done.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    old, new = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_EXCHANGE) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(number, os.strerror(number), str(other))
    one_by_one(one, other)


def one_by_one(one: Path, other: Path) -> None:
    """Exchange the rule files of two folders, each file at once."""
    kept = {file.name: file.read_bytes() for file in _rule_files(other)}
    new = _rule_files(one)
    for file in new:
        file.replace(other / file.name)
    for name in kept.keys() - {file.name for file in new}:
        (other / name).unlink()
    for name, content in kept.items():
        (one / name).write_bytes(content)
    sync(other)
    sync(one)


def _stage(folder: Path, part: str, candidate: Path) -> None:
    """Make the new folder beside the old one, with its owner and mode, and all that is no rule."""
    staged, old = _aside(folder, part), folder / part
    shutil.rmtree(staged, ignore_errors=True)
    old.mkdir(exist_ok=True)
    staged.mkdir()
    mode = old.stat().st_mode & 0o666
    for file in (*_others(old), *_rule_files(candidate / part)):
        copy = staged / file.name
        shutil.copyfile(file, copy)
        copy.chmod(mode)
        _owned_as(copy, old)
        sync(copy)
    shutil.copymode(old, staged)
    _owned_as(staged, old)
    sync(staged)


def _owned_as(path: Path, other: Path) -> None:
    if os.geteuid() == 0:
        found = other.stat()
        os.chown(path, found.st_uid, found.st_gid)


def _aside(folder: Path, part: str) -> Path:
    return folder / f"{part}.exchanged"


def _rule_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.yaml") if file.is_file())


def _others(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_file() and f.suffix != ".yaml")


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in _rule_files(folder)}


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)
