"""How the role's module of configurations puts a folder in place, and what it shows of it."""

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ansible.fleet_files import ANSIBLE


def module() -> Any:
    spec = importlib.util.spec_from_file_location(
        "storewarden_config", ANSIBLE / "plugins" / "modules" / "storewarden_config.py"
    )
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


CONFIG = module()
GIVEN: dict[str, Any] = {"secrets_exclusive": False}


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than tmp_path: nothing is exchanged with it at once."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """The configuration of a box, with files that are nobody's but the store's."""
    path = tmp_path / "storewarden"
    for name, text in {
        "site.yaml": "site: old\n",
        "rules/old.yaml": "rules: {}\n",
        "rules/notes.txt": "call Ann\n",
        "secrets/mqtt_key": "made here\n",
        "tls/ca.pem": "an authority\n",
    }.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def put(path: Path, made: Path, files: dict[str, str], secrets: dict[str, str]) -> list[Any]:
    """Do what the module does after the release has accepted the folder; return the diff."""
    wanted = CONFIG._wanted(files, secrets, 0)
    present = CONFIG._present(path)
    gone = [name for name in present if name not in wanted and CONFIG._ours(name, GIVEN)]
    differing = [name for name in sorted(wanted) if present.get(name) != wanted[name]]
    staged = made / "storewarden"
    CONFIG._stage(staged, path, wanted, gone, CONFIG._folders(path, wanted, 0))
    CONFIG._install(staged, path, differing, gone)
    found: list[Any] = CONFIG._diff(differing, gone, present, wanted)
    return found


def texts(path: Path) -> dict[str, str]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_text() for file in sorted(files)}


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given to root")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_folder_has_what_is_given_and_what_is_not_ours(
    there: Path, elsewhere: Path, tmp_path: Path, at_once: bool
) -> None:
    made = tmp_path / "made" if at_once else elsewhere
    made.mkdir(exist_ok=True)
    diff = put(there, made, {"site.yaml": "site: new\n", "rules/new.yaml": "a\n"}, {"pin": "4711"})
    assert texts(there) == {
        "rules/new.yaml": "a\n",
        "rules/notes.txt": "call Ann\n",
        "secrets/mqtt_key": "made here\n",
        "secrets/pin": "4711",
        "site.yaml": "site: new\n",
        "tls/ca.pem": "an authority\n",
    }
    assert [one["after_header"] for one in diff] == [
        "rules/new.yaml", "rules/old.yaml (absent)", "secrets/pin", "site.yaml",
    ]  # fmt: skip
    assert "4711" not in str(diff)
    assert ((there / "secrets/pin").stat().st_mode, (there / "secrets").stat().st_mode) == (
        0o100600,
        0o40700,
    )
    assert (
        put(there, made / "again", {"site.yaml": "site: new\n", "rules/new.yaml": "a\n"}, {}) == []
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="files are given to root")
def test_a_mode_that_was_changed_is_shown_and_put_right(there: Path, tmp_path: Path) -> None:
    files = {"site.yaml": "site: old\n", "rules/old.yaml": "rules: {}\n"}
    (tmp_path / "one").mkdir()
    put(there, tmp_path / "one", files, {})
    (there / "site.yaml").chmod(0o666)
    (tmp_path / "two").mkdir()
    diff = put(there, tmp_path / "two", files, {})
    assert [one["before"] for one in diff] == ["(mode 0666, group 0)\nsite: old\n"]
    assert (there / "site.yaml").stat().st_mode == 0o100640


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b/c", ".hidden", "rules/.x.yaml", ""])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a file in a configuration folder"):
        CONFIG._wanted({name: ""}, {}, 0)
