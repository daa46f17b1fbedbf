"""docs/explain.md shows what the command prints; STOREWARDEN_WRITE_DOCS=1 writes it anew."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from edge.cli.main import main
from tests.edge.box import Box
from tests.edge.shop import DEVICES_YAML

PAGE = Path(__file__).parents[2] / "docs" / "explain.md"
SHOWN = re.compile(r"^```\n\$ storewarden (rules explain[^\n]*)\n(.*?)^```$", re.M | re.S)
NAMES = {
    "eas_front": "Front gates",
    "door_back": "Delivery door",
    "siren_front": "Siren at the front",
    "siren_back": "Siren at the back",
    "cam_exit": "Camera at the exit",
    "panic": "Panic button",
}
RULES = """
rules:
  gate_alarm:
    description: A tag leaves through the front gates while the store is open.
    when: {eas_front: eas.alarm, direction: [out, unknown]}
    if: site.open
    do:
      - {sound: siren_front, for: 10s}
      - {goto: cam_exit, preset: gate, for: 60s}
      - {incident: gate_activation}
    cooldown: 30s
    escalate:
      - {after: 60s, do: [{sound: siren_back, for: 5s}]}
  delivery_door_propped:
    description: The delivery door stays open.
    when: {door_back: open, for: 60s}
    do: [{sound: siren_back}]
    until: {door_back: closed}
  distraction:
    description: Panic, a tag and the delivery door at once.
    when:
      sequence: [{panic: button.pressed}, {eas_front: eas.alarm}, {door_back: door.opened}]
      within: 30s
    do: [{incident: distraction}]
"""
HOUR, NOON = 3600.0, 0.0
FIVE = NOON + 5 * HOUR


def devices() -> str:
    text = DEVICES_YAML
    for device, name in NAMES.items():
        text = re.sub(rf"\b({device}:\s*\{{)", rf'\1name: "{name}", ', text, count=1)
    return text


def afternoon(box: Box) -> None:
    """Let a Friday afternoon go by."""
    box.at(NOON, "site", "opened", sets={"open": "yes"})
    for device in NAMES:
        box.at(NOON + 1, device, "link.up")
    box.at(NOON + 2, "door_back", "state.known", sets={"contact": "closed"})
    for number in range(40):
        began = NOON + 3 * HOUR + number * 90
        box.at(began, "door_back", "door.opened")
        box.at(began + 4 + number % 3, "door_back", "door.closed")
    box.at(FIVE, "door_back", "state.known", sets={"contact": "closed"})
    box.snapshot()
    box.at(FIVE + 134, "door_back", "door.opened")
    box.at(FIVE + 192, "door_back", "door.closed")
    box.at(FIVE + 190 * 4, "panic", "button.pressed")
    box.broken["cam_exit"] = "not connected"
    box.at(FIVE + 190 * 4 + 12, "eas_front", "eas.alarm", direction="out")
    box.at(FIVE + 190 * 4 + 20, "eas_front", "eas.alarm", direction="out")
    box.at(FIVE + 1200, "door_back", "link.down", reason="no answer", sets={"link": "down"})
    box.at(FIVE + 1500, "door_back", "link.up")
    box.at(FIVE + 1501, "door_back", "state.known", sets={"contact": "closed"})
    box.at(9 * HOUR, "site", "closed", sets={"open": "no"})
    box.at(9 * HOUR + 600, "eas_front", "eas.alarm", direction="out")
    box.until(10 * HOUR)
    box.finish()


def test_the_page_shows_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "run"))
    text = PAGE.read_text()
    with Box(tmp_path, devices=devices(), rules=RULES) as box:
        afternoon(box)
        assert box.path.exists()

        def printed(found: re.Match[str]) -> str:
            assert main([*shlex.split(found[1]), "--config", str(tmp_path)]) == 0
            return f"```\n$ storewarden {found[1]}\n{capsys.readouterr().out}```"

        shown = SHOWN.sub(printed, text)
    assert len(SHOWN.findall(text)) > 3
    if os.environ.get("STOREWARDEN_WRITE_DOCS"):
        PAGE.write_text(shown)
    assert shown == PAGE.read_text()
