"""The lock: every package a box runs, pinned, with the hash of each wheel that a target takes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

from release.targets import Target

TREE = Path(__file__).resolve().parents[1]
LOCK = TREE / "release" / "requirements.txt"
EXTRAS = ("gpio", "fast", "sparkplug")
"""What a box has beside the base: GPIO lines, the faster loop, the Sparkplug profile."""
HEAD = """\
# Every package a box runs beside Storewarden itself, with the hashes of the wheels that a release
# holds: x86_64 and aarch64, Python 3.11 and 3.13, no source. Written by `./dev lock`.
"""
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)(?:\s*;\s*(.*?))?\s*\\?$")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One package of the lock."""

    name: str
    """Normalised, such as prometheus-client."""
    version: str
    marker: str
    """Where it is needed, in the words of PEP 508; empty: everywhere."""
    hashes: tuple[str, ...]
    """SHA-256 of the files that may be installed, sorted."""

    def wanted(self, where: Target) -> bool:
        return not self.marker or Marker(self.marker).evaluate({**where.markers()})

    def text(self, *, marked: bool = True) -> str:
        """Return it as a requirement that pip reads; `marked`: with its marker."""
        first = f"{self.name}=={self.version}"
        if marked and self.marker:
            first += f" ; {self.marker}"
        return " \\\n    ".join((first, *(f"--hash=sha256:{one}" for one in self.hashes))) + "\n"


def parse(text: str) -> tuple[Pin, ...]:
    """Return the pins of a lock, in its order.

    Raises:
        ValueError: a line is neither a pin, a hash nor a comment.
    """
    pins: list[Pin] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if (found := HASH.fullmatch(bare.removesuffix("\\").strip())) and pins:
            last = pins[-1]
            hashes = tuple(sorted({*last.hashes, found[1]}))
            pins[-1] = Pin(name=last.name, version=last.version, marker=last.marker, hashes=hashes)
        elif pin := PIN.fullmatch(bare):
            name = canonicalize_name(pin[1])
            pins.append(Pin(name=name, version=pin[2], marker=pin[3] or "", hashes=()))
        else:
            raise ValueError(f"line {number} is neither a pin nor a hash: {bare[:60]}")
    return tuple(pins)


def read(path: Path = LOCK) -> tuple[Pin, ...]:
    """Return the pins of the lock in the tree."""
    return parse(path.read_text(encoding="utf-8"))


def compile_pins(tree: Path = TREE) -> tuple[Pin, ...]:
    """Ask the package index what pyproject.toml comes to, with the hashes of all files there are.

    Raises:
        subprocess.CalledProcessError: uv could not; it has said why.
    """
    words = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--no-build"]
    words += ["--generate-hashes", "--no-annotate", "--no-header", "--python-version", "3.11"]
    words += [word for extra in EXTRAS for word in ("--extra", extra)]
    words += ["pyproject.toml", "release/installer.in"]
    done = subprocess.run(words, cwd=tree, check=True, stdout=subprocess.PIPE, text=True)
    return parse(done.stdout)


def trimmed(pins: Sequence[Pin], kept: frozenset[str]) -> tuple[Pin, ...]:
    """Return `pins` with those hashes alone that are in `kept`, without those that have none."""
    few = (
        Pin(
            name=pin.name,
            version=pin.version,
            marker=pin.marker,
            hashes=tuple(one for one in pin.hashes if one in kept),
        )
        for pin in pins
    )
    return tuple(pin for pin in few if pin.hashes)
