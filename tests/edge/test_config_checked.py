"""What `check` says beyond loading: nothing of the examples, and the pace of real settings."""

import re
import shutil
from pathlib import Path

import pytest

from edge.config.checked import checked
from edge.config.load import load

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/site.yaml"))
BLOCK = re.compile(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```$", re.M | re.S)

SITE = "site: store_0421\nbuffer: {path: /var/lib/storewarden}\n"
DEVICES = """
io:
  annex:
    {type: modbus, url: "tcp://127.0.0.1:1502", unit: 1, poll: 100ms,
     inputs: {di0: {discrete: 0}, di1: {discrete: 1, debounce: 2s}, di2: {discrete: 2}},
     outputs: {do0: {coil: 0}}}
devices:
  gate: {type: eas_pedestal, alarm: annex.di0, merge: 8s}
  door: {type: door, contact: annex.di1}
  yard: {type: contact, contact: {line: annex.di2, debounce: 1m}}
  siren: {type: siren, output: annex.do0, max_on: 2m, max_per_hour: 1m}
  cam: {type: recorder, url: "rtsp://127.0.0.1/x", ring: 20s}
"""


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))


def said(folder: Path, rules: str) -> str:
    folder.joinpath("site.yaml").write_text(SITE)
    folder.joinpath("devices.yaml").write_text(DEVICES)
    folder.joinpath("rules").mkdir()
    folder.joinpath("rules", "r.yaml").write_text(rules)
    problems = checked(load(folder)).all
    return "\n".join(str(p) for p in problems if not p.message.startswith("no test covers "))


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_nothing_is_said_of_an_example(folder: Path) -> None:
    assert [p for p in checked(load(folder)).all if p.level != "note"] == []


def test_nothing_is_said_of_the_rules_on_the_page_about_them(tmp_path: Path) -> None:
    for name in ("site.yaml", "devices.yaml"):
        shutil.copy(ROOT / "examples" / "small_store" / name, tmp_path)
    for name, text in BLOCK.findall((ROOT / "docs" / "rules.md").read_text()):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    assert str(checked(load(tmp_path))) == ""


def test_the_settings_of_devices_say_what_can_never_come(tmp_path: Path) -> None:
    rules = """
rules:
  a: {when: {count: 2, of: {gate: eas.alarm}, within: 8s}, do: {incident: a}}
  b: {when: {count: 3, of: {door: door.opened}, within: 4s}, do: {incident: b}}
  c: {when: {sequence: [{yard: contact.active},
      {yard: contact.active}], within: 1m}, do: {incident: c}}
  d: {when: {gate: eas.alarm}, do: [{record: cam, before: 30s}, {sound: siren, for: 90s}]}
  e: {when: {door: open, for: 50ms}, do: {incident: e}}
"""

    assert said(tmp_path, rules) == (
        "rules/r.yaml:3:13: there are never 2 within 8s\n"
        "    gate says eas.alarm every 8s at most (merge:, debounce:)\n"
        "rules/r.yaml:4:13: there are never 3 within 4s\n"
        "    door says door.opened every 2s at most (merge:, debounce:)\n"
        "rules/r.yaml:5:13: this never comes within 1m\n"
        "    yard says contact.active every 1m at most (merge:, debounce:)\n"
        "rules/r.yaml:7:37: cam keeps 20s of video, not 30s\n"
        "    write before: 20s or less, or ring: in devices.yaml\n"
        "rules/r.yaml:7:65: warning: siren may be on for 1m in an hour, not 90s\n"
        "    max_per_hour: ends it before\n"
        "rules/r.yaml:8:13: warning: for: 50ms is shorter than a poll of door\n"
        "    it is looked at every 100ms: write more, or poll its module faster"
    )


def test_a_window_that_is_long_enough_is_long_enough(tmp_path: Path) -> None:
    rules = """
rules:
  a: {when: {count: 2, of: {gate: eas.alarm}, within: 9s}, do: {incident: a}}
  b: {when: {count: 2, of: {door: door.opened}, within: 4s}, do: {incident: b}}
  c: {when: {sequence: [{yard: contact.active},
      {yard: contact.quiet}], within: 1m}, do: {incident: c}}
  d: {when: {gate: eas.alarm}, do: [{record: cam, before: 20s}, {sound: siren, for: 60s}]}
  e: {when: {door: open, for: 100ms}, do: {incident: e}}
"""

    assert said(tmp_path, rules) == ""


def test_hours_that_are_not_there_leave_a_rule_blind(tmp_path: Path) -> None:
    rules = "rules: {a: {when: {gate: eas.alarm}, if: site.open, do: {incident: a}}}\n"

    assert said(tmp_path, rules) == (
        "rules/r.yaml:1:42: warning: if: is never true by the hours of this site\n"
        "    when it is asked, the site has no hours, and site.open is unknown"
    )


def test_one_mistake_is_said_once(tmp_path: Path) -> None:
    short = DEVICES.replace("max_on: 2m, max_per_hour: 1m", "max_on: null")
    site = SITE + "evacuation: {on: [], sound: [siren]}\n"
    tmp_path.joinpath("site.yaml").write_text(site)
    tmp_path.joinpath("devices.yaml").write_text(short)
    tmp_path.joinpath("rules").mkdir()
    text = "rules: {a: {when: {gate: eas.jammer}, do: {sound: siren}}}\n"
    tmp_path.joinpath("rules", "r.yaml").write_text(text)

    found = checked(load(tmp_path)).all

    assert [p.message for p in found] == [
        "no test covers a",
        "sound siren is held for ever, and the evacuation needs it",
    ]
