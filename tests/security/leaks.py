"""Look for secrets in anything: as they are, and in the ways that programs write bytes."""

import base64
import binascii
import json
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus


def forms(secret: str) -> set[bytes]:
    """Return how a secret may be written: plain, quoted, escaped, hexadecimal, Base64 at any place.

    Of Base64 the middle, which does not depend on what stands around.
    """
    raw = secret.encode()
    found = {
        raw,
        quote(secret).encode(),
        quote(secret, safe="").encode(),
        quote_plus(secret).encode(),
        json.dumps(secret)[1:-1].encode(),
        repr(secret)[1:-1].encode(),
        binascii.hexlify(raw),
        binascii.hexlify(raw).upper(),
        secret.encode("utf-16-le"),
    }
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        middle = encoded[4 if shift else 0 : -4]
        found |= {middle, middle.replace(b"+", b"-").replace(b"/", b"_")}
    return {form for form in found if len(form) >= 8}


class Search:
    """Looks for some secrets; `seen` tells how much was looked at."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = {form: secret for secret in secrets for form in forms(secret)}
        self.seen: dict[str, int] = {}
        self.leaks: list[str] = []

    def look(self, where: str, data: bytes | str) -> None:
        """Look through one output."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        self.seen[where] = len(raw)
        for form, secret in self._forms.items():
            if form in raw:
                at = raw.index(form)
                self.leaks.append(f"{where}: {secret[:4]}… in {raw[max(at - 60, 0) : at]!r}")

    def files(self, folder: Path) -> None:
        """Look through every file of a folder, and the names of all."""
        for path in sorted(folder.rglob("*")):
            self.look(f"name of {path}", path.name)
            if path.is_file() and not path.is_symlink():
                self.look(str(path), path.read_bytes())

    def process(self, pid: int) -> None:
        """Look at what everybody sees of a process and of its children: words, environment."""
        for one in (pid, *_children(pid)):
            for name in ("cmdline", "environ"):
                try:
                    self.look(f"{name} of {one}", Path(f"/proc/{one}/{name}").read_bytes())
                except OSError:
                    continue  # it has ended


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text() if entry.name.isdecimal() else ""
        except OSError:
            continue
        if stat and int(stat.rpartition(")")[2].split()[1]) == pid:
            found += [int(entry.name), *_children(int(entry.name))]
    return found
