"""`storewarden check` and `schema` as people type them: levels, exit codes, a store's own words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.cli.main import main

ROOT = Path(__file__).parents[2]
STORE = ROOT / "examples" / "small_store"
SITE = "site: store_0421\nbuffer: {path: /var/lib/storewarden}\n"
DEVICES = """
io: {annex: {type: modbus, url: "tcp://127.0.0.1:1502", profile: moxa_e1214}}
devices: {gate: {type: eas_pedestal, alarm: annex.di0}}
groups: {back_doors: []}
"""
RULES = """
rules:
  never: {when: {gate: eas.alarm, direction: in}, if: event.direction == 'out', do: {incident: a}}
  other: {requires: back_doors, when: {back_doors: open}, do: {incident: b}}
"""
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))

    def typed(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return typed


def folder(at: Path, rules: str) -> Path:
    (at / "rules").mkdir(parents=True)
    (at / "site.yaml").write_text(SITE)
    (at / "devices.yaml").write_text(DEVICES)
    (at / "rules" / "r.yaml").write_text(rules)
    return at


def test_a_rule_that_can_never_fire_is_a_problem(run: Run, tmp_path: Path) -> None:
    assert run("check", "--config", folder(tmp_path / "c", RULES)) == (
        1,
        "",
        "rules/r.yaml:3:3: warning: no test covers never\n"
        "    expect what it does, or not_fired: {rule: …}, in tests: of its file\n"
        "rules/r.yaml:3:55: if: can never be true here\n"
        "    when it is asked, event.direction is in\n"
        "rules/r.yaml:4:3: note: inactive here: other requires back_doors, and it is empty here\n"
        "storewarden: 1 problem\n",
    )


def test_warnings_and_notes_are_no_problem(run: Run, tmp_path: Path) -> None:
    config = folder(tmp_path / "c", RULES.replace("'out'", "'in'"))
    code, out, _ = run("check", "--config", config)
    assert (code, out) == (0, "1 configuration checked: no problems, 2 warnings\n")

    code, out, _ = run("check", "--config", config, "--json")
    assert code == 0
    assert [(p["level"], p["line"]) for p in json.loads(out)] == [
        ("warning", 3),
        ("warning", 3),
        ("note", 4),
    ]


def test_a_schema_of_a_store_knows_its_devices(run: Run) -> None:
    for name, known in (("rules", "siren_front"), ("devices", "annex.di0"), ("site", "fire_main")):
        anywhere, here = run("schema", name)[1], run("schema", name, "--config", STORE)[1]

        assert f'"{known}"' not in anywhere
        assert f'"{known}"' in here
        assert json.loads(here)["title"] == json.loads(anywhere)["title"]


def test_a_schema_of_a_store_that_does_not_load_says_why(run: Run, tmp_path: Path) -> None:
    config = folder(tmp_path / "c", RULES.replace("gate:", "gaet:"))
    code, out, err = run("schema", "rules", "--config", config)

    assert (code, out) == (1, "")
    assert "rules/r.yaml:3:18: unknown device or group 'gaet'" in err


def test_what_several_stores_share_is_said_once(run: Run, tmp_path: Path) -> None:
    for number in range(1, 9):
        folder(tmp_path / "fleet" / f"store_{number}", RULES.replace("'out'", "'in'"))
    other = tmp_path / "fleet" / "store_8" / "rules" / "r.yaml"
    other.write_text(RULES.replace("'out'", "'unknown'"))
    code, out, err = run("check", "--fleet", tmp_path / "fleet")

    assert (code, out) == (1, "")
    assert err.count("if: is always true here") == 1
    assert err.count("if: can never be true here") == 1
    assert "    also in store_2, store_3, store_4, store_5, store_6, and 1 more\n" in err
    assert err.endswith("storewarden: 1 problem\n")
