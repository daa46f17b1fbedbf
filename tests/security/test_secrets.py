"""Secrets show nowhere: not in `ps`, logs, answers, metrics, errors, exports, backups, findings."""

import asyncio
import json
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sim.onvif_camera import OnvifCameraSimulator
from drivers.sim.recorder import RtspCameraSimulator
from edge.control import ask
from edge.demo.store import Store, configured, simulated
from tests.broker import Broker
from tests.certificates import Authority
from tests.daemon import LIMIT, Daemon, running
from tests.security.leaks import Search, forms
from tests.shop import GATE, PANIC, connected, kept

BROKER = "broker-Pw:7731/+=?&#'4xq"
CAMERA = 'camera Pw;0099"%\\zzk'
TILLS = "tills-Pw-ü-5512-{}@w"
WRONG = "wrong-Pw-6600-never-right"
LITERAL = "written-in-yaml-8811-oops"

CAMERAS = """\
devices:
  cam_exit: {{type: onvif_camera, host: "{host}", username: warden,
             password: !secret cam_exit, home: lobby}}
  cam_tills: {{type: recorder, url: "{url}", username: warden,
              password: !secret cam_tills, segment: 1s}}
"""


@dataclass(kw_only=True)
class Shop:
    store: Store
    daemon: Daemon
    broker: Broker
    search: Search
    folder: Path
    key: Path
    heard: list[str] = field(default_factory=list)


@pytest.mark.parametrize("by", ["files", "credentials"])
def test_a_secret_shows_nowhere_whatever_the_daemon_and_people_do(
    tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> Search:
        async with _shop(tmp_path, by, monkeypatch) as shop:
            await _happen(shop)
            await _ask_everything(shop)
            if by == "files":
                await _mistake(shop)
            await _refused(shop)
            _look(shop)
            return shop.search

    search = asyncio.run(main())
    assert search.leaks == []
    looked = "\n".join(search.seen)
    for part in ("cmdline of", "environ of", "journal.db", "/log", "/metrics", "doctor", "export",
                 "last_good", "backup", "broker's messages"):  # fmt: skip
        assert part in looked
    assert len(search.seen) > 50


@asynccontextmanager
async def _shop(tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Run a store with a camera, a recorder and a broker that want passwords, over TLS."""
    folder = tmp_path / "box"
    folder.mkdir()
    authority = Authority(tmp_path)
    server = authority.sign("server")
    cert, key = authority.sign("store")
    words = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(words), "store", BROKER], check=True)
    options = (
        f"cafile {authority.pem}", f"certfile {server[0]}", f"keyfile {server[1]}",
        "require_certificate true", f"password_file {words}",
    )  # fmt: skip
    lines = [line for line in key.read_text().splitlines() if not line.startswith("-")]
    search = Search([BROKER, CAMERA, TILLS, WRONG, LITERAL, *lines])
    async with (
        simulated(folder) as store,
        RtspCameraSimulator(username="warden", password=TILLS) as filming,
        OnvifCameraSimulator(password=CAMERA) as turning,
    ):
        with Broker(tmp_path, options=options, anonymous=False) as broker:
            config = configured(folder, store, None)
            (config / "devices.d").mkdir()
            (config / "devices.d/cameras.yaml").write_text(
                CAMERAS.format(host=turning.host, url=filming.url)
            )
            with (config / "site.yaml").open("a") as site:
                site.write(
                    f'mqtt: {{url: "mqtts://localhost:{broker.port}", username: store,'
                    f" password: !secret broker, ca: {authority.pem}, cert: {cert}, key: {key}}}\n"
                )
            place = config / "secrets" if by == "files" else tmp_path / "credentials"
            prefix = "" if by == "files" else "secrets_"
            place.mkdir(mode=0o700, exist_ok=True)
            for name, word in (("broker", BROKER), ("cam_exit", CAMERA), ("cam_tills", TILLS)):
                (place / f"{prefix}{name}").write_text(f"{word}\n")
                (place / f"{prefix}{name}").chmod(0o600)
            if by == "credentials":
                monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(place))
            async with running(folder, config, "--verbose") as daemon:
                yield Shop(
                    store=store, daemon=daemon, broker=broker, search=search, folder=tmp_path,
                    key=key,
                )  # fmt: skip


async def _happen(shop: Shop) -> None:
    """Let everything connect and act, and look at the processes while it does."""
    daemon = shop.daemon
    await connected(daemon)
    await daemon.until(lambda status: not status["devices_down"])
    shop.store.module.set(PANIC, True)
    shop.store.module.set(GATE, True)
    await kept(daemon, "rule.fired")
    await daemon.ask(
        do="order", device="cam_exit", command="goto", parameters={"preset": "gate"}, reason="r"
    )
    assert daemon.process is not None
    shop.search.process(daemon.process.pid)


async def _ask_everything(shop: Shop) -> None:
    daemon, config = shop.daemon, ("--config", str(shop.daemon.config))
    export = str(shop.folder / "export.jsonl")
    commands: list[tuple[str, ...]] = [
        ("status",), ("status", "--json"), ("devices",), ("devices", "--json"),
        ("check", *config), ("check", *config, "--json"), ("rules", "test", *config),
        ("rules", "list", *config), ("rules", "explain", *config),
        ("journal", "stat", *config), ("journal", "tail", *config, "--json"),
        ("journal", "verify", *config), ("journal", "export", *config, "--output", export),
        ("doctor", *config), ("doctor", *config, "--json"),
        ("schema", "site", *config), ("mode", "show"),
        ("discover", "--no-cameras", "--json"), ("upgrade", "facts", *config, "--json"),
        ("drop-in", "addresses", *config), ("init", "--config", str(shop.folder / "made")),
        ("order", "cam_exit", "goto", "preset=none", "--reason", "r"),
    ]  # fmt: skip
    await _commands(shop, commands)
    for request in (
        {"do": "order", "device": "cam_exit", "command": [], "parameters": 1, "reason": "r"},
        {"do": "order", "device": {"a": 1}, "command": "goto", "for": "x", "reason": "r"},
        {"do": "mode", "action": [], "reason": {}},
    ):
        try:
            told = await ask(daemon.socket, request, LIMIT)
        except Exception as refused:  # noqa: BLE001 - whatever it answers
            told = str(refused)
        shop.search.look(f"control {request['do']} {len(shop.search.seen)}", str(told))
    for page in ("metrics", "api/status", "healthz", "readyz"):
        url = f"http://{shop.store.http}/{page}"
        shop.search.look(f"/{page}", await asyncio.to_thread(_fetched, url))


def _fetched(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        data: bytes = answer.read()
    return data


MISTAKEN = (("check",), ("check", "--json"), ("journal", "stat"))
MANY = """
import json, sys
from edge.cli.main import main
for words in json.load(sys.stdin):
    print("\\0", json.dumps(words), flush=True)
    sys.stderr = sys.stdout
    main(words)
"""


async def _commands(shop: Shop, commands: list[tuple[str, ...]]) -> None:
    """Run commands, one after the other in one process, and look at what each says."""
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", MANY, env=shop.daemon.places(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await made.communicate(json.dumps(commands).encode())
    parts = out.split(b"\0")[1:]
    assert len(parts) == len(commands), out.decode()
    for command, said in zip(commands, parts, strict=True):
        assert b"Traceback" not in said, said.decode()
        shop.search.look(f"storewarden {' '.join(command)}", said)


async def _mistake(shop: Shop) -> None:
    """Make mistakes around secrets: what is said of them must not quote them."""
    broken, more = shop.folder / "broken", list[tuple[str, ...]]()
    for number, (old, new) in enumerate(
        (
            ("password: !secret broker", f"password: {LITERAL}"),
            ("password: !secret broker", f"password: {{secret: {LITERAL}}}"),
            ("username: store,", "usrname: store,"),
            ('url: "mqtts://', f'url: "mqtts://store:{LITERAL}@'),
            ("key:", "kye:"),
            ("password: !secret broker", f"password: [{LITERAL}]"),
            ("password: !secret broker", f"pasword: {LITERAL}"),
        )
    ):
        copy = broken / str(number)
        shutil.copytree(shop.daemon.config, copy)
        site = copy / "site.yaml"
        assert old in site.read_text()
        site.write_text(site.read_text().replace(old, new))
        more += [(*words, "--config", str(copy)) for words in MISTAKEN]
    for number, (old, new) in enumerate(
        (
            ("password: !secret cam_exit", f"password: {LITERAL}"),
            ("host: ", f"host: warden:{LITERAL}@"),
            ('url: "rtsp://', f'url: "rtsp://warden:{LITERAL}@'),
            ("username: warden", "username: [warden]"),
        )
    ):
        copy = broken / f"devices-{number}"
        shutil.copytree(shop.daemon.config, copy)
        devices = copy / "devices.d/cameras.yaml"
        assert old in devices.read_text()
        text = devices.read_text().replace(old, new, 1)
        devices.write_text(
            text.replace("host: warden:" + LITERAL + '@"', f'host: "warden:{LITERAL}@')
        )
        more += [(*words, "--config", str(copy)) for words in MISTAKEN]
    await _commands(shop, [*more, ("doctor", "--config", str(broken / "1"))])


async def _refused(shop: Shop) -> None:
    """Have the broker refuse the password, and the folder be refused at a reload."""
    words = shop.folder / "passwords"
    shop.broker.stop()
    subprocess.run(["mosquitto_passwd", "-b", str(words), "store", WRONG], check=True)
    await asyncio.to_thread(shop.broker.start)
    await shop.daemon.until(lambda status: "Not authorized" in str(status["uplink"]["error"]))
    code, out, err = await shop.daemon.command(
        "doctor", "--config", str(shop.daemon.config), "--json"
    )
    found = {f["check"]: f["level"] for f in json.loads(out)}
    assert found["broker.accepted"] == "problem"
    shop.search.look(f"doctor at a refusal ({code})", out + err)
    with (shop.daemon.config / "site.yaml").open("a") as site:
        site.write(f"mistake: {LITERAL}\n")
    shop.search.look("reload", str(await _told(shop.daemon)))


async def _told(daemon: Daemon) -> object:
    try:
        return await daemon.ask(do="reload")
    except Exception as refused:  # noqa: BLE001 - whatever it answers
        return str(refused)


def _look(shop: Shop) -> None:
    daemon = shop.daemon
    shop.search.files(daemon.state)
    shop.search.look(f"{daemon.folder}/log", daemon.log)
    assert "config.refused" in daemon.log or "refused" in daemon.log
    shop.search.look("export", (shop.folder / "export.jsonl").read_bytes())
    shop.search.look("broker's messages", "\n".join(shop.broker.log))
    whole = BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as backup:
        backup.add(daemon.state, "state")
    shop.search.look("backup of the state folder", whole.getvalue())


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=9))
def test_a_search_finds_a_secret_in_each_form(secret: str) -> None:
    search = Search([secret])
    for form in forms(secret):
        search.look("it", b"before " + form + b" after")
    assert len(search.leaks) >= len(forms(secret))
