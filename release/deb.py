"""The Debian package: the bundle of one processor for Debian 12 and 13, installed by apt.

`python -m release.deb [--for MACHINE…] [--sign KEY] [--out DIR]` makes it.
"""

from __future__ import annotations

import argparse
import email.utils
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from release import bundle, sign, wheel, wheelhouse
from release.archive import unpack

MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Debian's names of the processors."""
PYTHONS = ("3.11", "3.13")
"""Of Debian 12 and 13."""
SCRIPTS = ("postinst", "prerm", "postrm")
CONTROL = """\
Package: storewarden
Version: {version}
Architecture: {architecture}
Maintainer: Storewarden <storewarden@localhost>
Installed-Size: {size}
Depends: python3 (>= 3.11), python3 (<< 3.14), libc6 (>= 2.36), systemd
Recommends: ffmpeg, openssh-client
Section: misc
Priority: optional
Description: appliance daemon for the gates, doors and fire panel of a store
 Watches a store's anti-theft gates, doors, fire panel and cameras and decides
 locally what to do, with a durable journal that is forwarded over MQTT.
 .
 The package makes a release in /opt/storewarden without a network. An upgrade
 is a switch to the new release under watch, which goes back by itself.
"""
CHANGES = """\
storewarden ({version}) stable; urgency=medium

  * NEWS.md.gz says what is new.

 -- Storewarden <storewarden@localhost>  {when}
"""


def version(text: str) -> str:
    """Return a version of Python's as one of Debian's: what comes before a release sorts before."""
    return re.sub(r"\.?(a|b|rc|dev)(?=\d)", r"~\1", text)


def build(out: Path, machine: str, *, tree: Path = bundle.TREE, key: Path | None = None) -> Path:
    """Make the package for a processor, in the folder `out`; return its path.

    The same commit gives the same bytes. With `key` the bundle in it is signed.

    Raises:
        wheel.BuildFailed, wheelhouse.FetchFailed, sign.SigningFailed: what the name says.
    """
    ours, moment = wheel.version(tree), wheel.moment(tree)
    with tempfile.TemporaryDirectory() as made:
        root = Path(made, "root")
        archive = bundle.build(
            Path(made), [f"{machine}-{python}" for python in PYTHONS], tree=tree, key=key
        )
        unpack(archive, root / "usr/lib/storewarden")
        (root / f"usr/lib/storewarden/storewarden-{ours}").rename(
            root / "usr/lib/storewarden/bundle"
        )
        _document(root / "usr/share", tree, version(ours), moment)
        _control(root, tree, version(ours), MACHINES[machine])
        for path in (root, *root.rglob("*")):
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
            os.utime(path, (moment, moment))
        name = f"storewarden_{version(ours)}_{MACHINES[machine]}.deb"
        out.mkdir(parents=True, exist_ok=True)
        _pack(root, out / name, moment)
    return out / name


def _document(share: Path, tree: Path, named: str, moment: int) -> None:
    folder, overrides = share / "doc/storewarden", share / "lintian/overrides"
    for one in (folder, overrides):
        one.mkdir(parents=True)
    shutil.copyfile(tree / "release/debian/copyright", folder / "copyright")
    shutil.copyfile(tree / "release/debian/lintian-overrides", overrides / "storewarden")
    entry = CHANGES.format(version=named, when=email.utils.formatdate(moment))
    (folder / "changelog.gz").write_bytes(gzip.compress(entry.encode(), mtime=0))
    (folder / "NEWS.md.gz").write_bytes(
        gzip.compress((tree / "CHANGELOG.md").read_bytes(), mtime=0)
    )


def _control(root: Path, tree: Path, named: str, architecture: str) -> None:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    folder = root / "DEBIAN"
    folder.mkdir()
    size = sum(-(-file.stat().st_size // 1024) for file in files)
    (folder / "control").write_text(
        CONTROL.format(version=named, architecture=architecture, size=size), encoding="utf-8"
    )
    sums = [
        f"{hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()}"
        f"  {file.relative_to(root).as_posix()}\n"
        for file in files
    ]
    (folder / "md5sums").write_text("".join(sums), encoding="utf-8")
    for script in SCRIPTS:
        shutil.copy(tree / "release" / "debian" / script, folder / script)


def _pack(root: Path, target: Path, moment: int) -> None:
    words = ("dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(root), str(target))
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            env=os.environ | {"SOURCE_DATE_EPOCH": str(moment)},
        )
    except FileNotFoundError as error:
        raise wheel.BuildFailed("dpkg-deb is not installed (package dpkg)") from error
    if done.returncode:
        raise wheel.BuildFailed(f"dpkg-deb made no package:\n{done.stderr.strip()}")


def main(words: Sequence[str]) -> int:
    """Make packages as the command line says."""
    parser = argparse.ArgumentParser(
        prog="./dev deb",
        description="Make Debian packages of this tree.",
        epilog="example: ./dev deb --for x86_64 --sign ~/.ssh/storewarden_release",
    )
    parser.add_argument("--for", dest="machines", nargs="+", metavar="MACHINE",
                        choices=list(MACHINES), default=list(MACHINES),
                        help=f"processors (default: {' '.join(MACHINES)})")  # fmt: skip
    parser.add_argument("--sign", type=Path, metavar="KEY", help="private ssh key to sign with")
    parser.add_argument("--out", type=Path, metavar="DIR", default=bundle.TREE / "dist")
    given = parser.parse_args(words)
    if given.sign and wheel.changed(bundle.TREE):
        sys.stderr.write("deb: the tree has changes: only a commit is signed\n")
        return 1
    try:
        for machine in given.machines:
            made = build(given.out, machine, key=given.sign)
            sum_ = wheelhouse.digest(made)
            sys.stdout.write(f"{sum_}  {os.path.relpath(made)}  {made.stat().st_size} bytes\n")
    except (wheel.BuildFailed, wheelhouse.FetchFailed, sign.SigningFailed) as error:
        sys.stderr.write(f"deb: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
