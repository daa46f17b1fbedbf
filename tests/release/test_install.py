"""install.sh makes a release without a network, whole or not at all, or refuses in a sentence."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from release import bundle, sign

VERSION = "0.1.0"


def install(
    folder: Path, root: Path, *words: str, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run install.sh where no network is to be had, as far as this user can do without."""
    alone = ("unshare", "--net") if os.geteuid() == 0 else ()
    return subprocess.run(
        (*alone, folder / "install.sh", "--root", root, "--python", python, *words),
        capture_output=True,
        text=True,
        timeout=300,
        cwd="/",
        env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
    )


def version_of(root: Path) -> str:
    program = root / "opt/storewarden/current/bin/storewarden"
    return subprocess.run((program, "--version"), capture_output=True, text=True).stdout


def test_a_disk_that_is_full_gets_its_room_back(unpacked: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    small = 'ulimit -f 128; exec "$@"'  # no file above 64 kB: as good as full
    words = (unpacked / "install.sh", "--root", root, "--python", sys.executable, "release")
    done = subprocess.run(("sh", "-c", small, "-", *words), capture_output=True, text=True)

    assert "install.sh: pip could not install the wheels" in done.stderr
    assert done.returncode == 1
    assert list((root / "opt/storewarden/releases").iterdir()) == []


def a_python(tmp_path: Path, says: str) -> str:
    """Return the path of a program that answers as a Python of another kind would."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return str(program)


def test_it_makes_a_release_once(unpacked: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    first = install(unpacked, root, "all")
    release = root / "opt/storewarden/releases" / VERSION
    complete = (release / ".complete").stat().st_ino
    second = install(unpacked, root, "all")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert version_of(root) == f"storewarden {VERSION}\n"
    assert second.stderr == f"install.sh: release {VERSION} is installed\n"
    assert (release / ".complete").stat().st_ino == complete
    assert (root / "opt/storewarden/current").readlink() == Path(f"releases/{VERSION}")
    assert list(release.rglob("edge/__pycache__/daemon.*.pyc"))
    assert (root / "usr/local/bin/storewarden").readlink() == Path(
        "/opt/storewarden/current/bin/storewarden"
    )

    (release / ".complete").write_text("of another build\n")
    other = install(unpacked, root, "release")
    assert other.returncode == 1
    assert "another build of 0.1.0 is installed" in other.stderr


def test_a_release_cut_short_is_made_anew_and_the_current_one_stays(
    unpacked: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    current = root / "opt/storewarden/current"
    release = root / "opt/storewarden/releases" / VERSION
    marks: tuple[Callable[[], object], ...] = (
        (release / "bin" / "python").is_symlink,
        lambda: list(release.glob("lib/*/site-packages/edge/__pycache__")),
    )
    for mark in marks:
        running = subprocess.Popen(
            (unpacked / "install.sh", "--root", root, "--python", sys.executable, "release"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not mark() and running.poll() is None:
            time.sleep(0.02)  # another process's work: nothing to wait on
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()

        assert not (release / ".complete").exists()
        assert not current.is_symlink()
    current.symlink_to("releases/0.0.9")
    done = install(unpacked, root, "release")

    assert done.returncode == 0, done.stderr
    assert (release / ".complete").exists()
    assert current.readlink() == Path("releases/0.0.9")


def test_what_belongs_to_the_machine_is_put_where_it_differs(
    unpacked: Path, tmp_path: Path
) -> None:
    shutil.rmtree(unpacked / "systemd", ignore_errors=True)
    units = {
        "storewarden.service": "etc/systemd/system/storewarden.service",
        "storewarden.service.d/10-a.conf": "etc/systemd/system/storewarden.service.d/10-a.conf",
        "sysusers.d/storewarden.conf": "usr/lib/sysusers.d/storewarden.conf",
        "tmpfiles.d/storewarden.conf": "usr/lib/tmpfiles.d/storewarden.conf",
        "journald.conf.d/storewarden.conf": "etc/systemd/journald.conf.d/storewarden.conf",
        "system.conf.d/storewarden.conf": "etc/systemd/system.conf.d/storewarden.conf",
        "udev/60-storewarden.rules": "etc/udev/rules.d/60-storewarden.rules",
    }
    for name in units:
        (unpacked / "systemd" / name).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / "systemd" / name).write_text(name)
    bundle.sums(unpacked)
    root = tmp_path / "root"
    first, second = install(unpacked, root, "system"), install(unpacked, root, "system")

    assert first.returncode == 0, first.stderr
    assert {path: (root / path).read_text() for path in units.values()} == {
        path: name for name, path in units.items()
    }
    assert {(root / path).stat().st_mode & 0o777 for path in units.values()} == {0o644}
    assert (second.returncode, second.stderr) == (0, "")


def test_a_changed_file_is_refused(unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "requirements.txt").write_text("storewarden==0.1.0\n")
    done = install(unpacked, tmp_path / "root", "all")

    assert done.returncode == 1
    assert "the bundle is damaged or was changed; copy it again" in done.stderr
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("name", ["wheels/more-1-py3-none-any.whl", "systemd/more.service"])
def test_a_file_that_is_not_listed_is_refused(unpacked: Path, tmp_path: Path, name: str) -> None:
    (unpacked / name).parent.mkdir(exist_ok=True)
    (unpacked / name).write_text("")
    done = install(unpacked, tmp_path / "root", "all")

    assert done.returncode == 1
    assert "the bundle holds a file that SHA256SUMS does not list" in done.stderr


def test_where_signers_are_named_a_bundle_of_anybody_else_is_refused(
    unpacked: Path, tmp_path: Path
) -> None:
    for name in ("ours", "theirs"):
        words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name))
        subprocess.run(words, check=True)
    signers = tmp_path / "root/etc/storewarden/release-signers"
    signers.parent.mkdir(parents=True)
    signers.write_text(sign.signer((tmp_path / "ours.pub").read_text()))

    unsigned = install(unpacked, tmp_path / "root", "system")
    sign.sign(unpacked / "SHA256SUMS", tmp_path / "theirs")
    foreign = install(unpacked, tmp_path / "root", "system")
    sign.sign(unpacked / "SHA256SUMS", tmp_path / "ours")
    signed = install(unpacked, tmp_path / "root", "system")

    assert unsigned.returncode == 1
    assert f"this bundle is not signed, and {signers} asks for it" in unsigned.stderr
    assert foreign.returncode == 1
    assert f"the signature is not one of those that {signers} allows" in foreign.stderr
    assert signed.returncode == 0, signed.stderr


@pytest.mark.parametrize(
    ("says", "refusal"),
    [
        ("3.10 x86_64 64 glibc 2.36", "Python 3.10 is too old; 3.11 or newer is needed"),
        ("3.11 armv7l 32 glibc 2.36", "this is a 32-bit system; a 64-bit one is needed"),
        ("3.11 x86_64 64 -", "this system has no glibc; Debian 12 or 13 is needed"),
        ("3.11 x86_64 64 glibc 2.35", "glibc 2.35 is too old; 2.36 or newer is needed"),
        ("3.12 riscv64 64 glibc 2.41", "this machine is riscv64 with Python 3.12; the bundle is"),
    ],
)
def test_a_machine_that_does_not_fit_is_told_why(
    unpacked: Path, tmp_path: Path, says: str, refusal: str
) -> None:
    done = install(unpacked, tmp_path / "root", "release", python=a_python(tmp_path, says))

    assert done.returncode == 1
    assert refusal in done.stderr
    assert not (tmp_path / "root/opt").exists()


def test_without_python_it_says_which_package_has_it(unpacked: Path, tmp_path: Path) -> None:
    done = install(unpacked, tmp_path / "root", "release", python="python9")

    assert done.returncode == 1
    assert "there is no python9 here; Debian has it as package python3" in done.stderr


@pytest.mark.parametrize("way", ["no folder", "read-only"])
def test_a_place_that_cannot_be_written_is_said(unpacked: Path, tmp_path: Path, way: str) -> None:
    opt = tmp_path / "root/opt"
    opt.parent.mkdir()
    if way == "no folder":
        opt.write_text(way)
    else:  # all folders are there, as on a read-only file system, and no file can be made
        (opt / "storewarden/releases").mkdir(parents=True)
        (opt / "storewarden/.lock").symlink_to("/nowhere/.lock")
    done = install(unpacked, tmp_path / "root", "release")

    assert done.returncode == 1
    assert (
        "opt/storewarden can't be written: are you root, and is the disk writable?" in done.stderr
    )


@pytest.mark.parametrize("words", [(), ("everything",), ("release", "system"), ("--root",)])
def test_wrong_usage_is_answered_with_the_right_one(
    unpacked: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    done = install(unpacked, tmp_path / "root", *words)

    assert done.returncode == 2
    assert done.stderr.startswith("usage: install.sh [--root DIR]")


@pytest.mark.parametrize("name", ["release/install.sh", "dev", ".ci/run"])
def test_its_shell_is_clean(name: str) -> None:
    script = Path(bundle.__file__).parents[1] / name
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")

    assert subprocess.run(("shellcheck", script), capture_output=True, text=True).stdout == ""
