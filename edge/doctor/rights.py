"""Owners and modes of what the box keeps, and who may tell it something."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from edge.config import files
from edge.control import MODE
from edge.doctor import people
from edge.doctor.box import USER, Box
from edge.doctor.finding import Check, Finding, Subject

FOLDER = Check(
    "rights.configuration",
    "can nobody but root change the configuration, and nobody else read it?",
    "chown root:storewarden {path} && chmod {mode} {path}",
)
SECRETS = Check(
    "rights.secrets",
    "can nobody but root read the secrets?",
    "chown root:root {path} && chmod {mode} {path}",
)
TLS = Check(
    "rights.tls",
    "can nobody else read the key of the certificate, and nobody change what it is checked by?",
    "chown root:{group} {path} && chmod {mode} {path}",
)
STATE = Check(
    "rights.state",
    "do state folder, journal and device key belong to the daemon, and can nobody else read them?",
    "chown -R storewarden:storewarden {path} && chmod {mode} {path}",
)
SOCKET = Check(
    "rights.socket",
    "may only root and the group storewarden tell the daemon something?",
    "systemctl restart storewarden; it makes {path} with mode {mode}",
)
PEOPLE = Check(
    "rights.people",
    "who is in the group storewarden, and so may give orders without sudo?",
    "gpasswd --delete {name} storewarden, for who should not",
)
_READ_BY_OTHERS = stat.S_IRWXO
_WRITTEN_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


async def _look(box: Box) -> AsyncIterator[Finding]:
    yield _judged(box, FOLDER, list(_configuration(box.folder)), "configuration")
    secrets = box.folder / "secrets"
    if (there := _there(secrets)) is None:
        yield SECRETS.unknown(f"{secrets} can't be looked at")
    elif there:
        yield _judged(box, SECRETS, list(_secrets(secrets)), "secrets")
    if tls := list(_tls(box)):
        yield _judged(box, TLS, tls, "TLS")
    if _there(box.state) is not False:
        yield _judged(box, STATE, list(_state(box)), "state", owner=people.service(box))
    if (there := _there(box.socket)) is None:
        yield SOCKET.unknown(f"{box.socket} can't be looked at")
    elif there:
        yield _socket(box)
    if (members := people.members(box, USER)) is not None:
        said = ", ".join(members) or "nobody"
        yield PEOPLE.ok(f"{said} beside the daemon itself")


Wanted = tuple[Path, int, int]
"""A path, the bits of its mode that it must not have, and the mode that it should."""


def _configuration(folder: Path) -> Iterator[Wanted]:
    yield folder, _WRITTEN_BY_OTHERS | _READ_BY_OTHERS, 0o750
    for part in files.FOLDERS:
        if (folder / part).is_dir():
            yield folder / part, _WRITTEN_BY_OTHERS | _READ_BY_OTHERS, 0o750
    for name in files.names(folder):
        yield folder / name, _WRITTEN_BY_OTHERS | _READ_BY_OTHERS, 0o640


def _secrets(folder: Path) -> Iterator[Wanted]:
    yield folder, stat.S_IRWXG | stat.S_IRWXO, 0o700
    for path in sorted(folder.iterdir()) if os.access(folder, os.R_OK | os.X_OK) else []:
        yield path, stat.S_IRWXG | stat.S_IRWXO, 0o600


def _tls(box: Box) -> Iterator[Wanted]:
    mqtt = box.configuration.site.mqtt if box.configuration else None
    if mqtt is None:
        return
    for path in (mqtt.ca, mqtt.cert):
        if path is not None:
            yield path, _WRITTEN_BY_OTHERS, 0o644
    if mqtt.key is None:
        return
    if mqtt.key.parent == box.folder / "secrets":  # systemd hands it to the daemon
        yield mqtt.key, stat.S_IRWXG | stat.S_IRWXO, 0o600
    else:
        yield mqtt.key, _WRITTEN_BY_OTHERS | _READ_BY_OTHERS, 0o640


def _state(box: Box) -> Iterator[Wanted]:
    yield box.state, _WRITTEN_BY_OTHERS | _READ_BY_OTHERS, 0o750
    for name in ("journal.db", "journal.db-wal", "device.key"):
        if _there(box.state / name):
            bits = stat.S_IRWXO | stat.S_IRWXG if name == "device.key" else (
                _READ_BY_OTHERS | _WRITTEN_BY_OTHERS)  # fmt: skip
            yield box.state / name, bits, 0o600 if name == "device.key" else 0o640


def _judged(
    box: Box,
    check: Check,
    wanted: list[Wanted],
    what: str,
    *,
    owner: people.Service | None = None,
) -> Finding:
    """Return the worst of all: a problem before what could not be seen."""
    unseen: list[str] = []
    seen = 0
    strangers: list[tuple[Path, str, int]] = []
    for path, bad, good in wanted:
        try:
            if owner and path.is_symlink() and path != box.state:
                return check.problem(f"{path} is a link, and none of ours", f"ls -l {path}")
            told = path.stat()
        except OSError as error:
            unseen.append(f"{path}: {error.strerror}")
            continue
        seen += 1
        mode = stat.S_IMODE(told.st_mode)
        if mode & bad:
            return check.problem(
                f"{path} has mode {mode:04o}, others may {_may(mode & bad)} it",
                path=path,
                mode=f"{good:04o}",
                group=_group(good),
            )
        if told.st_uid != (owner.user if owner else 0):
            strangers.append((path, people.name_of(box, told.st_uid), good))
    if strangers:
        path, name, good = strangers[0]
        return check.warning(
            f"{path} belongs to {name}", path=path, mode=f"{good:04o}", group=_group(good)
        )
    if unseen:
        return check.unknown("; ".join(unseen[:3]))
    return check.ok(f"{seen} files and folders of {what}")


def _group(mode: int) -> str:
    return USER if mode & stat.S_IRGRP and not mode & stat.S_IROTH else "root"


def _may(bits: int) -> str:
    return "write" if bits & _WRITTEN_BY_OTHERS else "read"


def _there(path: Path) -> bool | None:
    """Return whether something is there; None when this person may not know."""
    try:
        path.stat()
    except PermissionError:
        return None
    except OSError:
        return False
    return True


def _socket(box: Box) -> Finding:
    told = box.socket.stat()
    mode = stat.S_IMODE(told.st_mode)
    seen = f"{box.socket}, mode {mode:04o}"
    if mode & ~MODE:
        return SOCKET.problem(seen, path=box.socket, mode=f"{MODE:04o}")
    return SOCKET.ok(seen)


SUBJECT = Subject("rights", (FOLDER, SECRETS, TLS, STATE, SOCKET, PEOPLE), _look)
