"""The wheel: the four packages and the demonstration, the same bytes each time, runs bare."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from release import lock, wheel, wheelhouse
from release.archive import unpack
from release.targets import target

TREE = Path(__file__).parents[2]
HERE = f"{os.uname().machine}-{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The tree as somebody else has it: other times, other modes, without git."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    for name in ("edge", "drivers", "rules", "buffer", "examples"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TREE / name, there / name, ignore=ignored, copy_function=shutil.copyfile)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copyfile(TREE / name, there / name)
    (there / "edge" / "daemon.py").chmod(0o600)
    return there


def names(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as opened:
        return opened.namelist()


def test_it_holds_the_four_packages_and_the_demonstration_store(tmp_path: Path) -> None:
    found = names(wheel.build(TREE, tmp_path))

    assert {name.split("/")[0] for name in found} == {
        "buffer",
        "drivers",
        "edge",
        "rules",
        f"storewarden-{wheel.version(TREE)}.dist-info",
    }
    assert "edge/demo_store/site.yaml" in found
    assert "buffer/schema/0001_journal.sql" in found
    assert [name for name in found if "/test_" in name or name.endswith(".pyc")] == []


def test_it_is_the_same_wherever_it_is_made(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    here = wheel.build(TREE, tmp_path / "here")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    there = wheel.build(copy, tmp_path / "there")

    assert (here.name, wheelhouse.digest(here)) == (there.name, wheelhouse.digest(there))
    with zipfile.ZipFile(here) as opened:
        assert {one.date_time for one in opened.infolist()} == {(2027, 1, 15, 8, 0, 0)}


def test_a_source_archive_makes_the_same_wheel(tmp_path: Path) -> None:
    archive = wheel.build(TREE, tmp_path / "sdist", "sdist")
    unpack(archive, tmp_path)
    tree = tmp_path / archive.name.removesuffix(".tar.gz")

    assert names(wheel.build(tree, tmp_path / "from")) == names(wheel.build(TREE, tmp_path / "to"))


def test_a_tree_that_names_no_version_is_refused(copy: Path) -> None:
    (copy / "edge" / "version.py").write_text('"""Nothing."""\n')

    with pytest.raises(wheel.BuildFailed, match=r"edge/version\.py names no version"):
        wheel.version(copy)


def test_a_bare_environment_runs_the_demonstration_without_a_broker(tmp_path: Path) -> None:
    wheels = wheelhouse.wheels(lock.read(), target(HERE))
    made = wheel.build(TREE, tmp_path)
    for one in wheels:
        shutil.copyfile(one, tmp_path / one.name)
    subprocess.run((sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"), check=True)
    python = tmp_path / "bare" / "bin" / "python"
    (pip,) = tmp_path.glob("pip-*.whl")
    words = ("install", "--quiet", "--no-index", "--no-cache-dir", "--only-binary", ":all:")
    offline = ("--find-links", str(tmp_path), str(made))
    subprocess.run((python, pip / "pip", *words, *offline), check=True)

    done = subprocess.run(
        (python.with_name("storewarden"), "demo", "--for", "5s"),
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": str(tmp_path / "bare" / "bin"), "HOME": str(tmp_path)},
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "published, 0 waiting" in done.stdout
