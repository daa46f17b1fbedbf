"""One daemon a state folder: two would write one journal and command the same outputs."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("storewarden")

LOOK_EVERY = 0.5
"""Seconds between the looks of a service that waits for the other one to end."""


class Occupied(Exception):
    """Another daemon runs with this state folder."""


@contextmanager
def alone(state: Path, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Keep every other daemon from this state folder; the kernel lets go when the process ends.

    A service of systemd waits for the other one to end, as long as systemd lets it; a person is
    told at once. A folder that can't be opened is no reason not to run.

    Raises:
        Occupied: another one has it.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        log.warning("%s: %s; a second daemon would not be noticed", state, error.strerror)
        yield
        return
    try:
        said = False
        while not _taken(folder):
            if "NOTIFY_SOCKET" not in environment:
                raise Occupied(f"another daemon runs with {state}; systemctl status storewarden")
            if not said:
                log.error("another daemon runs with %s; this one waits for its end", state)
                said = True
            time.sleep(LOOK_EVERY)
        yield
    finally:
        os.close(folder)


def _taken(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks
        log.warning("no lock: %s; a second daemon would not be noticed", error.strerror)
    return True
