"""The command line without a daemon: exit codes, help, JSON, and a person's mistakes."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from buffer.writer import Writer
from edge.cli.main import GROUPS, main, parser
from edge.encode import Encoder
from tests.edge.shop import RULES_YAML, SITE_YAML, said, written

COMMANDS = """upgrade run check rules demo status devices tail order evacuate incident mode journal
discover init first-boot safe-state simulate schema completion"""
TESTED = """tests:
  - name: the siren sounds
    given: {now: "2026-11-20T12:00:00"}
    timeline: [{at: 0s, door_back: door.opened}, {at: 25s, door_back: door.closed}]
    expect:
      - {at: 20s, rule: propped, sound: siren_back}
      - {at: 25s, rule: propped, ends: siren_back}
"""


@pytest.fixture(autouse=True)
def _no_daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "no_run"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


class Said:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def one(*arguments: object) -> Said:
        code = main([str(a) for a in arguments])
        found = capsys.readouterr()
        assert "Traceback" not in found.err
        return Said(code, found.out, found.err)

    return one


def parsers(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield top
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from parsers(inner)


def test_every_command_is_in_the_help_and_every_help_ends_with_an_example() -> None:
    top = parser()
    listed = top.format_help()
    for command in COMMANDS.split():
        assert re.search(rf"^    {command}\b", listed, re.M), command
    for each in parsers(top):
        last = each.format_help().strip().split("\n\n")[-1]
        assert last.startswith("example: storewarden "), each.prog


def names(top: argparse.ArgumentParser) -> set[str]:
    (commands,) = [a for a in top._actions if isinstance(a, argparse._SubParsersAction)]
    return set(commands.choices)


@pytest.mark.parametrize("group", GROUPS)
def test_a_command_needs_its_own_module_only(group: str) -> None:
    assert all(names(parser(command)) == set(GROUPS[group]) for command in GROUPS[group])


def test_what_is_no_command_gets_them_all() -> None:
    assert names(parser("--help")) == names(parser()) == {c for g in GROUPS.values() for c in g}


def test_an_example_in_the_help_can_be_parsed() -> None:
    for each in parsers(parser()):
        words = shlex.split(str(each.epilog).removeprefix("example: storewarden ").split(">")[0])
        parser().parse_args(words)


def test_everything_that_prints_data_has_json() -> None:
    without = {"run", "demo", "simulate", "schema", "completion", "rules", "journal", "incident"}
    without |= {"drop-in"}  # what it prints is a file of systemd's
    for each in parsers(parser()):
        name = each.prog.removeprefix("storewarden").strip()
        if name and name not in without:
            assert "--json" in each.format_help(), name


def test_everything_that_reads_a_configuration_takes_config() -> None:
    for command in ("run", "check", "safe-state", "rules test", "rules list", "journal stat"):
        arguments = parser().parse_args([*command.split(), "--config", "/x"])
        assert arguments.config == Path("/x")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "the following arguments are required: COMMAND"),
        ("sing", "invalid choice: 'sing'"),
        ("check --config /no/such", "there is no folder /no/such"),
        ("check --fleet /no/such", "no folder in /no/such has a site.yaml"),
        ("run --config /no/such", "there is no folder /no/such"),
        ("rules test --config /no/such", "there is no folder /no/such"),
        ("rules", "required: test|list"),
        ("order siren sound", "required: --reason"),
        ("order siren sing --reason r", "unknown command 'sing'; known: goto, record"),
        ("order siren sound loud --reason r", "'loud' is not of the form k=v"),
        ("order siren sound x=1 --reason r", "sound: "),
        ("order cam goto --reason r", "goto: 'preset' is missing"),
        ("order siren sound --for 5 --reason r", "did you mean 5s?"),
        ("order siren sound for=5 --reason r", "did you mean 5s?"),
        ("order siren sound --for 0s --reason r", "'0s' is no time at all"),
        ("order siren sound --priority life_safety --reason r", "invalid choice: 'life_safety'"),
        ("evacuate stop --reason r", "invalid choice: 'stop'"),
        ("mode set stock_take", "required: --reason"),
        ("mode set stock_take --for 2 --reason r", "did you mean 2s?"),
        ("tail --count 0", "'0' is not a number from 1 on"),
        ("journal tail --count x", "'x' is not a number from 1 on"),
        ("simulate toaster", "unknown type 'toaster'; known: beacon"),
        ("schema house", "invalid choice: 'house'"),
        ("completion fish", "invalid choice: 'fish'"),
    ],
)
def test_wrong_usage_is_2_and_says_why(run: Any, line: str, problem: str) -> None:
    found = run(*line.split())
    assert (found.code, found.out) == (2, "")
    assert problem in found.err


def test_no_daemon_is_a_no(run: Any) -> None:
    for line in ("status", "devices", "tail", "order siren sound for=5s --reason r"):
        found = run(*line.split())
        assert (found.code, found.out) == (1, "")
        assert found.err.startswith("storewarden: no daemon answers at ")


def test_a_good_configuration_is_0_and_a_bad_one_1_with_its_place(run: Any, tmp_path: Path) -> None:
    config = written(tmp_path / "config")
    found = run("check", "--config", config)
    assert (found.code, found.err.count("error")) == (0, 0)
    assert found.out.startswith("1 configuration checked: no problems")

    (config / "site.yaml").write_text(SITE_YAML + "colour: red\n")
    found = run("check", "--config", config)
    assert found.code == 1
    assert found.err.startswith("site.yaml:13:1: ")
    found = run("check", "--config", config, "--json")
    assert found.code == 1
    (problem,) = [p for p in json.loads(found.out) if p["level"] == "error"]
    assert (problem["file"], problem["line"], problem["column"]) == ("site.yaml", 13, 1)


def test_a_fleet_is_checked_folder_by_folder(run: Any, tmp_path: Path) -> None:
    written(tmp_path / "fleet" / "one")
    written(tmp_path / "fleet" / "two")
    found = run("check", "--fleet", tmp_path / "fleet")
    assert found.code == 0
    assert found.out.startswith("2 configurations checked")


def test_rules_are_listed_and_their_tests_played(run: Any, tmp_path: Path) -> None:
    config = written(tmp_path / "config", rules=RULES_YAML + TESTED)
    found = run("rules", "test", "--config", config)
    assert (found.code, found.out, found.err) == (0, "1 test, 0 failed\n", "")
    assert run("rules", "test", "--config", config, "--only", "nothing").code == 2
    found = run("rules", "list", "--config", config, "--json")
    assert [r["rule"] for r in json.loads(found.out)] == ["gate_alarm", "hold_up", "propped"]

    written(config, rules=RULES_YAML + TESTED.replace("at: 25s, rule", "at: 26s, rule"))
    found = run("rules", "test", "--config", config)
    assert (found.code, found.out) == (1, "1 test, 1 failed\n")
    assert "the siren sounds" in found.err
    found = run("rules", "test", "--config", config, "--json")
    assert found.code == 1
    assert json.loads(found.out)[0]["failures"]


def journal(state: Path) -> Path:
    """Write a journal of two records, as a stopped box has it."""

    async def main_() -> None:
        state.mkdir()
        encoder = Encoder("storewarden", "shop", "c")
        async with Writer.open(state / "journal.db") as writer:
            writer.keep(encoder.event(said(1, "door_back", "door.opened")))
            writer.keep(encoder.event(said(2, "fire_main", "fire.alarm")))

    asyncio.run(main_())
    return state / "journal.db"


def test_the_journal_of_a_stopped_box_is_read_and_verified(run: Any, tmp_path: Path) -> None:
    path = journal(tmp_path / "state")
    config = written(tmp_path / "config")
    found = run("journal", "stat", "--config", config, "--json")
    assert found.code == 0
    stat = json.loads(found.out)
    assert stat["unsent"]["life_safety"] == 1
    assert run("journal", "verify", "--config", config).code == 0
    found = run("journal", "tail", "--file", path, "--count", 1)
    assert found.out.count("\n") == 1
    assert "fire_main fire.alarm" in found.out
    found = run("journal", "tail", "--file", path, "--json", "--count", 1)
    assert json.loads(found.out)["body"]["signal"] == "fire.alarm"


def test_a_journal_that_is_none_is_a_no(run: Any, tmp_path: Path) -> None:
    found = run("journal", "stat", "--file", tmp_path / "nothing.db")
    assert (found.code, found.err) == (
        1,
        f"storewarden: there is no journal {tmp_path}/nothing.db\n",
    )
    (tmp_path / "text").write_text("hello " * 1000)
    assert run("journal", "verify", "--file", tmp_path / "text").code == 1


def test_a_secret_is_shown_by_no_command(run: Any, tmp_path: Path) -> None:
    config = written(tmp_path / "config")
    for line in ("check", "check --json", "rules list", "rules test --json", "journal stat"):
        found = run(*line.split(), "--config", config)
        assert "c4m-pass" not in found.out + found.err


def test_a_schema_is_json_and_the_types_are_a_table(run: Any) -> None:
    for name in ("site", "devices", "rules"):
        assert "$schema" in json.loads(run("schema", name).out)
    assert "### `siren`" in run("devices", "--types").out
    assert "`eas.alarm`" in run("devices", "--signals").out
    assert "eas_pedestal" in run("simulate", "list").out.split()


def test_bash_can_read_the_completion(run: Any, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(run("completion", "bash").out)
    asked = f"source {script}; complete -p storewarden"
    found = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert "storewarden" in found.stdout


def test_the_version_is_told(run: Any) -> None:
    assert run("--version").out.startswith("storewarden 0.")


def test_without_a_configuration_safe_state_says_why(run: Any) -> None:
    found = run("safe-state", "--config", "/no/such")
    assert (found.code, found.out) == (1, "")
    assert "site.yaml" in found.err
