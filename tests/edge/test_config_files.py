"""What lies in a configuration folder and can't be read is said; what is no file of it is not."""

import os
from pathlib import Path

import pytest

from edge.config.files import fingerprint, names
from edge.config.ids import RESERVED
from edge.config.load import load
from rules import from_template, load_cases, load_rule, templates
from rules.problems import ConfigurationRefused


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text("site: store_0421\n")
    (tmp_path / "devices.yaml").write_text("")
    (tmp_path / "rules").mkdir()
    return tmp_path


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigurationRefused) as refused:
        load(folder)
    return str(refused.value.problems)


def test_a_link_to_nowhere_is_no_rule_file_that_is_silently_gone(folder: Path) -> None:
    (folder / "rules" / "theft.yaml").symlink_to("/nowhere/theft.yaml")

    assert refusal(folder) == "rules/theft.yaml:1:1: cannot read it: No such file or directory"


def test_a_link_to_itself_is_said(folder: Path) -> None:
    (folder / "rules" / "theft.yaml").symlink_to("theft.yaml")

    assert (
        refusal(folder) == "rules/theft.yaml:1:1: cannot read it: Too many levels of symbolic links"
    )


def test_a_folder_called_like_a_file_is_said(folder: Path) -> None:
    (folder / "rules" / "theft.yaml").mkdir()

    assert refusal(folder) == "rules/theft.yaml:1:1: cannot read it: Is a directory"


def test_a_file_called_like_a_folder_is_said(folder: Path) -> None:
    (folder / "devices.d").write_text("devices: {}\n")

    assert refusal(folder) == "devices.d:1:1: cannot read it: Not a directory"


def test_a_folder_that_is_a_link_to_nowhere_is_said(folder: Path) -> None:
    (folder / "rules.local").symlink_to("/nowhere/rules")

    assert refusal(folder) == "rules.local:1:1: cannot read it: a link to nowhere"


def test_a_name_that_nobody_can_read_is_said_in_one_line(folder: Path) -> None:
    (folder / "rules" / "theft\n.yaml").write_text("")
    Path(os.fsdecode(os.fsencode(folder / "rules") + b"/\xff.yaml")).write_text("")

    assert refusal(folder).splitlines() == [
        "rules/\\udcff.yaml:1:1: not a file's name that can be shown",
        "    rename it",
        "rules/theft\\n.yaml:1:1: not a file's name that can be shown",
        "    rename it",
    ]


def test_an_editors_lock_a_pipe_and_a_masked_file_are_no_files_of_it(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "rules" / ".#theft.yaml").symlink_to("somebody@somewhere.4711")
    (folder / "rules" / "theft.yaml").symlink_to("/dev/null")
    os.mkfifo(folder / "rules" / "pipe.yaml")

    assert names(folder) == ["site.yaml", "devices.yaml"]
    assert fingerprint(folder) == before
    assert str(load(folder).problems) == ""


def test_no_key_of_the_rule_language_is_an_id() -> None:
    keys = {*load_rule.KEYS, *load_cases.KEYS, *templates.KEYS, *from_template.KEYS}

    assert keys - RESERVED == set()
    assert {"all", "tests_at", "templates", "at_most"} <= RESERVED


def test_a_folder_that_nobody_may_look_into_is_refused_and_stops_no_daemon(folder: Path) -> None:
    assert refusal(folder / ("x" * 300)).splitlines()[0] == (
        "devices.d:1:1: cannot read it: File name too long"
    )


def test_a_secret_that_nobody_may_look_at_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "x" * 300)
    (folder / "site.yaml").write_text("site: store_0421\nmqtt: {url: !secret broker}\n")

    assert "the secret 'broker' can't be read: File name too long" in refusal(folder)
