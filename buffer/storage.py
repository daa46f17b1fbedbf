"""The journal's file: opening it, its schema, and setting a broken one aside."""

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

APPLICATION = 0x53574A31
"""Marks a SQLite file as one of ours."""
ASIDES_KEPT = 3
"""How many broken files stay beside the journal."""
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TABLE = re.compile(r"^CREATE TABLE .*?^\);$", re.MULTILINE | re.DOTALL)
_SMALL = 8 << 20
"""Bytes of a file whose pages are all looked at when it is opened."""


class JournalError(Exception):
    """The journal could not do it: disk full, read-only or failing. Nothing was changed."""


class JournalBroken(JournalError):
    """The file is damaged. It has to be set aside."""


class JournalTooNew(JournalError):
    """The file was written by a newer version. It is left alone; a person decides."""


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what SQLite and the file system raise into a JournalError that says what was tried."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        kind = JournalBroken if code in _BROKEN else JournalError
        raise kind(f"cannot {doing}: {error}") from error
    except OSError as error:
        raise JournalError(f"cannot {doing}: {error}") from error


def schema() -> list[str]:
    """Return the numbered scripts, in order; the n-th leads to schema version n."""
    folder = Path(__file__).parent / "schema"
    scripts = sorted(s.name for s in folder.iterdir() if s.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in scripts]


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open `path` at the newest schema, creating or migrating it unless read-only.

    Raises:
        JournalTooNew: its schema is newer than this program.
        JournalBroken: it is not a journal, or quick checks found damage.
        JournalError: it cannot be opened now.
    """
    with translated(f"open {path}"):
        db = _read_only(path) if read_only else sqlite3.connect(path, isolation_level=None)
    try:
        with translated(f"open {path}"):
            db.execute("PRAGMA busy_timeout = 5000")
            _check(db, path)
            if read_only:
                _complete(db)
            else:
                _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def set_aside(path: Path) -> Path:
    """Rename the file and its log to `<name>.aside-N` and return that; older ones may go.

    Raises:
        JournalError: it cannot be renamed.
    """
    number = 1 + max((_number(old) for old in asides(path)), default=0)
    aside = path.with_name(f"{path.name}.aside-{number}")
    with translated(f"set {path} aside"):
        # The log goes first: a new file must never find an old log beside it.
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    for old in asides(path)[:-ASIDES_KEPT]:
        for suffix in ("-wal", "-shm", ""):
            with contextlib.suppress(OSError):
                Path(f"{old}{suffix}").unlink()
    return aside


def asides(path: Path) -> list[Path]:
    """Return the files set aside from `path`, oldest first."""
    found = [p for p in path.parent.glob(f"{path.name}.aside-*") if p.suffix[7:].isdigit()]
    return sorted(found, key=_number)


def last_readable(path: Path) -> tuple[int, bytes] | None:
    """Return sequence and link of the last record that can be read from a broken file, if any."""
    try:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            found: tuple[int, bytes] | None = db.execute(
                "SELECT sequence, link FROM records ORDER BY sequence DESC LIMIT 1"
            ).fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    return found


def reserved(path: Path) -> int:
    """Return a sequence number that no record of `path` is above, as far as was noted; else 0."""
    try:
        return int(_note(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def reserve(path: Path, sequence: int) -> None:
    """Note that sequence numbers up to `sequence` may be in use, even if the file gets lost.

    A disk that refuses the note refuses records too; that is said there.
    """
    note = _note(path)
    fresh = note.with_name(f"{note.name}.new")
    with contextlib.suppress(OSError):
        with fresh.open("w", encoding="ascii") as file:
            file.write(f"{sequence}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(note)


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.reserved")


def _number(aside: Path) -> int:
    return int(aside.suffix[len(".aside-") :])


def _read_only(path: Path) -> sqlite3.Connection:
    where = f"file:{quote(str(path))}?mode=ro"
    db = sqlite3.connect(where, uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:
        db.close()
        if Path(f"{path}-wal").exists():
            raise
        # A clean file in a folder that cannot be written to.
        return sqlite3.connect(f"{where}&immutable=1", uri=True, isolation_level=None)
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and application != APPLICATION:
        raise JournalBroken(f"cannot open {path}: it is not a journal")
    if version > len(schema()):
        raise JournalTooNew(
            f"{path} has schema {version}; this program knows up to {len(schema())}"
        )
    if tables and path.stat().st_size <= _SMALL:
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise JournalBroken(f"cannot open {path}: {verdict}")


def _prepare(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        # A small page is less to write again with each commit (docs/benchmarks.md, Journal).
        db.execute("PRAGMA page_size = 2048")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    for number, script in enumerate(schema()[version:], version + 1):
        db.executescript(
            f"BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION};"
            f"{script}; PRAGMA user_version = {number}; COMMIT;"
        )
    _settle(db)


def _complete(db: sqlite3.Connection) -> None:
    """Put empty tables over an older file that is only read, where it lacks them."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for script in schema()[version:] if version else ():
        for table in _TABLE.findall(script):
            db.execute(table.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))


def _settle(db: sqlite3.Connection) -> None:
    """Write what the log holds into the file, synced, and begin the log anew.

    A sync that failed may have lost frames of the log, and a later one that succeeds does not
    bring them back: what was appended to such a log would go with them in a power cut. A full
    disk and a reader in the way are no reason to keep the journal closed.
    """
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL:
            raise
