"""The machines a release is made for: which wheels and markers fit each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

GLIBC = 36
"""Of Debian 12 (2.36). Debian 13 has 2.41; a wheel that needs more than this fits neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A processor and a Python."""

    machine: str
    """As `uname -m` says it."""
    python: str
    """Such as 3.11."""

    @property
    def name(self) -> str:
        return f"{self.machine}-{self.python}"

    def platforms(self) -> Iterator[str]:
        """Yield the platform tags of wheels that run there, the newest first."""
        for minor in range(GLIBC, 16, -1):
            yield f"manylinux_2_{minor}_{self.machine}"
        yield f"manylinux2014_{self.machine}"
        if self.machine == "x86_64":
            for minor in range(16, 4, -1):
                yield f"manylinux_2_{minor}_{self.machine}"
            yield f"manylinux2010_{self.machine}"
            yield f"manylinux1_{self.machine}"
        yield f"linux_{self.machine}"

    def markers(self) -> dict[str, str]:
        """Return what the environment markers of a requirement are asked against there."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


TARGETS = tuple(
    Target(machine=machine, python=python)
    for machine in ("x86_64", "aarch64")
    for python in ("3.11", "3.13")
)


def target(name: str) -> Target:
    """Return the target of that name.

    Raises:
        ValueError: there is none; the message names those there are.
    """
    for one in TARGETS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in TARGETS)
    wrote = re.sub(r"[^\w.-]", "?", name)
    raise ValueError(f"no release is made for {wrote}: it is {known}")
