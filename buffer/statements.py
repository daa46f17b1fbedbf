"""What the device key signs, byte by byte: a head of the chain, a folded run, an export.

Each is ASCII text: a line that says what it is, then one line a value, each ended by a line feed.
Links and digests are in lower-case hexadecimal, numbers in decimal. docs/evidence.md describes
them for those who check without this program.
"""


def head(journal: str, sequence: int, link: bytes, at: str) -> bytes:
    """Return what is signed of record `sequence`: that `link` stood for it and all before at `at`.

    `at` is RFC 3339, UTC, as the wall clock of the box stood.
    """
    return _lines("storewarden head 1", journal, str(sequence), link.hex(), at)


def run(journal: str, first: int, last: int, before: bytes, link: bytes) -> bytes:
    """Return what is signed of records whose hashes went: `before` them and `link` of the last."""
    return _lines("storewarden folded 1", journal, str(first), str(last), before.hex(), link.hex())


def export(journal: str, digest: str) -> bytes:
    """Return what is signed of an export with this SHA-256 of all bytes before its end."""
    return _lines("storewarden export 1", journal, digest)


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("ascii", "backslashreplace")
