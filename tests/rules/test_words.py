"""What rules may say of a device follows from its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from drivers import signals as s
from drivers.commands import SITE_COMMANDS, Command, Goto, Silence, Sound
from drivers.contract import Driver, Emit
from drivers.signals import Signal
from rules.words import device_words, fields_of, fields_of_any, site_words, words_of_driver


def test_fields_are_words_or_json_types() -> None:
    assert fields_of(s.EasAlarm) == {
        "changed_while_down": "bool",
        "aisle": "int",
        "direction": ("in", "out", "unknown"),
    }
    assert fields_of(s.DoorClosed)["open_for"] == "float"
    assert fields_of(s.FireAlarm)["zone"] == "str"
    assert fields_of(s.StateKnown)["values"] == "object"


def test_fields_of_several_signals_are_joined() -> None:
    assert fields_of_any(
        [
            {"a": ("x", "y"), "b": "int", "c": "str", "d": "int"},
            {"a": ("y", "z"), "b": "float", "c": ("w",), "d": ("w",), "e": "bool"},
        ]
    ) == {"a": ("x", "y", "z"), "b": "float", "c": "str", "d": "object", "e": "bool"}


def test_every_device_has_a_link_and_what_any_device_says() -> None:
    button = device_words("panic", "button", says=[s.ButtonPressed])
    assert list(button.says) == [
        "button.pressed",
        "input.fault",
        "input.restored",
        "input.unreadable",
        "link.down",
        "link.up",
        "state.known",
    ]
    assert button.states == {"link": ("up", "down")}
    assert (button.name, button.accepts) == ("panic", {})


def test_a_device_that_takes_commands_says_what_becomes_of_them() -> None:
    siren = device_words(
        "siren", "siren", accepts=[Sound, Silence], states={"output": ("on", "unknown")}
    )
    assert {"order.done", "order.failed"} < set(siren.says)
    assert siren.accepts == {"silence": Silence, "sound": Sound}
    assert siren.states == {"output": ("on",), "link": ("up", "down")}


@dataclass(slots=True, kw_only=True, eq=False)
class Turret(Driver):
    """A camera with a siren on top."""

    says: ClassVar[frozenset[type[Signal]]] = frozenset({s.CameraArrived})
    accepts: ClassVar[frozenset[type[Command]]] = frozenset({Goto, Sound, Silence})
    has_states: ClassVar[Mapping[str, tuple[str, ...]]] = {"output": ("on", "off")}

    async def run(self, emit: Emit) -> None:
        """Do nothing."""

    def longest(self, command: Command) -> float | None:
        return 120.0 if isinstance(command, Sound) else None


def test_a_driver_is_asked_for_its_limits() -> None:
    words = words_of_driver(Turret(), "t", "turret", near={"siren": ("t",)}, poll=0.02)
    assert words.limits == {"sound": 120.0}
    assert (words.type, words.near, words.poll) == ("turret", {"siren": ("t",)}, 0.02)
    assert "camera.arrived" in words.says


def test_the_site_has_its_schedules() -> None:
    site = site_words(["delivery"])
    assert site.states["delivery"] == ("yes", "no")
    assert site.states["mode"] == (
        "open",
        "closed",
        "delivery",
        "stock_take",
        "maintenance",
    )
    assert {"delivery.started", "delivery.ended", "opened", "daily"} < set(site.says)
    assert site.accepts == SITE_COMMANDS


def test_what_is_only_journaled_is_nothing_that_a_rule_can_wait_for() -> None:
    says = site_words().says
    assert not says.keys() & {"rule.fired", "rule.ended", "rule.blind", "rule.repeated"}
    assert {"journal.started", "buffer.gap"} <= says.keys()
