"""The command line against the running daemon, and about a stopped box."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from edge.demo.store import Store
from tests.daemon import Daemon
from tests.shop import BEACON, FIRE, GATE, LIGHT, LOCK, SIREN, shop, state, wired


def play(folder: Path, story: Callable[[Store, Daemon], Awaitable[None]]) -> None:
    async def main() -> None:
        async with shop(folder) as (store, daemon):
            await story(store, daemon)

    asyncio.run(main())


async def data(daemon: Daemon, *arguments: str) -> Any:
    """Return what a command prints as JSON; it must be done."""
    code, out, err = await daemon.command(*arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def test_status_and_devices_say_what_is_going_on(tmp_path: Path) -> None:
    async def story(_store: Store, daemon: Daemon) -> None:
        status = await data(daemon, "status")
        assert status["site"] == "demo_store"
        assert status["timezone"] == "Europe/London"
        assert (status["evacuation"], status["devices_down"]) == ("no", [])
        assert status["uplink"]["configured"] is False
        devices = {d["device"]: d for d in await data(daemon, "devices")}
        assert devices["door_front"]["name"] == "Front door"
        assert devices["door_front"]["states"]["contact"]["value"] == "closed"
        assert devices["fire_text"]["states"]["alarm"]["value"] == "unknown"
        code, out, err = await daemon.command("status")
        assert (code, err) == (0, "")
        assert "devices down     none" in out
        code, out, err = await daemon.command("devices")
        assert (code, err) == (0, "")
        assert "contact closed" in out

    play(tmp_path, story)


def test_tail_shows_so_many_lines_and_ends(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        async def talking() -> None:
            while True:
                store.gateway.say("DEACTIVATED 2")
                await asyncio.sleep(0.05)

        talk = asyncio.create_task(talking())
        try:
            code, out, err = await daemon.command("tail", "--json", "--count", "3")
            shown = [json.loads(line) for line in out.splitlines()]
            assert (code, err) == (0, "")
            assert [item["signal"] for item in shown] == ["eas.deactivated"] * 3
            assert [item["data"] for item in shown] == [{"till": 2}] * 3
            code, out, err = await daemon.command("tail", "--count", "2")
        finally:
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert len(lines) == 2
        assert lines[0].endswith("  Deactivators at the tills   a tag was deactivated (till 2)")

    play(tmp_path, story)


def test_an_order_is_done_refused_or_wrongly_written(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        why = ("--reason", "morning test", "--by", "an officer")
        code, out, err = await daemon.command(
            "order", "light_tills", "switch_on", "--for", "60s", *why
        )
        assert (code, err) == (0, "")
        assert "done" in out
        assert store.module.outputs[LIGHT] is True
        for arguments, exit_code, said in (
            (("order", "light_tills", "release", *why), 2, "light_tills cannot release"),
            (("order", "light_tills", "dance", *why), 2, "dance"),
            (("order", "nobody", "sound", *why), 2, "there is no device 'nobody'"),
            (("order", "siren_fron", "sound", *why), 2, "did you mean siren_front?"),
            (("incident", "ack", "walk_ot", *why), 2, "did you mean walk_out?"),
            (("order", "siren_front", "sound", "--for", "9h", *why), 2, "at most"),
            (("order", "light_tills", "switch_on"), 2, "--reason"),
            (("order", "light_tills", "switch_on", "--for", "5", *why), 2, "did you mean 5s?"),
            (("order", "light_tills", "switch_on", "loud", *why), 2, "k=v"),
        ):
            code, out, err = await daemon.command(*arguments)
            assert (code, out) == (exit_code, ""), arguments
            assert said in err
            assert "Traceback" not in err
        store.module.faults.exception = 4
        code, out, err = await daemon.command("order", "siren_front", "sound", *why)
        assert code == 1, out
        assert "siren_front" in err

    play(tmp_path, story)


def test_an_evacuation_is_drilled_started_and_ended_by_people(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        by = ("--by", "an officer", "--reason")
        despite = ("--despite", "fire_text")
        code, out, err = await daemon.command("evacuate", "end", *by, "nothing")
        assert (code, out) == (1, "")
        assert "there is no evacuation" in err
        await data(daemon, "order", "lock_exit", "relock", *by, "opening")
        assert (await data(daemon, "evacuate", "drill", *by, "yearly"))["evacuation"] == "drill"
        await wired(store, **{BEACON: True})
        assert store.module.outputs[LOCK] is True
        assert (await daemon.command("evacuate", "end", *by, "over", *despite))[0] == 0
        await wired(store, **{BEACON: False})
        code, out, err = await daemon.command("evacuate", "start", *by, "smoke")
        assert (code, out, err) == (0, "evacuation started\n", "")
        await wired(store, **{BEACON: True, LOCK: False})
        code, _out, err = await daemon.command("order", "lock_exit", "relock", *by, "too early")
        assert code == 1
        assert "the evacuation keeps it released" in err
        store.module.set(FIRE, True)
        await state(daemon, "fire_main", "alarm", "active")
        code, _out, err = await daemon.command("evacuate", "end", *by, "too early", *despite)
        assert code == 1
        assert "fire_main is in alarm: look at it; --despite fire_main ends" in err
        both = (*despite, "--despite", "fire_main")
        assert (await daemon.command("evacuate", "end", *by, "false alarm", *both))[0] == 0
        assert (await data(daemon, "status"))["evacuation"] == "no"

    play(tmp_path, story)


def test_the_journal_is_read_on_a_live_a_killed_and_a_stopped_box(tmp_path: Path) -> None:
    async def story(store: Store, daemon: Daemon) -> None:
        config = ("--config", str(daemon.config))
        await store.module.pulse(GATE, 0.5)
        await wired(store, **{SIREN: True})
        for end in (None, daemon.kill, daemon.stop):
            if end is not None:
                await end()
            stat = await data(daemon, "journal", "stat", *config)
            verified = await data(daemon, "journal", "verify", *config)
            assert stat["records"] > 10
            assert stat["last"] >= stat["records"]
            assert (verified["good"], verified["break"]) == (True, None)
            code, out, err = await daemon.command("journal", "tail", "--count", "5", *config)
            assert (code, err, len(out.splitlines())) == (0, "", 5)
            if end == daemon.kill:
                await daemon.start()
        code, out, err = await daemon.command("status")
        assert (code, out) == (1, "")
        assert "no daemon answers" in err
        assert "Traceback" not in err

    play(tmp_path, story)


def test_rules_are_checked_listed_and_tested_beside_the_daemon(tmp_path: Path) -> None:
    async def story(_store: Store, daemon: Daemon) -> None:
        config = ("--config", str(daemon.config))
        code, out, _err = await daemon.command("check", *config)
        assert code == 0
        assert "1 configuration checked: no problems" in out
        played = await data(daemon, "rules", "test", *config)
        assert len(played) >= 10
        assert all(test["failures"] == [] for test in played)
        listed = {rule["rule"] for rule in await data(daemon, "rules", "list", *config)}
        assert {"walk_out", "tag_left_on", "panic", "link_lost"} <= listed
        (daemon.config / "rules" / "gates.yaml").write_text("rules: {late: {when: [1}}\n")
        code, out, err = await daemon.command("check", *config)
        assert (code, out) == (1, "")
        assert "rules/gates.yaml:1:" in err
        assert "Traceback" not in err

    play(tmp_path, story)
