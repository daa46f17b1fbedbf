"""Prove that a box behind NAT can push its metrics: a real agent, real TLS, a receiver that goes.

./dev prove remote_write [--outage 60] [--measure 60] [--every 5]

The files of monitoring/agent are used as they are, with addresses, secrets and the scrape interval
of this run. A daemon on the demo store is scraped by Prometheus as an agent, which pushes through a
relay that counts bytes to a Prometheus with TLS and passwords. Obligations: a wrong password gets
nothing in; series carry the site; what was scraped in an outage arrives afterwards, with its own
time; without a password nothing is told. What it costs is printed.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ssl
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from urllib.error import HTTPError

from edge.control import Refused
from edge.demo.store import Store, configured, simulated
from edge.demo.story import play
from tests.broker import free_port
from tests.certificates import Authority
from tests.daemon import Daemon, running
from tests.monitoring.server import Prometheus, started

ROOT = Path(__file__).resolve().parents[1]
AGENT = ROOT / "monitoring" / "agent"
SITE = "store_0421"
RIGHT, HASH = "right", "$2b$04$ltcr0vq8w.x7LyndV5U7juP3DfcECJoUvWl9BN2z0Anp9zxviLR7i"
PLACEHOLDER = "$2b$10$replace.this.by.the.hash.that.htpasswd.prints.for.the.store"
LIMIT = 60.0
DAY = 86400


class Relay:
    """What the network is: bytes go through, are counted, and stop when it is cut."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = free_port()
        self.up = self.down = 0

    async def mend(self) -> None:
        """Let connections through from now on."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """End every connection, and take no more."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.close()

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            far, on = await asyncio.open_connection("127.0.0.1", self._behind)
        except OSError:
            back.close()
            return
        self._open |= {back, on}
        await asyncio.gather(self._pump(near, on, "up"), self._pump(far, back, "down"))

    async def _pump(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, way: str) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                setattr(self, way, getattr(self, way) + len(data))
                to.write(data)
                await to.drain()
        to.close()
        self._open.discard(to)


def replaced(file: str, **by: str) -> str:
    """Return a file of monitoring/agent with each of these words replaced; all must be there."""
    text = (AGENT / file).read_text()
    for old, new in by.items():
        if old not in text:
            raise SystemExit(f"{file}: {old!r} is not in it any more")
        text = text.replace(old, new)
    return text


def receiver_files(folder: Path, authority: Authority) -> str:
    """Write the receiver's TLS and passwords; return its configuration."""
    certificate, key = authority.sign("server")
    place = "/etc/prometheus/storewarden/"
    web = replaced(
        "receiver-web.yml",
        **{f"{place}server.pem": str(certificate), f"{place}server.key": str(key)},
        **{PLACEHOLDER: HASH},
    )
    (folder / "web.yml").write_text(web)
    return replaced("receiver.yml", **{f"{place}*.yml": str(ROOT / "monitoring/rules/*.yml")})


def agent_file(authority: Authority, daemon: str, port: int, password: Path, every: float) -> str:
    return replaced(
        "agent.yml",
        **{"metrics.example.com:9443": f"localhost:{port}"},
        **{"/run/credentials/storewarden-push.service/push_password": str(password)},
        **{"ca_file: /etc/storewarden/tls/ca.pem": f"ca_file: {authority.pem}"},
        **{"127.0.0.1:9464": daemon, "scrape_interval: 60s": f"scrape_interval: {every:g}s"},
    )


async def alive(store: Store, daemon: Daemon) -> None:
    """Let the demo's story happen again and again."""

    async def person(request: dict[str, object]) -> None:
        with suppress(Refused):
            await daemon.ask(**request)

    while True:
        await play(store, person, lambda _told: None)


async def until(receiver: Prometheus, ask: str) -> list[dict[str, object]]:
    async with asyncio.timeout(LIMIT):
        while not (found := await asyncio.to_thread(receiver.query, ask)):
            await asyncio.sleep(0.2)
    return found


def number(found: list[dict[str, object]]) -> float:
    value = found[0]["value"]
    assert isinstance(value, list)
    return float(value[1])


def resident(process: int) -> float:
    """Return the memory of a process in MB."""
    text = Path(f"/proc/{process}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def obliged(*, holds: bool, that: str) -> None:
    print(f"{'yes' if holds else 'NO ':3} {that}", flush=True)
    if not holds:
        raise SystemExit(1)


async def refused(receiver: Prometheus, log: Path) -> None:
    """Wait until the agent has been refused, and look that nothing came in."""
    async with asyncio.timeout(LIMIT):
        while "401" not in log.read_text():
            await asyncio.sleep(0.2)
    got_in = await asyncio.to_thread(receiver.query, '{site=~".+"}')
    obliged(holds=not got_in, that="a wrong password is refused, nothing got in")
    stranger = Prometheus(receiver.url, receiver.process, receiver.log)
    stranger.tls = receiver.tls
    try:
        await asyncio.to_thread(stranger.query, "up")
        told = True
    except HTTPError as error:
        told = error.code != 401
    obliged(holds=not told, that="without a password nothing is told")


async def outage(receiver: Prometheus, relay: Relay, seconds: float, every: float) -> None:
    """Cut the network for a while; what was scraped meanwhile must arrive with its own time."""
    await relay.cut()
    await asyncio.sleep(every + 1)  # what was on its way
    began = time.time()
    await asyncio.sleep(seconds)
    ended = time.time()
    held = await asyncio.to_thread(receiver.query, f"timestamp(up) > {began}")
    obliged(holds=not held, that=f"the network is cut for {seconds:g} s, nothing arrives")
    await relay.mend()
    start = time.monotonic()
    await until(receiver, f"timestamp(up) > {ended}")
    took = time.monotonic() - start
    ask = f"count_over_time(up[{int(seconds)}s] @ {ended})"
    found = number(await until(receiver, ask))
    least = int(seconds / every)
    obliged(
        holds=found >= least - 1,
        that=f"{found:g} of {least} scrapes of that time arrived, {took:.1f} s after the return",
    )


async def measure(receiver: Prometheus, relay: Relay, agent: Prometheus, seconds: float) -> None:
    up, down = relay.up, relay.down
    scrapes = number(await until(receiver, "sum(scrape_samples_scraped)"))
    before = time.time()
    await asyncio.sleep(seconds)
    pushed = number(await until(receiver, 'count({site=~".+"})'))
    done = number(await until(receiver, f"count_over_time(up[{int(time.time() - before)}s])"))
    sent, heard = (relay.up - up) / done, (relay.down - down) / done
    print(f"series on the page: {scrapes:g}; pushed with those of the scrape: {pushed:g}")
    print(f"a scrape pushed takes {sent:,.0f} bytes up, {heard:,.0f} down, TLS included")
    for every in (15, 30, 60):
        day = (sent + heard) * DAY / every / 1e6
        print(f"  each {every} s: {day:.1f} MB a store and day")
    print(f"memory of the agent: {resident(agent.process.pid):.0f} MB")


async def prove(folder: Path, chosen: argparse.Namespace) -> None:
    authority = Authority(folder)
    password = folder / "password"
    password.write_text("wrong")
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(simulated(folder))
        config = configured(folder, store, None)
        daemon = await stack.enter_async_context(running(folder, config))
        await daemon.until(lambda status: not status["devices_down"])
        story = asyncio.create_task(alive(store, daemon))
        stack.callback(story.cancel)
        central = folder / "central"
        central.mkdir()
        receiver = stack.enter_context(
            started(
                central,
                receiver_files(central, authority),
                "--web.enable-remote-write-receiver",
                f"--web.config.file={central / 'web.yml'}",
                "--storage.tsdb.path=data",
                scheme="https",
            )
        )
        receiver.url = receiver.url.replace("127.0.0.1", "localhost")
        receiver.tls = ssl.create_default_context(cafile=str(authority.pem))
        word = base64.b64encode(f"{SITE}:{RIGHT}".encode()).decode()
        receiver.headers = {"Authorization": f"Basic {word}"}
        await asyncio.to_thread(receiver.ready)
        relay = Relay(int(receiver.url.rpartition(":")[2]))
        await relay.mend()
        text = agent_file(authority, store.http, relay.port, password, chosen.every)
        agent = stack.enter_context(
            started(
                folder / "agent",
                text,
                "--enable-feature=agent",
                "--storage.agent.path=data",
            )
        )
        await asyncio.to_thread(agent.ready)
        await refused(receiver, agent.log)
        password.write_text(RIGHT)
        await until(receiver, f'up{{site="{SITE}", job="storewarden"}} == 1')
        await until(receiver, f'storewarden_fire_link_up{{site="{SITE}", device="fire_main"}} == 1')
        obliged(holds=True, that="with the right one series arrive, and carry the site")
        await outage(receiver, relay, chosen.outage, chosen.every)
        await measure(receiver, relay, agent, chosen.measure)
        await relay.cut()


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev prove remote_write")
    parser.add_argument("--outage", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--measure", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="scrapes")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="remote-write-") as folder:
        asyncio.run(prove(Path(folder), chosen))
    print("all of it holds")


if __name__ == "__main__":
    main()
