"""What a release says of itself: asked of the one that is there, and of the one to come."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import msgspec

from edge.upgrade.layout import Layout
from edge.upgrade.service import Service, last_line

DAEMON = ("edge.daemon", "edge.cli.run", "edge.cli.check", "edge.cli.rules", "buffer.salvage")
"""What the service needs at once or at night: a release that can't import it does not start."""


class NoFacts(Exception):
    """The release can't say anything; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a release says of itself."""

    version: str
    schema: int
    """Of the journals it begins, and to which it brings older ones."""
    opens: tuple[int, ...]
    """Schemas that it brings to its own."""
    compatible: int
    """The lowest schema whose program goes on with a journal that this one has had."""

    def opens_file(self, schema: int, compatible: int) -> bool:
        """Return whether it goes on in a file of that schema, which says so of itself."""
        return schema in self.opens or compatible <= self.schema


def own() -> Facts:
    """Return the facts of the program that runs.

    Raises:
        ImportError: a part of it can't be imported.
    """
    from buffer import schemas
    from edge.version import VERSION

    for name in DAEMON:
        importlib.import_module(name)
    scripts = schemas.schema()
    return Facts(
        version=VERSION,
        schema=len(scripts),
        opens=tuple(range(1, len(scripts) + 1)),
        compatible=schemas.lowest(scripts),
    )


def of_release(layout: Layout, version: str, service: Service) -> Facts:
    """Return what the release `version` says: its program is run.

    Raises:
        NoFacts: it does not start, or says what can't be.
    """
    done = service.as_service(str(layout.program(version)), "upgrade", "facts", "--json")
    if done.code:
        raise NoFacts(f"the program of {version} does not start: {last_line(done)}")
    try:
        found = msgspec.json.decode(done.out, type=Facts)
    except ValueError as error:
        raise NoFacts(f"the program of {version} does not say what it is: {error}") from None
    if found.version != version:
        raise NoFacts(f"the program in the release {version} says that it is {found.version}")
    return found
