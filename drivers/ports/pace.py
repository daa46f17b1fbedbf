"""Keep one sender from taking the time of all others."""

from __future__ import annotations

import asyncio


class Pace:
    """A bucket of bytes for one sender: bursts pass at once, a flood is read at the rate.

    What is not read waits in the sender or in the kernel, never here.
    """

    RATE = 128 * 1024
    """Bytes a second; ten times what the fastest usual serial line delivers."""
    BURST = 256 * 1024

    def __init__(self) -> None:
        self._left = float(self.BURST)
        self._at = asyncio.get_running_loop().time()

    async def took(self, size: int) -> None:
        """Let the others run, and wait if this sender has been read too fast."""
        now = asyncio.get_running_loop().time()
        self._left = min(float(self.BURST), self._left + (now - self._at) * self.RATE) - size
        self._at = now
        await asyncio.sleep(max(0.0, -self._left / self.RATE))
