"""`storewarden journal stat|tail|export|verify|key`: the journal, also of a stopped box."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli import journal_export, journal_verify, words
from edge.cli.exits import DONE, NO, Failed, WrongUsage

if TYPE_CHECKING:
    from buffer.journal import Journal
    from buffer.record import Record


def add(commands: Any) -> None:
    journal = words.command(
        commands, "journal", "look into the journal", _none, "storewarden journal verify"
    )
    parts = journal.add_subparsers(
        dest="part", metavar="stat|tail|export|verify|key", required=True
    )
    for name, text, act, example in (
        ("stat", "how many records there are and how many are unsent", act_stat, ""),
        ("tail", "the last records", act_tail, ""),
        (
            "export",
            "records as lines of JSON that prove themselves, oldest first",
            act_export,
            " --from 2026-11-20 --output evidence.jsonl --csv evidence.csv",
        ),
        (
            "verify",
            "check a journal or an export; name the first record that was touched",
            act_verify,
            " evidence.jsonl --anchor anchor.json",
        ),
        ("key", "the public key that signs the journal", act_key, ""),
    ):
        made = words.command(parts, name, text, act, f"storewarden journal {name}{example}")
        words.config_option(made)
        made.add_argument("--file", type=Path, help="a journal file, in place of the site's own")
        if name == "tail":
            made.add_argument("--count", type=words.count, default=20, metavar="N")
        if name == "export":
            journal_export.options(made)
        if name == "verify":
            journal_verify.options(made)
        words.json_option(made)


def _none(_chosen: argparse.Namespace) -> int:
    return NO


def _open(chosen: argparse.Namespace) -> Journal:
    from buffer.journal import Journal
    from buffer.storage import JournalError

    try:
        return Journal.open(_path(chosen), read_only=True)
    except JournalError as error:
        raise Failed(str(error)) from None


def _path(chosen: argparse.Namespace) -> Path:
    """Return the file that is meant: one that was named, else the site's own."""
    path: Path = getattr(chosen, "path", None) or chosen.file or _own(chosen.config)[0]
    return _there(path)


def _there(path: Path) -> Path:
    """Return `path`, where it is a file with something in it."""
    if not path.exists():
        raise Failed(f"there is no journal {path}")
    if path.is_dir():
        raise Failed(f"{path} is a directory, no file")
    if path.is_file() and not path.stat().st_size:
        raise Failed(f"{path} is empty")
    return path


def _own(folder: Path) -> tuple[Path, str, str]:
    """Return the site's journal, its time zone and its name."""
    from edge.config.last_good import load_or_last_good
    from edge.places import expected_state, places
    from rules.problems import ConfigurationRefused

    try:
        configuration, _refused = load_or_last_good(folder, expected_state(folder))
    except ConfigurationRefused as refused:
        words.show_problems(refused.problems)
        raise Failed(f"{folder}: refused; name the file with --file") from None
    site = configuration.site
    return places(folder, configuration).journal, site.timezone, site.site


def act_stat(chosen: argparse.Namespace) -> int:
    from drivers.priorities import Priority

    with _open(chosen) as journal:
        stat = journal.stat()
        path = journal.path
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
        "refused": stat.refused,
        "public_key": _public_key(path),
    }
    if chosen.json:
        words.print_json(shown)
    else:
        counts = ", ".join(f"{count} {name}" for name, count in unsent.items() if count)
        rows = [(k, str(v)) for k, v in shown.items() if k != "unsent" and v is not None]
        print(words.table([*rows, ("unsent", counts or "none")]))
    return DONE


def act_tail(chosen: argparse.Namespace) -> int:
    from buffer.storage import JournalError
    from edge.encode import utc
    from edge.true_time import newest_corrections

    try:
        with _open(chosen) as journal:
            records = journal.tail(chosen.count)
        corrections = newest_corrections(journal.path)
    except JournalError as error:
        raise Failed(str(error)) from None
    for record in records:
        try:
            body = json.loads(record.body)
        except (ValueError, RecursionError):
            body = {"unreadable": record.body.hex()}
        true_time = corrections.time_of(body)
        if chosen.json:
            time = {} if true_time is None else {"time": utc(true_time)}
            words.print_json(_head(record) | time | {"body": body})
        else:
            where = f"{body.get('device', '')} {body.get('signal', '')}"
            data = json.dumps(body.get("data", {}), ensure_ascii=False)
            if record.kind == "snapshot":
                data = words.counted(len(record.body), "byte")
            at = body.get("at", "") if true_time is None else utc(true_time)
            print(f"{record.sequence:>8} {at} {record.kind:<8} {where} {data}")
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
    if Path("-") in (chosen.csv, chosen.output):
        raise WrongUsage("'-' is no file: without --output and --csv the lines go to stdout")
    if chosen.file is not None:
        return journal_export.export(chosen, _path(chosen), *_zone_and_site(chosen.config))
    path, zone, site = _own(chosen.config)
    return journal_export.export(chosen, _there(path), zone, site)


def _zone_and_site(folder: Path) -> tuple[str, str | None]:
    """Return the zone and the name of the site here, for a file that was brought from elsewhere."""
    from edge.config.load import load
    from rules.problems import ConfigurationRefused

    try:
        site = load(folder).site
    except (ConfigurationRefused, OSError):
        return "UTC", None
    return site.timezone, None


def act_verify(chosen: argparse.Namespace) -> int:
    if chosen.path is not None and chosen.file is not None:
        raise WrongUsage("name one file, not two")
    return journal_verify.verify(chosen, _path(chosen))


def act_key(chosen: argparse.Namespace) -> int:
    path = chosen.file or _own(chosen.config)[0]
    if chosen.file is not None and not path.exists():
        raise Failed(f"there is no file {path}")
    public = _public_key(path)
    if chosen.json:
        words.print_json({"public_key": public})
    elif public is not None:
        print(public)
    if public is None:
        words.show(f"storewarden: nothing was signed yet in {path.parent}")
    return words.answer(good=public is not None)


def _public_key(path: Path) -> str | None:
    """Return the key beside a journal, or, where it can't be read, that of its newest head."""
    from buffer import storage
    from buffer.device_key import public_of
    from buffer.storage import JournalError

    if (public := public_of(path.parent)) is not None or not path.exists():
        return public
    newest = "SELECT key FROM checkpoints ORDER BY sequence DESC LIMIT 1"
    try:
        with closing(storage.connect(path, read_only=True)) as db, storage.translated("read"):
            found = db.execute(newest).fetchone()
    except JournalError:
        return None
    return None if found is None else bytes(found[0]).hex()
