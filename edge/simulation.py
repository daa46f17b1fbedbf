"""A simulator by the name of its type, and what may be said to it, for people who try things."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.ports.address import NetAddress
from drivers.ports.framing import separator_bytes
from drivers.sim import modbus, text
from drivers.sim.beacon import SimulatedBeacon
from drivers.sim.button import SimulatedButton
from drivers.sim.contact import SimulatedContact
from drivers.sim.door import SimulatedDoor
from drivers.sim.eas_pedestal import SimulatedGateway, SimulatedPedestal
from drivers.sim.fire_panel import SimulatedPrinter, SimulatedRelays
from drivers.sim.lock import SimulatedLock
from drivers.sim.pos import SimulatedDrawer, SimulatedReceipts, SimulatedTill
from drivers.sim.siren import SimulatedSiren
from drivers.sim.switch import SimulatedSwitch

ON_INPUTS: dict[str, Callable[[Any], Any]] = {
    "eas_pedestal": lambda module: SimulatedPedestal(module, "di0"),
    "door": lambda module: SimulatedDoor(module, "di0", "di1"),
    "fire_panel": lambda module: SimulatedRelays(module, "di0", "di1", "di2"),
    "button": lambda module: SimulatedButton(module, "di0"),
    "contact": lambda module: SimulatedContact(module, "di0"),
    "drawer": lambda module: SimulatedDrawer(module, "di0"),
}
"""Devices on the inputs of a simulated I/O module (profile moxa_e1214)."""

ON_OUTPUTS: dict[str, type[Any]] = {
    "siren": SimulatedSiren,
    "beacon": SimulatedBeacon,
    "switch": SimulatedSwitch,
    "lock": SimulatedLock,
}
"""Devices on the output do0 of a simulated I/O module; they show what is written."""

BY_TEXT: dict[str, dict[str, tuple[bytes, Callable[[Any], Any]]]] = {
    "eas_gateway": {"text_generic": (b"|", SimulatedGateway)},
    "fire_printer": {
        "notifier_afp2800": (b";", lambda sender: SimulatedPrinter(sender, "afp2800")),
        "notifier_nfs3030": (b"\r\n", lambda sender: SimulatedPrinter(sender, "nfs3030")),
        "kidde_fx64": (b"\r\n", lambda sender: SimulatedPrinter(sender, "fx64")),
    },
    "pos": {
        "generic_lines": (b"\r\n", SimulatedTill),
        "generic_receipt": (b"\n", SimulatedReceipts),
    },
    "text": {"": (b"\r\n", lambda sender: sender)},
}
"""What speaks text: profile to what ends its records and who writes them; the first is default."""

WIRED = {
    "eas_pedestal": "alarm: di0",
    "door": "contact: di0, request_to_exit: di1",
    "fire_panel": "alarm: di0, trouble: di1, supervisory: di2",
    "button": "contact: di0",
    "contact": "contact: di0",
    "drawer": "drawer: di0",
    **dict.fromkeys(ON_OUTPUTS, "output: do0"),
}
"""Which lines of the I/O module a device has."""

PORTS = {"generic_receipt": "; its port: strip: escpos, encoding: cp437"}
"""What the text port of a profile needs beside its url."""

FOR_PROGRAMS = frozenset(
    {
        "serve", "connected", "wait_output", "until_asked",
        "listen", "over", "pass_on", "say_in_pieces", "sent",
    }
)  # fmt: skip
"""What the actors offer to programs only: it waits for something, or takes more than words."""
CR_LF = "records end in CR LF"
SIMPLE = (bool, int, float, str, type(None))
FIXED = frozenset({"url", "path", "port", "requests", "connected"})
"""What an actor tells of itself, and nobody sets."""
_NAMED = re.compile(r"[a-z_]+=")

TYPES = sorted(
    {"modbus", "onvif_camera", "onvif_probe", "recorder", *ON_INPUTS, *ON_OUTPUTS, *BY_TEXT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A running simulator."""

    url: str
    """What to write as `url:` or `host:` in devices.yaml; empty when it is the one who calls."""
    actors: tuple[Any, ...]
    """What takes words, the nearest to people first."""
    outputs: Any = None
    """The module whose outputs are shown, if any."""
    about: str = ""
    """What else devices.yaml must say to reach it: profile, unit, lines, login."""

    def words(self) -> dict[str, inspect.Signature]:
        """Return what may be said to it, with the arguments."""
        found: dict[str, inspect.Signature] = {}
        for actor in self.actors:
            for name, _function in inspect.getmembers(type(actor), inspect.isfunction):
                if not name.startswith("_") and name not in found and name not in FOR_PROGRAMS:
                    found[name] = inspect.signature(getattr(actor, name))
        return found

    def usage(self) -> list[str]:
        """Return a line for each word, `pulse INPUT [SECONDS=0.1]` and what it does."""
        return [
            f"{' '.join([word, *_arguments(signature)]):<34}  {self._purpose(word)}".rstrip()
            for word, signature in self.words().items()
        ]

    def faults(self) -> dict[str, Any]:
        """Return what `fault NAME VALUE` may set, with the value now."""
        found: dict[str, Any] = {}
        for actor in reversed(self.actors):
            faults = getattr(actor, "faults", None)
            for holder in (actor,) if faults is None else (actor, faults):
                names = vars(holder) if hasattr(holder, "__dict__") else type(holder).__slots__
                values = {n: getattr(holder, n) for n in names if not n.startswith("_")}
                found |= {
                    n: v for n, v in values.items() if isinstance(v, SIMPLE) and n not in FIXED
                }
        return found

    def _purpose(self, word: str) -> str:
        methods = (getattr(actor, word, None) for actor in self.actors)
        doc = inspect.getdoc(next(m for m in methods if m is not None)) or ""
        return doc.partition("\n")[0]

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
                try:
                    if word in {"say", "raw"} and arguments:
                        text_, named = line.split(maxsplit=1)[1], {}
                        values = [_bytes(text_) if word == "raw" else text_]
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


def _arguments(signature: inspect.Signature) -> list[str]:
    shown = []
    for name, parameter in signature.parameters.items():
        if parameter.default is inspect.Parameter.empty:
            shown.append(name.upper())
        elif isinstance(parameter.default, SIMPLE):
            default = word_for(parameter.default)
            shown.append(f"[{name}={default}]" if default else f"[{name.upper()}]")
    return shown


def word_for(value: Any) -> str:
    """Return how `value` is written to a simulator."""
    if value is None:
        return "none"
    return str(value) if not isinstance(value, bool) else "yes" if value else "no"


def _bytes(text_: str) -> bytes:
    r"""Return the bytes of `P 12\r\n`; knows the escapes of a separator.

    Raises:
        ValueError: an unknown escape.
    """
    return separator_bytes(text_, "utf-8")


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
    kind: str,
    *,
    port: int = 0,
    profile: str | None = None,
    unit: int = 1,
    link: Path | None = None,
    to: NetAddress | None = None,
) -> AsyncIterator[Simulation]:
    """Run the simulator of the type `kind` until the block ends.

    `link`: a serial cable, in place of TCP. `to`: it calls a text port that listens there.

    Raises:
        LookupError: there is no such type or profile.
        OSError: the port is taken, or nobody listens at `to`.
    """
    async with AsyncExitStack() as stack:
        if kind == "onvif_camera":
            from drivers.sim.onvif_camera import OnvifCameraSimulator

            camera = await stack.enter_async_context(OnvifCameraSimulator(port=port))
            about = f"username: {camera.username}, password: {camera.password}"
            yield Simulation(url=camera.host, actors=(camera,), about=about)
        elif kind == "onvif_probe":
            from drivers.sim.onvif_camera import OnvifCameraSimulator
            from drivers.sim.onvif_probe import DiscoverableCamera

            camera = await stack.enter_async_context(OnvifCameraSimulator(port=port))
            told = await stack.enter_async_context(DiscoverableCamera(host=camera.host))
            about = f"username: {camera.username}, password: {camera.password}; answers on `lo`"
            yield Simulation(url=camera.host, actors=(told, camera), about=about)
        elif kind == "recorder":
            from drivers.sim.recorder import RtspCameraSimulator

            stream = await stack.enter_async_context(RtspCameraSimulator(port=port))
            yield Simulation(url=stream.url, actors=(stream,), about="no login")
        elif kind in BY_TEXT:
            named, separator, made = _of_text(kind, profile)
            way: text.Kind = "pty" if link else "tcp"
            called = None
            if to is not None:
                way, called = (
                    ("udp" if to.kind == "udp-listen" else "tcp-client"),
                    (to.host, to.port),
                )
            sender = await stack.enter_async_context(
                text.simulate(way, port=port, link=link, separator=separator, to=called)
            )
            actor = made(sender)
            yield Simulation(
                url=sender.url,
                actors=(sender,) if actor is sender else (actor, sender),
                about=f"profile: {named}{PORTS.get(named, '')}" if named else CR_LF,
            )
        else:
            if kind != "modbus" and kind not in ON_INPUTS and kind not in ON_OUTPUTS:
                raise KeyError(kind)
            rtu: modbus.Kind = "rtu" if link else "tcp"
            profile = profile or "moxa_e1214"
            module = await stack.enter_async_context(
                modbus.simulate(profile, kind=rtu, port=port, link=link, unit=unit)
            )
            lines = f"; its lines: {WIRED[kind]}" if kind in WIRED else ""
            yield Simulation(
                url=module.url,
                actors=(ON_INPUTS[kind](module), module) if kind in ON_INPUTS else (module,),
                outputs=module,
                about=f"profile: {profile}, unit: {unit}{lines}",
            )


def _of_text(kind: str, profile: str | None) -> tuple[str, bytes, Callable[[Any], Any]]:
    """Return the profile, what ends its records and who writes them.

    Raises:
        LookupError: no simulator of that profile.
    """
    known = BY_TEXT[kind]
    named = next(iter(known)) if profile is None else profile
    if named not in known:
        raise LookupError(f"no {kind} of profile {named!r}; known: {', '.join(known) or 'none'}")
    return (named, *known[named])
