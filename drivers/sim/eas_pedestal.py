"""Simulated EAS pedestals: a relay that pulses as real ones do, and a gateway that writes text."""

from __future__ import annotations

import asyncio
import random

from drivers.sim.wires import Speaker, Wires


class SimulatedPedestal:
    """One alarm contact of a pedestal. Times are seconds; active is `on` unless told otherwise."""

    def __init__(self, wires: Wires, line: str, *, active: bool = True) -> None:
        self._wires = wires
        self._line = line
        self._active = active
        self.pulses = 0
        """How many it has begun."""

    def quiet(self) -> None:
        """Put the contact to rest, as at power-up."""
        self._wires.set(self._line, not self._active)

    async def pulse(self, width: float = 0.1) -> None:
        """Give one clean pulse."""
        self.pulses += 1
        self._wires.set(self._line, self._active)
        await asyncio.sleep(width)
        self._wires.set(self._line, not self._active)

    async def retrigger(self, pulses: int = 6, *, width: float = 0.1, gap: float = 0.4) -> None:
        """Give a burst: a tag that stays between the pedestals."""
        for _ in range(pulses):
            await self.pulse(width)
            await asyncio.sleep(gap)

    async def pause_limited(
        self, seconds: float = 10.0, *, width: float = 0.1, pause: float = 3.0
    ) -> None:
        """Detect for `seconds`, with the output forced low for `pause` after each pulse."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            await self.pulse(width)
            await asyncio.sleep(pause)

    async def chatter(self, edges: int = 20, *, within: float = 0.05, seed: int = 0) -> None:
        """Bounce: many short edges, then rest."""
        cuts = random.Random(seed)
        for _ in range(edges // 2):
            await self.pulse(cuts.uniform(0.1, 0.9) * within / edges)
            await asyncio.sleep(cuts.uniform(0.1, 0.9) * within / edges)

    async def stuck(self, seconds: float = 300.0) -> None:
        """Stay active: a welded relay, or a tag left at the gate."""
        await self.pulse(seconds)

    async def phantom_storm(self, minutes: float = 1.0, *, per_minute: float = 30.0) -> None:
        """Ring without a tag, on and on."""
        for _ in range(round(minutes * per_minute)):
            await self.pulse(0.1)
            await asyncio.sleep(60 / per_minute - 0.1)

    def cut(self) -> None:
        """Cut the wire: a plain contact reads as off from now on."""
        self._wires.set(self._line, False)  # noqa: FBT003 - a level is a bool


class SimulatedGateway:
    """A gateway that writes the records of the profile `text_generic`."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    def alarm(self, aisle: int = 1, direction: str = "") -> None:
        """Say an alarm; `direction` is `in`, `out` or nothing."""
        self._speaker.say(f"ALARM {aisle} {direction.upper()}".strip())

    def alarm_ended(self, aisle: int = 1) -> None:
        self._speaker.say(f"ALARM END {aisle}")

    def metal(self, aisle: int = 1) -> None:
        self._speaker.say(f"METAL {aisle}")

    def jammer(self, aisle: int = 1) -> None:
        self._speaker.say(f"JAMMER {aisle}")

    def deactivated(self, till: int) -> None:
        self._speaker.say(f"DEACTIVATED {till}")

    def visitors(self, entered: int, left: int) -> None:
        self._speaker.say(f"VISITORS IN {entered} OUT {left}")

    def heartbeat(self) -> None:
        self._speaker.say("OK")

    def noise(self, size: int = 40, *, seed: int = 0) -> None:
        """Say random bytes."""
        self._speaker.raw(random.Random(seed).randbytes(size))
