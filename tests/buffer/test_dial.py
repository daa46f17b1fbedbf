"""Reaching the broker: through a hole that swallows SYNs, past refusals, without a name server."""

import asyncio
import socket
from pathlib import Path

import pytest

from buffer.dial import Dialer


class Hole:
    """A port whose queue is full, so that the kernel drops every further SYN until `mend`."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port: int = self.listener.getsockname()[1]
        self.filling = [socket.socket() for _ in range(3)]
        for one in self.filling:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", self.port))

    def mend(self) -> None:
        self.listener.listen(50)
        self.listener.accept()[0].close()

    def knocking(self) -> int:
        """Return how many connections the kernel tries to make to this port."""
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        to, syn_sent = f"0100007F:{self.port:04X}", "02"
        return sum(line.split()[2:4] == [to, syn_sent] for line in lines)

    def close(self) -> None:
        for one in (self.listener, *self.filling):
            one.close()


def test_a_broker_is_reached_within_a_second_of_its_return_from_a_black_hole() -> None:
    async def main() -> float:
        hole = Hole()
        loop = asyncio.get_running_loop()
        try:
            dialing = asyncio.create_task(Dialer("127.0.0.1", hole.port).dial())
            before = hole.knocking()
            # The second SYN of the first attempt goes after 1 s, its third after 2 or 3 s.
            await asyncio.sleep(1.2)
            assert not dialing.done()
            assert hole.knocking() - before >= 2
            hole.mend()
            mended = loop.time()
            (await asyncio.wait_for(dialing, 20)).close()
            return loop.time() - mended
        finally:
            hole.close()

    assert asyncio.run(main()) < 1.5, "half a second, and room for a loaded machine"


def test_a_hole_is_given_up_after_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buffer.dial.LONG", 1.2)

    async def main() -> None:
        hole = Hole()
        try:
            with pytest.raises(TimeoutError):
                await Dialer("127.0.0.1", hole.port).dial()
        finally:
            hole.close()

    asyncio.run(main())


def test_an_address_that_refuses_is_passed_over() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
            dialer = Dialer("broker.example", port)
            refusing = (socket.AF_INET, ("127.0.0.2", port))
            dialer._known = [refusing, (socket.AF_INET, ("127.0.0.1", port))]
            dialer._lookup = asyncio.create_task(asyncio.sleep(0, dialer._known))
            with await asyncio.wait_for(dialer.dial(), 20) as link:
                assert link.getpeername() == ("127.0.0.1", port)
                assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    asyncio.run(main())


def test_what_is_refused_everywhere_is_said_at_once() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(ConnectionRefusedError, match="Connection refused"):
            await asyncio.wait_for(Dialer("127.0.0.1", port).dial(), 20)

    asyncio.run(main())


def test_without_a_name_server_the_last_known_address_is_taken() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            dialer = Dialer("localhost", port)
            (await dialer.dial()).close()
            dialer._host = "gone.invalid"
            (await asyncio.wait_for(dialer.dial(), 20)).close()
            with pytest.raises(socket.gaierror):
                await Dialer("gone.invalid", port).dial()

    asyncio.run(main())


def test_a_lookup_that_hangs_is_waited_for_a_second_and_not_asked_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("buffer.dial.LOOKUP_WAIT", 0.05)

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            dialer = Dialer("localhost", port)
            (await dialer.dial()).close()
            hanging = asyncio.create_task(asyncio.sleep(60, dialer._known))
            dialer._lookup = hanging
            (await asyncio.wait_for(dialer.dial(), 20)).close()
            (await asyncio.wait_for(dialer.dial(), 20)).close()
            assert dialer._lookup is hanging
            hanging.cancel()

    asyncio.run(main())
