"""The laws of the engine, each with random rules and histories; ./dev prove rules tries more."""

from __future__ import annotations

import pytest

from tests.rules.laws import LAWS, Law


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_it_holds(law: Law) -> None:
    law.hold(examples=100)
