"""The lock is what pyproject.toml asks for, whole, with a wheel of all for every target."""

import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename

from release import lock, sbom, wheelhouse
from release.lock import Pin
from release.targets import TARGETS, Target, target

TREE = Path(__file__).parents[2]
PROJECT = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
ASKED = [
    Requirement(text)
    for text in (
        *PROJECT["dependencies"],
        *(one for extra in lock.EXTRAS for one in PROJECT["optional-dependencies"][extra]),
        (TREE / "release" / "installer.in").read_text().splitlines()[-1],
    )
]
HASHES = st.lists(st.integers(0, 2**256 - 1).map("{:064x}".format), min_size=1, unique=True)
PINS = st.builds(
    Pin,
    name=st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9})?", fullmatch=True),
    version=st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,3}){0,3}", fullmatch=True),
    marker=st.sampled_from(["", "python_version < '3.13'", "os_name == 'nt'"]),
    hashes=HASHES.map(lambda hashes: tuple(sorted(hashes))),
)


def test_it_pins_what_the_project_asks_for() -> None:
    pinned = {pin.name: pin.version for pin in lock.read()}

    assert {str(canonicalize_name(one.name)): str(one.specifier) for one in ASKED} == {
        str(canonicalize_name(one.name)): f"=={pinned.get(canonicalize_name(one.name))}"
        for one in ASKED
    }


@pytest.mark.parametrize("where", TARGETS, ids=lambda where: where.name)
def test_a_target_gets_a_wheel_of_every_pin_and_of_all_that_they_need(where: Target) -> None:
    wheels = wheelhouse.wheels(lock.read(), where)
    about = {canonicalize_name(sbom.metadata(wheel)["Name"]): wheel for wheel in wheels}
    needed = {name for wheel in wheels for name in sbom.needs(sbom.metadata(wheel), (), where)}
    asked = {str(canonicalize_name(one.name)) for one in ASKED}

    assert set(about) == {pin.name for pin in lock.read() if pin.wanted(where)}
    assert (needed | asked) - set(about) == set()


@pytest.mark.parametrize("where", TARGETS, ids=lambda where: where.name)
def test_its_wheels_run_on_that_processor_python_and_c_library(where: Target) -> None:
    version = where.python.replace(".", "")
    for wheel in wheelhouse.wheels(lock.read(), where):
        tags = parse_wheel_filename(wheel.name)[3]

        assert any(_fits(tag, where.machine, version) for tag in tags), wheel.name


def _fits(tag: Tag, machine: str, version: str) -> bool:
    python = tag.interpreter in ("py3", f"py{version}", f"cp{version}")
    stable = tag.abi == "abi3" and int(tag.interpreter[3:]) <= int(version[1:])
    libc = re.fullmatch(rf"manylinux_2_(\d+)_{machine}", tag.platform)
    platform = tag.platform in ("any", f"manylinux2014_{machine}", f"manylinux1_{machine}")
    return (python or stable) and (platform or bool(libc and int(libc[1]) <= 36))


def test_nothing_in_it_is_for_another_machine() -> None:
    wheels = {one for where in TARGETS for one in wheelhouse.wheels(lock.read(), where)}

    assert {wheelhouse.digest(wheel) for wheel in wheels} == {
        one for pin in lock.read() for one in pin.hashes
    }


@settings(max_examples=40)
@given(st.lists(PINS, max_size=5))
def test_what_was_written_is_read(pins: list[Pin]) -> None:
    assert lock.parse("".join(pin.text() for pin in pins)) == tuple(pins)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        lock.parse(text)


def test_a_line_that_is_no_pin_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="line 2 is neither a pin nor a hash: b>=2"):
        lock.parse("a==1\nb>=2\n")


def test_a_marker_is_asked_of_the_target_and_not_of_this_machine() -> None:
    pin = Pin(name="a", version="1", marker="python_version < '3.13'", hashes=())

    assert [one.name for one in TARGETS if pin.wanted(one)] == ["x86_64-3.11", "aarch64-3.11"]


def test_an_unknown_target_is_refused_with_the_names_of_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no release is made for armv7l-3\.11: it is x86_64"):
        target("armv7l-3.11")


def test_a_wheel_that_was_changed_on_this_machine_is_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tuple(pin for pin in lock.read() if pin.name in ("aiomqtt", "shtab"))
    monkeypatch.setenv("STOREWARDEN_WHEEL_CACHE", str(tmp_path))
    first, _ = wheelhouse.wheels(pins, TARGETS[0])
    first.write_bytes(b"something else")

    with pytest.raises(wheelhouse.FetchFailed, match="was changed"):
        wheelhouse.wheels(pins, TARGETS[0])
    assert len(wheelhouse.wheels(pins, TARGETS[0])) == 2


def test_a_file_with_another_sum_than_the_lock_says_is_not_taken(tmp_path: Path) -> None:
    pins = [Pin(name="shtab", version="1.13.0", marker="", hashes=("0" * 64,))]

    with pytest.raises(wheelhouse.FetchFailed, match="could not be had"):
        wheelhouse.download(pins, TARGETS[0], tmp_path / "wheels")
