"""Rule files exchanged at once, and back; what is no rule stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge import installing
from edge.config.files import fingerprint


def folder(where: Path, **parts: dict[str, str]) -> Path:
    """Write a configuration folder; `rules=` and `rules_local=` are files by name."""
    where.mkdir()
    (where / "site.yaml").write_text("site: shop\n")
    (where / "devices.yaml").write_text("devices: {}\n")
    for part, files in parts.items():
        (where / part.replace("_", ".")).mkdir()
        for name, text in files.items():
            (where / part.replace("_", ".") / name).write_text(text)
    return where


def contents(where: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in where.iterdir()}


def test_a_folder_of_rule_files_stands_for_rules_and_a_whole_one_for_what_it_has(
    tmp_path: Path,
) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    fleet = folder(tmp_path / "fleet", rules={"a.yaml": "1"})
    whole = folder(tmp_path / "whole", rules={"a.yaml": "1"}, rules_local={"b.yaml": "2"})
    assert installing.parts_of(loose) == {"rules": loose}
    assert installing.parts_of(fleet) == {"rules": fleet / "rules"}
    assert set(installing.parts_of(whole)) == {"rules", "rules.local"}


def test_a_store_keeps_its_own_rules_where_the_fleet_brings_none(tmp_path: Path) -> None:
    store = folder(tmp_path / "store", rules={"a.yaml": "1"}, rules_local={"own.yaml": "2"})
    fleet = folder(tmp_path / "fleet", rules={"b.yaml": "3"})
    installing.compose(store, installing.parts_of(fleet), tmp_path / "made")
    assert contents(tmp_path / "made" / "rules") == {"b.yaml": "3"}
    assert contents(tmp_path / "made" / "rules.local") == {"own.yaml": "2"}
    assert installing.differing(store, tmp_path / "made") == ["rules"]


def made(tmp_path: Path) -> tuple[Path, Path]:
    store = folder(tmp_path / "store", rules={"a.yaml": "1", "b.yaml": "2", "notes.md": "read me"})
    new = folder(tmp_path / "new", rules={"a.yaml": "9", "c.yaml": "3"})
    candidate = tmp_path / "candidate"
    installing.compose(store, installing.parts_of(new), candidate)
    return store, candidate


def test_the_files_are_those_of_the_candidate_and_the_old_ones_are_kept(tmp_path: Path) -> None:
    store, candidate = made(tmp_path)
    old = contents(store / "rules")
    installing.install(store, candidate, ["rules"])
    assert fingerprint(store) == fingerprint(candidate)
    installing.finish(store, ["rules"])
    assert contents(store / "rules") == {"a.yaml": "9", "c.yaml": "3", "notes.md": "read me"}
    assert contents(store / "rules.previous") == old
    assert sorted(path.name for path in store.iterdir()) == [
        "devices.yaml",
        "rules",
        "rules.previous",
        "site.yaml",
    ]


def test_what_was_put_back_is_as_if_nothing_had_been_installed(tmp_path: Path) -> None:
    store, candidate = made(tmp_path)
    before, old = fingerprint(store), contents(store / "rules")
    installing.install(store, candidate, ["rules"])
    installing.put_back(store, ["rules"])
    assert (fingerprint(store), contents(store / "rules")) == (before, old)
    assert not (store / "rules.exchanged").exists()


def test_the_rules_before_can_be_applied_from_where_they_are_kept(tmp_path: Path) -> None:
    store, candidate = made(tmp_path)
    before = fingerprint(store)
    installing.install(store, candidate, ["rules"])
    installing.finish(store, ["rules"])
    again = tmp_path / "again"
    installing.compose(store, {"rules": store / "rules.previous"}, again)
    installing.install(store, again, installing.differing(store, again))
    installing.finish(store, ["rules"])
    assert fingerprint(store) == before
    assert contents(store / "rules.previous")["a.yaml"] == "9"


def test_a_part_that_was_not_there_is_made(tmp_path: Path) -> None:
    store = folder(tmp_path / "store", rules={"a.yaml": "1"})
    new = folder(tmp_path / "new", rules_local={"own.yaml": "2"})
    candidate = tmp_path / "candidate"
    installing.compose(store, installing.parts_of(new), candidate)
    installing.install(store, candidate, ["rules.local"])
    assert contents(store / "rules.local") == {"own.yaml": "2"}
    installing.put_back(store, ["rules.local"])
    assert contents(store / "rules.local") == {}


def test_where_folders_cant_be_exchanged_the_files_are_one_by_one(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", rules={"a.yaml": "1", "b.yaml": "2"}) / "rules"
    other = folder(tmp_path / "other", rules={"a.yaml": "9", "c.yaml": "3"}) / "rules"
    installing.one_by_one(one, other)
    assert contents(other) == {"a.yaml": "1", "b.yaml": "2"}
    assert contents(one) == {"a.yaml": "9", "c.yaml": "3"}


def test_a_folder_that_is_gone_cant_be_exchanged(tmp_path: Path) -> None:
    there = folder(tmp_path / "there", rules={"a.yaml": "1"}) / "rules"
    with pytest.raises(FileNotFoundError):
        installing.exchange(tmp_path / "gone", there)
    assert contents(there) == {"a.yaml": "1"}


def test_modes_are_those_of_the_folder_before(tmp_path: Path) -> None:
    store, candidate = made(tmp_path)
    (store / "rules").chmod(0o750)
    installing.install(store, candidate, ["rules"])
    assert (store / "rules").stat().st_mode & 0o777 == 0o750
    assert (store / "rules" / "c.yaml").stat().st_mode & 0o777 == 0o640


def test_a_rule_file_that_cant_be_read_is_not_left_out(tmp_path: Path) -> None:
    store = folder(tmp_path / "store", rules={"a.yaml": "1"})
    new = folder(tmp_path / "new", rules={"a.yaml": "2", ".#a.yaml": "an editor's"})
    installing.compose(store, installing.parts_of(new), tmp_path / "made")
    assert contents(tmp_path / "made" / "rules") == {"a.yaml": "2"}

    (new / "rules" / "theft.yaml").symlink_to("/nowhere/theft.yaml")
    with pytest.raises(FileNotFoundError, match="theft"):
        installing.compose(store, installing.parts_of(new), tmp_path / "again")
