"""The end of `storewarden rules apply`: files exchanged, the daemon asked, the watch seen."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge import installing
from edge.cli import words
from edge.cli.exits import DONE, NO, Failed, WrongUsage
from edge.cli.plainly import wrapped
from edge.config import files
from edge.control import Misused, NotRunning, Refused, ask, socket_path
from edge.watch import CALLED, WORDS

ANSWER_WITHIN = 60.0
"""Seconds that the daemon has to load, check and swap."""
BACK_WITHIN = 30.0
"""Seconds in which a daemon that went away in the middle is waited for."""
LOOK_EVERY = 1.0


@dataclass(slots=True)
class Told:
    """What is said, as lines as it goes or as one JSON object at the end."""

    as_json: bool
    steps: dict[str, Any] = field(default_factory=dict)

    def __call__(self, step: str, text: str, **data: Any) -> None:
        if self.as_json:
            self.steps[step] = {**self.steps.get(step, {}), **data, "said": text}
        else:
            print("\n".join(wrapped(f"{step:<8}  {text}")), flush=True)

    def end(self) -> None:
        if self.as_json:
            words.print_json(self.steps)


def status_of(folder: Path) -> dict[str, Any]:
    status: dict[str, Any] = asked({"do": "status"}, 10.0)
    reads = Path(status["places"]["folder"])
    if reads.resolve() != folder.resolve():
        raise WrongUsage(f"the running daemon reads {reads}, not {folder}")
    return status


def asked(request: dict[str, Any], seconds: float) -> Any:
    try:
        return asyncio.run(ask(socket_path(), request, seconds=seconds))
    except Misused as misused:
        raise WrongUsage(str(misused)) from None
    except (NotRunning, Refused) as error:
        raise Failed(str(error)) from None


def install(
    folder: Path, candidate: Path, differ: list[str], request: dict[str, Any], tell: Told
) -> dict[str, Any]:
    """Exchange the files and let the daemon have them; whatever fails, the old files are back."""
    installing.install(folder, candidate, differ)
    try:
        answer = asyncio.run(_applied(request))
    except (WrongUsage, Failed):
        installing.put_back(folder, differ)
        raise
    except BaseException as cut_off:
        installing.put_back(folder, differ)
        with suppress(NotRunning, Refused):
            asyncio.run(ask(socket_path(), {"do": "reload"}, seconds=ANSWER_WITHIN))
        if isinstance(cut_off, NotRunning):
            gone = "the daemon went away in the middle; the old rules lie in the folder again"
            raise Failed(gone) from None
        raise
    installing.finish(folder, differ)
    kept = ", ".join(str(installing.previous(folder, part)) for part in differ)
    tell("install", f"{folder}" + (f"; the files before are in {kept}" if kept else ""))
    took = answer["took"] * 1000
    tell("swap", f"configuration {answer['config']} runs, in {took:.1f} ms", **answer)
    return answer


async def _applied(request: dict[str, Any]) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = await ask(socket_path(), request, seconds=ANSWER_WITHIN)
    except Misused as misused:
        raise WrongUsage(str(misused)) from None
    except Refused as refused:
        raise Failed(f"{refused}; the rules go on as they are") from None
    except NotRunning as gone:
        return await _back_again(request, gone)
    return answer


async def _back_again(request: dict[str, Any], gone: NotRunning) -> dict[str, Any]:
    """Wait for a daemon that went away: it watches the new rules if it had come so far.

    Raises:
        NotRunning: it had not, or does not come back.
    """
    until = time.monotonic() + BACK_WITHIN
    while time.monotonic() < until:
        with suppress(NotRunning, Refused):
            status = await ask(socket_path(), {"do": "status"}, seconds=5.0)
            if status["config"] == request["config"] and status["watch"] is not None:
                return {"config": status["config"], "took": 0.0, "watch": status["watch"]}
            break
        await asyncio.sleep(LOOK_EVERY)
    raise gone


def tell_watch(answer: dict[str, Any], tell: Told, zone: str) -> None:
    """Say until when the new rules are watched, by the clock of the site's `zone`."""
    watch = answer["watch"]
    if watch is None:
        return
    most = ", ".join(f"{watch['at_most'][word]} {CALLED[word][1]}" for word in WORDS)
    tell("watch", f"until {words.site_time(watch['until'], zone)}: at most {most}", **watch)


# --- its end -------------------------------------------------------------------------------------


def wait(config: str, tell: Told) -> int:
    while True:
        with suppress(Failed):
            status = asked({"do": "status"}, 10.0)
            if status["watch"] is None:
                break
        time.sleep(LOOK_EVERY)
    if status["config"] == config:
        tell("end", f"configuration {config} is confirmed", confirmed=True)
        return DONE
    words.show(str(status["refused"] or f"{status['config']} runs"))
    tell("end", f"back to the configuration {status['config']}", confirmed=False)
    return NO


def end(chosen: argparse.Namespace) -> int:
    """Confirm or revert the rules on trial, as a person."""
    folder: Path = chosen.config
    status_of(folder)
    action = "confirm" if chosen.confirm else "revert"
    request = {"do": "watch", "action": action, "by": chosen.by, "reason": chosen.reason}
    answer = asked(request, ANSWER_WITHIN)
    tell = Told(chosen.json)
    tell("end", f"configuration {answer['config']} runs; the watch is over", **answer)
    if action == "revert" and files.fingerprint(folder) != answer["config"]:
        _put_previous_back(folder, answer["config"], tell)
    tell.end()
    return DONE


def _put_previous_back(folder: Path, config: str, tell: Told) -> None:
    """Exchange the files for those before the last apply, where these are what runs."""
    before = {
        part: installing.previous(folder, part)
        for part in installing.PARTS
        if installing.previous(folder, part).is_dir()
    }
    choices = [before, *({part: source} for part, source in before.items())]
    with tempfile.TemporaryDirectory(prefix="storewarden-") as made:
        for number, parts in enumerate(choices):
            candidate = Path(made) / str(number)
            installing.compose(folder, parts, candidate)
            if files.fingerprint(candidate) == config:
                differ = installing.differing(folder, candidate)
                installing.install(folder, candidate, differ)
                installing.finish(folder, differ)
                tell("install", f"{folder} has these files again", installed=True)
                with suppress(Failed):  # what it refused is gone from the folder
                    asked({"do": "reload"}, ANSWER_WITHIN)
                return
    words.show(f"{folder} still holds what was reverted; a restart runs the last good one")
