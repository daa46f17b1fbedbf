"""The unit storewarden.service: does it run, how often was it restarted, how did it end."""

from __future__ import annotations

from collections.abc import AsyncIterator

from edge import ends
from edge.doctor.box import Box, aside, seconds_in_words
from edge.doctor.finding import Check, Finding, Subject

UNIT = "storewarden.service"
ANSWERS = Check(
    "service.answers", "does the daemon answer?", "journalctl -u storewarden -n 50 says why"
)
ACTIVE = Check(
    "service.active",
    "does systemd run the service, now and at each start of the box?",
    "systemctl enable --now storewarden",
)
RESTARTS = Check(
    "service.restarts",
    "was the daemon restarted because it crashed or hung?",
    "journalctl -u storewarden -p warning shows the ends; then systemctl reset-failed storewarden",
)
_WANTED = "LoadState,ActiveState,SubState,UnitFileState,NRestarts,Result,ConditionResult"


async def _look(box: Box) -> AsyncIterator[Finding]:
    if box.status is not None:
        up = seconds_in_words(float(box.status["up_for"]))
        yield ANSWERS.ok(f"version {box.status['version']}, up for {up}")
    elif "use sudo" in box.silent:
        yield ANSWERS.unknown("this user may not ask it")
    else:
        yield ANSWERS.problem(box.silent)
    told = await box.properties("systemctl", "show", UNIT, f"--property={_WANTED}")
    if not told:
        yield ACTIVE.unknown("this system has no systemd that answers", "run it as a service")
        return
    if told.get("LoadState") != "loaded":
        yield ACTIVE.warning("there is no such unit", "run install.sh system of the release")
        return
    state = f"{told.get('ActiveState')} ({told.get('SubState')})"
    waits = told.get("ConditionResult") == "no" and not (box.folder / "site.yaml").exists()
    if waits and told.get("ActiveState") == "inactive":
        yield ACTIVE.problem(
            f"it waits for a configuration: there is no {box.folder / 'site.yaml'}",
            "storewarden init writes one, and a stick brings one; then systemctl start storewarden",
        )
    elif told.get("ActiveState") not in ("active", "reloading"):
        yield ACTIVE.problem(f"{state}, the last run ended with {told.get('Result')}")
    elif told.get("UnitFileState") not in ("enabled", "enabled-runtime", "static"):
        yield ACTIVE.problem(f"{state}, but it is not started at a start of the box")
    else:
        yield ACTIVE.ok(f"{state}, enabled")
    count = told.get("NRestarts", "")
    if count.isdecimal():
        seen = f"{count} restarts since it was started by hand or with the box"
        if (last := (await aside(lambda: ends.read(box.state))).last) is not None:
            seen += f"; the last end: {last.reason} {last.status}".rstrip() + f" {last.at}".rstrip()
        yield RESTARTS.warning(seen) if int(count) else RESTARTS.ok(seen)


SUBJECT = Subject("service", (ANSWERS, ACTIVE, RESTARTS), _look)
