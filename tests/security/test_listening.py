"""A default installation listens on loopback and on its control socket, and nowhere else."""

import asyncio
import ipaddress
import re
import socket
import stat
from pathlib import Path

import pytest

from edge.demo.store import configured, simulated
from tests.broker import free_port
from tests.daemon import Daemon, running

ROOT = Path(__file__).parents[2]
LISTENS = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}


def listening(pid: int) -> set[str]:
    """Return what a process listens on, out of /proc: `tcp 127.0.0.1:9464`, `unix /run/…`."""
    own = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if found := re.fullmatch(r"socket:\[(\d+)\]", target):
            own.add(found[1])
    found_ones = set()
    for kind, state in LISTENS.items():
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            row = line.split()
            if row[9] in own and row[3] == state:
                found_ones.add(f"{kind.rstrip('6')} {_address(row[1])}")
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        row = line.split()
        if row[6] in own and int(row[3], 16) & 0x10000:  # __SO_ACCEPTCON
            found_ones.add(f"unix {row[7] if len(row) > 7 else '(no name)'}")
    return found_ones


def _address(text: str) -> str:
    host, _, port = text.partition(":")
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return f"{ipaddress.ip_address(b''.join(words))}:{int(port, 16)}"


def _pid(daemon: Daemon) -> int:
    assert daemon.process is not None
    return daemon.process.pid


def test_the_list_has_what_is_listened_on() -> None:
    with socket.socket() as one, socket.socket(socket.AF_INET6) as six:
        one.bind(("127.0.0.1", 0))
        one.listen()
        six.bind(("::1", 0))
        six.listen()
        import os

        found = listening(os.getpid())
        assert f"tcp 127.0.0.1:{one.getsockname()[1]}" in found
        assert f"tcp ::1:{six.getsockname()[1]}" in found


def test_a_site_that_says_nothing_of_it_listens_on_loopback_and_its_control_socket(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    port = free_port()
    (config / "site.yaml").write_text(
        f"site: s1\nhttp: {{listen: '127.0.0.1:{port}'}}\nbuffer: {{path: {tmp_path}/state}}\n"
    )
    (config / "devices.yaml").write_text("")

    async def main() -> tuple[set[str], Path, int]:
        async with running(tmp_path, config) as daemon:
            expected = f"tcp 127.0.0.1:{port}"
            async with asyncio.timeout(20):
                while expected not in (found := listening(_pid(daemon))):
                    await asyncio.sleep(0.05)
            return found, daemon.socket, stat.S_IMODE(daemon.socket.stat().st_mode)

    found, control, mode = asyncio.run(main())
    assert found == {f"tcp 127.0.0.1:{port}", f"unix {control}"}
    assert mode == 0o660


def test_without_an_http_setting_it_is_port_9464_of_loopback() -> None:
    from edge.config.model import Http

    assert (Http().host, Http().port) == ("127.0.0.1", 9464)


def test_the_demo_store_listens_on_loopback_only_and_its_files_are_nobody_elses(
    tmp_path: Path,
) -> None:
    async def main() -> tuple[set[str], Path]:
        async with simulated(tmp_path) as store:
            config = configured(tmp_path, store, None)
            async with running(tmp_path, config) as daemon:
                await daemon.until(lambda status: not status["devices_down"])
                async with asyncio.timeout(20):
                    while f"tcp {store.http}" not in listening(_pid(daemon)):
                        await asyncio.sleep(0.05)
                for path in daemon.state.rglob("*"):
                    if not path.is_symlink():
                        mode = stat.S_IMODE(path.stat().st_mode)
                        assert not mode & 0o027, f"{path.name}: {mode:04o}"
                key = daemon.state / "device.key"
                assert stat.S_IMODE(key.stat().st_mode) == 0o600
                return listening(_pid(daemon)), daemon.socket

    found, control = asyncio.run(main())
    for one in found - {f"unix {control}"}:
        kind, _, address = one.partition(" ")
        assert kind in ("tcp", "udp")
        assert ipaddress.ip_address(address.rpartition(":")[0]).is_loopback, one


@pytest.mark.parametrize(
    "folder",
    sorted(p.parent for p in (ROOT / "examples").glob("*/site.yaml")),
    ids=lambda p: p.name,
)
def test_no_example_has_its_pages_off_loopback(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.config.load import load

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(ROOT / "examples" / "credentials"))
    assert ipaddress.ip_address(load(folder).site.http.host).is_loopback
