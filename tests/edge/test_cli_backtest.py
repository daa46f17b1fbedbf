"""`storewarden rules backtest` and `journal export` as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from buffer.journal import Journal
from edge.cli.backtest import moment
from edge.cli.exits import WrongUsage
from edge.cli.main import main
from edge.encode import Encoder
from tests.edge.shop import RULES_YAML, said, written

ENCODER = Encoder("storewarden", "shop", "abcdef012345")
STORY = [
    said(0, "site", "daemon.started"),
    said(10, "door_back", "door.opened"),
    said(40, "door_back", "door.closed"),
    said(100, "eas_front", "eas.alarm"),
    said(300, "door_back", "link.up"),
    said(310, "eas_old", "eas.alarm"),
]


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A box with a journal, and `new` beside it: the back door may be open for longer."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    (tmp_path / "state").mkdir()
    written(tmp_path / "now")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "shop.yaml").write_text(RULES_YAML.replace("for: 20s", "for: 40s"))
    with Journal.open(tmp_path / "state" / "journal.db") as journal:
        journal.append([ENCODER.event(e) for e in STORY])
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    found = capsys.readouterr()
    assert "Traceback" not in found.err
    return code, found.out, found.err


def backtest(box: Path, *more: object) -> list[object]:
    return ["rules", "backtest", "--config", box / "now", "--rules", box / "new", *more]


def test_it_says_the_difference(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *backtest(box))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "2026-11-20: 7 events, 5 of them for these rules, 1 restart"
    assert lines[1] == (
        "alarms 2 → 1 (\u221250 %): 1 lost, 0 gained; siren 25 s → 15 s; clips 0; incidents 1; "
        "goto 1"
    )
    assert "note: 1 event of eas_old is not in this configuration" in lines
    rows = [line.split() for line in lines]
    assert [
        "propped",
        "changed",
        "1",
        "→",
        "0",
        "1",
        "0",
        "10",
        "s",
        "→",
        "0",
        "s",
        "0",
        "0",
    ] in rows
    assert lines[-2:] == ["1 lost:", "  2026-11-20 12:00:30  propped  door_back door.opened"]


def test_json_has_everything(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _code, out, _err = run(capsys, *backtest(box, "--json"))
    found: dict[str, Any] = json.loads(out)
    assert found["total"]["before"]["alarms"] == 2
    assert found["total"]["after"]["alarms"] == 1
    assert found["rules"]["propped"]["lost"] == 1
    assert found["examples"][0]["at"] == "2026-11-20T12:00:30.000Z"
    assert found["changed"] == {"propped": "changed"}


def test_one_rule_alone_can_be_counted(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _code, out, _err = run(capsys, *backtest(box, "--only", "gate_alarm", "--json"))
    found = json.loads(out)
    assert list(found["rules"]) == ["gate_alarm"]
    assert found["total"]["before"]["alarms"] == 1
    assert found["total"]["before"]["siren_seconds"] == 15.0


def test_a_page_is_written(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = box / "report.html"
    assert run(capsys, *backtest(box, "--html", page))[0] == 0
    assert "New rules for shop" in page.read_text()


def test_an_exported_journal_can_be_played(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export = box / "export.jsonl"
    code, out, _err = run(capsys, "journal", "export", "--config", box / "now", "--output", export)
    assert (code, out) == (0, "")
    lines = [json.loads(line) for line in export.read_text().splitlines()]
    assert [line["sequence"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]
    assert lines[2]["body"]["signal"] == "door.opened"
    code, out, _err = run(capsys, *backtest(box, "--journal", export, "--json"))
    assert json.loads(out)["total"]["lost"] == 1


def test_wrong_rules_are_told_with_their_place(
    box: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (box / "new" / "shop.yaml").write_text(RULES_YAML.replace("door_back: open", "door_bak: open"))
    code, out, err = run(capsys, *backtest(box))
    assert (code, out) == (1, "")
    assert err.startswith("rules/shop.yaml:17:")
    assert "did you mean door_back" in err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--since", "soon"], 2, "'soon' is no time"),
        (
            ["--only", "gate_alram"],
            2,
            "no rule 'gate_alram' on either side; did you mean gate_alarm?",
        ),
        (["--journal", "nowhere.db"], 1, "there is no journal nowhere.db"),
        (["--journal", "/etc/passwd"], 1, "/etc/passwd is no journal, and no export of one"),
        (["--since", "2031-01-01"], 1, "no events of that time"),
        (["--rules", "nowhere"], 2, "there is no folder nowhere"),
        (["--rules", "/proc/self/fdinfo"], 2, "has no rule files"),
    ],
)
def test_a_persons_mistake_is_told(
    box: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    found = run(capsys, *backtest(box, *words))
    assert found[0] == code
    assert told in found[2]


def test_a_file_that_is_no_journal_is_told(box: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = box / "other.db"
    other.write_bytes(b"SQLite format 3\0" + bytes(100))
    code, _out, err = run(capsys, *backtest(box, "--journal", other))
    assert code == 1
    assert "cannot open" in err
    other.write_text("no journal\nat all\n")
    code, _out, err = run(capsys, *backtest(box, "--journal", other))
    assert (code, "is no journal" in err) == (1, True)


def test_moments_are_durations_dates_or_local_times() -> None:
    at = moment("2026-07-01", "Europe/London")
    assert at is not None
    assert at.isoformat() == "2026-06-30T23:00:00+00:00"
    at = moment("2026-11-20T18:30", "Europe/London")
    assert at is not None
    assert at.isoformat() == "2026-11-20T18:30:00+00:00"
    assert moment(None, "UTC") is None
    with pytest.raises(WrongUsage):
        moment("30", "UTC")
