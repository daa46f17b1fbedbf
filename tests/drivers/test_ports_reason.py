"""Why a connection could not be made is said in the system's own words."""

import asyncio
import socket

import pytest

from drivers.ports.reason import in_words


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"), "Connection refused"),
        (OSError(2, "could not open port /dev/x: [Errno 2] No"), "No such file or directory"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 9, 0, 0), [Er"),
            "Connection refused",
        ),
        (OSError("what nobody foresaw"), "what nobody foresaw"),
    ],
)
def test_the_reason_is_said_without_what_libraries_put_around_it(
    error: OSError, words: str
) -> None:
    assert in_words(error) == words


def test_a_refused_call_of_asyncio_is_a_refused_connection() -> None:
    async def main() -> str:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            try:
                await asyncio.open_connection("127.0.0.1", nobody.getsockname()[1])
            except OSError as error:
                return in_words(error)
        return "connected"

    assert asyncio.run(main()) == "Connection refused"
