"""Whether it may be switched to a release now: everything that can be known before."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from buffer import schemas, storage
from edge.upgrade import facts, trial
from edge.upgrade.facts import Facts, NoFacts
from edge.upgrade.layout import CURRENT, Layout
from edge.upgrade.service import Look, Service, first_line

ROOM = 64 << 20
"""Bytes that have to be free where releases and the journal lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A switch that somebody asks for."""

    version: str
    config: Path
    state: Path
    """The folder of the journal."""
    one_way: bool
    """That going back begins the journal anew is accepted."""


def refusals(layout: Layout, wanted: Wanted, service: Service, look: Look) -> Iterator[str]:
    """Yield why it may not be switched: the first reason is enough, later ones may follow of it."""
    yield from _of_releases(layout, wanted)
    yield from _of_the_moment(look)
    yield from _of_room(layout, wanted)
    try:
        found = facts.of_release(layout, wanted.version, service)
    except NoFacts as none:
        yield str(none)
        return
    yield from _of_configuration(layout, wanted, service)
    if not wanted.one_way:
        yield from _of_journal(layout, wanted, found, service)


def _of_releases(layout: Layout, wanted: Wanted) -> Iterator[str]:
    if not layout.complete(wanted.version):
        there = ", ".join(layout.complete_ones()) or "none"
        yield f"there is no complete release {wanted.version} here; complete: {there}"
        return
    current = layout.version(CURRENT)
    if current is None or not layout.complete(current):
        yield "no release runs here that could be gone back to: `current` names none"
    elif current == wanted.version:
        yield f"{wanted.version} runs already"
    if trial.read(layout) is not None or layout.trial.exists():
        yield "an upgrade is on trial: storewarden upgrade status"


def _of_the_moment(look: Look) -> Iterator[str]:
    if look.status is None:
        if look.pid or not look.known:
            yield (
                "the daemon runs and does not answer, so nobody can tell whether an evacuation is "
                "on: look at it, or stop it: systemctl stop storewarden"
            )
        return
    if look.status["evacuation"] == "yes":
        yield "an evacuation is on: no box is started anew in it"
    for device in look.alarm:
        yield f"{device} is in alarm: no box is started anew in it"
    if look.status["watch"] is not None:
        yield "rules are on trial: confirm or revert them first (storewarden rules apply)"


def _of_room(layout: Layout, wanted: Wanted) -> Iterator[str]:
    for folder in (layout.root, wanted.state):
        if folder.is_dir() and free(folder) < ROOM:
            yield f"{folder} has {free(folder) >> 20} MB free; {ROOM >> 20} are needed"


def free(folder: Path) -> int:
    """Return the bytes that root may still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _of_configuration(layout: Layout, wanted: Wanted, service: Service) -> Iterator[str]:
    program = str(layout.program(wanted.version))
    for words, said in (
        (("check",), "refuses the configuration"),
        (("rules", "test"), "fails the tests of the rules"),
    ):
        done = service.as_service(program, *words, "--config", str(wanted.config))
        if done.code:
            yield f"{wanted.version} {said}: {first_line(done)}"


def _of_journal(layout: Layout, wanted: Wanted, new: Facts, service: Service) -> Iterator[str]:
    """Say why the journal would not survive the switch, or the way back."""
    current = layout.version(CURRENT)
    accept = "; --one-way accepts that it is begun anew then"
    schema, compatible = file_schema(wanted.state / "journal.db")
    if schema and not new.opens_file(schema, compatible):
        yield (
            f"the journal has schema {schema}; {wanted.version} goes on up to {new.schema}, and "
            f"would begin anew{accept}"
        )
    if current is None or not layout.complete(current):
        return
    try:
        old = facts.of_release(layout, current, service)
    except NoFacts as none:
        yield f"there would be no way back: {none}"
        return
    if new.schema > old.schema and new.compatible > old.schema:
        yield (
            f"{wanted.version} brings the journal to schema {new.schema}, in which {current} "
            f"(schema {old.schema}) can't go on: going back would begin the journal anew{accept}"
        )


def file_schema(path: Path) -> tuple[int, int]:
    """Return the schema of a journal and the lowest that can go on in it; zeros where none is."""
    version = storage.schema_of(path)
    if not version:
        return 0, 0
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return version, schemas.noted(db)
    except sqlite3.Error:
        return version, version
