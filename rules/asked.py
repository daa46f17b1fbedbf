"""What a condition really asks for while it is evaluated: noted with the values it had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from drivers.event import Event
from rules.model import Answer, Condition, StateView
from rules.tallies import NO_FIELDS


def ask(condition: Condition, view: StateView, event: Event) -> tuple[Answer, Mapping[str, Any]]:
    """Return the answer, and all that was read for it in the order of reading.

    A state is noted as `door_front.contact`, a field as `event.direction`, a call as
    `since('till_1', 'pos.sale', cashier='7')` with its value per device. What a short circuit left
    out is not. Before all stand the condition's variables, as `var('walk')`.
    """
    read: dict[str, Any] = {f"var({n!r})": value for n, value in condition.variables.items()}
    heard = cast("Event", _Heard(event, read)) if _asks_event(condition) else event
    return condition.evaluate(_Asked(view, read), heard), read


def _asks_event(condition: Condition) -> bool:
    return any(device == "event" for device, _ in condition.reads)


class _Asked:
    """A StateView that notes what it is asked."""

    __slots__ = ("_read", "_view")

    def __init__(self, view: StateView, read: dict[str, Any]) -> None:
        self._view, self._read = view, read

    def state(self, device: str, state: str) -> str:
        value = self._read[f"{device}.{state}"] = self._view.state(device, state)
        return value

    def since(self, device: str, kind: str, fields: Mapping[str, Any] = NO_FIELDS) -> float | None:
        value = self._view.since(device, kind, fields)
        self._read[f"since({device!r}, {kind!r}{_with(fields)})"] = value
        return value

    def held(self, device: str, state: str) -> float | None:
        value = self._read[f"held({device!r}, {state!r})"] = self._view.held(device, state)
        return value

    def count(
        self, device: str, kind: str, within: float, fields: Mapping[str, Any] = NO_FIELDS
    ) -> int | None:
        value = self._view.count(device, kind, within, fields)
        self._read[f"count({device!r}, {kind!r}, '{within:g}s'{_with(fields)})"] = value
        return value


def _with(fields: Mapping[str, Any]) -> str:
    words: Mapping[Any, str] = {True: "yes", False: "no"}
    shown = {n: words[v] if isinstance(v, bool) else v for n, v in fields.items()}
    return "".join(f", {name}={value!r}" for name, value in shown.items())


class _Fields(dict[str, Any]):
    """Fields of an event that note which of them are read."""

    def __init__(self, fields: Mapping[str, Any], read: dict[str, Any]) -> None:
        super().__init__(fields)
        self._read = read

    def get(self, name: str, default: Any = None) -> Any:
        value = self._read[f"event.{name}"] = super().get(name, default)
        return value


class _Heard:
    """An event, as far as conditions ask for it."""

    __slots__ = ("_event", "_read", "fields")

    def __init__(self, event: Event, read: dict[str, Any]) -> None:
        self._event, self._read = event, read
        self.fields = _Fields(event.fields, read)

    @property
    def device(self) -> str:
        value = self._read["event.device"] = self._event.device
        return value

    @property
    def kind(self) -> str:
        value = self._read["event.signal"] = self._event.kind
        return value
