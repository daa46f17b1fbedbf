"""The bundle holds all that a box needs, listed and signed, and is the same each time."""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release import archive, bundle, lock, sbom, sign, wheel, wheelhouse
from release.targets import TARGETS

TREE = Path(__file__).parents[2]
VERIFY = ("ssh-keygen", "-q", "-Y", "verify", "-I", "release", "-n", "storewarden-release")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A signer's private key, without a passphrase; its public half is beside it."""
    made = tmp_path / "key"
    words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a signer", "-f", str(made))
    subprocess.run(words, check=True)
    return made


def verified(sums: Path, signers: Path) -> bool:
    words = (*VERIFY, "-f", str(signers), "-s", f"{sums}.sig")
    with sums.open("rb") as read:
        return subprocess.run(words, stdin=read, capture_output=True).returncode == 0


def test_it_holds_the_wheels_the_installer_and_what_goes_with_them(unpacked: Path) -> None:
    found = {path.name for path in unpacked.iterdir()}
    carried = {name for name in bundle.CARRIED if any(bundle.files(TREE, name))}

    assert found - carried == {
        "SHA256SUMS",
        "TARGETS",
        "VERSION",
        "install.sh",
        "requirements.txt",
        "sbom.cdx.json",
        "wheels",
    }
    assert carried - found == set()
    assert (unpacked / "install.sh").stat().st_mode & 0o777 == 0o755
    assert {path.suffix for path in (unpacked / "wheels").iterdir()} == {".whl"}


def test_its_requirements_name_every_wheel_by_its_sum(unpacked: Path) -> None:
    text = (unpacked / "requirements.txt").read_text()

    assert [
        wheel.name
        for wheel in (unpacked / "wheels").iterdir()
        if wheelhouse.digest(wheel) not in text
    ] == []
    assert f"storewarden[fast,gpio,sparkplug]=={wheel.version(TREE)}" in text


def test_its_list_of_sums_is_what_sha256sum_reads_and_complete(unpacked: Path) -> None:
    words = ("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS")
    subprocess.run(words, cwd=unpacked, check=True)
    files = {p.relative_to(unpacked).as_posix() for p in unpacked.rglob("*") if p.is_file()}

    assert {line[66:] for line in (unpacked / "SHA256SUMS").read_text().splitlines()} == files - {
        "SHA256SUMS"
    }


def test_a_folder_packs_to_the_same_bytes_whoever_packs_it(tmp_path: Path) -> None:
    for name, mode in (("a", 0o700), ("b", 0o755)):
        folder = tmp_path / name / "folder"
        (folder / "in").mkdir(parents=True)
        for file in sorted(("run", "in/x", "in/y"), reverse=name == "b"):
            (folder / file).write_text(file)
        (folder / "run").chmod(mode)
        archive.pack(folder, tmp_path / f"{name}.tar.gz")

    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert [(one.name, one.mode) for one in tar] == [
            ("folder", 0o755),
            ("folder/in", 0o755),
            ("folder/in/x", 0o644),
            ("folder/in/y", 0o644),
            ("folder/run", 0o755),
        ]


def test_a_signature_holds_for_these_sums_and_this_signer_alone(tmp_path: Path, key: Path) -> None:
    sums = tmp_path / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  VERSION\n")
    signers = tmp_path / "release-signers"
    signers.write_text(sign.signer(key.with_suffix(".pub").read_text()))
    sign.sign(sums, key)

    assert verified(sums, signers)

    first = Path(f"{sums}.sig").read_bytes()
    sign.sign(sums, key)
    assert Path(f"{sums}.sig").read_bytes() == first

    sums.write_text(f"{'1' * 64}  VERSION\n")
    assert not verified(sums, signers)


def test_a_key_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text("")
    (tmp_path / "key").write_text("nothing\n")
    (tmp_path / "key").chmod(0o600)

    with pytest.raises(sign.SigningFailed, match="ssh-keygen made no signature"):
        sign.sign(tmp_path / "SHA256SUMS", tmp_path / "key")


def test_its_list_of_components_is_valid_and_names_every_wheel(unpacked: Path) -> None:
    text = (unpacked / "sbom.cdx.json").read_text()
    listed = json.loads(text)
    components = [*listed["components"], listed["metadata"]["component"]]
    sums = {one["content"] for part in components for one in part["hashes"]}

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert sums == {wheelhouse.digest(wheel) for wheel in (unpacked / "wheels").iterdir()}
    assert [part["name"] for part in components if not part.get("licenses")] == []
    assert {part["purl"] for part in components} >= {
        f"pkg:pypi/storewarden@{wheel.version(TREE)}",
        "pkg:pypi/aiohttp@3.14.5",
    }


def test_the_list_of_components_says_who_needs_whom(unpacked: Path) -> None:
    listed = json.loads((unpacked / "sbom.cdx.json").read_text())
    needs = {
        one["ref"].partition("@")[0]: {name.partition("@")[0] for name in one.get("dependsOn", [])}
        for one in listed["dependencies"]
    }

    assert needs["pkg:pypi/aiomqtt"] == {"pkg:pypi/paho-mqtt"}
    assert needs["pkg:pypi/storewarden"] >= {"pkg:pypi/aiohttp", "pkg:pypi/gpiod"}


def test_the_list_of_components_is_the_same_each_time(unpacked: Path, tmp_path: Path) -> None:
    shutil.copytree(unpacked / "wheels", tmp_path / "copied")
    made = [
        sbom.describe(folder, moment=1800000000, extras=lock.EXTRAS, targets=TARGETS)
        for folder in (unpacked / "wheels", tmp_path / "copied")
    ]

    assert made[0] == made[1]


def test_what_git_ignores_is_left_out(tmp_path: Path) -> None:
    for name in ("ansible/role.yml", "ansible/plugins/__pycache__/a.pyc", "ansible/note.tmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    subprocess.run(("git", "init", "-q", tmp_path), check=True)
    (tmp_path / ".gitignore").write_text("*.tmp\n__pycache__/\n")

    assert list(bundle.files(tmp_path, "ansible")) == [Path("ansible/role.yml")]


def test_an_unknown_target_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert bundle.main(["--for", "sparc-3.11"]) == 2
    assert "no release is made for sparc-3.11" in capsys.readouterr().err


def test_the_page_about_releases_names_the_targets_and_what_is_in_the_archive() -> None:
    page = (TREE / "docs" / "releases.md").read_text()
    parts = ("install.sh", "VERSION", "TARGETS", "requirements.txt", "wheels/", "sbom.cdx.json")
    sums = ("SHA256SUMS", "SHA256SUMS.sig")

    assert tuple(re.findall(r"(?m)^\| `((?:x86|aarch)\S+)`", page)) == bundle.ALL
    assert [
        name
        for name in (*parts, *sums, *(f"{folder}/" for folder in bundle.CARRIED))
        if f"`{name}`" not in page.partition("| in the archive")[2].partition("\n\n")[0]
    ] == []
