"""Two minutes in the simulated store: what the world does, and what people on the box do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from edge.demo.store import Store

Person = Callable[[dict[str, object]], Awaitable[None]]
Tell = Callable[[str], None]
FIRE = ":{what} Z001 1.1.Z1 AZF 1 STOCKROOM  22/11 12:00;"


async def play(store: Store, person: Person, tell: Tell) -> None:
    """Play the story once; `person` asks the daemon something, `tell` says what is to be seen."""
    module, gateway, printer = store.module, store.gateway, store.printer
    wait = asyncio.sleep

    tell("The store opens: the emergency exit is locked, the first customers come in.")
    order = {"do": "order", "device": "lock_exit", "command": "relock", "parameters": {}}
    await person({**order, "reason": "opening", "by": "demo"})
    await _door(store, "di1", 1.5)
    gateway.say("VISITORS IN 3 OUT 0")
    await wait(1.5)

    tell("A tag is deactivated at till 2, but another one was forgotten: no siren for who paid.")
    gateway.say("DEACTIVATED 2")
    await wait(1.5)
    await module.pulse("di0", 0.1)
    await wait(7)

    tell("Somebody walks out with a tag on. A 100 ms pulse, and again: one alarm, one siren.")
    for _ in range(3):
        await module.pulse("di0", 0.1)
        await wait(0.6)
    await wait(9)

    tell("The EAS gateway's cable is pulled; it is missed, and nobody else is delayed.")
    gateway.unplug()
    await wait(9)
    await gateway.come_back()
    await wait(4)

    tell("The delivery door stays open. Someone asked to leave, so it is not forced.")
    module.set("di3", True)  # noqa: FBT003 - a level is a bool
    await wait(0.3)
    module.set("di2", False)  # noqa: FBT003
    module.set("di3", False)  # noqa: FBT003
    await wait(15)
    tell("It is closed; the siren ends.")
    module.set("di2", True)  # noqa: FBT003
    await wait(4)

    tell("A theft, and then a fire: the theft siren falls silent, the exit is released.")
    await module.pulse("di0", 0.1)
    await wait(2)
    module.set("di4", True)  # noqa: FBT003
    printer.say(_printed("ALARM"))
    await wait(15)

    tell("Nobody can end the evacuation while the panel is in alarm.")
    await person({"do": "evacuate", "action": "end", "reason": "too early", "by": "demo"})
    await wait(4)

    tell("The panel is reset. A person ends the evacuation, and relocks the exit.")
    module.set("di4", False)  # noqa: FBT003
    printer.say(_printed("RESET ALARM"))
    await wait(3)
    await person({"do": "evacuate", "action": "end", "reason": "all clear", "by": "demo"})
    await wait(2)
    await person({**order, "reason": "all clear", "by": "demo"})
    await wait(6)
    tell("The last customers leave.")
    await _door(store, "di1", 2)
    await wait(10)


def _printed(what: str) -> str:
    return FIRE.format(what=what).removesuffix(";")


async def _door(store: Store, line: str, seconds: float) -> None:
    store.module.set(line, False)  # noqa: FBT003
    await asyncio.sleep(seconds)
    store.module.set(line, True)  # noqa: FBT003
