"""The last good configuration, kept in the state folder for a start with a refused one."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from edge.config import files
from edge.config.load import load
from edge.config.model import Configuration
from rules.problems import ConfigurationRefused, Problems

NAME = "last_good"
"""In the state folder: a link to the folder that holds the copy, so that it changes at once."""


def keep(configuration: Configuration, state_folder: Path) -> bool:
    """Copy the files of an accepted configuration to `<state>/last_good/`, secrets left out.

    Return False, and keep what was there, when the files are not any more what was accepted.

    Raises:
        OSError: the state folder can't be written.
    """
    link = state_folder / NAME
    target = state_folder / f"{NAME}.{configuration.hash}"
    if link.is_symlink() and link.resolve() == target.resolve() and _holds(target, configuration):
        return True
    new = state_folder / f"{NAME}.new"
    shutil.rmtree(new, ignore_errors=True)
    _copy(configuration.folder, new)
    if not _holds(new, configuration):
        shutil.rmtree(new)
        return False
    shutil.rmtree(target, ignore_errors=True)
    new.rename(target)
    fresh = state_folder / f"{NAME}.link"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    fresh.replace(link)
    _sync(state_folder)
    for old in state_folder.glob(f"{NAME}.*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)
    return True


def load_or_last_good(folder: Path, state_folder: Path) -> tuple[Configuration, Problems | None]:
    """Return the configuration in `folder`, else the last good one and why `folder` was refused.

    Secrets are looked up for `folder` in both cases, and its name is what the result carries.

    Raises:
        ConfigurationRefused: of `folder`, when there is no last good one that can be loaded.
    """
    try:
        return load(folder), None
    except ConfigurationRefused as refused:
        try:
            kept = load(state_folder / NAME, secrets_of=folder)
        except ConfigurationRefused:
            raise refused from None
        return dataclasses.replace(kept, folder=folder), refused.problems


def _copy(source: Path, to: Path) -> None:
    to.mkdir(mode=0o700)
    for name in files.names(source):
        path = to / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((source / name).read_bytes())
        _sync(path)
    for folder in (*(path for path in to.iterdir() if path.is_dir()), to):
        _sync(folder)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _holds(folder: Path, configuration: Configuration) -> bool:
    return folder.is_dir() and files.fingerprint(folder) == configuration.hash
