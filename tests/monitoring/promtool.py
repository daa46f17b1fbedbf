"""Prometheus' own tool, or a skip where it is not installed; with CI it must be there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
RULES = sorted((MONITORING / "rules").glob("*.yml"))


def require(*programs: str) -> None:
    """Skip, or fail where CI=true, unless these programs are installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {missing}")
    if missing:
        pytest.skip(f"not installed: {missing}; apt-get install prometheus")


def promtool(*words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool to its end."""
    require("promtool")
    command = ["promtool", *map(str, words)]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
