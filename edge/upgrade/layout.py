"""Where releases lie on a box, and which of them runs."""

from __future__ import annotations

import fcntl
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from edge.upgrade import durable

ROOT = Path("/opt/storewarden")
COMPLETE = ".complete"
"""The file in a release that is written last."""
CURRENT, PREVIOUS = "current", "previous"
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+!-]{0,63}")


def is_version(text: str) -> bool:
    """Return whether `text` can name a release: it is the name of a folder, too."""
    return _VERSION.fullmatch(text) is not None and ".." not in text


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The folder of the releases."""

    root: Path = ROOT

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def trial(self) -> Path:
        """The upgrade that is on trial."""
        return self.root / "trial.json"

    @property
    def outcomes(self) -> Path:
        """What became of upgrades, a line each, newest last."""
        return self.root / "upgrades.jsonl"

    @property
    def untold(self) -> Path:
        """There while an outcome has not been told to the daemon."""
        return self.root / "untold.json"

    @property
    def lock(self) -> Path:
        """Held by whoever changes anything here."""
        return self.root / "lock"

    @property
    def making(self) -> Path:
        """Held by install.sh while it makes a release, also where a person runs it."""
        return self.root / ".lock"

    def release(self, version: str) -> Path:
        return self.releases / version

    def program(self, version: str) -> Path:
        return self.release(version) / "bin" / "storewarden"

    def complete(self, version: str) -> bool:
        """Return whether a release was made to its end."""
        return is_version(version) and (self.release(version) / COMPLETE).is_file()

    def complete_ones(self) -> list[str]:
        """Return the versions of all releases made to their end, by name."""
        if not self.releases.is_dir():
            return []
        return sorted(p.name for p in self.releases.iterdir() if self.complete(p.name))

    def version(self, link: str) -> str | None:
        """Return which release `current` or `previous` names; None when it names none."""
        try:
            target = (self.root / link).readlink()
        except OSError:
            return None
        return target.name if is_version(target.name) else None

    def point(self, link: str, version: str | None) -> None:
        """Have `current` or `previous` name that release; None removes the link.

        Raises:
            OSError: it can't be changed.
        """
        if version is None:
            durable.remove(self.root / link)
        else:
            durable.point(self.root / link, Path("releases") / version)

    def prune(self, keep: set[str]) -> list[str]:
        """Remove every release but those in `keep`; returns which went.

        None goes while install.sh makes one: the next upgrade removes them.

        Raises:
            OSError: one can't be removed.
        """
        with self.making.open("ab") as making:
            try:
                fcntl.flock(making, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return []
            return self._prune(keep)

    def _prune(self, keep: set[str]) -> list[str]:
        gone = []
        for folder in sorted(self.releases.iterdir()):
            if folder.name not in keep and folder.is_dir() and not folder.is_symlink():
                (folder / COMPLETE).unlink(missing_ok=True)
                shutil.rmtree(folder)
                gone.append(folder.name)
        return gone
