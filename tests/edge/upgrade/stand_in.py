"""Releases in a folder whose program is a small real process, run as a child in systemd's place."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.upgrade import service
from edge.upgrade.layout import COMPLETE, Layout
from edge.upgrade.service import Done, Look
from edge.upgrade.switching import Switch
from edge.upgrade.trial import Trial, now

PROGRAM = """#!{python} -ISB
import json, os, socket, sys

here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(here + "/release.json") as file:
    release = json.load(file)
words = sys.argv[1:]
if release.get("broken"):
    sys.exit("ModuleNotFoundError: No module named 'absent'")
if words[:2] == ["upgrade", "facts"]:
    print(json.dumps(release["facts"]))
elif words[0] in release.get("refuses", []):
    sys.exit("rules/gates.yaml:3:1: no rule\\nstorewarden: 1 problem")
elif words[0] == "run":
    if release.get("ends"):
        sys.exit(1)
    path = os.environ["RUNTIME_DIRECTORY"] + "/control.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        if os.path.exists(path):
            os.unlink(path)
        listening.bind(path)
        listening.listen()
        while not release.get("mute"):
            client, _ = listening.accept()
            with client, client.makefile("rw") as talk:
                request = json.loads(talk.readline())
                with open(here + "/release.json") as file:
                    release = json.load(file)
                if request["do"] == "upgraded":
                    with open(here + "/told", "a") as told:
                        told.write(json.dumps(request) + "\\n")
                talk.write(json.dumps({{"ok": release.get(request["do"], {{}})}}) + "\\n")
                talk.flush()
        while True:
            listening.accept()
"""


def status(version: str, **more: Any) -> dict[str, Any]:
    """Return what a daemon that is well says of itself."""
    return {
        "version": version,
        "moving": True,
        "evacuation": "no",
        "watch": None,
        "journal": {"sequence": 7, "error": None},
        "uplink": {"connected": True, "error": None, "backlog": 0, "published": 5},
        **more,
    }


def device(name: str, kind: str = "door", link: str = "up", **states: str) -> dict[str, Any]:
    found = {"link": link, **states}
    return {
        "device": name,
        "type": kind,
        "states": {n: {"value": value, "for": 1.0} for n, value in found.items()},
    }


def release(layout: Layout, version: str, **more: Any) -> None:
    """Make a complete release; `more` changes how its program behaves."""
    folder = layout.release(version)
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    program = layout.program(version)
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    facts = {"version": version, "schema": 2, "opens": [1, 2], "compatible": 2}
    told = {"facts": facts, "status": status(version), "devices": [device("door_front")], **more}
    (folder / "release.json").write_text(json.dumps(told))
    (folder / COMPLETE).touch()


@dataclass(slots=True, kw_only=True)
class Child:
    """The service as a child of the test; it is not started again by itself."""

    layout: Layout
    run: Path
    process: subprocess.Popen[bytes] | None = None
    up: bool = True
    """Whether the system is past its boot."""
    starts: list[str] = field(default_factory=list)
    """Which release ran, start by start."""

    def restart(self) -> None:
        self.stop()
        self.start()

    def start(self) -> None:
        """Start what `current` names."""
        program = self.layout.root / "current" / "bin" / "storewarden"
        self.starts.append(self.layout.version("current") or "")
        with suppress(OSError):
            self.process = subprocess.Popen(
                (program, "run"), env={"RUNTIME_DIRECTORY": str(self.run)}
            )
        (self.run / "control.sock").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def look(self) -> Look:
        alive = self.process is not None and self.process.poll() is None
        return service.look(
            active=alive and (self.run / "control.sock").exists(),
            ended=not alive,
            pid=self.process.pid if alive and self.process is not None else 0,
            restarts=0,
            state=self.run,
        )

    def runs(self) -> bool:
        return self.process is not None

    def as_service(self, *command: str) -> Done:
        return service.run(*command)

    def tell(self, request: dict[str, Any]) -> bool:
        return service.answer(request) is not None

    def ready(self) -> Look:
        """Wait until what runs answers, and return how it is."""
        ends = time.monotonic() + 20.0
        while (look := self.look()).status is None:
            assert time.monotonic() < ends
            time.sleep(0.01)  # another process's start: nothing to wait on
        return look


def soon(_seconds: float) -> None:
    """Wait for less than the program would: what is waited for is looked at again."""
    time.sleep(0.02)


def switch(layout: Layout, child: Child, to: str, watch: float = 0.1) -> Switch:
    """Return the switch from 0.1.0, as the command makes it."""
    before = child.look()
    return Switch(
        layout=layout,
        service=child,
        trial=Trial(from_="0.1.0", to=to, began=now(), boot="a", previous="0.0.9", by="Ann"),
        before=before if before.status is not None else None,
        watch=watch,
        why="new gates",
        wait=soon,
    )
