"""`storewarden journal stat|tail|export|verify`: the journal, also of a stopped box."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli import words
from edge.cli.exits import DONE, NO, Failed

if TYPE_CHECKING:
    from buffer.journal import Journal
    from buffer.record import Record


def add(commands: Any) -> None:
    journal = words.command(
        commands, "journal", "look into the journal", _none, "storewarden journal verify"
    )
    parts = journal.add_subparsers(dest="part", metavar="stat|tail|export|verify", required=True)
    for name, text, act in (
        ("stat", "how many records there are and how many are unsent", act_stat),
        ("tail", "the last records", act_tail),
        ("export", "every record as a line of JSON, oldest first", act_export),
        ("verify", "check the hash chain over the whole file", act_verify),
    ):
        made = words.command(parts, name, text, act, f"storewarden journal {name}")
        words.config_option(made)
        made.add_argument("--file", type=Path, help="a journal file, in place of the site's own")
        if name == "tail":
            made.add_argument("--count", type=words.count, default=20, metavar="N")
        if name == "export":
            made.add_argument("--output", type=Path, metavar="FILE", help="in place of stdout")
        words.json_option(made)


def _none(_chosen: argparse.Namespace) -> int:
    return NO


def _open(chosen: argparse.Namespace) -> Journal:
    from buffer.journal import Journal
    from buffer.storage import JournalError

    path = chosen.file or _own(chosen.config)
    if not path.exists():
        raise Failed(f"there is no journal {path}")
    try:
        return Journal.open(path, read_only=True)
    except JournalError as error:
        raise Failed(str(error)) from None


def _own(folder: Path) -> Path:
    from edge.config.last_good import load_or_last_good
    from edge.places import expected_state, places
    from rules.problems import ConfigurationRefused

    try:
        configuration, _refused = load_or_last_good(folder, expected_state(folder))
    except ConfigurationRefused as refused:
        words.show_problems(refused.problems)
        raise Failed(f"{folder}: refused; name the file with --file") from None
    return places(folder, configuration).journal


def act_stat(chosen: argparse.Namespace) -> int:
    from drivers.priorities import Priority

    with _open(chosen) as journal:
        stat = journal.stat()
    unsent = {p.name: count for p, count in zip(Priority, stat.unsent, strict=True)}
    shown = {
        "journal": stat.journal,
        "records": stat.records,
        "evicted": stat.evicted,
        "bytes": stat.bytes,
        "first": stat.first,
        "last": stat.last,
        "link": stat.link,
        "unsent": unsent,
    }
    if chosen.json:
        words.print_json(shown)
    else:
        counts = ", ".join(f"{count} {name}" for name, count in unsent.items() if count)
        rows = [(k, str(v)) for k, v in shown.items() if k != "unsent"]
        print(words.table([*rows, ("unsent", counts or "none")]))
    return DONE


def act_tail(chosen: argparse.Namespace) -> int:
    with _open(chosen) as journal:
        records = journal.tail(chosen.count)
    for record in records:
        try:
            body = json.loads(record.body)
        except ValueError:
            body = {"unreadable": record.body.hex()}
        if chosen.json:
            words.print_json(_head(record) | {"body": body})
        else:
            where = f"{body.get('device', '')} {body.get('signal', '')}"
            data = json.dumps(body.get("data", {}), ensure_ascii=False)
            if record.kind == "snapshot":
                data = words.counted(len(record.body), "byte")
            print(f"{record.sequence:>8} {body.get('at', '')} {record.kind:<8} {where} {data}")
    return DONE


def _head(record: Record) -> dict[str, Any]:
    """Return all of a record but its body, as JSON values."""
    from drivers.priorities import Priority

    return {
        "sequence": record.sequence,
        "id": record.id,
        "kind": record.kind,
        "priority": Priority(record.priority).name,
        "link": record.link.hex(),
    }


def act_export(chosen: argparse.Namespace) -> int:
    from buffer.storage import JournalError

    with ExitStack() as stack:
        journal = stack.enter_context(_open(chosen))
        out = sys.stdout
        if chosen.output is not None:
            out = stack.enter_context(chosen.output.open("w", encoding="utf-8"))
        try:
            for record in journal.since(0):
                try:
                    body = record.body.decode()
                    json.loads(body)
                except ValueError:
                    body = json.dumps({"unreadable": record.body.hex()})
                head = json.dumps(_head(record))
                out.write(f'{head[:-1]}, "body": {body}}}\n')
        except JournalError as error:
            raise Failed(str(error)) from None
    return DONE


def act_verify(chosen: argparse.Namespace) -> int:
    from buffer.storage import JournalError

    with _open(chosen) as journal:
        try:
            broken = journal.verify()
        except JournalError as error:
            raise Failed(str(error)) from None
        stat = journal.stat()
    if chosen.json:
        found = None
        if broken is not None:
            found = {"sequence": broken.sequence, "reason": broken.reason}
        words.print_json({"good": broken is None, "break": found, "link": stat.link})
        return words.answer(good=broken is None)
    if broken is not None:
        raise Failed(f"record {broken.sequence}: {broken.reason}")
    print(f"{words.counted(stat.records, 'record')} verified, last {stat.last}, link {stat.link}")
    return DONE
