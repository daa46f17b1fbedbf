"""What the role's module of bundles lets through, and what it never does."""

import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.upgrade import signed
from release import sign
from tests.ansible.fleet_files import ANSIBLE, ansible

TOP = "storewarden-1.2.3"
FILES = {"install.sh": b"#!/bin/sh\n", "systemd/storewarden.service": b"[Service]\n"}


def module() -> Any:
    spec = importlib.util.spec_from_file_location(
        "storewarden_bundle", ANSIBLE / "plugins" / "modules" / "storewarden_bundle.py"
    )
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


BUNDLE = module()


def sums(files: Mapping[str, bytes]) -> bytes:
    lines = (f"{hashlib.sha256(text).hexdigest()}  {name}\n" for name, text in files.items())
    return "".join(lines).encode()


def packed(files: Mapping[str, bytes], *, link: str = "") -> tarfile.TarFile:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        if link:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/shadow"
            archive.addfile(member)
    out.seek(0)
    return tarfile.open(fileobj=out, mode="r:*")


def below(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{TOP}/{name}": text for name, text in files.items()}


def test_a_bundle_that_is_as_its_sums_say_is_taken() -> None:
    with packed(below({**FILES, "SHA256SUMS": sums(FILES), "SHA256SUMS.sig": b"sig"})) as archive:
        assert BUNDLE._version(archive) == "1.2.3"
        assert BUNDLE._checked(archive, TOP) == (sums(FILES), b"sig")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"install.sh": b"#!/bin/sh\nrm -rf /\n"}, "install.sh: not as SHA256SUMS says"),
        ({"extra": b""}, "extra: not as SHA256SUMS says"),
        ({"SHA256SUMS": b""}, "it has no SHA256SUMS"),
        ({"SHA256SUMS": b"rubbish\n"}, "SHA256SUMS: 'rubbish' is no sum"),
        ({"SHA256SUMS": sums({**FILES, "gone": b""})}, "gone: not as SHA256SUMS says"),
    ],
)
def test_a_bundle_that_is_otherwise_is_refused(change: Mapping[str, bytes], said: str) -> None:
    with (
        packed(below({**FILES, "SHA256SUMS": sums(FILES), **change})) as archive,
        pytest.raises(BUNDLE.Unfit, match=said),
    ):
        BUNDLE._checked(archive, TOP)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", f"{TOP}/../../etc/passwd", "other-1.0/a", "loose", f"{TOP}/./a"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with packed({f"{TOP}/a": b"", name: b""}) as archive, pytest.raises(BUNDLE.Unfit):
        BUNDLE._version(archive)


def test_a_link_is_refused() -> None:
    with (
        packed({f"{TOP}/a": b""}, link=f"{TOP}/b") as archive,
        pytest.raises(BUNDLE.Unfit, match="b: not a plain file"),
    ):
        BUNDLE._version(archive)


@given(st.binary(max_size=300))
def test_rubbish_in_place_of_sums_never_passes(noise: bytes) -> None:
    with (
        packed(below({**FILES, "SHA256SUMS": noise})) as archive,
        pytest.raises(BUNDLE.Unfit),
    ):
        BUNDLE._checked(archive, TOP)


def test_what_goes_to_the_machine_is_known_by_where_install_sh_puts_it() -> None:
    names = ["systemd/a.service", "systemd/a.service.d/b.conf", "systemd/udev/c.rules"]
    names += ["systemd/sysusers.d/d.conf", "systemd/system.conf.d/e.conf", "wheels/f.whl"]
    assert list(BUNDLE._system(sums(dict.fromkeys(names, b"")).decode())) == [
        "/etc/systemd/system/a.service",
        "/etc/systemd/system/a.service.d/b.conf",
        "/etc/udev/rules.d/c.rules",
        "/usr/lib/sysusers.d/d.conf",
        "/etc/systemd/system.conf.d/e.conf",
    ]


@pytest.mark.parametrize(
    ("principal", "taken"), [("release", True), ("somebody,rel*", True), ("somebody", False)]
)
def test_the_role_and_the_box_take_the_same_signers(
    principal: str, taken: bool, tmp_path: Path
) -> None:
    key, there = tmp_path / "key", tmp_path / TOP
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), check=True)
    (there / "systemd").mkdir(parents=True)
    for name, text in {**FILES, "SHA256SUMS": sums(FILES)}.items():
        (there / name).write_bytes(text)
    sign.sign(there / "SHA256SUMS", key)
    with tarfile.open(tmp_path / "bundle.tar.gz", "w:gz") as archive:
        archive.add(there, TOP)
    signers = tmp_path / "release-signers"
    line = sign.signer(key.with_suffix(".pub").read_text())
    signers.write_text(line.replace(sign.PRINCIPAL, principal, 1))

    try:
        signed.verify(there, signers, unsigned=False)
        box = True
    except signed.NotTrusted:
        box = False
    asked = {"path": str(tmp_path / "bundle.tar.gz"), "signers": signers.read_text()}
    role = ansible(
        "ansible", "localhost", "-i", "localhost,", "-c", "local",
        "-M", ANSIBLE / "plugins/modules",
        "-e", json.dumps({"ansible_python_interpreter": sys.executable}),
        "-m", "storewarden_bundle", "-a", json.dumps(asked),
    )  # fmt: skip
    assert (box, role.returncode == 0) == (taken, taken), role.stdout + role.stderr
    assert taken or "it is signed by somebody who may not" in role.stdout
