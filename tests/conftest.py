"""No test fails because the machine is busy, and those that take longest come first."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("patient", deadline=None)  # hypothesis counts no milliseconds
settings.load_profile("patient")

LONGEST = tuple(Path(__file__).parent / name for name in ("ansible", "upgrade"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with whole booted systems: one at the end would leave the other worker idle."""
    items.sort(key=lambda item: not any(item.path.is_relative_to(one) for one in LONGEST))
