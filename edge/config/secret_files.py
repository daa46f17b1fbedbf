"""Secrets by name: systemd's credentials first, then the folder `secrets/`; values never shown."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge.config.files import there
from rules import yaml_source as ys
from rules.problems import Problems

CREDENTIALS = "CREDENTIALS_DIRECTORY"
OF_THE_FOLDER = "secrets_"
"""What systemd puts before the names of the files of `LoadCredential=secrets:FOLDER`."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SecretFiles:
    """Looks in `$CREDENTIALS_DIRECTORY` for NAME and secrets_NAME, then in `<folder>/secrets/`.

    The service gets its folder of secrets as credentials, named so, and may not look into the
    folder itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "secrets"

    def value(self, name: str) -> str | None:
        """Return the secret without its last newline; None when there is none, or it is unfit."""
        path = self._path(name)
        if path is None:
            return None
        try:
            return path.read_bytes().decode("utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError):
            return ""

    def path(self, name: str) -> Path | None:
        """Return the file that holds the secret; None when there is none."""
        return self._path(name)

    def check(self, nodes: Iterable[ys.Node], problems: Problems) -> None:
        """Say at each `!secret` what is wrong with the file behind it; a missing one is not."""
        for node in (found for root in nodes for found in _secrets(root)):
            if not _NAME.fullmatch(node.text):
                hint = "letters, digits, and _ . - after the first"
                problems.error(node.mark, f"{node.text!r} is not a secret's name", hint)
            elif (path := self._path(node.text)) and (wrong := self._unfit(path)):
                problems.error(node.mark, f"the secret {node.text!r} {wrong[0]}", wrong[1])

    def _unfit(self, path: Path) -> tuple[str, str] | None:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            value = path.read_bytes().decode("utf-8")
        except OSError as error:
            return (f"can't be read: {error.strerror}", str(path))
        except UnicodeDecodeError:
            return ("is not UTF-8 text", "it is one line in a file of its own")
        if path.parent == self._folder and mode & _FOR_OTHERS:
            return (f"can be read by others: mode {mode:04o}", f"chmod 600 secrets/{path.name}")
        return None if value.strip() else ("is empty", str(path))

    def _path(self, name: str) -> Path | None:
        if not _NAME.fullmatch(name):
            return None
        credentials = os.environ.get(CREDENTIALS)
        if not credentials:
            path = self._folder / name
            return path if there(path) else None
        for passed in (Path(credentials, name), Path(credentials, f"{OF_THE_FOLDER}{name}")):
            if there(passed):
                return passed
        path = self._folder / name
        return path if _is_there(path) else None


class AnySecret(SecretFiles):
    """Has a value for every name, its own where the secret can't be read.

    For what no secret is needed for: systemd takes the credentials away before ExecStopPost.
    """

    def value(self, name: str) -> str | None:
        return super().value(name) or name

    def path(self, name: str) -> Path | None:
        return super().path(name) or Path(name)

    def check(self, nodes: Iterable[ys.Node], problems: Problems) -> None:
        return


def _is_there(path: Path) -> bool:
    """Return whether there is such a file; not in a folder that may not be looked into."""
    try:
        return path.exists()
    except OSError:
        return False


def _secrets(node: ys.Node) -> Iterator[ys.Scalar]:
    if isinstance(node, ys.Scalar) and node.tag == "!secret":
        yield node
    elif isinstance(node, ys.Sequence):
        for item in node.items:
            yield from _secrets(item)
    elif isinstance(node, ys.Mapping):
        for item in node.items.values():
            yield from _secrets(item)
