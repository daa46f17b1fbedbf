"""Rules applied to a running store: tried, kept, gone back from; nothing else is disturbed."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from edge import installing, watch_file
from edge.config.files import fingerprint
from edge.demo.store import Store
from edge.watch import Plan
from tests.daemon import LIMIT, Daemon
from tests.shop import BACK, FRONT, PANIC, SIREN_BACK, kept, said, shop, wired

STORM = """rules:
  storm:
    description: Whoever comes in.
    when: {door_front: door.opened}
    do: [{incident: storm}]
"""
REASON = ("--reason", "test", "--by", "Ann")


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with shop(folder) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())


def other_rules(daemon: Daemon, **more: str) -> Path:
    """Return a folder with the rules of the store, one of them changed, and `more` files."""
    new = daemon.folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(daemon.config / "rules", new)
    gates = new / "gates.yaml"
    gates.write_text(gates.read_text().replace("for: 20s", "for: 21s").replace("60s,", "61s,"))
    for name, text in more.items():
        (new / f"{name}.yaml").write_text(text)
    return new


async def apply(daemon: Daemon, *arguments: str) -> tuple[int, str, str]:
    return await daemon.command("rules", "apply", "--config", str(daemon.config), *arguments)


async def propped(store: Store, daemon: Daemon) -> None:
    """Let an old rule sound a siren until the door is closed."""
    site = daemon.config / "site.yaml"
    site.write_text(site.read_text().replace("propped_after: 10s", "propped_after: 500ms"))
    daemon_reload(daemon)
    await kept(daemon, "config.reloaded")
    store.module.set(BACK, False)
    await wired(store, **{SIREN_BACK: True})


def daemon_reload(daemon: Daemon) -> None:
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)


def sounded(store: Store) -> list[bool]:
    """Return what was written to the siren's coil since it went on."""
    written = [w.on for w in store.module.writes if w.output == SIREN_BACK]
    return written[written.index(True) :]


def storms(daemon: Daemon) -> int:
    return sum(fired["rule"] == "storm" for fired in said(daemon, "rule.fired"))


async def after_watch(daemon: Daemon) -> dict[str, Any]:
    return await daemon.until(lambda status: status["watch"] is None)


async def come_in(store: Store, times: int) -> None:
    """Open and close the front door."""
    for _ in range(times):
        await store.module.pulse(FRONT, 0.5)
        await asyncio.sleep(0.1)


def test_good_rules_are_kept_and_neither_links_nor_sounding_sirens_notice(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await propped(store, daemon)
        before = (await daemon.ask(do="status"))["config"]
        code, out, err = await apply(
            daemon, str(other_rules(daemon)), "--watch", "2s", "--wait", *REASON
        )
        assert (code, err) == (0, "")
        steps = [line for line in out.splitlines() if not line.startswith(" ")]
        assert [line.split()[0] for line in steps] == [
            "check",
            "changes",
            "tests",
            "backtest",
            "limits",
            "usual",
            "install",
            "swap",
            "watch",
            "end",
        ]
        assert "1 changed (tag_left_on)" in out
        config = fingerprint(daemon.config)
        assert f"configuration {config} is confirmed" in out
        (applied,) = said(daemon, "config.applied")
        told = {"config": config, "before": before, "watch": 2.0, "by": "Ann", "reason": "test"}
        assert applied == told
        (confirmed,) = said(daemon, "config.confirmed")
        assert (confirmed["config"], confirmed["by"]) == (config, "the watch")
        assert (await daemon.ask(do="status"))["config"] == config
        assert fingerprint(daemon.state / "last_good") == config
        assert "for: 20s" in (daemon.config / "rules.previous" / "gates.yaml").read_text()
        assert sounded(store) == [True]
        assert said(daemon, "link.down") == []
        store.module.set(BACK, True)
        await wired(store, **{SIREN_BACK: False})

    play(tmp_path, story)


def test_storming_rules_are_gone_back_from_and_stay_refused(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        await propped(store, daemon)
        before = (await daemon.ask(do="status"))["config"]
        new = other_rules(daemon, storm=STORM)
        code, _, _ = await apply(daemon, str(new), "--watch", "60s")
        assert code == 0
        code, _, err = await apply(daemon, str(new))
        assert code == 1
        assert "other rules are on trial until" in err
        await come_in(store, 9)
        status = await after_watch(daemon)
        assert status["config"] == before
        assert re.search(r": [58] alarms within (6 s|1 min), at most [47] ", status["refused"])
        (reverted,) = said(daemon, "config.reverted")
        assert (reverted["to"], reverted["by"]) == (before, "the watch")
        assert sounded(store) == [True]
        fired = storms(daemon)
        await come_in(store, 1)
        daemon_reload(daemon)
        await kept(daemon, "config.refused")
        assert storms(daemon) == fired >= 5
        await daemon.kill()
        await daemon.start()
        status = await daemon.ask(do="status")
        assert (status["config"], status["watch"]) == (before, None)
        assert "was reverted at" in status["refused"]
        code, _, _ = await apply(daemon, str(daemon.config / "rules.previous"))
        assert code == 0
        status = await daemon.ask(do="status")
        assert (status["config"], status["refused"]) == (before, None)
        assert fingerprint(daemon.config) == before

    play(tmp_path, story)


def test_a_kill_does_not_end_the_watch_and_what_was_counted_counts(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        before = (await daemon.ask(do="status"))["config"]
        new = other_rules(daemon, storm=STORM)
        await apply(daemon, str(new), "--watch", "10m")
        await come_in(store, 2)
        await daemon.until(lambda status: status["watch"]["seen"]["alarms"] == 2)
        async with asyncio.timeout(LIMIT):
            while storms(daemon) < 2:
                await asyncio.sleep(0.02)
        await daemon.kill()
        await daemon.start()
        watch = (await daemon.ask(do="status"))["watch"]
        assert watch["before"] == before
        assert watch["seen"]["alarms"] == 2
        assert watch["left"] < 600
        assert len(said(daemon, "config.applied")) == 1
        assert fingerprint(daemon.state / "last_good") == before
        code, out, _ = await apply(daemon, "--revert", "--reason", "too loud")
        assert code == 0
        assert "has these files again" in " ".join(out.split())
        status = await daemon.ask(do="status")
        assert fingerprint(daemon.config) == before == status["config"]
        assert status["refused"] is None
        assert said(daemon, "config.reverted")[0]["reason"] == "too loud"

    play(tmp_path, story)


def test_after_a_kill_in_the_middle_of_an_apply_the_box_says_what_runs(tmp_path: Path) -> None:
    async def story(_store: Store, daemon: Daemon) -> None:
        status = await daemon.ask(do="status")
        candidate = daemon.folder / "candidate"
        installing.compose(
            daemon.config, installing.parts_of(other_rules(daemon, storm=STORM)), candidate
        )
        installing.install(daemon.config, candidate, ["rules"])
        config = fingerprint(candidate)
        plan = Plan(
            config=config,
            before=status["config"],
            began=status["tick"],
            lasts=600.0,
            expected=None,
            limits={},
            by="Ann",
            sequence=status["journal"]["sequence"],
        )
        watch_file.write(plan, daemon.state)
        await daemon.kill()
        await daemon.start()
        await kept(daemon, "config.applied")
        status = await daemon.ask(do="status")
        assert (status["config"], status["watch"]["config"]) == (config, config)
        installing.put_back(daemon.config, ["rules"])
        await daemon.kill()
        await daemon.start()
        status = await daemon.ask(do="status")
        assert (status["config"], status["watch"]) == (plan.before, None)
        assert watch_file.read(daemon.state) is None

    play(tmp_path, story)


def test_a_daemon_that_crashes_again_and_again_goes_back_by_itself(tmp_path: Path) -> None:
    async def story(_store: Store, daemon: Daemon) -> None:
        before = (await daemon.ask(do="status"))["config"]
        await apply(daemon, str(other_rules(daemon)), "--watch", "10m")
        for _ in range(3):
            await daemon.kill()
            await daemon.start()
        await kept(daemon, "config.reverted")
        status = await daemon.ask(do="status")
        assert (status["config"], status["watch"]) == (before, None)
        assert "the daemon ended unexpectedly 3 times within the watch" in status["refused"]

    play(tmp_path, story)


def test_what_must_not_run_is_refused_before_anything_is_changed(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        before = await daemon.ask(do="status")
        await daemon.ask(do="evacuate", action="drill", reason="yearly")
        code, _, err = await apply(daemon, str(other_rules(daemon)))
        assert (code, err) == (1, "storewarden: an evacuation is on: no time for other rules\n")
        await daemon.ask(do="evacuate", action="end", reason="over", despite=["fire_text"])
        new = other_rules(daemon, broken="rules: {x: {when: {door_frnt: door.opened}, do: []}}\n")
        code, _, err = await apply(daemon, str(new))
        assert code == 1
        assert "rules/broken.yaml:1:" in err
        assert "did you mean" in err
        await come_in(store, 6)
        storming = other_rules(daemon, storm=STORM)
        code, _, err = await apply(daemon, str(storming), "--alarms", "+900%")
        assert code == 1
        assert "beyond the limits: alarms 0 -> 6, allowed is +900%" in err
        assert "storm: alarms 0 -> 6, +6 -0" in err
        failing = other_rules(daemon)
        gates = failing / "gates.yaml"
        gates.write_text(gates.read_text().replace("within: !var paid_within", "within: 1s", 1))
        code, _, err = await apply(daemon, str(failing))
        assert code == 1
        assert "1 test failed of" in err or "tests failed of" in err
        without = other_rules(daemon)
        (without / "safety.yaml").unlink()
        code, _, err = await apply(daemon, str(without))
        assert code == 1
        assert "the life_safety rule fire_trouble is removed" in err
        assert "--accept-removal fire_link_lost --accept-removal fire_trouble" in err
        site = daemon.config / "site.yaml"
        site.write_text(site.read_text().replace("max_size: 64MB", "max_size: 65MB"))
        code, _, err = await apply(daemon, str(other_rules(daemon)))
        assert code == 1
        assert "(site.yaml: buffer): check it and reload it first" in err
        after = await daemon.ask(do="status")
        assert after["config"] == before["config"]
        assert said(daemon, "config.applied") == []
        assert not (daemon.config / "rules.previous").exists()
        store.module.set(PANIC, True)
        await kept(daemon, "incident.opened")

    play(tmp_path, story)


def test_a_person_may_confirm_rules_before_the_watch_is_over(tmp_path: Path) -> None:
    async def story(_store: Store, daemon: Daemon) -> None:
        code, _, err = await apply(daemon, "--confirm", *REASON)
        assert (code, err) == (1, "storewarden: no rules are on trial\n")
        new = other_rules(daemon)
        (new / "safety.yaml").unlink()
        accept = ("--accept-removal", "fire_trouble", "--accept-removal", "fire_link_lost")
        code, out, err = await apply(daemon, str(new), *accept, "--json")
        assert code == 0
        steps = json.loads(out)
        assert steps["changes"]["gone"] == ["fire_link_lost", "fire_trouble", "panic"]
        assert steps["watch"]["config"] == steps["swap"]["config"]
        assert "warning: the life_safety rule fire_trouble is removed" in err
        code, _, _ = await apply(daemon, "--confirm", *REASON)
        assert code == 0
        async with asyncio.timeout(LIMIT):
            while not said(daemon, "config.confirmed"):
                await asyncio.sleep(0.05)
        status = await daemon.ask(do="status")
        assert status["config"] == fingerprint(daemon.config)
        assert fingerprint(daemon.state / "last_good") == status["config"]
        code, out, _ = await apply(daemon, str(daemon.config / "rules"))
        assert (code, "these rules run already" in out) == (0, True)

    play(tmp_path, story)
