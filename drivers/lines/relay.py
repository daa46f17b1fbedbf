"""The output of one device: written as told, said as it is read back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from drivers.contract import Emit, House, LinkLost
from drivers.lines.line import OutputLine, Quality, Reading, Watch
from drivers.settings import OutputSetting
from drivers.signals import LinkUp, OutputMismatch, Signal, StateKnown

FIRST_READ = 10.0
"""Seconds that a module has for its first answer before the device says that its link is down."""
GRACE = 0.25
"""Seconds that an output may read back otherwise than written before it is said."""


class Relay:
    """An output that is active or not."""

    def __init__(self, house: House, setting: OutputSetting) -> None:
        self._line: OutputLine = house.output(setting.line)
        self._active_level = setting.active == "on"
        self._wanted: bool | None = None
        self._writing = False
        self._said_lost = False
        self._news: Watch | None = None

    async def set(self, *, active: bool) -> None:
        """Make the output active or not; return when it was read back so.

        Raises:
            CommandFailed: not connected, refused, or it reads back otherwise.
        """
        self._wanted, self._writing = active, True
        try:
            await self._line.write(on=active is self._active_level)
        finally:
            self._writing = False
            if self._news is not None:
                self._news.put(self._line.reading)

    async def follow(
        self, emit: Emit, *, state: str, values: tuple[str, str], says: Mapping[bool, Signal]
    ) -> None:
        """Say link, `state` and its changes, and a lasting mismatch, until cancelled.

        `values` are the words for active and for not active; `says` the signals for them.

        Raises:
            LinkLost: the output can't be read back, or not any more. While it can't, it is raised
                once; the next call waits, so that the device is back with its module.
        """
        with self._line.watch() as news:
            await self._until_readable(news)
            self._said_lost, self._wanted, self._news = False, None, news
            try:
                await emit(LinkUp())
                shown = self._active(self._line.reading)
                await emit(StateKnown(values={state: _word(values, active=shown)}))
                differs_since: float | None = None
                told = False
                while True:
                    due = None if differs_since is None or told else differs_since + GRACE
                    reading = await _next(news, due)
                    now = asyncio.get_running_loop().time()
                    if reading is not None and reading.quality is not Quality.good:
                        self._lost(reading)
                    active = self._active(self._line.reading if reading is None else reading)
                    if active is not shown:
                        shown = active
                        await emit(says[active])
                    if self._writing or self._wanted is None or active is self._wanted:
                        differs_since, told = None, False
                    elif differs_since is None:
                        differs_since = now
                    elif now >= differs_since + GRACE and not told:
                        told = True
                        wanted = _word(values, active=self._wanted)
                        read = _word(values, active=active)
                        await emit(OutputMismatch(expected=wanted, read=read))
            finally:
                self._news = None

    async def _until_readable(self, news: Watch) -> None:
        deadline = asyncio.get_running_loop().time() + FIRST_READ
        while not self._readable():
            await _next(news, None if self._said_lost else deadline)
            if not self._said_lost and not self._readable():
                self._lost(self._line.reading)
        while news.get_nowait() is not None:
            pass

    def _readable(self) -> bool:
        return self._line.reading.quality is Quality.good

    def _lost(self, reading: Reading) -> None:
        self._said_lost = True
        raise LinkLost(f"{self._line.line}: {reading.reason}")

    def _active(self, reading: Reading) -> bool:
        return reading.level is self._active_level


def _word(values: tuple[str, str], *, active: bool) -> str:
    return values[0] if active else values[1]


async def _next(news: Watch, deadline: float | None) -> Reading | None:
    """Return the next change; None at `deadline`."""
    try:
        async with asyncio.timeout_at(deadline):
            return await news.get()
    except TimeoutError:
        return None
