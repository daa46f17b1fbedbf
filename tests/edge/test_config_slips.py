"""Slips of the hand anywhere in the examples are found where they were made."""

import random
from pathlib import Path

import pytest

from tests import slips

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/site.yaml"))
EACH = 1
"""Slips of each kind in each example; `./dev prove slips` makes many more."""


@pytest.mark.parametrize("kind", slips.SLIPS)
def test_a_slip_is_found_or_harmless(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))
    made = 0
    for folder in EXAMPLES:
        places = slips.slips(slips.texts(folder), kind, random.Random(f"{folder.name} {kind}"))
        for slip, number in zip(places, range(EACH), strict=False):
            edited = slips.written(folder, tmp_path / f"{folder.name}{number}", slip)
            assert slips.finds(slips.said(edited), slip), (slip.word, slip.written)
            made += 1
    assert made
