"""A simulator by the name of its type, and what may be said to it, for people who try things."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.sim import modbus, text
from drivers.sim.beacon import SimulatedBeacon
from drivers.sim.button import SimulatedButton
from drivers.sim.contact import SimulatedContact
from drivers.sim.door import SimulatedDoor
from drivers.sim.eas_pedestal import SimulatedGateway, SimulatedPedestal
from drivers.sim.fire_panel import SimulatedPrinter, SimulatedRelays
from drivers.sim.lock import SimulatedLock
from drivers.sim.siren import SimulatedSiren
from drivers.sim.switch import SimulatedSwitch

ON_INPUTS: dict[str, Callable[[Any], Any]] = {
    "eas_pedestal": lambda module: SimulatedPedestal(module, "di0"),
    "door": lambda module: SimulatedDoor(module, "di0", "di1"),
    "fire_panel": lambda module: SimulatedRelays(module, "di0", "di1", "di2"),
    "button": lambda module: SimulatedButton(module, "di0"),
    "contact": lambda module: SimulatedContact(module, "di0"),
}
"""Devices on the inputs of a simulated I/O module (profile moxa_e1214)."""

ON_OUTPUTS: dict[str, type[Any]] = {
    "siren": SimulatedSiren,
    "beacon": SimulatedBeacon,
    "switch": SimulatedSwitch,
    "lock": SimulatedLock,
}
"""Devices on the output do0 of a simulated I/O module; they show what is written."""

BY_TEXT: dict[str, tuple[bytes, Callable[[Any], Any]]] = {
    "eas_gateway": (b"|", SimulatedGateway),
    "fire_printer": (b";", SimulatedPrinter),
}

WAITING = frozenset({"serve", "connected", "wait_output", "until_asked"})
"""What the actors offer to programs only: it waits for something."""
_NAMED = re.compile(r"[a-z_]+=")

TYPES = sorted({"modbus", "text", "onvif_camera", "recorder", *ON_INPUTS, *ON_OUTPUTS, *BY_TEXT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A running simulator."""

    url: str
    """What to write as `url:` or `host:` in devices.yaml."""
    actors: tuple[Any, ...]
    """What takes words, the nearest to people first."""
    outputs: Any = None
    """The module whose outputs are shown, if any."""

    def words(self) -> dict[str, inspect.Signature]:
        """Return what may be said to it, with the arguments."""
        found: dict[str, inspect.Signature] = {}
        for actor in self.actors:
            for name, method in inspect.getmembers(actor, inspect.ismethod):
                if not name.startswith("_") and name not in found and name not in WAITING:
                    found[name] = inspect.signature(method)
        return found

    async def say(self, line: str) -> str:
        """Do what `line` says, `pulse di0 0.1`; return what is wrong with it, or nothing.

        `walk_out open_for=2` names an argument; `fault NAME VALUE` sets a fault of the simulator.
        """
        word, *arguments = line.split()
        values = [_value(a) for a in arguments if not _NAMED.match(a)]
        named = {
            n: _value(v) for a in arguments if _NAMED.match(a) for n, _, v in [a.partition("=")]
        }
        if word == "fault" and len(values) == 2:
            return self._fault(str(values[0]), values[1])
        for actor in self.actors:
            method = getattr(actor, word, None)
            if word in self.words() and callable(method):
                if word in {"say", "raw"} and arguments:
                    text_, named = line.split(maxsplit=1)[1], {}
                    values = [text_.encode() if word == "raw" else text_]
                try:
                    done = method(*values, **named)
                    if inspect.isawaitable(done):
                        await done
                except (
                    ArithmeticError,
                    AssertionError,
                    AttributeError,
                    LookupError,
                    OSError,
                    TypeError,
                    ValueError,
                ) as error:
                    return f"{word}: {error}"
                return ""
        return f"unknown word {word!r}; known: {', '.join(self.words())}, fault NAME VALUE"

    def _fault(self, name: str, value: Any) -> str:
        for actor in self.actors:
            for holder in (getattr(actor, "faults", None), actor):
                if holder is not None and not name.startswith("_") and hasattr(holder, name):
                    setattr(holder, name, value)
                    return ""
        return f"there is no fault {name!r}"


def _value(text_: str) -> Any:
    words: dict[str, Any] = {"on": True, "yes": True, "off": False, "no": False, "none": None}
    if text_ in words:
        return words[text_]
    for kind in (int, float):
        try:
            return kind(text_)
        except ValueError:
            continue
    return text_


@asynccontextmanager
async def simulation(
    kind: str, *, port: int = 0, profile: str = "moxa_e1214", link: Path | None = None
) -> AsyncIterator[Simulation]:
    """Run the simulator of the type `kind` until the block ends; KeyError when there is none."""
    async with AsyncExitStack() as stack:
        if kind == "onvif_camera":
            from drivers.sim.onvif_camera import OnvifCameraSimulator

            camera = await stack.enter_async_context(OnvifCameraSimulator(port=port))
            yield Simulation(url=camera.host, actors=(camera,))
        elif kind == "recorder":
            from drivers.sim.recorder import RtspCameraSimulator

            stream = await stack.enter_async_context(RtspCameraSimulator(port=port))
            yield Simulation(url=stream.url, actors=(stream,))
        elif kind == "text" or kind in BY_TEXT:
            separator, made = BY_TEXT.get(kind, (b"\r\n", None))
            way: text.Kind = "pty" if link else "tcp"
            sender = await stack.enter_async_context(
                text.simulate(way, port=port, link=link, separator=separator)
            )
            yield Simulation(url=sender.url, actors=(made(sender), sender) if made else (sender,))
        else:
            if kind != "modbus" and kind not in ON_INPUTS and kind not in ON_OUTPUTS:
                raise KeyError(kind)
            rtu: modbus.Kind = "rtu" if link else "tcp"
            module = await stack.enter_async_context(
                modbus.simulate(profile, kind=rtu, port=port, link=link)
            )
            yield Simulation(
                url=module.url,
                actors=(ON_INPUTS[kind](module), module) if kind in ON_INPUTS else (module,),
                outputs=module,
            )
