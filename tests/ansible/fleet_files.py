"""What the tests of the fleet share: the plugin's own modules, Ansible's programs, many stores."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "ansible"
sys.path.insert(0, str(ANSIBLE / "plugins" / "plugin_utils"))

stores: Any = importlib.import_module("fleet_stores")
tree: Any = importlib.import_module("fleet_yaml")
rendering: Any = importlib.import_module("fleet_render")


def program(name: str) -> str:
    """Return the path of one of Ansible's programs; without it the test is skipped."""
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    found = shutil.which(name, path=places)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"with CI=true this must run: {name} is not installed")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def ansible(
    name: str, *arguments: str | Path, limit: float = 600.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's programs in the project's folder of it; never raises for its answer."""
    return subprocess.run(
        (program(name), *map(str, arguments)),
        cwd=ANSIBLE,
        env={**os.environ, "LC_ALL": "C.UTF-8", "ANSIBLE_NOCOLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=limit,
        stdin=subprocess.DEVNULL,
    )


def many(folder: Path, number: int) -> Path:
    """Write an inventory of so many stores, on the templates and rules of the example."""
    shutil.copytree(ANSIBLE / "inventory", folder)
    file = folder / "stores.yaml"
    head = file.read_text().split("\nstores:\n")[0]
    lines = [
        f"  store_{n:04d}: {{template: {('small', 'with_tills')[n % 2]}, "
        f"address: 10.{n // 200}.{n % 200}.10, zone: {('north', 'south')[n % 2]}, "
        f"ring: {'canary' if n == number - 1 else 'early' if n < 50 else 'rest'}, "
        f"values: {{net: 10.{n // 200}.{n % 200}}}, vars: {{propped_after: {n % 8 + 1}m}}}}"
        for n in range(number)
    ]
    file.write_text("\n".join((head, "stores:", *lines, "")))
    return file
