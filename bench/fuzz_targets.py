"""What is fuzzed: every parser that eats foreign bytes, what it may raise, and good examples."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from buffer import packets, x509
from drivers.contract import WireError
from drivers.ports.escpos import EscPos
from drivers.ports.framing import Encoding, Framer, Framing
from drivers.ports.port import TextRecord
from drivers.wire import fire_text, onvif, pos_text, ws_discovery
from drivers.wire.cards import masked
from drivers.wire.modbus import take_rtu_requests, take_tcp
from drivers.wire.onvif import SoapFault
from drivers.wire.segments import entry
from drivers.wire.text_profile import load_profile
from edge.cli.exits import Failed
from edge.cli.journal_verify import check_export
from edge.config.load import load
from edge.discovery.found import NotFound, from_json
from edge.doctor.block import mount_of
from edge.doctor.clock import server_time
from edge.history import opened
from edge.provisioning import wanted
from edge.sparkplug.payload import Metric, asks_for_rebirth, encode
from edge.upgrade import trial
from edge.upgrade.layout import Layout
from rules import yaml_source
from rules.backtest_interest import Interest
from rules.problems import ConfigurationRefused, Problems
from tests.rules.test_expressions import OPEN, an_event, compiled

ROOT = Path(__file__).parents[1]
RULES = ROOT / "examples" / "demo_store"
PROFILES = ROOT / "drivers" / "profiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One parser."""

    name: str
    eat: Callable[[bytes], object]
    raises: tuple[type[Exception], ...] = ()
    """What its contract allows; anything else is a finding."""
    seeds: tuple[bytes, ...] = ()
    """Good bytes, which are cut, changed and joined."""
    slowest: float = 2.0
    """Seconds of processor time that one input may take."""
    largest: int = 4096
    """Bytes of an input."""


def targets(folder: Path) -> Iterator[Target]:
    """Yield them all; files are made in `folder`."""
    yield Target(name="text port: framing, ESC/POS", eat=_framed, seeds=_RECEIPTS)
    yield Target(name="fire panel, text profiles", eat=_panels(), seeds=_RECORDS)
    yield Target(name="till, text profiles, cards", eat=_tills(), seeds=_RECEIPTS)
    yield Target(
        name="Modbus frames", eat=lambda d: (take_tcp(d), take_rtu_requests(d)), seeds=_FRAMES
    )
    yield Target(name="ONVIF answers (SOAP)", eat=_soap, raises=(WireError, SoapFault), seeds=_SOAP)
    yield Target(
        name="WS-Discovery matches",
        eat=lambda d: ws_discovery.matches(d, frozenset({"urn:uuid:1"})),
        raises=(WireError,),
        seeds=_SOAP,
    )
    yield Target(
        name="WS-Discovery probes", eat=ws_discovery.asked, raises=(WireError,), seeds=_SOAP
    )
    yield Target(name="ffmpeg's segment list", eat=lambda d: entry(_text(d)), seeds=_SEGMENTS)
    yield Target(
        name="MQTT PUBACK", eat=_puback, raises=(ValueError,), seeds=(b"\x40\x03\0\1\x10",)
    )
    certificate = _certificate()
    yield Target(name="X.509, DER", eat=x509.read, raises=(ValueError,), seeds=(certificate,))
    yield Target(
        name="X.509, PEM",
        eat=lambda d: x509.read_pem(d.decode("utf-8", "replace")),
        raises=(ValueError,),
        seeds=(_pem(certificate),),
    )
    yield Target(
        name="time server's answer",
        eat=lambda d: server_time(d, b"12345678"),
        raises=(ValueError,),
        seeds=(b"\x24\x02" + b"\0" * 22 + b"12345678" + b"\xed\0\0\0\0\0\0\0" * 2,),
    )
    yield Target(name="YAML", eat=_yaml, seeds=_files("*.yaml"))
    yield Target(name="expressions", eat=_expression, seeds=_CONDITIONS, largest=400)
    for name in ("site.yaml", "devices.yaml", "rules/theft.yaml"):
        path = RULES / name
        if not path.exists():
            path = next((RULES / "rules").glob("*.yaml"))
        yield Target(
            name=f"configuration: {path.relative_to(RULES)}",
            eat=_configuration(folder, path.relative_to(RULES)),
            raises=(ConfigurationRefused,),
            seeds=(path.read_bytes(),),
            largest=20_000,
            slowest=5.0,
        )
    yield Target(
        name="exported journal",
        eat=_export(folder),
        raises=(Failed,),
        seeds=(_exported(folder),),
        largest=20_000,
    )
    yield Target(
        name="exported journal, as history",
        eat=_history(folder),
        seeds=(_exported(folder / "history"),),
        largest=20_000,
    )
    yield Target(
        name="discover --json", eat=lambda d: from_json(_text(d)), raises=(NotFound,), seeds=_FOUND
    )
    yield Target(
        name="storewarden.yaml of a stick",
        eat=lambda d: wanted.read(_text(d), Problems()),
        seeds=_STICKS,
    )
    yield Target(name="Sparkplug commands", eat=asks_for_rebirth, seeds=_COMMANDS)
    yield Target(name="upgrade's own files", eat=_upgrade(folder), seeds=_TRIALS)
    yield Target(name="mountinfo", eat=_mounts(folder), seeds=(_MOUNTS,))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _framed(data: bytes) -> None:
    encodings: Sequence[Encoding] = ("ascii", "latin-1", "cp437", "cp858", "utf-8")
    for at, encoding in enumerate(encodings):
        framer = Framer(Framing(separator=b"|" if at % 2 else None, encoding=encoding))
        printer = EscPos()
        for start in range(0, len(data), 7):
            framer.feed(printer.feed(data[start : start + 7]))
        framer.gap()
        framer.end()


def _records(data: bytes) -> list[str]:
    framer = Framer(Framing())
    heard = [*framer.feed(data), *framer.end()]
    return [one.text for one in heard if isinstance(one, TextRecord)]


def _panels() -> Callable[[bytes], None]:
    tables = [fire_text.table(load_profile("fire", name).patterns) for name in _named("fire")]

    def eat(data: bytes) -> None:
        records = _records(data)
        for table in tables:
            panel = fire_text.Panel(table, resend_window=5.0)
            for at, record in enumerate(records):
                panel.read(record, float(at))
            panel.advance(1e6)

    return eat


def _tills() -> Callable[[bytes], None]:
    tables = [pos_text.table(load_profile("pos", name).patterns) for name in _named("pos")]

    def eat(data: bytes) -> None:
        records = _records(data)
        for table in tables:
            till = pos_text.Till(table, till="1", drawer=True)
            for at, record in enumerate(records):
                till.read(masked(record), float(at))
            till.advance(1e6)

    return eat


def _named(kind: str) -> list[str]:
    return sorted(path.stem for path in (PROFILES / kind).glob("*.yaml"))


def _soap(data: bytes) -> None:
    found = onvif.answer(data)
    onvif.camera_time(found)
    onvif.service_addresses(found)
    onvif.ptz_profile(found)
    onvif.stream_address(found, "10.0.0.1")
    onvif.preset_tokens(found)
    onvif.tells_move_status(found)
    onvif.move_status(found)


def _puback(data: bytes) -> None:
    if data:
        packets.read_puback(data, 0)


def _yaml(data: bytes) -> None:
    yaml_source.read_text(_text(data), "x.yaml", Problems())


def _expression(data: bytes) -> None:
    condition, problems = compiled(_text(data))
    if (condition is None) != bool(problems):
        raise AssertionError("neither a condition nor a problem")
    if condition is not None:
        condition.evaluate(OPEN, an_event(aisle=1))


def _configuration(folder: Path, name: Path) -> Callable[[bytes], None]:
    import shutil

    copy = Path(tempfile.mkdtemp(dir=folder)) / "config"
    shutil.copytree(RULES, copy)
    for other in (copy / "rules").glob("*.yaml"):
        if other != copy / name:
            other.unlink()

    def eat(data: bytes) -> None:
        (copy / name).write_bytes(data)
        load(copy)

    return eat


def _exported(folder: Path) -> bytes:
    """Return a real journal's export."""
    folder.mkdir(exist_ok=True)
    from buffer.journal import Journal
    from buffer.record import Draft, Kind
    from edge.cli.main import main

    path, topic = folder / "journal.db", "s/1/event/door/door.opened"
    body = json.dumps({"signal": "door.opened", "device": "door", "at": "2026-11-20T12:00:00Z"})
    with Journal.open(path) as journal:
        journal.append(
            [
                Draft(id=f"{n:032x}", kind=Kind.EVENT, priority=3, topic=topic, body=body.encode())
                for n in range(8)
            ]
        )
    to = folder / "export.jsonl"
    main(["journal", "export", "--file", str(path), "--output", str(to)])
    return to.read_bytes()


def _export(folder: Path) -> Callable[[bytes], object]:
    path = folder / "mutated.jsonl"

    def eat(data: bytes) -> object:
        path.write_bytes(data)
        return check_export(path, None, [])

    return eat


def _history(folder: Path) -> Callable[[bytes], None]:
    path = folder / "history.jsonl"

    def eat(data: bytes) -> None:
        path.write_bytes(b'{"sequence"' + data)
        with opened(path, Interest(), frozenset({"door"})) as history:
            for _ in history.events:
                pass

    return eat


def _upgrade(folder: Path) -> Callable[[bytes], None]:
    layout = Layout(root=folder / "opt")
    layout.root.mkdir()

    def eat(data: bytes) -> None:
        for path in (layout.trial, layout.outcomes, layout.untold):
            path.write_bytes(data)
        trial.read(layout)
        trial.outcomes(layout)
        trial.untold(layout)

    return eat


def _mounts(folder: Path) -> Callable[[bytes], object]:
    (folder / "root/proc/self").mkdir(parents=True)

    def eat(data: bytes) -> object:
        (folder / "root/proc/self/mountinfo").write_bytes(data)
        return mount_of(folder / "root", Path("/var/lib/storewarden"))

    return eat


def _certificate() -> bytes:
    import ssl
    import subprocess

    with tempfile.TemporaryDirectory() as at:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/dev/null"),
                *("-subj", "/CN=fuzz", "-days", "30", "-out", f"{at}/c.pem"),
            ],
            check=True,
            capture_output=True,
        )
        return ssl.PEM_cert_to_DER_cert(Path(f"{at}/c.pem").read_text())


def _pem(der: bytes) -> bytes:
    import ssl

    return ssl.DER_cert_to_PEM_cert(der).encode()


def _files(pattern: str) -> tuple[bytes, ...]:
    return tuple(path.read_bytes()[:4000] for path in sorted(RULES.rglob(pattern)))


_RECEIPTS = (
    b"\x1b@\x1ba\x01STORE 421\n\x1d!\x11TOTAL  12,50\nCARD 4111 1111 1111 1111\n\x1dV\x00",
    b"TILL 3 SALE 12.50 RECEIPT 881 CASHIER 7|NO SALE TILL 2|",
    b"\x1d(k\x03\x00\x31\x43\x03\x1dv0\x00\x02\x00\x02\x00\xff\xff\xff\xff\x1b*\x00\x02\x00\x01\x02",
    "ÄRA 12,50 €\r\nVOID\n".encode("cp858"),
)
_RECORDS = (
    b"FIRE ALARM: SMOKE(PHOTO) Z004 10:03A 11/20/26 2D004\n",
    b"TROUBL IN SYSTEM  GROUND FAULT  10:03A 112026\nSYSTEM RESET 10:04A\nSYSTEM NORMAL\n",
    b"CLR ALARM ZONE 4\nSUPERVISORY VALVE 3\nPRE-ALARM\n",
)
_FRAMES = (
    bytes.fromhex("150100000006010100000006"),
    bytes.fromhex("0300000001840a") * 3,
    bytes.fromhex("0110000000020400010002"),
)
_SOAP = (
    b'<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
    b"<GetSystemDateAndTimeResponse><UTCDateTime><Time><Hour>1</Hour><Minute>2</Minute><Second>60"
    b"</Second></Time><Date><Year>2026</Year><Month>2</Month><Day>29</Day></Date></UTCDateTime>"
    b"</GetSystemDateAndTimeResponse></s:Body></s:Envelope>",
    b'<s:Envelope xmlns:s="s"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value></s:Code>'
    b"<s:Reason><s:Text>no</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>",
    b'<s:Envelope xmlns:s="s"><s:Body><R><Service><Namespace>n</Namespace><XAddr>http://[::1]:x/'
    b'</XAddr></Service><Preset token="1"><Name>a</Name></Preset><Uri>rtsp://h:99999/a?b</Uri>'
    b'<Capabilities MoveStatus="true"/><MoveStatus><PanTilt>IDLE</PanTilt></MoveStatus></R>'
    b"</s:Body></s:Envelope>",
    b'<s:Envelope xmlns:s="s"><s:Header><RelatesTo>urn:uuid:1</RelatesTo><MessageID>urn:uuid:1'
    b"</MessageID></s:Header><s:Body><ProbeMatches><ProbeMatch><EndpointReference><Address>urn:x"
    b"</Address></EndpointReference><Types>dn:NetworkVideoTransmitter</Types><Scopes>onvif://www."
    b"onvif.org/name/a%20b</Scopes><XAddrs>http://10.0.0.1/onvif http://[fe80::1%25eth0]/x</XAddrs>"
    b"</ProbeMatch></ProbeMatches></s:Body></s:Envelope>",
)
_SEGMENTS = (b"seg-1.ts,0.000000,2.000000\n", b"a.ts,999999999.999999,1.1")
_CONDITIONS = (
    b"site.open and door_front.contact == 'open'",
    b"since('door_front', 'door.opened') > duration('30s')",
    b"count('eas_front', 'eas.alarm', '1h', aisle=1) > 2",
    b"event.aisle in [1, 2] and not site.evacuation == 'yes'",
    b"held('door_front.contact') + 1 > -2 if 1 else 3",
)
_FOUND = (
    b'{"cameras":[{"host":"10.0.0.1","name":"a"}],"units":[{"url":"tcp://h:502","unit":1}]}',
    b'{"serial_ports":[{"path":"/dev/a","device":"/dev/b"}],"gpio_chips":[],"problems":["x"]}',
)
_STICKS = (
    b"site: store_0421\ntimezone: Europe/London\n"
    b"mqtt: {url: 'mqtts://b:8883', username: u, password: p}\n",
    b"site: a\nnetwork: {interface: eth0, address: 10.0.0.2/24, gateway: 10.0.0.1}\n",
)
_COMMANDS = (
    encode([Metric(name="Node Control/Rebirth", value=None, at=1)], at=1, seq=2),
    encode([], at=None) + b"\x12\x1a\x0a\x14Node Control/Rebirth\x70\x01",
)
_TRIALS = (
    b'{"from":"0.1.0","to":"0.1.1","began":"2026-11-20T12:00:00Z","boot":"b"}\n',
    b'{"outcome":"done","from":"0.1.0","to":"0.1.1","began":"a","ended":"b","downtime":1.5}\n',
)
_MOUNTS = (
    b"22 27 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw\n"
    b"23 22 0:30 /a /var/lib\\040x rw - overlay overlay rw,upperdir=/u,workdir=/w\n"
)
