"""Who signed a bundle, and whether it is what was signed."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

SIGNERS = Path("/etc/storewarden/release-signers")
NAMESPACE = "storewarden-release"
IDENTITY = "release"
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")
_PIECE = 1 << 20


class NotTrusted(Exception):
    """The bundle is not one that this box may run; the text says why."""


def verify(folder: Path, signers: Path, *, unsigned: bool) -> None:
    """See that `folder` holds what a trusted signer has signed, and nothing else.

    Where the box trusts no signer, a bundle is taken that has right sums, if `unsigned` is said.

    Raises:
        NotTrusted: it does not.
    """
    if signers.exists():
        _verify_signature(folder, signers)
    elif not unsigned:
        raise NotTrusted(
            f"this box trusts no signer: {signers} is missing; --unsigned takes any bundle"
        )
    _verify_sums(folder)


def _verify_signature(folder: Path, signers: Path) -> None:
    if not (folder / SIGNATURE).is_file():
        raise NotTrusted(f"the bundle is not signed: it has no {SIGNATURE}")
    words = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", IDENTITY]
    words += ["-n", NAMESPACE, "-s", str(folder / SIGNATURE)]
    try:
        with (folder / SUMS).open("rb") as signed:
            done = subprocess.run(  # noqa: S603 - the words are ours
                words, stdin=signed, capture_output=True, text=True, timeout=60.0
            )
    except FileNotFoundError as missing:
        raise NotTrusted(f"the signature can't be verified: {missing.filename}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise NotTrusted(f"the signature is not good: {said[-1] if said else 'ssh-keygen says so'}")


def _verify_sums(folder: Path) -> None:
    try:
        listed = sums((folder / SUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotTrusted(f"{SUMS} can't be read: {error}") from None
    there = {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    for name in sorted(there - {SUMS, SIGNATURE} - listed.keys()):
        raise NotTrusted(f"{name} is in the bundle and not in {SUMS}")
    for name, known in listed.items():
        if name not in there or (folder / name).is_symlink():
            raise NotTrusted(f"{name} is missing")
        if sum_of(folder / name) != known:
            raise NotTrusted(f"{name} is not what was signed")


def sums(text: str) -> dict[str, str]:
    """Return the sums by name.

    Raises:
        ValueError: a line is none.
    """
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{line!r} is no sum")
        found[match[2].removeprefix("./")] = match[1]
    return found


def sum_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    made = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            made.update(piece)
    return made.hexdigest()
