"""The device key: made once, kept to itself, and every trouble with it said in words."""

import copy
import os
import pickle
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer import device_key
from buffer.device_key import DeviceKey, KeyDamaged, load, load_or_make, public_of, verify

# RFC 8032, 7.1, test 2
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def made(folder: Path) -> DeviceKey:
    key, news = load_or_make(folder)
    assert key is not None
    assert [n.what for n in news] == ["made"]
    return key


def test_it_signs_as_the_standard_says() -> None:
    key = DeviceKey(SEED)
    assert key.public == PUBLIC
    assert key.sign(b"\x72").hex() == SIGNATURE
    assert verify(PUBLIC, b"\x72", bytes.fromhex(SIGNATURE))
    assert not verify(PUBLIC, b"\x73", bytes.fromhex(SIGNATURE))


@given(st.text(max_size=70), st.binary(max_size=70))
def test_what_is_no_key_or_no_signature_is_wrong_and_no_error(public: str, sign: bytes) -> None:
    assert not verify(public, b"message", sign)
    assert not verify(PUBLIC, b"message", sign)


@pytest.mark.usefixtures("open_umask")
def test_it_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    key = made(tmp_path)
    path = tmp_path / "device.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["device.key"]
    again, news = load_or_make(tmp_path)
    assert (again is not None and again.public, news) == (key.public, ())
    assert public_of(tmp_path) == key.public


def test_a_umask_that_takes_everything_leaves_it_readable(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        made(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "device.key").stat().st_mode) == 0o600


def test_two_boxes_have_two_keys(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert made(tmp_path / "a").public != made(tmp_path / "b").public


def test_the_private_key_is_shown_nowhere(tmp_path: Path) -> None:
    key = made(tmp_path)
    seed = (tmp_path / "device.key").read_text().split()[1]
    assert repr(key) == str(key) == f"DeviceKey(public={key.public})"
    with pytest.raises(TypeError, match="stays where it is"):
        pickle.dumps(key)
    with pytest.raises(TypeError, match="stays where it is"):
        copy.deepcopy(key)
    text = (tmp_path / "device.key").read_text()
    (tmp_path / "device.key").write_text(text.replace(seed[:2], "zz", 1))
    _, news = load_or_make(tmp_path)
    assert seed[2:20] not in str(news)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 64,
        b"ed25519-seed " + SEED.hex().encode(),
        f"ed25519-seed {SEED.hex()}\ned25519-public {PUBLIC[:-1]}d\n".encode(),
        f"ed25519-seed {SEED.hex()[:-1]}a\ned25519-public {PUBLIC}\n".encode(),
    ],
)
def test_a_damaged_one_is_kept_aside_and_a_new_one_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "device.key").write_bytes(content)
    with pytest.raises(KeyDamaged):
        load(tmp_path)
    key, (news,) = load_or_make(tmp_path)
    assert key is not None
    assert news.what == "made"
    assert news.reason == (f"{tmp_path}/device.key is damaged; it is kept as device.key.damaged-1")
    assert (tmp_path / "device.key.damaged-1").read_bytes() == content


def test_one_that_others_could_read_is_used_and_said(tmp_path: Path) -> None:
    key = made(tmp_path)
    (tmp_path / "device.key").chmod(0o644)
    again, (news,) = load_or_make(tmp_path)
    assert again is not None
    assert again.public == key.public
    assert news.what == "exposed"
    assert news.reason.endswith("had mode 0644: others may have read it; it is 0600 now")
    assert load_or_make(tmp_path)[1] == ()


def test_what_is_no_file_is_left_alone_and_nothing_is_signed(tmp_path: Path) -> None:
    (tmp_path / "device.key").mkdir()
    key, (news,) = load_or_make(tmp_path)
    assert (key, news.what) == (None, "unusable")
    (tmp_path / "device.key").rmdir()
    (tmp_path / "device.key").symlink_to("/dev/zero")
    key, (news,) = load_or_make(tmp_path)
    assert (key, news.what) == (None, "unusable")
    assert public_of(tmp_path) is None


def test_a_folder_that_takes_no_file_means_no_key_and_no_error(tmp_path: Path) -> None:
    key, (news,) = load_or_make(tmp_path / "nowhere")
    assert (key, news.what) == (None, "unusable")
    assert news.reason == (
        f"{tmp_path}/nowhere/device.key cannot be made: No such file or directory; there was none"
    )


def test_what_a_crash_left_behind_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "device.key.new").write_text("half a k")
    made(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["device.key"]


def test_one_that_somebody_else_made_meanwhile_is_taken(tmp_path: Path) -> None:
    first = made(tmp_path)
    second = device_key._make(tmp_path / "device.key")
    assert second is not None
    assert second.public == first.public
