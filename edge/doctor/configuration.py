"""Whether the configuration loads, and whether the running daemon runs this one."""

from __future__ import annotations

from collections.abc import AsyncIterator

from edge.doctor.box import Box
from edge.doctor.finding import Check, Finding, Subject

LOADS = Check(
    "configuration.loads", "does the configuration load?", "storewarden check --config {folder}"
)
SECRETS = Check(
    "configuration.secrets",
    "can every secret be read that the configuration names?",
    "write the secret into {folder}/secrets/{name}, mode 0600",
)
RUNS = Check(
    "configuration.runs",
    "does the daemon run the configuration of this folder?",
    "storewarden check --config {folder}, correct it, then systemctl reload storewarden",
)


async def _look(box: Box) -> AsyncIterator[Finding]:
    found = box.configuration
    if not box.folder.is_dir():
        yield LOADS.problem(
            f"there is no folder {box.folder}",
            "storewarden doctor --config DIR, with the right one",
        )
        return
    if found is None and box.user and "Permission denied" in box.refused:
        yield LOADS.unknown("this user may not read it")
    elif found is None:
        yield LOADS.problem(box.refused, folder=box.folder)
    else:
        said = f"{found.site.site}, {len(found.devices)} devices, {len(found.rules.rules)} rules"
        yield LOADS.ok(f"{said}, hash {found.hash}")
        yield _secrets(box)
    if box.status is not None:
        yield _runs(box)


def _secrets(box: Box) -> Finding:
    missing = sorted(box.unread)
    if not missing:
        return SECRETS.ok("all of them")
    if box.user:
        return SECRETS.unknown(f"as this user {', '.join(missing)} can't be read")
    return SECRETS.problem(
        f"{', '.join(missing)} can't be read", folder=box.folder, name=missing[0]
    )


def _runs(box: Box) -> Finding:
    status, ours = box.status or {}, box.configuration
    if status.get("refused") is not None:
        first = str(status["refused"]).splitlines()[0]
        return RUNS.problem(f"an older one runs: {first}", folder=box.folder)
    if ours is None:
        return RUNS.problem(
            f"{status.get('config')} runs, the folder's is refused", folder=box.folder
        )
    if status.get("config") != ours.hash:
        return RUNS.warning(
            f"{status.get('config')} runs, the folder has {ours.hash}",
            "systemctl reload storewarden",
        )
    return RUNS.ok(f"{ours.hash} runs")


SUBJECT = Subject("configuration", (LOADS, SECRETS, RUNS), _look)
