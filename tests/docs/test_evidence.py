"""The page about evidence is true of a daemon that really runs, from its key to its export."""

import ast
import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.control import Refused
from tests.broker import Broker
from tests.daemon import Daemon
from tests.shop import BEACON, FIRE, GATE, TOP, connected, shop, wired

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "evidence.md").read_text()
SCRIPT = DOCS / "verify.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A store that had a gate alarm, a failed order and a fire: what was told, what it left."""

    state: Path
    status: dict[str, Any]
    upstream: dict[str, Any]
    anchor: dict[str, str]
    log: str
    verified_live: dict[str, Any]


async def look(folder: Path) -> Seen:
    with Broker(folder) as broker:
        async with broker.listen() as heard, shop(folder, broker.url) as (store, daemon):
            await connected(daemon)
            await store.module.pulse(GATE, 0.1)
            order = {"do": "order", "device": "siren_front", "command": "sound", "parameters": {}}
            await wired(store, do0=True)
            store.module.set(FIRE, True)
            await wired(store, **{BEACON: True})
            with suppress(Refused):
                await daemon.ask(**order, reason="a test", by="test")
            live = await command(daemon, "journal", "verify", "--json", "--config", daemon.config)
            await heard.until(lambda messages: f"{TOP}/anchor" in {str(m.topic) for m in messages})
            status = await daemon.until(lambda status: status["journal"]["anchor"] is not None)
            retained = {str(m.topic): json.loads(m.payload) for m in heard.messages
                        if str(m.topic).rsplit("/", 1)[-1] in {"anchor", "status"}}  # fmt: skip
    return Seen(
        state=daemon.state,
        status=status["journal"],
        upstream=retained[f"{TOP}/status"],
        anchor=retained[f"{TOP}/anchor"],
        log=daemon.log,
        verified_live=json.loads(live),
    )


async def command(daemon: Daemon, *words: object) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge.cli.main", *map(str, words), env=daemon.places(),
        stdout=subprocess.PIPE,
    )  # fmt: skip
    out, _err = await process.communicate()
    assert process.returncode == 0, out
    return out.decode()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return asyncio.run(look(tmp_path_factory.mktemp("store")))


def storewarden(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli.main", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def query(journal: Path, sql: str) -> list[dict[str, Any]]:
    found = subprocess.run(
        [Path(sys.executable).with_name("sqlite-utils"), "query", journal, sql],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows: list[dict[str, Any]] = json.loads(found.stdout)
    return rows


def test_the_public_key_is_told_everywhere_and_the_private_one_nowhere(seen: Seen) -> None:
    key = storewarden("journal", "key", "--file", seen.state / "journal.db").stdout.strip()
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert {seen.status["public_key"], seen.upstream["public_key"], seen.anchor["key"]} == {key}
    stat = storewarden("journal", "stat", "--json", "--file", seen.state / "journal.db").stdout
    assert json.loads(stat)["public_key"] == key
    (started, made) = [
        json.loads(row["body"])["data"]
        for row in query(
            seen.state / "journal.db",
            "SELECT body FROM readable WHERE body ->> 'signal' IN ('journal.started', 'key.made')",
        )
    ]
    assert (started["public_key"], made["public_key"]) == (key, key)
    assert made["reason"] == "there was none"
    seed = (seen.state / "device.key").read_text().split()[1]
    for file in seen.state.rglob("*"):
        if file.is_file() and file.name != "device.key":
            assert seed.encode() not in file.read_bytes()
    assert seed not in seen.log
    assert (seen.state / "device.key").stat().st_mode & 0o777 == 0o600


def test_the_head_is_noted_upstream_and_in_the_log_signed(seen: Seen, tmp_path: Path) -> None:
    assert list(seen.anchor) == ["journal", "sequence", "link", "at", "key", "signature"]
    assert f'anchor: {{"journal": "{seen.anchor["journal"]}"' in seen.log
    (tmp_path / "anchor.json").write_text(json.dumps(seen.anchor))
    lines = [line for line in seen.log.splitlines() if "anchor: {" in line]
    (tmp_path / "log").write_text("\n".join(lines))
    noted = ["--anchor", tmp_path / "anchor.json", "--anchor", tmp_path / "log"]
    journal = seen.state / "journal.db"
    found = storewarden("journal", "verify", "--file", journal, "--json", *noted)
    told = json.loads(found.stdout)
    assert (found.returncode, told["good"], told["anchors"]) == (0, True, 1 + len(lines))
    assert told["signed"]["sequence"] == told["last"]


def test_a_journal_that_is_being_written_is_good(seen: Seen) -> None:
    assert (seen.verified_live["good"], seen.verified_live["break"]) == (True, None)
    assert 1 <= seen.verified_live["signed"]["sequence"] <= seen.verified_live["last"]


def test_an_export_of_the_store_is_good_to_a_stranger(seen: Seen, tmp_path: Path) -> None:
    export = tmp_path / "evidence.jsonl"
    journal = seen.state / "journal.db"
    made = storewarden("journal", "export", "--file", journal, "--output", export, "--csv",
                       tmp_path / "evidence.csv")  # fmt: skip
    assert (made.returncode, made.stdout, made.stderr) == (0, "", "")
    key = seen.status["public_key"]
    anchor = f"{seen.anchor['sequence']}:{seen.anchor['link']}"
    words = [sys.executable, "-I", SCRIPT, export, "--anchor", anchor, "--key", key]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    content = export.read_bytes()
    export.write_bytes(content.replace(b'"signal":"fire.alarm"', b'"signal":"fire.alurm"', 1))
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "NOT GOOD: record" in found.stderr
    assert storewarden("journal", "verify", export).returncode == 1


def test_the_queries_find_what_happened(seen: Seen) -> None:
    alarms, before, failed = [
        query(seen.state / "journal.db", sql)
        for sql in re.findall(r"^```sql\n(.*?)^```$", PAGE, re.M | re.S)
    ]
    assert [(row["device"], row["alarms"]) for row in alarms] == [("eas_front", 1)]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", alarms[0]["day"])
    told = [(row["device"], row["signal"]) for row in before]
    assert told.index(("eas_front", "eas.alarm")) < told.index(("fire_main", "fire.alarm"))
    assert told[-1] == ("site", "evacuation.started")
    assert [(row["device"], row["command"]) for row in failed] == [("siren_front", "sound")]
    assert failed[0]["reason"]


def test_the_page_shows_a_query_by_sqlite_utils_that_works(seen: Seen) -> None:
    (shown,) = re.findall(r'^sqlite-utils query \S+ "(.*)" --table$', PAGE, re.M)
    assert {"event", "order"} <= {row["kind"] for row in query(seen.state / "journal.db", shown)}


def test_the_second_verifier_is_short_and_imports_nothing_of_ours() -> None:
    text = SCRIPT.read_text()
    assert len(text.splitlines()) <= 100
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported <= set(sys.stdlib_module_names)


def test_the_second_verifier_takes_an_anchor_as_a_file(seen: Seen, tmp_path: Path) -> None:
    export, anchors = tmp_path / "e", [tmp_path / "a", tmp_path / "b"]
    storewarden("journal", "export", "--file", seen.state / "journal.db", "--output", export)
    anchors[0].write_text(json.dumps(seen.anchor, indent=2))
    anchors[1].write_text("\n".join(x for x in seen.log.splitlines() if "anchor: {" in x))
    for anchor in anchors:
        found = stranger(export, "--anchor", anchor)
        assert (found.returncode, found.stderr) == (0, "")
    wrong = seen.anchor | {"link": "0" * 64}
    anchors[0].write_text(json.dumps(wrong, separators=(",", ":")))
    found = stranger(export, "--anchor", anchors[0])
    assert (found.returncode, "not as anchored" in found.stderr) == (1, True)


def test_the_second_verifier_tells_a_mistake_from_a_finding(seen: Seen, tmp_path: Path) -> None:
    export, empty = tmp_path / "e", tmp_path / "empty"
    storewarden("journal", "export", "--file", seen.state / "journal.db", "--output", export)
    empty.touch()
    mistakes: list[list[object]] = [
        [], ["--help"], [tmp_path], [tmp_path / "none"], [empty], [SCRIPT],
        [export, "--anchor"], [export, "--anchor", empty], [export, "--anchor", "nowhere"],
        [export, "--key", "abc"], [export, "--other", "x"],
    ]  # fmt: skip
    for words in mistakes:
        found = stranger(*words)
        assert found.returncode == 2
        assert found.stdout == ""
        assert found.stderr.startswith("usage: ")
        assert "this is no export" in found.stderr
        assert "NOT GOOD" not in found.stderr


def stranger(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def members(export: Path, wanted: Callable[[dict[str, Any]], bool]) -> set[str]:
    lines = [json.loads(line) for line in export.read_bytes().splitlines()]
    return {name for line in lines if wanted(line) for name in line}


def test_the_tables_name_every_member(seen: Seen, tmp_path: Path) -> None:
    export = tmp_path / "e"
    storewarden("journal", "export", "--file", seen.state / "journal.db", "--output", export,
                "--device", "eas_front")  # fmt: skip
    told = set(re.findall(r"`([a-z0-9_]+)`", PAGE.partition("## An export, byte by byte")[2]))
    assert members(export, lambda _line: True) - told == set()
    first = json.loads(export.read_bytes().splitlines()[0])
    last = json.loads(export.read_bytes().splitlines()[-1])
    assert {*first["proof"], *first["signed"], *last["end"]} - told == set()
