"""The journal's file: opening it, its schema, and setting a broken one aside."""

import contextlib
import os
import re
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from buffer import frames, noted, schemas
from buffer.schemas import schema as schema

T = TypeVar("T")

APPLICATION = 0x53574A31
"""Marks a SQLite file as one of ours."""
PARTS = ("-wal", "-shm", "")
"""What a journal is made of. The log goes first: a new file must never find an old one."""
ASIDES_KEPT = 3
"""How many broken files stay beside the journal."""
_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
NONSENSE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
)
"""What comes of values that no journal holds: SQLite checks neither types nor texts."""
_UNREADABLE = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}
_TABLE = re.compile(r"^CREATE TABLE .*?^\);$", re.MULTILINE | re.DOTALL)
_LAST = """SELECT max(coalesce((SELECT max(sequence) FROM records), 0),
  coalesce((SELECT max(sequence) FROM evicted), 0), coalesce((SELECT max(last) FROM folded), 0))"""
"""The last number used: the newest records may have lost their bodies already."""
_LOOKS = 6
"""How often a file is looked at before it counts as damaged: SQLite calls it so as well when the
disk failed to read."""
_SMALL = 8 << 20
"""Bytes of a file whose pages are all looked at when it is opened."""


class JournalError(Exception):
    """The journal could not do it: disk full, read-only or failing. Nothing was changed."""


class JournalFull(JournalError):
    """The disk or the size given is full, or the log cannot grow: less may still fit."""


class JournalBroken(JournalError):
    """The file is damaged. It has to be set aside."""


class JournalCut(JournalBroken):
    """The file was made smaller while it was open. That is seen, not guessed."""


class JournalTooNew(JournalError):
    """The file was written by a newer version, and says that this one can't go on in it."""


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what SQLite and the file system raise into a JournalError that says what was tried."""
    try:
        yield
    except sqlite3.Error as error:
        whole = getattr(error, "sqlite_errorcode", 0)
        # That a text is none is found by Python, which has no code for it.
        damaged = whole in _UNREADABLE or (not whole and "decode" in str(error))
        code = sqlite3.SQLITE_CORRUPT if damaged else whole & 0xFF
        full = JournalFull if code == sqlite3.SQLITE_FULL else JournalError
        kind = JournalBroken if code in _BROKEN else full
        raise kind(f"cannot {doing}: {error}") from error
    except OSError as error:
        raise JournalError(f"cannot {doing}: {error}") from error


@contextmanager
def sound(doing: str) -> Iterator[None]:
    """Call a file broken that holds what no journal holds.

    Raises:
        JournalBroken: it does.
    """
    try:
        yield
    except NONSENSE as error:
        raise JournalBroken(f"cannot {doing}: {type(error).__name__}: {error}") from error


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Open `path` at the newest schema, creating or migrating it unless read-only.

    A newer one that says that this program can go on in it is left at its schema.

    Raises:
        JournalTooNew: its schema is newer than this program, and it does not say so.
        JournalBroken: it is not a journal, or quick checks found damage.
        JournalError: it cannot be opened now.
    """
    with translated(f"open {path}"):
        db = _read_only(path) if read_only else sqlite3.connect(path, isolation_level=None)
    try:
        with sound(f"open {path}"), translated(f"open {path}"):
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


def sure(load: Callable[[], T]) -> T:
    """Return `load()`, which is tried again while it says that the file is damaged.

    Raises:
        JournalBroken: it is, each time.
    """
    for _ in range(_LOOKS - 1):
        with contextlib.suppress(JournalBroken):
            return load()
    return load()


def set_aside(path: Path, parts: Sequence[str] = PARTS) -> Path:
    """Rename the file and its log to `<name>.aside-N` and return that; one without a byte goes.

    A journal of a newer version becomes `<name>.schema-N` and stays until a program that knows it
    has taken it over.

    Raises:
        JournalError: it cannot be renamed.
    """
    number = 1 + max((_number(old) for old in asides(path)), default=0)
    aside = path.with_name(f"{path.name}.aside-{number}")
    version = schema_of(path)
    if version > len(schema()):
        aside = path.with_name(f"{path.name}.schema-{version}")
        again = 0
        while any(Path(f"{aside}{suffix}").exists() for suffix in ("", "-wal")):
            again += 1
            aside = path.with_name(f"{path.name}.schema-{version}-{again}")
    # A full disk leaves such files, one with each attempt.
    with contextlib.suppress(OSError):
        if path.is_file() and not path.stat().st_size and not _left(path):
            path.unlink()
    move(path, aside, parts)
    return aside


def move(path: Path, to: Path, parts: Sequence[str] = PARTS) -> None:
    """Rename a file with its log; what is missing is left out.

    Raises:
        JournalError: it cannot be renamed.
    """
    with translated(f"rename {path}"):
        for suffix in parts:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").replace(f"{to}{suffix}")


def prune(path: Path, most: int | None, *, needed: str | None = None) -> None:
    """Remove the oldest files set aside, until few and at most `most` bytes on disk are left.

    The one called `needed` stays.
    """
    left = most
    for kept, old in enumerate(reversed(asides(path)), 1):
        if old.name == needed:
            continue
        size = sum(_blocks(Path(f"{old}{suffix}")) for suffix in ("", "-wal", "-shm"))
        left = None if left is None else left - size
        if kept > ASIDES_KEPT or (left is not None and left < 0):
            for suffix in ("-wal", "-shm", ""):
                with contextlib.suppress(OSError):
                    Path(f"{old}{suffix}").unlink()


def schema_of(path: Path) -> int:
    """Return the schema that a journal or its log says it has; 0 when neither can be read."""
    heads = [frame.image for frame in frames.of(path) if frame.page == 1]
    with contextlib.suppress(OSError), path.open("rb") as file:
        heads.append(file.read(100))
    return max(map(_schema_in, heads), default=0)


def obstacle(path: Path) -> str | None:
    """Return why what lies at `path` can be no journal, before SQLite is asked; None: it may be.

    What a person changed by accident, and we may change back, is changed back.
    """
    with translated(f"look at {path}"):
        left = _left(path)
        if not _is_there(path):
            if left:
                return f"{path} is missing; its log is still there"
            return f"{path} is missing" if noted.reserved(path) else None
        if path.exists() and not path.is_file():
            return f"{path} is not a file"
        if path.exists() and not path.stat().st_size and (left or noted.reserved(path)):
            return f"{path} is empty"
        for suffix in ("", "-wal", "-shm"):
            if (part := Path(f"{path}{suffix}")).exists() and not _opened_up(part):
                return f"{part} belongs to somebody else, and cannot be read and written"
    return None


def asides(path: Path) -> list[Path]:
    """Return the files set aside from `path`, oldest first.

    Raises:
        JournalError: the folder cannot be read.
    """
    with translated(f"look into {path.parent}"):
        # Of one that is missing only the log was left.
        names = {p.name.removesuffix("-wal") for p in path.parent.glob(f"{path.name}.aside-*")}
    found = [p for name in names if (p := path.with_name(name)).suffix[7:].isdigit()]
    return sorted(found, key=_number)


def shortened(path: Path) -> str | None:
    """Return how `path` shows that its newest records are gone; None: nothing shows that.

    SQLite takes a log that was cut or removed for one that ended there. To be asked before it may
    write, which makes away with the rest of such a log.
    """
    known = noted.head(path)
    if known is None:
        return None
    try:
        db = _read_only(path)
    except (sqlite3.Error, OSError):
        return None  # whoever opens it says why
    try:
        last = db.execute(_LAST).fetchone()[0]
        found = db.execute("SELECT link FROM records WHERE sequence = ?", (known.sequence,))
        links = found.fetchall()
    except sqlite3.Error:
        return None
    finally:
        db.close()
    if last < known.sequence:
        return f"{path} ends at record {last}; record {known.sequence} was committed"
    if links and links[0][0] != known.link:
        return f"record {known.sequence} of {path} is not the one that was committed"
    return None


def _schema_in(head: bytes) -> int:
    ours = head.startswith(b"SQLite") and head[68:72] == APPLICATION.to_bytes(4, "big")
    return int.from_bytes(head[60:64], "big") if ours else 0


def _number(aside: Path) -> int:
    return int(aside.suffix[len(".aside-") :])


def _blocks(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except OSError:
        return 0


def _left(path: Path) -> bool:
    """Return whether the log of `path` has something."""
    log = Path(f"{path}-wal")
    return log.is_file() and log.stat().st_size > frames.HEADER


def _is_there(path: Path) -> bool:
    """Return whether there is anything of that name; a disk that does not tell is no answer."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def _opened_up(part: Path) -> bool:
    """Return whether a file may be read and written, where the folder may be written."""
    if _allowed(part, os.R_OK | os.W_OK) or not _allowed(part.parent, os.W_OK | os.X_OK):
        return True
    with contextlib.suppress(OSError):
        part.chmod(part.stat().st_mode | 0o600)
    return _allowed(part, os.R_OK | os.W_OK)


def _allowed(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


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
    if version > len(schema()) and schemas.noted(db) > len(schema()):
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
            f"{script}; {schemas.note(schema()[:number])};"
            f"PRAGMA user_version = {number}; COMMIT;"
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
