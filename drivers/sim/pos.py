"""A simulated till: event lines in our own format, and a drawer with a contact."""

from __future__ import annotations

import random

from drivers.sim.wires import Speaker, Wires


class SimulatedTill:
    """Writes the lines of the profile `generic_lines`."""

    def __init__(self, speaker: Speaker, *, end: bytes = b"\r\n", seed: int = 0) -> None:
        self.till = "3"
        self.cashier = "17"
        self.training = False
        """Whether the till is in training mode."""
        self.encoding = "cp437"
        self._speaker = speaker
        self._end = end
        self._random = random.Random(seed)
        self._receipt = 4710

    def sale(self, amount: float = 12.5, items: int = 4) -> None:
        self._say("SALE", receipt=self._next(), amount=f"{amount:.2f}", items=items)

    def refund(self, amount: float = 12.5, original: str = "") -> None:
        """Give money back; without `original` nobody brought a receipt."""
        self._say("REFUND", receipt=self._next(), original=original, amount=f"{amount:.2f}")

    def void(self, amount: float = 3.99, what: str = "line") -> None:
        """Take back a `line`, or a whole `sale`."""
        self._say("VOID", receipt=self._next(), what=what, amount=f"{amount:.2f}")

    def no_sale(self) -> None:
        """Open the drawer with the key for it."""
        self._say("NOSALE")

    def suspend(self, amount: float = 9.0) -> None:
        self._say("SUSPEND", receipt=self._next(), amount=f"{amount:.2f}")

    def recall(self) -> None:
        """Go on with the receipt that was put aside last."""
        self._say("RECALL", receipt=self._receipt)

    def drawer_open(self) -> None:
        self._write(f"DRAWER OPEN till={self.till}")

    def drawer_close(self) -> None:
        self._write(f"DRAWER CLOSED till={self.till}")

    def heartbeat(self) -> None:
        self._write("OK")

    def noise(self, size: int = 40, *, seed: int = 0) -> None:
        """Send random bytes."""
        self._speaker.raw(random.Random(seed).randbytes(size))

    def _next(self) -> int:
        self._receipt += 1
        return self._receipt

    def _say(self, word: str, **values: object) -> None:
        values = {"till": self.till, **values, "cashier": self.cashier}
        if self.training:
            values["training"] = "yes"
        self._write(" ".join([word, *(f"{name}={value}" for name, value in values.items())]))

    def _write(self, record: str) -> None:
        self._speaker.raw(record.encode(self.encoding, "replace") + self._end)


class SimulatedDrawer:
    """The contact of a drawer: on while it is closed."""

    def __init__(self, wires: Wires, line: str) -> None:
        self._wires = wires
        self._line = line

    def open(self) -> None:
        self._wires.set(self._line, False)  # noqa: FBT003 - a level is a bool

    def close(self) -> None:
        self._wires.set(self._line, True)  # noqa: FBT003 - a level is a bool

    def cut(self) -> None:
        """Cut the wire: it reads as open."""
        self.open()
