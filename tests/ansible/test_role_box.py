"""What the role's module of boxes says of the releases that are there."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.fleet_files import ANSIBLE


def module() -> Any:
    spec = importlib.util.spec_from_file_location(
        "storewarden_box", ANSIBLE / "plugins" / "modules" / "storewarden_box.py"
    )
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize(
    ("python", "complete", "counts"),
    [(sys.executable, True, True), (sys.executable, False, False), ("/no/python", True, False)],
)
def test_a_release_counts_while_it_is_whole_and_its_python_is_there(
    tmp_path: Path,
    python: str,
    complete: bool,
    counts: bool,
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(python)
    if complete:
        (tmp_path / ".complete").touch()
    assert module()._runs(tmp_path) is counts
