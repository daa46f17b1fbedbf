"""Asks a list of known vulnerabilities about every package of the lock: `./dev audit`.

What could not be asked about is a failure like a vulnerability is: no answer is not a good one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release import lock
from release.lock import Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What came of it."""

    found: tuple[str, ...]
    """One line a vulnerability."""
    unasked: tuple[str, ...]
    """Names of packages that nobody could say anything of."""
    good: int
    """Packages without a known vulnerability."""


def read(answer: dict[str, Any], pins: Sequence[Pin]) -> Audit:
    """Return what pip-audit's answer, in its JSON, says of `pins`."""
    known = {str(one["name"]): one for one in answer["dependencies"]}
    asked = {name: one for name, one in known.items() if "vulns" in one}
    found = tuple(
        f"{name} {one['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or '-'}"
        for name, one in sorted(asked.items())
        for bug in one["vulns"]
    )
    return Audit(
        found=found,
        unasked=tuple(pin.name for pin in pins if pin.name not in asked),
        good=sum(not one["vulns"] for one in asked.values()),
    )


def main(words: Sequence[str]) -> int:
    """Audit the lock; `words` go to pip-audit, such as `--vulnerability-service osv`."""
    pins = lock.read()
    with tempfile.TemporaryDirectory() as made:
        wanted = Path(made, "requirements.txt")
        wanted.write_text("".join(pin.text(marked=False) for pin in pins), encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "-f", "json"]
        command += ["--require-hashes", "--disable-pip", "-r", str(wanted), *words]
        done = subprocess.run(command, capture_output=True, text=True)
    try:
        audit = read(json.loads(done.stdout), pins)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        sys.stderr.write(f"audit: nothing was audited: {last[:300]}\n")
        return 1
    for line in audit.found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{audit.good} of {len(pins)} packages have no known vulnerability\n")
    if audit.unasked:
        names = ", ".join(audit.unasked)
        sys.stderr.write(f"audit: the service knows nothing of {len(audit.unasked)}: {names}\n")
    return 1 if audit.found or audit.unasked else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
