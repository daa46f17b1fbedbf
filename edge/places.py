"""Where the daemon reads, writes and listens."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edge.config.model import Buffer, Configuration
from edge.control import socket_path
from rules import yaml_source
from rules.problems import Problems

CONFIGURATION = Path("/etc/storewarden")


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Folders and the control socket."""

    configuration: Path
    state: Path
    socket: Path

    @property
    def journal(self) -> Path:
        return self.state / "journal.db"

    @property
    def devices(self) -> Path:
        """Where devices have folders of their own: clips."""
        return self.state / "devices"


def places(folder: Path, configuration: Configuration) -> Places:
    """Return the places of a daemon: systemd's folders first, then what site.yaml says."""
    return Places(configuration=folder, state=state_folder(configuration), socket=socket_path())


def expected_state(folder: Path) -> Path:
    """Return the state folder of a configuration that may be refused: as far as it can be read."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    node = yaml_source.read_file(folder / "site.yaml", Problems())
    for key in ("buffer", "path"):
        node = node.items.get(key) if isinstance(node, yaml_source.Mapping) else None
    return Path(node.text) if isinstance(node, yaml_source.Scalar) else Buffer().path


def state_folder(configuration: Configuration) -> Path:
    """Return $STATE_DIRECTORY, else `buffer.path` of site.yaml."""
    given = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return Path(given) if given else configuration.site.buffer.path
