"""The library of rules is whole: each rule described, explained, listed, and tested both ways."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config.checked import checked
from edge.config.load import load
from edge.config.model import Configuration
from rules.model import Absence, Count, Fact, Rule, Sequence, TestCase
from rules.scenario import play

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "examples" / "rules"
PAGE = (LIBRARY / "README.md").read_text()
FILES = {f"rules/{path.name}": path.read_text() for path in (LIBRARY / "rules").glob("*.yaml")}


@pytest.fixture(scope="module")
def library() -> Configuration:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))
        return load(LIBRARY)


def test_it_loads_without_a_warning_and_every_rule_is_active(library: Configuration) -> None:
    assert str(checked(library)) == ""
    assert {rule.id: rule.inactive for rule in library.rules.rules if rule.inactive} == {}


def test_every_test_passes_and_none_is_left_out(library: Configuration) -> None:
    failed = {
        case.name: failures or case.skipped
        for case in library.rules.tests
        if (failures := play(case, library.rules, library.world)) or case.skipped
    }

    assert failed == {}


def test_each_rule_stands_in_the_table_below_its_file_and_each_row_is_a_rule(
    library: Configuration,
) -> None:
    listed: dict[str, str] = {}
    file = ""
    for line in PAGE.partition("## The rules")[2].splitlines():
        if heading := re.match(r"\| \*\*\[\S+\]\((\S+)\)\*\*", line):
            file = heading[1]
        elif row := re.match(r"\| `(\w+)` \|", line):
            assert row[1] not in listed
            listed[row[1]] = file

    fleet = {rule.id: rule.mark.file for rule in library.rules.rules if not local(rule)}
    made = {name: file for file, text in FILES.items() for name in templates(text)}
    assert listed == fleet | made


def test_this_store_makes_a_rule_of_each_template(library: Configuration) -> None:
    used = set(re.findall(r"template: (\w+)", (LIBRARY / "rules.local" / "tills.yaml").read_text()))

    assert used == {name for text in FILES.values() for name in templates(text)}
    assert any(local(rule) for rule in library.rules.rules)


def templates(text: str) -> list[str]:
    section = re.search(r"^templates:\n((?: .*\n|\n)+)", text, re.M)
    return re.findall(r"^  (\w+):$", section[1], re.M) if section else []


def local(rule: Rule) -> bool:
    return rule.mark.file.startswith("rules.local/")


def facts(rule: Rule) -> Iterator[Fact]:
    """Return every fact that the rule listens for in `when`."""
    for trigger in rule.when:
        match trigger:
            case Fact():
                yield trigger
            case Sequence():
                yield from (fact for step in trigger.facts for fact in step)
            case Count():
                yield from trigger.of
            case Absence():
                yield from (*trigger.fact, *trigger.without)


def concerns(case: TestCase, rule: Rule) -> bool:
    """Return whether a device that the rule listens to says or is something in the test."""
    heard = {member for fact in facts(rule) for member in fact.members}
    happens = {word for e in case.timeline for word in (*e, e.get("down"), e.get("up"))}
    return bool(heard & (happens | case.given.get("states", {}).keys()))


def test_each_rule_has_three_tests_and_one_in_which_it_stays_quiet(library: Configuration) -> None:
    poor = {}
    for rule in library.rules.rules:
        cases = [c for c in library.rules.tests if rule.id in c.rules and concerns(c, rule)]
        fires = [c for c in cases if any(entry.get("rule") == rule.id for entry in c.expect)]
        if not fires or len(fires) == len(cases) or len(cases) < 3:
            poor[rule.id] = [case.name for case in cases]

    assert poor == {}


def test_each_rule_says_what_it_is_and_why_above_it(library: Configuration) -> None:
    bare = []
    for rule in library.rules.rules:
        assert rule.description
    names = [(rule.id, rule.mark.file) for rule in library.rules.rules if not local(rule)]
    names += [(name, file) for file, text in FILES.items() for name in templates(text)]
    for name, file in names:
        if not re.search(rf"^(?:  #[^\n]*\n)+  {name}:$", FILES[file], re.M):
            bare.append(name)

    assert bare == []


def test_each_variable_has_bounds_and_stands_in_the_table(library: Configuration) -> None:
    sections = [re.search(r"^vars:\n((?:  .*\n)+)", text, re.M) for text in FILES.values()]
    each = r"^  (\w+):((?: \{[^\n]*|\n(?:    [^\n]*\n)+))"
    declared = [found for one in sections if one for found in re.findall(each, one[1], re.M)]

    assert declared
    bounded = re.compile(r"min: .*max: |type: text, .*description: ", re.S)
    assert [name for name, body in declared if not bounded.search(body)] == []
    assert [name for name, _ in declared if not re.search(rf"`{name}\b", PAGE)] == []


def test_the_rules_name_no_device_of_the_store(library: Configuration) -> None:
    devices = set(library.world.devices) - {"site"}
    named = {
        (file, word)
        for file, text in FILES.items()
        for line in text.partition("\ntests_at:")[0].splitlines()
        for word in re.findall(r"\w+", re.split("#|description:", line)[0])
        if word in devices
    }

    assert named == set()


def test_a_store_with_other_devices_no_cameras_and_dumb_pads_takes_the_files_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))
    shutil.copytree(LIBRARY, tmp_path / "store", ignore=shutil.ignore_patterns("rules.local"))
    site, devices = tmp_path / "store" / "site.yaml", tmp_path / "store" / "devices.yaml"
    site.write_text(site.read_text().replace("site: store_0421", "site: store_0422"))
    text = re.sub(r"^  cam_\w+: .*\n", "", devices.read_text(), flags=re.M)
    text = re.sub(r"\[cam_[^\]]*\]", "[]", text)
    for group in ("deactivators: [lane_deactivators", "counting_gates: [gates_front"):
        assert group in text
        text = text.replace(group, f"{group.partition(':')[0]}: [")
    devices.write_text(re.sub(r"\b(gates|door|siren|light)_(\w+)\b", r"our_\1_\2", text))

    configuration = load(tmp_path / "store")

    found = checked(configuration)
    assert (found.errors, found.warnings) == ([], [])
    assert {case.skipped for case in configuration.rules.tests} == {"it is for store_0421"}
    inactive = {rule.id for rule in configuration.rules.rules if rule.inactive}
    assert inactive == {"recording_missing", "tag_left_on", "phantom_alarm"}


def test_a_store_that_has_little_takes_them_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))
    shutil.copytree(LIBRARY, tmp_path / "store", ignore=shutil.ignore_patterns("rules.local"))
    site, devices = tmp_path / "store" / "site.yaml", tmp_path / "store" / "devices.yaml"
    site.write_text(site.read_text().replace("site: store_0421", "site: store_0423"))
    written, _, groups = devices.read_text().partition("\ngroups:\n")
    has = ("gates", "fire_panels", "call_points", "exits", "theft_sirens", "evacuation_beacons")
    kept = [
        line if line.split(":")[0].strip() in has else f"{line.split(':')[0]}: []"
        for line in groups.splitlines()
    ]
    devices.write_text("\n".join([written, "groups:", *kept]))

    configuration = load(tmp_path / "store")

    found = checked(configuration)
    assert (found.errors, found.warnings) == ([], [])
    active = {rule.mark.file for rule in configuration.rules.rules if not rule.inactive}
    assert "rules/walk_out.yaml" in active
    assert "rules/doors.yaml" not in active


def test_every_group_that_the_rules_name_stands_in_the_table(library: Configuration) -> None:
    table = PAGE.partition("| group |")[2].partition("\n\n")[0]
    used = {
        word
        for text in FILES.values()
        for word in re.findall(r"\w+", text.partition("\ntests_at:")[0])
        if word in library.world.groups
    }

    assert {group for group in used if f"`{group}`" not in table} == set()
