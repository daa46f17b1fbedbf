"""Releases made of another one: a good one of another version, and ones broken on purpose.

`python -m bench.broken_releases BUNDLE OUT [WAY…]` writes a bundle for each way to be broken.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import re
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from release import archive, bundle, sign, wheelhouse

LATER = """
import time as _time
_BEGAN = _time.monotonic()


def _fault() -> None:
    if _time.monotonic() - _BEGAN > {seconds}:
        {act}

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Text of one file in the wheel, and what comes in its place; a new file where `old` is ""."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A way in which a release is broken."""

    version: str
    says: str
    """What the reason of the return has to contain."""
    changes: tuple[Change, ...]


def later(seconds: int, act: str) -> tuple[Change, ...]:
    """Return what does something in the pipeline so many seconds after the start."""
    fault = LATER.format(seconds=seconds, act=act)
    turn = "        self.turned = self.clock.tick()\n        beat ="
    return (
        Change(file="edge/pipeline.py", old="\nclass Following(", new=f"{fault}\nclass Following("),
        Change(file="edge/pipeline.py", old=turn, new=f"        _fault()\n{turn}"),
    )


_SERVE = "    from edge import daemon\n    from edge.clock import boot_id\n"
_LINK = "                link = Link(self._address, self.unit)\n"
_DIAL = "            link = await self._dialer.dial()\n"
_CONNECT = '    with translated(f"open {path}"):\n'
_NOTE = "    if least == number:\n"
_DEAF = Change(
    file="drivers/lines/modbus.py",
    old=_LINK,
    new=f'                raise DriverError("broken on purpose")\n{_LINK}',
)


def _schema(compatible: int) -> Change:
    """Return a third step of the journal's schema, which says who can go on after it."""
    script = f"-- compatible: {compatible}\nCREATE TABLE notes (sequence INTEGER PRIMARY KEY);\n"
    return Change(file="buffer/schema/0003_notes.sql", old="", new=script)


WAYS: Mapping[str, Broken] = {
    "import": Broken(
        version="0.2.1",
        says="0.2.1 ended by itself before it was ready",
        changes=(Change(file="edge/cli/run.py", old=_SERVE, new=f"    import absent\n{_SERVE}"),),
    ),
    "ready": Broken(
        version="0.2.2",
        says="0.2.2 was not ready within 90 s",
        changes=(Change(file="edge/daemon.py", old="            notify.ready()\n", new=""),),
    ),
    "hang": Broken(
        version="0.2.3",
        says="0.2.3 ",  # no answer, or the watchdog: whichever is seen first
        changes=later(15, "_time.sleep(3600)"),
    ),
    "devices": Broken(version="0.2.4", says="was up, and is down for 45 s", changes=(_DEAF,)),
    "journal": Broken(
        version="0.2.5",
        says="the journal takes nothing for 20 s",
        changes=(
            Change(
                file="buffer/storage.py",
                old=_CONNECT,
                new=f'    if not read_only:\n        raise JournalError("broken")\n{_CONNECT}',
            ),
        ),
    ),
    "uplink": Broken(
        version="0.2.6",
        says="the uplink was connected, and is not for 45 s",
        changes=(
            Change(
                file="buffer/mqtt.py",
                old=_DIAL,
                new=f'            raise OSError("broken on purpose")\n{_DIAL}',
            ),
        ),
    ),
    "crash": Broken(
        version="0.2.7",
        says="0.2.7 ",
        changes=later(20, '__import__("os").abort()'),
    ),
    "unloadable": Broken(
        version="0.2.8",
        says="the program of 0.2.8 does not start: ModuleNotFoundError: No module named 'absent'",
        changes=(
            Change(
                file="edge/daemon.py",
                old="\nimport asyncio\n",
                new="\nimport absent\nimport asyncio\n",
            ),
        ),
    ),
    "oneway": Broken(
        version="0.2.9",
        says="0.2.9 brings the journal to schema 3, in which 0.1.0 (schema 2) can't go on",
        changes=(_schema(3),),
    ),
    "newer": Broken(
        version="0.2.10", says="was up, and is down for 45 s", changes=(_schema(2), _DEAF)
    ),
    "liar": Broken(
        version="0.2.11",
        says="was up, and is down for 45 s",
        changes=(
            _schema(2),
            _DEAF,
            Change(file="buffer/schemas.py", old=_NOTE, new="    if number:\n"),
        ),
    ),
}
"""`unloadable` and `oneway` are refused before the switch. `newer` brings the journal to a schema
in which the release before goes on; `liar` says so, and it does not."""
REFUSED = frozenset({"unloadable", "oneway"})


def made(
    of: Path,
    out: Path,
    version: str,
    changes: Sequence[Change] = (),
    key: Path | None = None,
) -> Path:
    """Write the bundle `of` again as another version, with changed files; return it.

    Raises:
        ValueError: a text to be changed is not there, or there twice.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as work:
        archive.unpack(of, Path(work))
        (old,) = Path(work).iterdir()
        folder = old.rename(old.with_name(f"storewarden-{version}"))
        before = (folder / "VERSION").read_text().strip()
        (wheel,) = (folder / "wheels").glob("storewarden-*.whl")
        digest = wheelhouse.digest(wheel)
        fresh = _wheel(wheel, before, version, changes)
        text = (folder / "requirements.txt").read_text()
        text = text.replace(f"]=={before}", f"]=={version}")
        text = text.replace(digest, wheelhouse.digest(fresh))
        (folder / "requirements.txt").write_text(text)
        (folder / "VERSION").write_text(f"{version}\n")
        (folder / "SHA256SUMS.sig").unlink(missing_ok=True)
        (folder / "SHA256SUMS").unlink()
        bundle.sums(folder)
        if key is not None:
            sign.sign(folder / "SHA256SUMS", key)
        target = out / f"storewarden-{version}.tar.gz"
        archive.pack(folder, target)
    return target


def _wheel(wheel: Path, before: str, version: str, changes: Sequence[Change]) -> Path:
    """Write the wheel again under another version, and remove the old one."""
    with zipfile.ZipFile(wheel) as old:
        names = [i.filename for i in old.infolist() if not i.is_dir()]
        files = {name: old.read(name) for name in names}
    for change in changes:
        text = files.get(change.file, b"").decode()
        if text.count(change.old) != 1 and change.old:
            raise ValueError(f"{change.file} does not hold this once: {change.old}")
        files[change.file] = text.replace(change.old, change.new, 1).encode()
    module = files["edge/version.py"].decode()
    files["edge/version.py"] = module.replace(f'"{before}"', f'"{version}"').encode()
    info, other = f"storewarden-{before}.dist-info", f"storewarden-{version}.dist-info"
    files = {name.replace(info, other): data for name, data in files.items()}
    meta = files[f"{other}/METADATA"].decode()
    files[f"{other}/METADATA"] = re.sub(
        r"^Version: .*$", f"Version: {version}", meta, count=1, flags=re.MULTILINE
    ).encode()
    record = f"{other}/RECORD"
    del files[record]
    rows = [f"{name},sha256={_sum(data)},{len(data)}\n" for name, data in files.items()]
    files[record] = "".join([*rows, f"{record},,\n"]).encode()
    target = wheel.with_name(wheel.name.replace(f"-{before}-", f"-{version}-"))
    wheel.unlink()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in files.items():
            new.writestr(zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0)), data)
    return target


def _sum(data: bytes) -> str:
    digest = hashlib.sha256(data).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def broken(of: Path, out: Path, way: str, key: Path | None = None) -> Path:
    """Write the release that is broken in the given way."""
    return made(of, out, WAYS[way].version, WAYS[way].changes, key)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Make releases that are broken on purpose.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("ways", nargs="*", metavar="WAY")
    parser.add_argument("--sign", type=Path)
    given = parser.parse_args(words)
    for way in given.ways or WAYS:
        print(broken(given.bundle, given.out, way, given.sign))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
