"""Runs on a box: what its daemon says now (`before`), or whether it stays well (`soak`).

Only the standard library: any Python 3.11 of the box runs it.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

SOCKET = "/run/storewarden/control.sock"
ANSWER = 10.0
"""Seconds in which the daemon answers, else it hangs."""


class Gone(Exception):
    """The daemon does not answer; the text says how."""


@contextmanager
def _asked(path: str, what: str, timeout: float) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as link:
        link.settimeout(timeout)
        try:
            link.connect(path)
            link.sendall(json.dumps({"do": what}).encode() + b"\n")
            yield link
        except OSError as error:
            raise Gone(f"the daemon does not answer: {error}") from error


def ask(path: str, what: str) -> Any:
    """Return the daemon's answer; raises Gone."""
    with _asked(path, what, ANSWER) as link, link.makefile("rb") as lines:
        answer = json.loads(lines.readline() or b'{"error": "it hung up"}')
    if "ok" not in answer:
        raise Gone(f"the daemon refuses: {answer.get('error')}")
    return answer["ok"]


def look(path: str) -> dict[str, Any]:
    """Return what counts for the watch; raises Gone."""
    status = ask(path, "status")
    links = {d["device"]: d["states"]["link"]["value"] for d in ask(path, "devices")}
    return {
        "version": status["version"],
        "config": status["config"],
        "up_for": status["up_for"],
        "refused": status.get("refused"),
        "journal": status["journal"]["error"],
        "lost": status["journal"]["lost"],
        "connected": status["uplink"]["connected"],
        "error": status["uplink"]["error"],
        "backlog": status["uplink"]["backlog"],
        "up": sorted(device for device, link in links.items() if link == "up"),
        "devices": sorted(links),
    }


def wrong(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return why the box is not as well as before."""
    away = sorted((set(before.get("up", [])) & set(now["devices"])) - set(now["up"]))
    said = [f"{device} was up and is not" for device in away]
    if now["refused"]:
        said.append(f"the configuration was refused: {now['refused']}")
    if now["journal"]:
        said.append(f"the journal fails: {now['journal']}")
    if before.get("connected") and not now["connected"]:
        said.append(f"the broker was connected and is not: {now['error']}")
    if now["connected"] and now["backlog"] > max(before.get("backlog", 0), 100):
        said.append(f"the uplink does not drain: {now['backlog']} records wait")
    if now["lost"] > before.get("lost", now["lost"]):
        said.append("records were lost")
    return said


def soak(path: str, before: dict[str, Any], seconds: float, settle: float) -> list[str]:
    """Watch for so long; return what is wrong at the end, or at once what can't get better."""
    end, settled = time.monotonic() + seconds, time.monotonic() + settle
    failed: list[str] = []
    with _asked(path, "tail", 1.0) as tail:
        ago, rest = look(path)["up_for"], b""
        while True:
            more, rest = _failures(tail, rest)
            failed += more
            now = look(path)
            if now["up_for"] < ago:
                return ["the daemon began anew"]
            ago, said = now["up_for"], failed[:3] + wrong(before, now)
            left = end - time.monotonic()
            if (said and time.monotonic() > settled) or (left <= 0 and not said):
                return said


def _failures(tail: socket.socket, rest: bytes) -> tuple[list[str], bytes]:
    """Return the orders that failed within the next second, and the line that is not yet whole."""
    found = []
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        try:
            read = tail.recv(65536)
        except TimeoutError:
            break
        if not read:
            raise Gone("the daemon hung up")
        *lines, rest = (rest + read).split(b"\n")
        for item in (json.loads(line).get("ok") or {} for line in lines):
            if item.get("signal") == "order.failed":
                found.append(f"an order failed: {item['device']} {json.dumps(item.get('data'))}")
    return found, rest


def main() -> int:
    """Print what was asked for as JSON; 1 when the box is not well."""
    options = argparse.ArgumentParser(description="Watch the daemon of this box.")
    options.add_argument("what", choices=["before", "soak"])
    options.add_argument("--before", type=json.loads, default={})
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--settle", type=float, default=60.0)
    options.add_argument("--socket", default=SOCKET)
    chosen = options.parse_args()
    try:
        if chosen.what == "before":
            print(json.dumps(look(chosen.socket)))  # noqa: T201
            return 0
        said = soak(chosen.socket, chosen.before, chosen.seconds, chosen.settle)
    except Gone as error:
        if chosen.what == "before":
            print("{}")  # noqa: T201
            return 0
        said = [str(error)]
    print("\n".join(said) or "well")  # noqa: T201
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
