"""Copies of configurations in the state folder: the last good one, and one that is on trial."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from edge.config import files, reverted
from edge.config.load import load
from edge.config.model import Configuration
from edge.config.secret_files import SecretFiles
from rules.problems import ConfigurationRefused, Problems

NAME = "last_good"
"""In the state folder: a link to the folder that holds the copy, so that it changes at once."""


def keep(configuration: Configuration, state_folder: Path) -> bool:
    """Copy the files of an accepted configuration to `<state>/last_good/`, secrets left out.

    Return False, and keep what was there, when the files are not any more what was accepted.

    Raises:
        OSError: the state folder can't be written.
    """
    if not stage(configuration, state_folder):
        return False
    promote(configuration.hash, state_folder)
    return True


def stage(configuration: Configuration, state_folder: Path) -> bool:
    """Copy the files of a configuration beside the last good one, which stays what it is.

    Return False when the files are not any more what was accepted.

    Raises:
        OSError: the state folder can't be written.
    """
    target = _copy_of(configuration.hash, state_folder)
    if _holds(target, configuration.hash):
        return True
    new = state_folder / f"{NAME}.new"
    shutil.rmtree(new, ignore_errors=True)
    _copy(configuration.folder, new)
    if not _holds(new, configuration.hash):
        shutil.rmtree(new)
        return False
    shutil.rmtree(target, ignore_errors=True)
    new.rename(target)
    sync(state_folder)
    return True


def promote(config: str, state_folder: Path) -> None:
    """Let the copy of the configuration with this hash be the last good one, and the only copy.

    Raises:
        OSError: the state folder can't be written, or has no such copy.
    """
    link, target = state_folder / NAME, _copy_of(config, state_folder)
    if not _holds(target, config):
        raise FileNotFoundError(2, "there is no copy of that configuration", str(target))
    if not link.is_symlink() or link.resolve() != target.resolve():
        fresh = state_folder / f"{NAME}.link"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target.name)
        fresh.replace(link)
        sync(state_folder)
    for old in state_folder.glob(f"{NAME}.*"):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def hash_of_last_good(state_folder: Path) -> str:
    """Return the hash of the last good configuration; an empty one where there is none."""
    try:
        return files.fingerprint(state_folder / NAME) if (state_folder / NAME).is_dir() else ""
    except OSError:
        return ""


def load_last_good(
    folder: Path, state_folder: Path, *, secrets: SecretFiles | None = None
) -> Configuration:
    """Return the last good configuration, with the secrets and the name of `folder`.

    Raises:
        ConfigurationRefused: there is none, or it can't be loaded any more.
    """
    kept = load(state_folder / NAME, secrets_of=folder, secrets=secrets)
    return dataclasses.replace(kept, folder=folder)


def load_accepted(folder: Path, state_folder: Path) -> Configuration:
    """Return the configuration in `folder`.

    Raises:
        ConfigurationRefused: it has mistakes, or it was on trial and the box went back from it.
    """
    found = load(folder)
    if (mistake := reverted.mistake(found.hash, state_folder)) is not None:
        raise ConfigurationRefused(mistake)
    return found


def load_or_last_good(
    folder: Path, state_folder: Path, *, secrets: SecretFiles | None = None
) -> tuple[Configuration, Problems | None]:
    """Return the configuration in `folder`, else the last good one and why `folder` was refused.

    Secrets are looked up for `folder` in both cases, or as `secrets` does, and its name is what
    the result carries. One that the box went back from is better than none at all.

    Raises:
        ConfigurationRefused: of `folder`, when there is no last good one that can be loaded.
    """
    try:
        found = load(folder, secrets=secrets)
    except ConfigurationRefused as refused:
        try:
            return load_last_good(folder, state_folder, secrets=secrets), refused.problems
        except ConfigurationRefused:
            raise refused from None
    mistake = reverted.mistake(found.hash, state_folder)
    if mistake is None:
        return found, None
    try:
        return load_last_good(folder, state_folder, secrets=secrets), mistake
    except ConfigurationRefused:
        return found, mistake


def sync(path: Path) -> None:
    """Bring a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy_of(config: str, state_folder: Path) -> Path:
    return state_folder / f"{NAME}.{config}"


def _copy(source: Path, to: Path) -> None:
    to.mkdir(mode=0o700)
    for name in files.names(source):
        path = to / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes((source / name).read_bytes())
        sync(path)
    for folder in (*(path for path in to.iterdir() if path.is_dir()), to):
        sync(folder)


def _holds(folder: Path, config: str) -> bool:
    return folder.is_dir() and files.fingerprint(folder) == config
