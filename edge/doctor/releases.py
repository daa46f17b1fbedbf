"""The releases in /opt/storewarden: which runs, whether it is whole, whether one is on trial."""

from __future__ import annotations

from collections.abc import AsyncIterator

from edge.doctor.box import Box
from edge.doctor.finding import Check, Finding, Subject
from edge.upgrade import trial
from edge.upgrade.layout import Layout
from edge.version import VERSION

CURRENT = Check(
    "release.current",
    "does the release that `current` names lie there whole, and does it run?",
    "storewarden upgrade status, then storewarden upgrade back --reason REASON",
)
PREVIOUS = Check(
    "release.previous", "is there a release to go back to?", "nothing, before the second release"
)
TRIAL = Check(
    "release.trial",
    "is an upgrade on trial?",
    "wait: storewarden upgrade status tells; after a power cut storewarden upgrade recover",
)


async def _look(box: Box) -> AsyncIterator[Finding]:
    layout = Layout(root=box.root / "opt/storewarden")
    if not layout.releases.is_dir():
        return
    current = layout.version("current")
    if current is None or not layout.complete(current):
        yield CURRENT.problem(f"{current or 'nothing'} is named, and is no whole release")
    else:
        runs = str((box.status or {}).get("version", VERSION))
        seen = f"{current}, whole; {len(layout.complete_ones())} releases are kept"
        if runs != current:
            yield CURRENT.warning(f"{seen}, but {runs} runs", "systemctl restart storewarden")
        else:
            yield CURRENT.ok(seen)
    previous = layout.version("previous")
    if previous is not None:
        if layout.complete(previous):
            yield PREVIOUS.ok(previous)
        else:
            way = "storewarden upgrade install BUNDLE"
            yield PREVIOUS.warning(f"{previous} is no whole release", way)
    if layout.trial.exists():
        on = trial.read(layout)
        said = f"{on.from_} to {on.to} since {on.began}" if on else "its file can't be read"
        yield TRIAL.warning(said)


SUBJECT = Subject("releases", (CURRENT, PREVIOUS, TRIAL), _look)
