"""`storewarden first-boot`: what a stick or /boot says of a box without Ansible is done, once."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli import words
from edge.cli.exits import DONE, NO, WrongUsage
from edge.version import VERSION

if TYPE_CHECKING:
    from edge.provisioning.box import Box
    from edge.provisioning.first_boot import Outcome
    from edge.provisioning.source import Source

MOUNTED = Path("/run/storewarden-first-boot")
WAIT = 20.0
"""Seconds that a box without a configuration waits for its stick."""
_PASSED_OVER = "another place came first; this file is not applied later, unless it is changed"


def add(commands: Any) -> None:
    first = words.command(
        commands,
        "first-boot",
        "do what storewarden.yaml on a stick or in /boot says of this box, once",
        act,
        "storewarden first-boot --from /media/stick --check",
    )
    first.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="DIR",
        help="the folder with storewarden.yaml (default: a stick labelled STOREWARDEN, /boot)",
    )
    first.add_argument(
        "--check", action="store_true", help="only say what a new box would do with --from"
    )
    first.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="the box is below this folder"
    )
    words.json_option(first)


def act(chosen: argparse.Namespace) -> int:
    from edge.provisioning.box import Box

    if chosen.source is not None and not chosen.source.is_dir():
        raise WrongUsage(f"there is no folder {chosen.source}")
    if chosen.check:
        return _examined(chosen)
    box = Box(root=chosen.root)
    from edge.provisioning.source import Source, sources

    if chosen.source is not None:
        done = tried([Source(folder=chosen.source, shown=str(chosen.source))], box)
        code = _told(done, chosen)
    else:
        wait = 0.0 if (box.configuration / "site.yaml").exists() else WAIT
        with sources(box.root, wait=wait, at=MOUNTED) as found:
            done = tried(found, box)
            code = _told(done, chosen)
    if box.root == Path("/") and any(outcome.result == "applied" for _, outcome in done):
        command = ("systemctl", "daemon-reload")  # what the service may open has changed
        subprocess.run(command, check=False, capture_output=True, timeout=60)  # noqa: S603
    return code


def _examined(chosen: argparse.Namespace) -> int:
    from edge.provisioning.first_boot import examine

    if chosen.source is None:
        raise WrongUsage("--check needs --from DIR")
    with tempfile.TemporaryDirectory() as scratch:
        outcome = examine(chosen.source, Path(scratch))
    if chosen.json:
        words.print_json({"result": outcome.result, "said": outcome.said})
    elif outcome.result == "refused":
        words.show("\n".join(outcome.said))
    else:
        print("\n".join(("a new box would say:", *(f"  {line}" for line in outcome.said))))
    return words.answer(good=outcome.result != "refused")


def tried(found: Sequence[Source], box: Box) -> list[tuple[Source, Outcome]]:
    """Apply the first file that is meant for this box; the rest is not applied, now or later."""
    if not found:
        return []  # as at nearly every boot: the rest need not be loaded
    from edge.provisioning.first_boot import Outcome, first_boot, pass_over

    done: list[tuple[Source, Outcome]] = []
    later: list[tuple[Source, Outcome]] = []
    for source in found:
        if source.problem:
            done.append((source, Outcome(result="refused", said=(source.problem,))))
            continue
        try:
            outcome = first_boot(source.folder, box, place=source.place)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            outcome = Outcome(result="refused", said=(f"{where}{error.strerror or error}",))
        done.append((source, outcome))
        for other in found[found.index(source) + 1 :] if outcome.result == "applied" else ():
            with suppress(OSError):  # it is applied at the next boot, then
                pass_over(other.folder, box, place=other.place)
                later.append((other, Outcome(result="unchanged", said=(_PASSED_OVER,))))
        if outcome.result != "another box":
            break
    return done + later


def _told(done: list[tuple[Source, Outcome]], chosen: argparse.Namespace) -> int:
    """Say what was done here, and beside each file."""
    lines = []
    for source, outcome in done:
        said = [f"{source.shown}: {outcome.result}", *(f"  {line}" for line in outcome.said)]
        news = outcome.result != "unchanged" or (outcome.without_password and not source.stick)
        if news and source.mounted:
            now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC, storewarden {VERSION}"
            text = "\n".join((now, outcome.result, *outcome.said, ""))
            said += source.write_back(text, outcome.without_password)
        lines += said
    if chosen.json:
        words.print_json([{"where": s.shown, "result": o.result, "said": o.said} for s, o in done])
    else:
        print("\n".join(lines) if lines else "no storewarden.yaml: nothing to do")
    return NO if any(outcome.result == "refused" for _, outcome in done) else DONE
