"""The laws of the rules engine, each tried with thousands of random rules and histories.

Run: ./dev prove rules [--examples N] [NAME]. A law is tests/rules/laws.py's; among them that the
engine decides exactly as a slow reference does, and that restarts, wake-ups, other rules and the
start time change nothing. Ends with 1 and the smallest example when one does not hold.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.rules.laws import LAWS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=5000, help="of each law")
    parser.add_argument("name", nargs="?", default="", help="part of a law's name; all")
    chosen = parser.parse_args()
    broken = 0
    print(f"{'law':44} {'examples':>9} {'s':>7}")
    for law in (law for law in LAWS if chosen.name in law.name):
        began = time.monotonic()
        result = ""
        try:
            law.hold(chosen.examples)
        except AssertionError as error:
            broken += 1
            result = f"  does not hold\n{error}\n" + "\n".join(getattr(error, "__notes__", ()))
        took = time.monotonic() - began
        print(
            f"{law.name.replace('_', ' '):44} {chosen.examples:9} {took:7.0f}{result}", flush=True
        )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
