"""Prove that rules applied and killed at any moment leave a box that knows what it runs.

./dev prove apply [--rounds 30] [--seed 1]

In each round `storewarden rules apply` tries other rules while the daemon, the command or both are
killed at a random moment around the install. The daemon is started again at once. A round is good
when what runs is the old set, or the new one with its watch on; when the folder holds what runs,
but for a command that was killed; when what the command said is so; and when the siren that an
unchanged rule sounds goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from buffer.journal import Journal
from edge.cli.run import python
from edge.config.files import fingerprint
from edge.demo.store import Store, configured, simulated
from edge.watch_file import FILE
from tests.daemon import LIMIT, Daemon

SIREN = "do1"
AROUND = 0.6
"""Seconds after the daemon was asked, or the files were exchanged, in which the kill comes."""


def other(rules: Path, to: Path, number: int) -> Path:
    """Write rules of which one differs from those in `rules`."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(rules, to)
    (to / "extra.yaml").write_text(
        f"rules:\n  extra:\n    description: Round {number}.\n"
        "    when: {door_front: door.opened}\n    do: [{incident: extra}]\n"
    )
    return to


async def begun(folder: Path, before: str, config: Path) -> None:
    """Wait until the watch's file is there or the files were exchanged."""
    while not (folder / "state" / FILE).exists() and fingerprint(config) == before:
        await asyncio.sleep(0.001)


async def one(store: Store, daemon: Daemon, number: int, chance: random.Random) -> str:
    """Play a round; return in a few words what came of it. AssertionError: it was not good."""
    config = daemon.config
    old = (await daemon.ask(do="status"))["config"]
    new_rules = other(config / "rules", daemon.folder / "new", number)
    command = await asyncio.create_subprocess_exec(
        *python(), "rules", "apply", str(new_rules), "--config", str(config), "--watch", "1h",
        "--no-backtest", "--reason", "prove", env=daemon.places(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    whom = chance.choice(("daemon", "daemon", "command", "both"))
    async with asyncio.timeout(LIMIT * 2):
        await begun(daemon.folder, old, config)
    await asyncio.sleep(chance.uniform(0, AROUND))
    if whom != "daemon":
        with suppress(ProcessLookupError):
            command.kill()
    if whom != "command":
        await daemon.kill()
        await daemon.start()
    _, err = await command.communicate()
    status = await settled(daemon)
    good(daemon, old, whom, command.returncode, status, err.decode())
    await asyncio.wait_for(store.module.wait_output(SIREN, True), LIMIT)
    runs = "old" if status["config"] == old else "new"
    await as_before(daemon, old, status)
    return f"{whom} killed, {runs} rules run"


async def settled(daemon: Daemon) -> dict[str, Any]:
    """Return the status once every device is heard."""
    return await daemon.until(lambda status: not status["devices_down"])


def good(
    daemon: Daemon, old: str, whom: str, code: int | None, status: dict[str, Any], err: str
) -> None:
    """Raise AssertionError where the box is not as it should be."""
    runs, folder = status["config"], fingerprint(daemon.config)
    told = f"runs {runs}, folder {folder}, old {old}, killed {whom}, command {code}: {err}"
    told = f"{told}\nwatch {status['watch']}, orders {status['orders']}"
    kept = fingerprint(daemon.state / "last_good")
    if runs == old:
        assert status["watch"] is None, told
        assert folder == old or whom != "daemon", told
    elif status["watch"] is None:  # installed, and the daemon was never asked
        assert (whom, folder, kept) == ("both", runs, runs), told
    else:
        assert (status["watch"]["config"], status["watch"]["before"]) == (runs, old), told
        assert (folder, kept) == (runs, old), told
    if whom == "daemon":
        assert (code == 0) == (runs != old), told
    assert "siren_back" in {order["device"] for order in status["orders"]}, told
    with Journal.open(daemon.state / "journal.db", read_only=True) as journal:
        assert journal.verify() is None, told


async def as_before(daemon: Daemon, old: str, status: dict[str, Any]) -> None:
    """Bring the folder and the daemon to the rules before the round."""
    if status["watch"] is not None:
        await daemon.ask(do="watch", action="revert", by="prove", reason="next round")
    (daemon.config / "rules" / "extra.yaml").unlink(missing_ok=True)
    for part in ("rules.exchanged", "rules.previous"):
        shutil.rmtree(daemon.config / part, ignore_errors=True)
    assert fingerprint(daemon.config) == old
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.until(lambda found: found["config"] == old and found["refused"] is None)


async def prove(rounds: int, seed: int) -> bool:
    """Play the rounds; return whether all were good."""
    chance, found = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="warden-") as made:
        folder = Path(made)
        async with simulated(folder) as store:
            config = configured(folder, store, None)
            site = config / "site.yaml"
            text = site.read_text().replace("propped_after: 10s", "propped_after: 500ms")
            site.write_text(text.replace("delivery: {", "inventory: {"))
            devices = config / "devices.yaml"
            devices.write_text(devices.read_text().replace("max_on: 2m}", "max_on: 12h}"))
            doors = config / "rules" / "doors.yaml"
            rule = doors.read_text().partition("tests:")[0]
            doors.write_text(rule.replace("while: not site.delivery, ", ""))
            daemon = Daemon(folder, config)
            await daemon.start()
            store.module.set("di2", False)
            try:
                await settled(daemon)
                await asyncio.wait_for(store.module.wait_output(SIREN, True), LIMIT)
                for number in range(rounds):
                    found[await one(store, daemon, number, chance)] += 1
            except AssertionError as wrong:
                print(f"seed {seed}, round {number}: {wrong}")
                return False
            finally:
                if daemon.process is not None and daemon.process.returncode is None:
                    await daemon.stop()
    for words, count in sorted(found.items()):
        print(f"{count:>4} x {words}")
    print(f"{rounds} rounds, all good")
    return True


def main() -> int:
    """Run it; 0: proved."""
    parser = argparse.ArgumentParser(description="Kill a box at any moment of an apply.")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    return 0 if asyncio.run(prove(chosen.rounds, chosen.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
