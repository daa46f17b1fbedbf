"""Simulated tills: event lines, receipts as their printers get them, and a drawer's contact."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from drivers.sim.wires import Speaker, Wires

CARD = "4111 1111 1111 1111"
"""A number made for tests: its check digit is right, and no bank gave it out."""
GOODS = ("MILK 1L", "CAFÉ AU LAIT", "BATTERIES AA", "JÄGERMEISTER 0.7L", "RAZOR BLADES")


class SimulatedTill:
    """Writes the lines of the profile `generic_lines`. The same seed gives the same customers."""

    def __init__(self, speaker: Speaker, *, end: bytes = b"\r\n", seed: int = 0) -> None:
        self.till = "3"
        self.cashier = "17"
        self.training = False
        """Whether the till is in training mode."""
        self.code_page = "cp437"
        """Or cp850, cp858, utf-8: how it writes what is not ASCII."""
        self._speaker = speaker
        self._end = end
        self._random = random.Random(seed)
        self._receipt = 4710

    def sale(self, amount: float = 12.5, items: int = 4) -> None:
        """Sell something."""
        self._write("SALE", receipt=self._next(), amount=f"{amount:.2f}", items=items)

    def refund(self, amount: float = 12.5, original: str = "") -> None:
        """Give money back; without `original` nobody brought a receipt."""
        self._write("REFUND", receipt=self._next(), original=original, amount=f"{amount:.2f}")

    def void(self, amount: float = 3.99, what: str = "line") -> None:
        """Take back a `line`, or a whole `sale`."""
        self._write("VOID", receipt=self._next(), what=what, amount=f"{amount:.2f}")

    def no_sale(self) -> None:
        """Open the drawer with the key for it."""
        self._write("NOSALE", receipt=self._next())

    def suspend(self) -> None:
        """Put a sale aside."""
        self._write("SUSPEND", receipt=self._next())

    def recall(self) -> None:
        """Go on with the receipt that was written last."""
        self._write("RECALL", receipt=self._receipt)

    def drawer_open(self) -> None:
        self._send([f"DRAWER OPEN till={self.till}"])

    def drawer_close(self) -> None:
        self._send([f"DRAWER CLOSED till={self.till}"])

    def card(self) -> None:
        """Write a card number in full, as a till must not."""
        self._send([f"CARD {CARD} APPROVED"])

    def heartbeat(self) -> None:
        self._send(["OK"])

    def customers(self, count: int = 10) -> None:
        """Serve so many customers, mostly with sales."""
        for _ in range(count):
            amount = round(self._random.uniform(0.5, 150.0), 2)
            what = self._random.choices(
                (self.sale, self.refund, self.void, self.no_sale, self.suspend),
                weights=(90, 3, 4, 1, 2),
            )[0]
            if what in (self.sale, self.refund, self.void):
                what(amount)
            else:
                what()
            if what == self.suspend:
                self.recall()

    def noise(self, size: int = 40, *, seed: int = 0) -> None:
        """Send random bytes."""
        self._speaker.raw(random.Random(seed).randbytes(size))

    async def in_pieces(self, amount: float = 12.5, *, pause: float = 0.05) -> None:
        """Sell something, byte by byte, `pause` seconds between them."""
        for byte in self._bytes(self._lines("SALE", receipt=self._next(), amount=f"{amount:.2f}")):
            self._speaker.raw(bytes([byte]))
            await asyncio.sleep(pause)

    def _next(self) -> int:
        self._receipt += 1
        return self._receipt

    def _write(self, word: str, **values: object) -> None:
        self._send(self._lines(word, **values))

    def _lines(self, word: str, **values: object) -> Sequence[str]:
        told = {"till": self.till, **values, "cashier": self.cashier}
        if self.training:
            told["training"] = "yes"
        return [" ".join([word, *(f"{name}={value}" for name, value in told.items())])]

    def _send(self, lines: Sequence[str]) -> None:
        self._speaker.raw(self._bytes(lines))

    def _bytes(self, lines: Sequence[str]) -> bytes:
        return b"".join(line.encode(self.code_page, "replace") + self._end for line in lines)


class SimulatedReceipts(SimulatedTill):
    """Prints receipts that the profile `generic_receipt` reads, for an ESC/POS printer."""

    def __init__(self, speaker: Speaker, *, end: bytes = b"\n", seed: int = 0) -> None:
        super().__init__(speaker, end=end, seed=seed)
        self.logo = True
        """Whether an image is printed above each receipt."""

    def drawer_open(self) -> None:
        """Kick the drawer; a printer does not tell whether it opened."""
        self._speaker.raw(b"\x1bp\x00\x19\xfa")

    def drawer_close(self) -> None:
        """Do nothing: a printer does not hear of it."""

    def heartbeat(self) -> None:
        """Ask for the printer's state."""
        self._speaker.raw(b"\x10\x04\x01")

    def _lines(self, word: str, **values: object) -> Sequence[str]:
        amount = f"{values.get('amount', '0.00')}"
        total = {
            "SALE": f"TOTAL   {values.get('items', 1)} ITEMS{amount:>21}",
            "REFUND": f"REFUND TOTAL{amount:>24}",
            "VOID": "VOID SALE"
            if values.get("what") == "sale"
            else f"VOID {GOODS[0]:<20}-{amount}",
            "NOSALE": "NO SALE",
            "SUSPEND": "SUSPENDED",
            "RECALL": f"RECALLED RECEIPT {values['receipt']}",
        }[word]
        goods = [GOODS[(self._receipt + place) % len(GOODS)] for place in range(2)]
        original = f"REFUND FOR RECEIPT {values['original']}" if values.get("original") else ""
        return [
            f"TILL {self.till}   RECEIPT {values['receipt']}   CASHIER {self.cashier}",
            *(["*** TRAINING ***"] if self.training else []),
            *([original] if original else []),
            *(f"{each:<26}{self._random.uniform(0.5, 30):>10.2f}" for each in goods),
            f"\x1bE\x01{total}\x1bE\x00",
        ]

    def _bytes(self, lines: Sequence[str]) -> bytes:
        pages = {"cp437": 0, "cp850": 2, "cp858": 19}
        page = b"\x1bt" + bytes([pages.get(self.code_page, 0)])
        logo = b"\x1dv0\x00\x04\x00\x02\x00\n\n\n\n\r\r\r\r" if self.logo else b""
        return b"\x1b@" + page + logo + super()._bytes(lines) + b"\x1bd\x03\x1dVA\x00"


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
