"""The box's own Ed25519 key: made once, kept beside the journal, never shown.

The file `device.key` has mode 0600 and two lines, `ed25519-seed HEX` and `ed25519-public HEX`; the
second one tells a damaged file from a whole one. A key is never overwritten: a damaged file is set
aside, one that cannot be read is left alone, and the caller is told in words meant for people.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

NAME = "device.key"
_MODE = 0o600
_SIZE = 64
"""Hexadecimal digits of a seed, and of a public key."""
_MOST = 1024


class DeviceKey:
    """Signs. Holds the private key and shows the public one only."""

    __slots__ = ("_signing", "public")

    def __init__(self, seed: bytes) -> None:
        """`seed` are 32 random bytes."""
        from nacl.signing import SigningKey

        self._signing = SigningKey(seed)
        self.public: str = self._signing.verify_key.encode().hex()
        """The public key, 64 hexadecimal digits."""

    def __repr__(self) -> str:
        return f"DeviceKey(public={self.public})"

    def __reduce__(self) -> str:
        raise TypeError("a device key stays where it is")

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature."""
        return self._signing.sign(message).signature


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNews:
    """What has to be said of the key."""

    what: Literal["made", "exposed", "unusable"]
    """`exposed`: others could read it; `unusable`: there is a reason why nothing is signed."""
    reason: str


class KeyUnusable(Exception):
    """The file cannot be read now."""


class KeyDamaged(Exception):
    """The file is there and is no key."""


def verify(public: str, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` of `message` was made with the key of `public` (hexadecimal)."""
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(bytes.fromhex(public)).verify(message, signature)
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def load(folder: Path) -> DeviceKey | None:
    """Return the key in `folder`, None where there is none.

    Raises:
        KeyUnusable: it cannot be read.
        KeyDamaged: it can, and is no key.
    """
    return _read(folder / NAME)[0]


def public_of(folder: Path) -> str | None:
    """Return the public key of `folder`, if there is a key that can be read."""
    try:
        key = load(folder)
    except (KeyUnusable, KeyDamaged):
        return None
    return None if key is None else key.public


def load_or_make(folder: Path) -> tuple[DeviceKey | None, tuple[KeyNews, ...]]:
    """Return the key in `folder`, making one where there is none, and what has to be said of it.

    Never raises for the disk's sake: without a key the journal goes on unsigned.
    """
    path = folder / NAME
    news: list[KeyNews] = []
    why = "there was none"
    try:
        key, mode = _read(path)
        if key is not None:
            if mode & ~_MODE:
                news.append(_exposed(path, mode))
            return key, tuple(news)
    except KeyUnusable as error:
        return None, (KeyNews(what="unusable", reason=str(error)),)
    except KeyDamaged as error:
        try:
            why = f"{error}; it is kept as {_set_aside(path).name}"
        except OSError as failed:
            reason = f"{error}, and cannot be set aside: {failed.strerror or failed}"
            return None, (KeyNews(what="unusable", reason=reason),)
    try:
        made = _make(path)
    except (OSError, KeyUnusable, KeyDamaged) as error:
        said = getattr(error, "strerror", None) or error
        reason = f"{path} cannot be made: {said}; {why}"
        return None, (KeyNews(what="unusable", reason=reason),)
    return made, (KeyNews(what="made", reason=why),)


def _read(path: Path) -> tuple[DeviceKey | None, int]:
    """Return the key, or None, and the file's mode."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None, 0
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be read: {error.strerror}") from None
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise KeyUnusable(f"{path} is no file")
        text = os.read(file, _MOST)
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(file)
    key = _parsed(text)
    if key is None:
        raise KeyDamaged(f"{path} is damaged")
    return key, stat.S_IMODE(about.st_mode)


def _parsed(text: bytes) -> DeviceKey | None:
    found: dict[bytes, bytes] = {}
    for line in text.splitlines():
        name, _, value = line.partition(b" ")
        found[name] = value
    seed, public = found.get(b"ed25519-seed", b""), found.get(b"ed25519-public", b"")
    try:
        key = DeviceKey(bytes.fromhex(seed.decode("ascii"))) if len(seed) == _SIZE else None
    except ValueError:
        return None
    return key if key is not None and key.public.encode() == public else None


def _exposed(path: Path, mode: int) -> KeyNews:
    said = f"{path} had mode {mode:04o}: others may have read it"
    try:
        path.chmod(_MODE)
    except OSError as error:
        return KeyNews(what="exposed", reason=f"{said}; it stays so: {error.strerror}")
    return KeyNews(what="exposed", reason=f"{said}; it is {_MODE:04o} now")


def _set_aside(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return path.rename(aside)


def _make(path: Path) -> DeviceKey | None:
    """Make a key, unless somebody else just did; returns the one that is there then."""
    seed = os.urandom(32)
    key = DeviceKey(seed)
    fresh = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        os.fchmod(file, _MODE)
        os.write(file, f"ed25519-seed {seed.hex()}\ned25519-public {key.public}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
    try:
        # A link refuses to take the place of a file; a rename would not.
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)
    finally:
        fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return _read(path)[0]
