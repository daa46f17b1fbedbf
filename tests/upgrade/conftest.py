"""One store on a booted Debian 12, and the releases to come, for all tests of upgrades."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import broken_releases
from release import bundle
from tests import booted
from tests.broker import Broker, free_port
from tests.upgrade.installed import Installed, install


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of this tree."""
    booted.require()
    return bundle.build(tmp_path_factory.mktemp("first"), ["x86_64-3.11"])


@pytest.fixture(scope="session")
def store(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    folder = tmp_path_factory.mktemp("store")
    with booted.boot("bookworm", name="store") as system:
        port = free_port()
        with Broker(folder, options=[f"listener {port} {system.gateway}"]):
            url = f"mqtt://{system.gateway}:{port}"
            yield install(system, first, url, folder)


@pytest.fixture(scope="session")
def later(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as another version."""
    return broken_releases.made(first, tmp_path_factory.mktemp("later"), "0.1.1")
