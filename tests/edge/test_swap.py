"""Rules swapped in place: what is in the way, what ends, what is left alone, and between turns."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from buffer.journal import Journal
from buffer.record import Kind
from buffer.writer import Writer
from drivers.priorities import Priority
from drivers.signals import DoorClosed, DoorOpened, FireAlarm
from edge import aside
from edge.assembly import Parts, assemble
from edge.clock import Clock
from edge.config.load import load
from edge.encode import body_of
from edge.metrics import Metrics
from edge.notify import Notify
from edge.past import Past
from edge.places import Places
from edge.running import begin
from edge.swap import in_the_way, swap
from tests.edge.shop import DEVICES_YAML, RULES_YAML, SITE_YAML, Story, orders, said, shop, written

LONGER = RULES_YAML.replace("for: 10s", "for: 11s")
NO_GATE = (
    RULES_YAML[: RULES_YAML.index("  gate_alarm:")] + RULES_YAML[RULES_YAML.index("  hold_up:") :]
)


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"rules": NO_GATE}, ""),
        ({"site": f"{SITE_YAML}apply: {{watch: 1h}}\nvars: {{unused: 5s}}\n"}, ""),
        ({"site": changed(SITE_YAML, "09:00", "08:00")}, "site.yaml: hours"),
        ({"site": changed(SITE_YAML, "9464", "9465")}, "site.yaml: http"),
        ({"devices": changed(DEVICES_YAML, "held_after: 1h", "held_after: 2h")}, "door_back"),
        ({"devices": changed(DEVICES_YAML, "aisle: 1", "aisle: 1, name: Gate")}, "eas_front"),
        ({"devices": changed(DEVICES_YAML, "127.0.0.1:1502", "127.0.0.1:1503")}, "annex"),
        ({"devices": changed(DEVICES_YAML, "[lock_exit, lock_back]", "[lock_exit]")}, "groups"),
        (
            {
                "devices": changed(
                    DEVICES_YAML,
                    "[lock_exit, lock_back]}",
                    "[lock_exit, lock_back], more: [panic]}",
                )
            },
            "groups",
        ),
    ],
)
def test_what_more_than_rules_is_in_the_way(
    tmp_path: Path, files: dict[str, str], why: str
) -> None:
    old, new = shop(tmp_path / "old"), shop(tmp_path / "new", **files)
    found = in_the_way(old, new)
    assert (why in found) if why else found == ""


def test_another_secret_is_in_the_way(tmp_path: Path) -> None:
    old = shop(tmp_path)
    (tmp_path / "secrets" / "cam").write_text("an0ther")
    assert in_the_way(old, load(tmp_path)) == "devices: cam_exit is configured differently"


def test_the_lease_of_a_changed_rule_ends_and_others_stay(tmp_path: Path) -> None:
    story = Story(shop(tmp_path / "old"))
    story.at(said(0, "panic", "button.pressed"))
    story.at(said(1, "eas_front", "eas.alarm"))
    new = shop(tmp_path / "new", rules=LONGER)
    turn = story.decider.swap(new, 2.0, said(2, "site", "time"))
    assert orders(turn) == ["siren_front silence by rest", "cam_exit goto lobby by rest"]
    assert [d.rule for d in turn.decisions] == ["gate_alarm", "gate_alarm"]
    assert {c.device for c in story.decider.outputs.leases.claims()} == {"siren_back"}
    assert orders(story.until(29.0)) == []
    assert orders(story.until(31.0)) == ["siren_back silence by rest"]


def test_a_swap_for_the_same_rules_orders_nothing(tmp_path: Path) -> None:
    story = Story(shop(tmp_path / "old"))
    story.at(said(0, "panic", "button.pressed"))
    story.at(said(1, "door_back", "door.opened"))
    turn = story.decider.swap(shop(tmp_path / "new"), 5.0, said(5, "site", "time"))
    assert (turn.given, turn.decisions, turn.said) == ([], [], [])
    assert orders(story.until(31.0)) == []
    held_by = {claim.rule for claim in story.decider.outputs.leases.claims()}
    assert held_by == {"propped"}
    assert orders(story.until(130.0)) == ["siren_back silence by rest"]


def test_what_was_due_before_is_done_by_the_old_rules(tmp_path: Path) -> None:
    story = Story(shop(tmp_path / "old"))
    story.at(said(0, "door_back", "door.opened"))
    turn = story.decider.swap(
        shop(tmp_path / "new", rules="rules: {}\n"), 25.0, said(25, "site", "time")
    )
    assert orders(turn) == ["siren_back sound by rule", "siren_back silence by rest"]
    assert story.decider.priority_of("hold_up").name == "personal_safety"


def parts_of(folder: Path, writer: Writer, clock: Clock | None = None) -> Parts:
    configuration = shop(folder / "config")
    places = Places(configuration=folder / "config", state=folder, socket=folder / "socket")
    metrics, notify = Metrics("1"), Notify({})
    parts = assemble(configuration, places, writer, clock or Clock(), Past(), metrics, notify)
    commands = {d: [c.kind for c in e.accepts] for d, e in parts.drivers.items()}
    metrics.configured(configuration.hash, commands, [r.id for r in configuration.rules.rules])
    begin(parts, Past())
    return parts


def events(path: Path) -> list[Any]:
    with Journal.open(path, read_only=True) as journal:
        return [
            (r.kind, body_of(r)) for r in journal.since(0) if r.topic or r.kind is Kind.SNAPSHOT
        ]


def test_a_swap_under_way_loses_no_event_and_handles_none_twice(tmp_path: Path) -> None:
    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db") as writer:
            parts = parts_of(tmp_path, writer)
            road = asyncio.create_task(parts.pipeline.run())
            one, other = parts.configuration, shop(tmp_path / "other", rules=LONGER)
            for number in range(200):
                parts.speaker.site("daily", fields={"moment": f"{number}"})
                if number % 20 == 10:
                    await swap(parts, other if number % 40 == 10 else one)
            while len(parts.inbox):
                await asyncio.sleep(0)
            await parts.pipeline.rest()
            road.cancel()
            await asyncio.wait({road})
        found = events(tmp_path / "journal.db")
        said_then = [b.data["moment"] for k, b in found if b.signal == "daily"]
        assert said_then == [str(number) for number in range(200)]
        assert {b.config for k, b in found if b.signal == "daily"} == {one.hash, other.hash}
        assert sum(k is Kind.SNAPSHOT for k, _ in found) == 11

    asyncio.run(main())


def test_time_goes_no_further_than_what_still_waits_to_be_handled(tmp_path: Path) -> None:
    async def main() -> None:
        seconds = 100.0
        clock = Clock(seconds=lambda: seconds, boot="b")
        async with Writer.open(tmp_path / "journal.db") as writer:
            parts = parts_of(tmp_path, writer, clock)
            while len(parts.inbox):
                parts.pipeline.write(parts.pipeline.decide())
            parts.speaker.say("door_back", DoorOpened(), Priority.operations)
            parts.pipeline.write(parts.pipeline.decide())
            seconds = 110.0
            parts.speaker.say("door_back", DoorClosed(), Priority.operations)
            seconds = 125.0  # the hold of 20 s would be over, had the door not been closed
            await swap(parts, shop(tmp_path / "new", rules=LONGER))
            while len(parts.inbox):
                parts.pipeline.write(parts.pipeline.decide())
        assert parts.metrics.firings == 0

    asyncio.run(main())


def test_metrics_hash_and_moments_follow_and_devices_stay_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db") as writer:
            parts = parts_of(tmp_path, writer)
            parts.metrics.up.labels("eas_front").set(1)
            drivers, states = parts.drivers, parts.decider.engine.states
            new = shop(
                tmp_path / "new",
                rules=changed(NO_GATE, "{panic: button.pressed}", '{daily: "21:30"}'),
            )
            await swap(parts, new)
            page = parts.metrics.page().decode()
        assert 'rule="gate_alarm"' not in page
        assert 'storewarden_rule_fired_total{rule="hold_up"} 0.0' in page
        assert 'storewarden_device_up{device="eas_front"} 1.0' in page
        assert f'config="{new.hash}"' in page
        assert (parts.configuration.hash, parts.pipeline.encoder.config) == (new.hash, new.hash)
        assert [moment.at for moment in parts.diary.moments] == ["21:30"]
        assert parts.drivers is drivers
        assert parts.configuration.devices["panic"].driver is drivers["panic"]
        assert parts.decider.engine.states is states

    asyncio.run(main())


def test_a_thread_beside_the_road_gives_the_result_or_its_error() -> None:
    async def main() -> None:
        assert await aside.run(int, "12", base=8) == 10
        with pytest.raises(ValueError, match="invalid literal"):
            await aside.run(int, "x")

    asyncio.run(main())


def test_an_alarm_is_handled_while_rules_are_loaded_beside_the_road(tmp_path: Path) -> None:
    many = "".join(
        f"  rule_{n}: {{when: {{eas_front: eas.alarm}}, do: [{{incident: number_{n}}}]}}\n"
        for n in range(400)
    )
    new = written(tmp_path / "new", rules=f"rules:\n{many}")

    async def main() -> None:
        async with Writer.open(tmp_path / "journal.db") as writer:
            parts = parts_of(tmp_path, writer)
            road = asyncio.create_task(parts.pipeline.run())
            loading = asyncio.create_task(aside.run(load, new))
            for _ in range(5):
                handled = parts.metrics.handled
                parts.speaker.say("fire_main", FireAlarm(), Priority.life_safety)
                while parts.metrics.handled == handled or len(parts.inbox):
                    await asyncio.sleep(0)
            assert not loading.done()
            await swap(parts, dataclasses.replace(await loading, folder=tmp_path))
            road.cancel()
            await asyncio.wait({road})
        assert len(parts.configuration.rules.rules) == 400

    asyncio.run(main())
