"""What a bundle must be before anything of it is believed: signed, whole, and within its folder."""

from __future__ import annotations

import gzip
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.upgrade import bundle, signed
from edge.upgrade.bundle import NotInstalled
from edge.upgrade.layout import COMPLETE, Layout
from edge.upgrade.signed import NotTrusted

INSTALL = """#!/bin/sh
# makes what a real one makes, below --root
mkdir -p "$2/opt/storewarden/releases/$(cat VERSION)"
touch "$2/opt/storewarden/releases/$(cat VERSION)/.complete"
"""


def key(folder: Path, name: str = "key") -> Path:
    made = folder / name
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", made), check=True)
    return made


def signers(folder: Path, *keys: Path) -> Path:
    made = folder / "release-signers"
    publics = [k.with_suffix(".pub").read_text().rsplit(" ", 1)[0] for k in keys]
    made.write_text("".join(f'release namespaces="storewarden-release" {p}\n' for p in publics))
    return made


def unpacked(folder: Path, signer: Path | None = None, namespace: str = signed.NAMESPACE) -> Path:
    made = folder / "storewarden-0.1.1"
    made.mkdir()
    (made / "VERSION").write_text("0.1.1\n")
    (made / "install.sh").write_text(INSTALL)
    names = ("VERSION", "install.sh")
    lines = "".join(f"{signed.sum_of(made / name)}  {name}\n" for name in names)
    (made / signed.SUMS).write_text(lines)
    if signer is not None:
        words = ("ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", signer)
        subprocess.run((*words, made / signed.SUMS), check=True)
    return made


def packed(folder: Path, made: Path) -> Path:
    with tarfile.open(folder / "bundle.tar.gz", "w:gz") as tar:
        tar.add(made, arcname=made.name)
    return folder / "bundle.tar.gz"


def test_what_a_trusted_key_has_signed_is_trusted(tmp_path: Path) -> None:
    mine = key(tmp_path)
    folder = unpacked(tmp_path, mine)
    other = key(tmp_path, "other")
    signed.verify(folder, signers(tmp_path, other, mine), unsigned=False)
    with pytest.raises(NotTrusted, match="the signature is not good"):
        signed.verify(folder, signers(tmp_path, other), unsigned=True)


def test_a_signature_for_something_else_is_none(tmp_path: Path) -> None:
    mine = key(tmp_path)
    folder = unpacked(tmp_path, mine, namespace="file")
    with pytest.raises(NotTrusted, match="the signature is not good"):
        signed.verify(folder, signers(tmp_path, mine), unsigned=False)


def test_unsigned_is_taken_only_where_nobody_is_trusted_and_it_is_said(tmp_path: Path) -> None:
    folder = unpacked(tmp_path)
    with pytest.raises(NotTrusted, match=r"it has no SHA256SUMS\.sig"):
        signed.verify(folder, signers(tmp_path, key(tmp_path)), unsigned=True)
    with pytest.raises(NotTrusted, match="this box trusts no signer"):
        signed.verify(folder, tmp_path / "none", unsigned=False)
    signed.verify(folder, tmp_path / "none", unsigned=True)


def test_every_file_is_what_was_signed_and_nothing_else_is_there(tmp_path: Path) -> None:
    mine = key(tmp_path)
    folder, trusted = unpacked(tmp_path, mine), signers(tmp_path, mine)

    def problem() -> str:
        with pytest.raises(NotTrusted) as found:
            signed.verify(folder, trusted, unsigned=False)
        return str(found.value)

    (folder / "wheel.whl").touch()
    assert problem() == "wheel.whl is in the bundle and not in SHA256SUMS"
    (folder / "wheel.whl").unlink()
    (folder / "VERSION").write_text("0.1.2\n")
    assert problem() == "VERSION is not what was signed"
    (folder / "VERSION").unlink()
    assert problem() == "VERSION is missing"
    (folder / "VERSION").symlink_to("/etc/passwd")
    assert problem() == "VERSION is missing"
    (folder / signed.SUMS).write_text("")
    assert problem().startswith("the signature is not good")


@given(st.text())
def test_any_text_is_sums_or_is_refused(text: str) -> None:
    try:
        found = signed.sums(text)
    except ValueError:
        return
    assert all(len(known) == 64 for known in found.values())


def installed(tmp_path: Path, made: Path) -> str:
    layout = Layout(root=tmp_path / "opt" / "storewarden")
    layout.root.mkdir(parents=True, exist_ok=True)
    return bundle.install(layout, made, tmp_path / "none", unsigned=True)


def test_a_bundle_becomes_a_release_and_leaves_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "opt" / "storewarden"
    (root / ".bundle-cut_off" / "storewarden-0.1.1").mkdir(parents=True)
    assert installed(tmp_path, packed(tmp_path, unpacked(tmp_path))) == "0.1.1"
    assert sorted(p.name for p in root.iterdir()) == ["releases"]
    assert (root / "releases" / "0.1.1" / COMPLETE).exists()


def test_an_installer_that_fails_makes_no_release(tmp_path: Path) -> None:
    folder = unpacked(tmp_path)
    (folder / "install.sh").write_text("echo the disk is full >&2; exit 3\n")
    lines = "".join(f"{signed.sum_of(folder / n)}  {n}\n" for n in ("VERSION", "install.sh"))
    (folder / signed.SUMS).write_text(lines)
    with pytest.raises(NotInstalled, match=r"0\.1\.1 can't be installed: the disk is full"):
        installed(tmp_path, packed(tmp_path, folder))


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([entry("../evil")], "leads out of it"),
        ([entry("/etc/evil")], "leads out of it"),
        ([entry("b/../../evil")], "leads out of it"),
        ([entry("b/link", tarfile.SYMTYPE, "/etc")], "b/link is no file"),
        ([entry("b/link", tarfile.LNKTYPE, "/etc/passwd")], "b/link is no file"),
        ([entry("b/device", tarfile.CHRTYPE)], "b/device is no file"),
        ([entry("b/a"), entry("b/./a")], "b/./a is in it twice"),
        ([entry("a/x"), entry("b/x")], "it holds 2 folders, not one"),
        ([], "it holds 0 folders, not one"),
    ],
)
def test_what_leads_out_of_a_bundle_is_not_unpacked(
    tmp_path: Path, entries: list[tarfile.TarInfo], problem: str
) -> None:
    with tarfile.open(tmp_path / "bundle.tar.gz", "w:gz") as tar:
        for one in entries:
            tar.addfile(one)
    with pytest.raises(NotInstalled) as found:
        installed(tmp_path, tmp_path / "bundle.tar.gz")
    assert problem in str(found.value)
    assert {p.name for p in tmp_path.iterdir()} == {"bundle.tar.gz", "opt"}


def test_a_bundle_that_says_it_is_huge_is_refused_before_it_is_written(tmp_path: Path) -> None:
    head = entry("b/zeros")
    head.size = 2 << 40
    with gzip.open(tmp_path / "bundle.tar.gz", "wb") as packed:
        packed.write(head.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(NotInstalled, match="it is too large"):
        installed(tmp_path, tmp_path / "bundle.tar.gz")


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b\x08\x00"])
def test_what_is_no_archive_is_said_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bundle.tar.gz").write_bytes(data)
    with pytest.raises(NotInstalled, match="can't be unpacked"):
        installed(tmp_path, tmp_path / "bundle.tar.gz")
