"""Signatures of releases: made and checked by ssh-keygen, over the list of sums."""

from __future__ import annotations

import subprocess
from pathlib import Path

NAMESPACE = "storewarden-release"
"""Keeps a signature made for anything else, a commit or a file, from passing for a release's."""
PRINCIPAL = "release"
"""Who signs, in the file of allowed signers."""


class SigningFailed(Exception):
    """No signature was made; the message is ssh-keygen's."""


def sign(file: Path, key: Path) -> Path:
    """Sign `file` with the private key `key`; return the signature beside it, FILE.sig.

    Raises:
        SigningFailed: the key can't be used.
    """
    made = file.with_name(f"{file.name}.sig")
    made.unlink(missing_ok=True)
    words = ("ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(file))
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise SigningFailed("ssh-keygen is not installed") from error
    if done.returncode or not made.exists():
        raise SigningFailed(f"ssh-keygen made no signature: {done.stderr.strip()}")
    return made


def signer(public: str) -> str:
    """Return the line of a file of allowed signers that lets the key `public` sign."""
    kind, body, *_ = public.split()
    return f'{PRINCIPAL} namespaces="{NAMESPACE}" {kind} {body}\n'
