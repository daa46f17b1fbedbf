"""Log lines for people and for journald."""

from __future__ import annotations

import io
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.log import Journald, begin, encoded, to_journald


def decoded(data: bytes) -> dict[str, str]:
    """Read the native protocol of journald, written from its document."""
    found = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if equals:
            data = rest
        else:
            length = int.from_bytes(rest[:8], "little")
            value, data = rest[8 : 8 + length], rest[8 + length + 1 :]
        found[name.decode()] = value.decode()
    return found


@given(
    st.dictionaries(
        st.sampled_from(["MESSAGE", "PRIORITY", "CODE_FILE"]),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_what_journald_reads_is_what_was_written(fields: dict[str, str]) -> None:
    assert decoded(encoded(fields)) == fields


@pytest.fixture
def _quiet() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)


def test_a_record_carries_its_fields_and_the_device(tmp_path: Path) -> None:
    path = str(tmp_path / "journal")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        handler = Journald(path)
        logger = logging.getLogger("edge.test_of_journald")
        logger.addHandler(handler)
        logger.warning("device %s: gone\nfor good", "door", extra={"device": "door"})
        logger.removeHandler(handler)
        found = decoded(sock.recv(65536))
        handler.close()
    line = found.pop("CODE_LINE")
    assert int(line) > 0
    assert found == {
        "MESSAGE": "device door: gone\nfor good",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "storewarden",
        "LOGGER": "edge.test_of_journald",
        "CODE_FILE": __file__,
        "STOREWARDEN_DEVICE": "door",
    }


def test_a_journald_that_is_gone_leaves_the_line_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = Journald(str(tmp_path / "gone"))
    handler.handle(logging.LogRecord("edge", 20, __file__, 1, "hello", None, None))
    handler.close()
    assert capsys.readouterr().err == "hello\n"


def test_journald_is_meant_only_when_stderr_is_its_stream(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        found = os.fstat(stream.fileno())
        own = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert to_journald(stream, own)
        assert not to_journald(stream, {"JOURNAL_STREAM": "1:2"})
        assert not to_journald(stream, {})
    assert not to_journald(io.StringIO(), own)


@pytest.mark.usefixtures("_quiet")
def test_a_file_gets_plain_lines_with_level_and_time() -> None:
    stream = io.StringIO()
    begin(stream=stream, environment={}, verbose=False)
    logging.getLogger("edge.x").warning("hello")
    logging.getLogger("edge.x").debug("not shown")
    assert stream.getvalue().endswith("WARNING hello\n")
    assert stream.getvalue().count("\n") == 1
