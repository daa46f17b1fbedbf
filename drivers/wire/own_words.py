"""What a device says of itself, made fit for one line of a terminal or a file."""

from __future__ import annotations

LONGEST = 100
"""Characters."""


def printable(text: str) -> str:
    """Return `text` on one line, without what a terminal or a file could take for more than text.

    At most LONGEST characters.
    """
    kept = "".join(c if c.isprintable() else " " for c in text[: 4 * LONGEST])
    return " ".join(kept.split())[:LONGEST]
