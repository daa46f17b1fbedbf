"""The page about operations is true to a daemon that really runs."""

import asyncio
import re
import sqlite3
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from buffer.journal import Journal
from buffer.record import Kind
from drivers import signals
from edge.demo.store import configured, simulated
from edge.encode import Encoder, body_of, cloud_event
from edge.true_time import Correction, Corrections
from rules.words import SITE_SIGNALS
from tests.daemon import running

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def table(first: str) -> list[list[str]]:
    """Return the rows of the table whose first head is `first`."""
    lines = PAGE.partition(f"\n| {first} |")[2].split("\n")[2:]
    end = next(i for i, line in enumerate(lines) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[:end]]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read of a daemon while it ran, and its journal afterwards."""

    metrics: str
    pages: dict[str, tuple[int, str]]
    answers: dict[str, object]
    journal: Path


def read(address: str, path: str) -> tuple[int, str]:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=30) as answer:
        return answer.status, answer.read().decode()


async def look(folder: Path) -> Seen:
    """Run a store, let a siren sound, and look at the daemon."""
    requests = words(PAGE.partition("\n`do` is")[2].partition(" (which")[0])
    async with simulated(folder) as store:
        config = configured(folder, store, None)
        async with running(folder, config) as daemon:
            await daemon.until(lambda status: not status["devices_down"])
            order = {"do": "order", "device": "siren_front", "parameters": {}, "reason": "a test"}
            await daemon.ask(**order, command="sound")
            await daemon.ask(**order, command="silence")
            acts = {
                "order",
                "evacuate",
                "acknowledge",
                "reload",
                "apply",
                "watch",
                "upgraded",
                "tail",
            }
            answers = {name: await daemon.ask(do=name) for name in requests if name not in acts}
            pages = {
                path: await asyncio.to_thread(read, store.http, path)
                for path in ("/metrics", "/healthz", "/readyz", "/api/status")
            }
    return Seen(
        metrics=pages["/metrics"][1],
        pages=pages,
        answers=answers,
        journal=daemon.state / "journal.db",
    )


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return asyncio.run(look(tmp_path_factory.mktemp("store")))


def test_the_table_of_metrics_is_what_a_daemon_shows(seen: Seen) -> None:
    told = {words(name)[0]: (kind, set(words(labels)), text)
            for name, kind, labels, text in table("metric")}  # fmt: skip
    shown, labelled = {}, {}
    for family in text_string_to_metric_families(seen.metrics):
        if not family.name.endswith("_created"):
            name = family.name + ("_total" if family.type == "counter" else "")
            shown[name] = (family.type, family.documentation)
            if family.samples:
                labelled[name] = {k for s in family.samples for k in s.labels} - {"le"}

    assert {name: (kind, text) for name, (kind, _, text) in told.items()} == shown
    assert {name: told[name][1] for name in labelled} == labelled


def test_the_health_pages_answer(seen: Seen) -> None:
    assert {words(row[0])[0] for row in table("path")} == set(seen.pages)
    assert {status for status, _ in seen.pages.values()} == {200}


def test_the_control_socket_answers_what_the_page_names(seen: Seen) -> None:
    assert set(seen.answers) == {"status", "devices", "rules", "explain", "mode"}
    assert all(seen.answers.values())


def test_the_queries_find_something_in_a_real_journal(seen: Seen) -> None:
    queries = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.M | re.S)
    with closing(sqlite3.connect(f"file:{seen.journal}?mode=ro", uri=True)) as journal:
        newest, counted, failed = [journal.execute(query).fetchall() for query in queries]
        names = [column[0] for column in journal.execute("SELECT * FROM readable").description]

    assert len(newest) == 20
    assert {"order.given", "order.done"} <= {signal for _, _, signal, _ in newest}
    assert ("siren_front", "output.on", 1) in counted
    assert failed == []
    said = PAGE.partition("The view `readable` has")[2].partition(".\n")[0]
    assert [word for word in words(said) if word != "readable"] == names


def test_the_attributes_of_events_are_those_that_are_sent(seen: Seen) -> None:
    with Journal.open(seen.journal, read_only=True) as journal:
        records = [r for r in journal.tail(500) if r.kind is Kind.EVENT and r.topic]
    sent = {name for r in records for name in cloud_event(r, "demo_store", replayed=False)}
    body = body_of(records[0])
    wrong = Correction(
        boot=body.boot,
        since=body.tick,
        tick=body.tick + 1,
        at=datetime(2026, 11, 20, tzinfo=UTC),
    )
    known = Corrections([wrong])
    sent |= cloud_event(records[0], "demo_store", replayed=True, corrections=known).keys()

    assert {words(row[0])[0] for row in table("attribute")} == sent


def test_the_topics_are_those_of_the_encoder() -> None:
    encoder = Encoder("<root>", "<site>", "")

    assert [words(row[0])[0] for row in table("topic")] == [
        encoder.topic("<device>", "<signal>"),
        encoder.state_topic("<device>"),
        encoder.status_topic,
        encoder.anchor_topic,
    ]


def test_what_it_says_at_night_is_said_by_something() -> None:
    told = {words(row[0])[0] for row in table("it says")}

    assert told - {*signals.by_kind(), *SITE_SIGNALS} == set()
