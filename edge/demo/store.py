"""The simulated store: an I/O module, an EAS gateway and a fire panel's printer on loopback."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from drivers.lines import modbus_profile
from drivers.lines.modbus_map import ModuleMap
from drivers.sim import modbus as modbus_sim
from drivers.sim import text as text_sim
from drivers.sim.modbus import ModbusSimulator
from drivers.sim.text import SimulatedSender

MODULE, GATEWAY, PRINTER = "tcp://127.0.0.1:1502", "tcp://127.0.0.1:4055", "/run/storewarden-demo"
HTTP, STATE = "127.0.0.1:9464", "/var/lib/storewarden-demo"
"""What stands in the example's files, and is replaced by what is free on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What the story acts on."""

    module: ModbusSimulator
    gateway: SimulatedSender
    printer: SimulatedSender
    http: str
    """`host:port` of the daemon's HTTP."""


def example() -> Path:
    """Return the folder of the demo store: in the installed package, else in the tree."""
    here = Path(__file__).resolve().parents[1]
    shipped = here / "demo_store"
    return shipped if shipped.is_dir() else here.parent / "examples" / "demo_store"


def module_map() -> ModuleMap:
    """Return the register map of the example's I/O module, as its devices.yaml writes it."""
    written = yaml.safe_load((example() / "devices.yaml").read_text())["io"]["annex"]
    lines = {"inputs": written["inputs"], "outputs": written["outputs"]}
    return modbus_profile.parse(yaml.safe_dump(lines))


@asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[Store]:
    """Run the store's hardware until the block ends; its tty appears in `folder`."""
    link = folder / "printer"
    async with (
        modbus_sim.simulate(module_map()) as module,
        text_sim.simulate("tcp", separator=b"|") as gateway,
        text_sim.simulate("pty", link=link, separator=b";") as printer,
    ):
        for line in ("di1", "di2", "di5"):  # doors closed, trouble relay energised
            module.set(line, True)  # noqa: FBT003 - a level is a bool
        yield Store(module=module, gateway=gateway, printer=printer, http=f"127.0.0.1:{_free()}")


def configured(folder: Path, store: Store, broker: str | None) -> Path:
    """Return a copy of the example in `folder` that fits the simulated store."""
    copy = folder / "config"
    shutil.copytree(example(), copy)
    changes = {
        MODULE: store.module.url,
        GATEWAY: store.gateway.url,
        f"{PRINTER}/printer": str(folder / "printer"),
        HTTP: store.http,
        STATE: str(folder / "state"),
    }
    for path in sorted(copy.rglob("*.yaml")):
        text = path.read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        path.write_text(text)
    if broker is not None:
        site = copy / "site.yaml"
        site.write_text(f'{site.read_text()}mqtt: {{url: "{broker}"}}\n')
    return copy


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
