"""A real mosquitto on loopback that a test may kill, restart, restrict and listen to."""

import asyncio
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import aiomqtt

START_LIMIT = 20.0
"""Seconds in which mosquitto must say that it runs, on however busy a machine."""

STOP_LIMIT = 2.0
"""Seconds in which it must end when told to; then it is killed."""


def mosquitto() -> str | None:
    """Return the path of the mosquitto program, or None where it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a loopback TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Received:
    """What a listener has received so far, oldest first."""

    def __init__(self) -> None:
        self.messages: list[aiomqtt.Message] = []
        self._grown = asyncio.Event()

    def add(self, message: aiomqtt.Message) -> None:
        """Take one more message."""
        self.messages.append(message)
        self._grown.set()

    def payloads(self, topic: str | None = None) -> list[bytes]:
        """Return the payloads, of one exact topic if named."""
        return [
            bytes(m.payload)
            for m in self.messages
            if isinstance(m.payload, bytes) and topic in (None, str(m.topic))
        ]

    async def until(
        self, enough: Callable[[list[aiomqtt.Message]], bool], limit: float = 20.0
    ) -> list[aiomqtt.Message]:
        """Wait until `enough(messages)`, for `limit` seconds at most, and return the messages.

        Raises:
            TimeoutError: it did not come to that.
        """
        async with asyncio.timeout(limit):
            while not enough(self.messages):
                self._grown.clear()
                await self._grown.wait()
        return self.messages

    async def count(self, number: int, limit: float = 20.0) -> list[aiomqtt.Message]:
        """Wait until `number` messages have come."""
        return await self.until(lambda messages: len(messages) >= number, limit)


class Broker:
    """`with Broker(tmp_path) as broker: broker.url; broker.kill(); broker.start()`.

    Anonymous unless told otherwise, TCP_NODELAY, nothing persistent. `acl` is the text of an ACL
    file, `options` are more lines of mosquitto.conf. The port is chosen at the first start and kept
    from then on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        acl: str | None = None,
        options: Sequence[str] = (),
        anonymous: bool = True,
    ) -> None:
        self._folder = folder
        self._acl = acl
        self.options = tuple(options)
        self._anonymous = anonymous
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.port = 0
        self.log: list[str] = []
        """What mosquitto has said, over all its starts."""

    @property
    def url(self) -> str:
        """The address in the form site.yaml takes."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that runs, 0 while none does."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start, and return once it accepts connections; on the same port as before, if any."""
        if self._process is not None:
            raise RuntimeError("the broker runs already")
        for _ in range(1 if self.port else 10):
            port = self.port or free_port()
            if self._launch(port):
                self.port = port
                return
        raise RuntimeError("mosquitto does not start:\n" + "\n".join(self.log))

    def kill(self) -> None:
        """End it at once with SIGKILL, as a power cut would."""
        self._end(lambda process: process.kill())

    def stop(self) -> None:
        """End it cleanly; does nothing when it does not run."""
        self._end(lambda process: process.terminate())

    @asynccontextmanager
    async def listen(
        self, topic: str = "#", *, username: str | None = None, password: str | None = None
    ) -> AsyncIterator[Received]:
        """Subscribe to `topic` at QoS 1 until the block ends or the broker goes."""
        received = Received()
        async with aiomqtt.Client(
            "127.0.0.1",
            self.port,
            username=username,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        ) as client:
            await client.subscribe(topic, qos=1)
            task = asyncio.create_task(_collect(client, received))
            try:
                yield received
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self, port: int) -> bool:
        program = mosquitto()
        if program is None:
            raise RuntimeError("mosquitto is not installed: apt install mosquitto")
        config = self._folder / f"mosquitto-{port}.conf"
        lines = [
            f"listener {port} 127.0.0.1",
            f"allow_anonymous {str(self._anonymous).lower()}",
            "set_tcp_nodelay true",
            "persistence false",
            "max_queued_messages 0",
            "user root",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_type information",
            *self.options,
        ]
        if self._acl is not None:
            acl = self._folder / f"mosquitto-{port}.acl"
            acl.write_text(self._acl)
            acl.chmod(0o600)
            lines.append(f"acl_file {acl}")
        config.write_text("\n".join(lines) + "\n")
        said, came_up = threading.Event(), threading.Event()
        process = subprocess.Popen(
            [program, "-c", str(config)],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            text=True,
        )

        def read() -> None:
            assert process.stderr is not None
            for line in process.stderr:
                self.log.append(line.rstrip())
                if line.rstrip().endswith(" running"):
                    came_up.set()
                    said.set()
            said.set()

        self._process = process
        self._reader = threading.Thread(target=read, name="mosquitto log")
        self._reader.start()
        said.wait(START_LIMIT)
        if came_up.is_set():
            return True
        self.kill()
        return False

    def _end(self, how: Callable[[subprocess.Popen[str]], None]) -> None:
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        how(process)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            # A mosquitto that has only just started forgets that it was told to stop.
            process.kill()
            process.wait()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()
        self._process = self._reader = None


async def _collect(client: aiomqtt.Client, received: Received) -> None:
    async for message in client.messages:
        received.add(message)
