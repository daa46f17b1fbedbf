"""Prove that slips of the hand in configurations are found: every example, many places.

./dev prove slips [--each 50] [--seed 1] [--kind misspelt]

What counts as found, and what as harmless, is decided and written down in tests/slips.py.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests import slips

ROOT = Path(__file__).parents[1]


def main() -> int:
    options = argparse.ArgumentParser(description="find slips of the hand")
    options.add_argument("--each", type=int, default=50, help="of a kind in an example")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--kind", choices=list(slips.SLIPS), action="append")
    chosen = options.parse_args()
    os.environ["CREDENTIALS_DIRECTORY"] = str(ROOT / "examples" / "credentials")
    made: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for folder in sorted(path.parent for path in (ROOT / "examples").glob("*/site.yaml")):
        files = slips.texts(folder)
        for kind in chosen.kind or slips.SLIPS:
            places = slips.slips(files, kind, random.Random(f"{chosen.seed} {folder.name} {kind}"))
            for slip, _ in zip(places, range(chosen.each), strict=False):
                made[kind] += 1
                with tempfile.TemporaryDirectory() as at:
                    said = slips.said(slips.written(folder, Path(at) / "edited", slip))
                if not slips.finds(said, slip):
                    missed[kind] += 1
                    where = f"{folder.name}/{slip.word.file}:{slip.word.line}"
                    print(f"{kind} not found: {where}: {slip.written}")
    for kind, number in made.items():
        print(f"{kind:<12}{number:>6} made{missed[kind]:>6} not found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
