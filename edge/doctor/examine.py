"""Look at everything at once, each subject within its time; what could not be seen is unknown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from edge.config.load import load
from edge.control import NotRunning, Refused, ask, socket_path
from edge.doctor import (
    board,
    broker,
    cameras,
    clock,
    configuration,
    disk,
    journal,
    ports,
    releases,
    rights,
    service,
    watchdog,
)
from edge.doctor.box import Box, KnownSecrets, aside
from edge.doctor.finding import Check, Finding, Subject
from edge.places import expected_state, state_folder
from rules.problems import ConfigurationRefused

log = logging.getLogger(__name__)

SUBJECTS: tuple[Subject, ...] = (
    configuration.SUBJECT,
    service.SUBJECT,
    clock.SUBJECT,
    disk.SUBJECT,
    journal.SUBJECT,
    rights.SUBJECT,
    ports.SUBJECT,
    broker.SUBJECT,
    cameras.SUBJECT,
    watchdog.SUBJECT,
    board.SUBJECT,
    releases.SUBJECT,
)
ANSWER_WITHIN = 3.0
"""Seconds that the running daemon has for an answer."""


async def box_at(folder: Path) -> Box:
    """Return the box with the configuration in `folder` and with what its daemon says."""
    secrets = KnownSecrets(folder)
    found, refused = None, ""
    try:
        found = await aside(lambda: load(folder, secrets=secrets))
    except ConfigurationRefused as mistakes:
        refused = (
            f"{len(mistakes.problems.errors)} problems, the first: "
            + (str(mistakes.problems.errors[0]).splitlines()[0])
        )
    state = state_folder(found) if found is not None else expected_state(folder)
    made = Box(
        folder=folder,
        state=state,
        socket=socket_path(),
        configuration=found,
        refused=refused,
        unread=frozenset(secrets.unread),
    )
    try:
        made.status = await ask(made.socket, {"do": "status"}, ANSWER_WITHIN)
        made.devices = tuple(await ask(made.socket, {"do": "devices"}, ANSWER_WITHIN))
    except (NotRunning, Refused, ValueError) as error:
        made.silent = str(error)
    return made


async def examine(box: Box, subjects: Sequence[Subject] = SUBJECTS) -> list[Finding]:
    """Return what all subjects find, in their order; takes as long as the slowest may."""
    found = await asyncio.gather(*(_look(subject, box) for subject in subjects))
    return [finding for some in found for finding in some]


async def _look(subject: Subject, box: Box) -> list[Finding]:
    found: list[Finding] = []
    why = ""
    try:
        async with asyncio.timeout(subject.within), aclosing(subject.look(box)) as looking:  # type: ignore[type-var]
            async for finding in looking:
                found.append(finding)
    except TimeoutError:
        why = f"it did not end within {subject.within:g} s"
    except OSError as error:
        why = f"{error.filename or ''} {error.strerror or error}".strip()
    except (LookupError, TypeError, ValueError) as error:
        why = f"what it was told is not what this release expects: {error!r}"
    if why:
        said = {finding.check for finding in found}
        found += [check.unknown(why) for check in subject.checks if check.id not in said]
    return found


def checks() -> Iterator[tuple[Subject, Check]]:
    """Yield every check with its subject."""
    for subject in SUBJECTS:
        for check in subject.checks:
            yield subject, check


def table() -> str:
    """Return the table of docs/doctor.md."""
    rows = ["| check | asks | what to do |", "|---|---|---|"]
    rows += [f"| `{c.id}` | {c.asks} | {_upper(c.remedy)} |" for _, c in checks()]
    return "\n".join(rows) + "\n"


def _upper(remedy: str) -> str:
    """Return a remedy with `{path}` as PATH."""
    return remedy.replace("|", "\\|").replace("{", "").replace("}", "") if "{" not in remedy else (
        "".join(
            part.upper() if inside else part.replace("|", "\\|")
            for inside, part in _parts(remedy)
        )
    )  # fmt: skip


def _parts(remedy: str) -> Iterator[tuple[bool, str]]:
    for at, part in enumerate(remedy.split("{")):
        if not at:
            yield False, part
            continue
        word, _, rest = part.partition("}")
        yield True, word
        yield False, rest
