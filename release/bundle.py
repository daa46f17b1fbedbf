"""The bundle: one archive with all that a box needs, installed without a network by its install.sh.

`python -m release.bundle [--for TARGET…] [--sign KEY] [--out DIR]` makes it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from release import archive, lock, sbom, sign, targets, wheel, wheelhouse

TREE = Path(__file__).resolve().parents[1]
CARRIED = ("systemd", "ansible", "monitoring", "examples")
"""Folders of the tree that go with a release as they are."""
ALL = tuple(one.name for one in targets.TARGETS)


def build(
    out: Path, wanted: Sequence[str] = ALL, *, tree: Path = TREE, key: Path | None = None
) -> Path:
    """Make the bundle of `tree` for the targets named, in the folder `out`; return the archive.

    The same commit gives the same bytes, signed or not. With `key`, a private ssh key, its list
    of sums is signed.

    Raises:
        ValueError: a target is unknown.
        wheel.BuildFailed, wheelhouse.FetchFailed, sign.SigningFailed: what the name says.
    """
    chosen = tuple(dict.fromkeys(targets.target(name) for name in wanted))
    version = wheel.version(tree)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".bundle-") as made:
        folder = Path(made, f"storewarden-{version}")
        _fill(folder, tree, version, chosen)
        sums(folder)
        if key is not None:
            sign.sign(folder / "SHA256SUMS", key)
        packed = Path(made, "packed")
        archive.pack(folder, packed)
        finished = out / f"storewarden-{version}.tar.gz"
        packed.chmod(0o644)
        packed.replace(finished)
    return finished


def _fill(folder: Path, tree: Path, version: str, chosen: Sequence[targets.Target]) -> None:
    house = folder / "wheels"
    house.mkdir(parents=True)
    ours = wheel.build(tree, house)
    pins = lock.read(tree / "release" / "requirements.txt")
    for where in chosen:
        for one in wheelhouse.wheels(pins, where):
            shutil.copyfile(one, house / one.name)
    listed = sbom.describe(house, moment=wheel.moment(tree), extras=lock.EXTRAS, targets=chosen)
    (folder / "sbom.cdx.json").write_text(listed, encoding="utf-8")
    extras = ",".join(sorted(lock.EXTRAS))
    own = lock.Pin(
        name=f"storewarden[{extras}]",
        version=version,
        marker="",
        hashes=(wheelhouse.digest(ours),),
    )
    text = lock.HEAD + "".join(pin.text() for pin in (*pins, own))
    (folder / "requirements.txt").write_text(text, encoding="utf-8")
    (folder / "VERSION").write_text(f"{version}\n", encoding="utf-8")
    names = "".join(f"{where.name}\n" for where in chosen)
    (folder / "TARGETS").write_text(names, encoding="utf-8")
    shutil.copy(tree / "release" / "install.sh", folder / "install.sh")
    for name in CARRIED:
        for file in files(tree, name):
            there = folder / file
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(tree / file, there)


def files(tree: Path, name: str) -> Iterator[Path]:
    """Yield the files below `name` that belong to the tree, relative to it, sorted."""
    listed = wheel.git(tree, "ls-files", "-z", "-co", "--exclude-standard", "--", name)
    if listed:
        found = {Path(one) for one in listed.split("\0") if one}
    else:
        found = {file.relative_to(tree) for file in (tree / name).rglob("*")}
    for file in sorted(found):
        if (tree / file).is_file() and not {"__pycache__", ".gitignore"} & {*file.parts}:
            yield file


def sums(folder: Path) -> None:
    """Write SHA256SUMS: the sum of every other file in `folder`, as sha256sum reads it."""
    target = folder / "SHA256SUMS"
    target.unlink(missing_ok=True)
    listed = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))
    lines = [f"{wheelhouse.digest(folder / n)}  {n}\n" for n in listed if (folder / n).is_file()]
    target.write_text("".join(lines), encoding="utf-8")


def main(words: Sequence[str]) -> int:
    """Make a bundle as the command line says."""
    parser = argparse.ArgumentParser(
        prog="./dev bundle",
        description="Make the archive that installs Storewarden without a network.",
        epilog="example: ./dev bundle --for x86_64-3.11 --sign ~/.ssh/storewarden_release",
    )
    parser.add_argument("--for", dest="wanted", nargs="+", metavar="TARGET", default=list(ALL),
                        help=f"machines it is for (default: all of {', '.join(ALL)})")  # fmt: skip
    parser.add_argument("--sign", type=Path, metavar="KEY", help="private ssh key to sign with")
    parser.add_argument("--out", type=Path, metavar="DIR", default=TREE / "dist")
    given = parser.parse_args(words)
    if wheel.changed(TREE):
        if given.sign:
            sys.stderr.write("bundle: the tree has changes: only a commit is signed\n")
            return 1
        sys.stderr.write("bundle: the tree has changes that no commit holds\n")
    try:
        made = build(given.out, given.wanted, key=given.sign)
    except ValueError as error:
        sys.stderr.write(f"bundle: {error}\n")
        return 2
    except (wheel.BuildFailed, wheelhouse.FetchFailed, sign.SigningFailed) as error:
        sys.stderr.write(f"bundle: {error}\n")
        return 1
    shown = os.path.relpath(made)
    sys.stdout.write(f"{wheelhouse.digest(made)}  {shown}  {made.stat().st_size} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
