"""What is read at a scrape: fire links, proven gates, opening hours, restarts, as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from buffer.writer import Writer
from drivers.event import Event
from edge import scrape
from edge.assembly import assemble
from edge.clock import Clock
from edge.metrics import Metrics
from edge.notify import Notify
from edge.past import Past
from edge.places import Places
from tests.edge.shop import BEGAN, said, shop

UP = said(1, "fire_main", "link.up", sets={"link": "up"})
DOWN = said(2, "fire_main", "link.down", sets={"link": "down"})
ALARM = said(3, "eas_front", "eas.alarm")
LINK = 'storewarden_fire_link_up{device="fire_main"}'
GATE = 'storewarden_gate_last_alarm_timestamp_seconds{device="eas_front"}'


def page(folder: Path, past: Sequence[Event], metrics: Metrics | None = None) -> dict[str, float]:
    """Return what a scrape reads after `past`: the series with its labels, and the value."""
    metrics = metrics or Metrics("1")

    async def main() -> str:
        places = Places(configuration=folder, state=folder / "state", socket=folder / "s")
        async with Writer.open(folder / "journal.db") as writer:
            known = Past(steps=tuple(past))
            parts = assemble(shop(folder), places, writer, Clock(), known, metrics, Notify({}))
            scrape.register(parts)
            return parts.metrics.page().decode()

    lines = asyncio.run(main()).splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


@pytest.mark.parametrize(("past", "link"), [([], 0.0), ([UP], 1.0), ([UP, DOWN], 0.0)])
def test_a_fire_link_is_1_only_while_it_is_known_to_be_up(
    tmp_path: Path, past: list[Event], link: float
) -> None:
    found = page(tmp_path, past)

    assert found[LINK] == link
    assert [name for name in found if name.startswith("storewarden_fire_link_up")] == [LINK]


def test_a_gate_is_proven_by_an_alarm_before_the_start(tmp_path: Path) -> None:
    assert page(tmp_path / "new", [])[GATE] == 0.0
    assert page(tmp_path / "old", [ALARM])[GATE] == BEGAN.timestamp() + 3


def test_hours_that_nobody_knows_are_closed(tmp_path: Path) -> None:
    opened = said(1, "site", "opened", sets={"open": "yes"})

    assert page(tmp_path / "new", [])["storewarden_site_open"] == 0.0
    assert page(tmp_path / "open", [opened])["storewarden_site_open"] == 1.0


def test_restarts_and_wear_are_not_there_before_they_were_looked_at(tmp_path: Path) -> None:
    metrics = Metrics("1")
    before = page(tmp_path / "before", [], metrics)
    metrics.ends, metrics.wear = {"watchdog": 2}, 0.25
    after = page(tmp_path / "after", [], metrics)

    assert not [name for name in before if "restarts" in name or "wear" in name]
    assert after['storewarden_restarts_total{reason="watchdog"}'] == 2.0
    assert after["storewarden_disk_wear_ratio"] == 0.25
