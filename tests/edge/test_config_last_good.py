"""The last good configuration outlives a refused one, and holds no secret."""

import os
from pathlib import Path

import pytest

from edge.config.last_good import keep, load_or_last_good
from edge.config.load import load
from rules.problems import ConfigurationRefused

SITE = "site: store_0421\n"
DEVICES = """\
devices:
  cam: {type: onvif_camera, host: 10.0.0.1, username: warden, password: !secret cam}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    (folder / "secrets").mkdir(parents=True)
    (folder / "devices.d").mkdir()
    (folder / "site.yaml").write_text(SITE)
    (folder / "devices.yaml").write_text(DEVICES)
    (folder / "devices.d" / "more.yaml").write_text("groups: {cameras: [cam]}\n")
    secret = folder / "secrets" / "cam"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir()
    return state


def test_a_refused_folder_gives_the_kept_configuration_and_says_why(
    folder: Path, state: Path
) -> None:
    good = load(folder)
    assert keep(good, state)
    (folder / "site.yaml").write_text("site: Store\n")

    found, refused = load_or_last_good(folder, state)

    assert found.hash == good.hash
    assert found.site.site == "store_0421"
    assert found.groups == {"cameras": ("cam",)}
    assert found.folder == folder
    assert refused
    assert [str(problem) for problem in refused.errors] == [
        "site.yaml:1:7: 'Store' is not a site's id\n    small letters, digits, _ and -"
    ]


def test_a_good_folder_is_used_as_it_is(folder: Path, state: Path) -> None:
    found, refused = load_or_last_good(folder, state)

    assert refused is None
    assert found.folder == folder


def test_secrets_are_not_copied_and_are_looked_up_in_the_original_folder(
    folder: Path, state: Path
) -> None:
    keep(load(folder), state)

    copied = [p for p in state.rglob("*") if p.is_file()]
    assert sorted(p.name for p in copied) == ["devices.yaml", "more.yaml", "site.yaml"]
    assert not any(b"hunter2" in p.read_bytes() for p in copied)
    (folder / "site.yaml").unlink()
    found, _refused = load_or_last_good(folder, state)
    assert found.devices["cam"].driver.password.reveal() == "hunter2"  # type: ignore[attr-defined]


def test_nothing_is_kept_when_the_files_changed_after_they_were_accepted(
    folder: Path, state: Path
) -> None:
    good = load(folder)
    keep(good, state)
    (folder / "site.yaml").write_text("site: store_0422\n")
    changed = load(folder)
    (folder / "site.yaml").write_text("site: nobody_checked_me\n")

    assert not keep(changed, state)
    assert load(state / "last_good", secrets_of=folder).hash == good.hash


def test_the_newest_good_one_replaces_the_one_before(folder: Path, state: Path) -> None:
    keep(load(folder), state)
    (folder / "site.yaml").write_text("site: store_0422\n")
    newer = load(folder)

    assert keep(newer, state)
    assert keep(newer, state)

    assert load(state / "last_good", secrets_of=folder).site.site == "store_0422"
    assert sorted(p.name for p in state.iterdir()) == ["last_good", f"last_good.{newer.hash}"]


def test_without_a_kept_one_the_refusal_is_that_of_the_folder(folder: Path, state: Path) -> None:
    (folder / "site.yaml").write_text("site: Store\n")

    with pytest.raises(ConfigurationRefused, match="'Store' is not a site's id"):
        load_or_last_good(folder, state)


def test_the_copy_is_for_its_owner_only(folder: Path, state: Path) -> None:
    keep(load(folder), state)

    assert os.stat(state / "last_good").st_mode & 0o077 == 0  # noqa: PTH116
