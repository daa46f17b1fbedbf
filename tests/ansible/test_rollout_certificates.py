"""A store's certificate from issue to revocation: the roles, a real mosquitto, the real daemon."""

import asyncio
import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import aiomqtt
import pytest

from tests.ansible.central import LIMIT, Central, central
from tests.ansible.fleet_files import ansible
from tests.broker import mosquitto
from tests.daemon import Daemon

INVENTORY = """\
templates:
  local:
    ansible:
      ansible_connection: local
      ansible_python_interpreter: /usr/bin/python3
      certificates_tls: FOLDER/${id}/tls
      certificates_key: FOLDER/${id}/secrets/mqtt_key
      certificates_service: ""
stores:
  store_1: {template: local, address: 127.0.0.1}
  store_2: {template: local, address: 127.0.0.2}
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the role writes as root"),
    pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed"),
]


class Fleet:
    """Two stores whose boxes are folders of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "stores.yaml"
        self.authority = folder / "authority"
        self.inventory.write_text(INVENTORY.replace("FOLDER", str(folder)))
        (folder / "group_vars").mkdir()
        (folder / "group_vars/all.yml").write_text(
            f"certificates_authority: {self.authority}\ncertificates_passphrase: open sesame\n"
        )

    def play(self, name: str, *more: str) -> str:
        done = ansible("ansible-playbook", "-i", self.inventory, f"playbooks/{name}.yml", *more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pair(self, store: str) -> tuple[Path, Path]:
        return self.folder / store / "tls/cert.pem", self.folder / store / "secrets/mqtt_key"


def openssl(*arguments: str | Path) -> str:
    return subprocess.run(
        ("openssl", *map(str, arguments)), check=True, capture_output=True, text=True
    ).stdout


def changes(played: str) -> dict[str, int]:
    found = re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+)", played, re.MULTILINE)
    return {host: int(number) for host, number in found}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    made = Fleet(tmp_path_factory.mktemp("fleet"))
    made.play("certificates")
    return made


def test_a_store_gets_a_certificate_in_its_name_and_its_key_stays_there(fleet: Fleet) -> None:
    certificate, key = fleet.pair("store_1")
    assert "subject=CN = store_1\n" in openssl("x509", "-in", certificate, "-noout", "-subject")
    use = openssl("x509", "-in", certificate, "-noout", "-ext", "extendedKeyUsage,basicConstraints")
    assert "TLS Web Client Authentication" in use
    assert "CA:FALSE" in use
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    private = key.read_text().splitlines()[1]
    elsewhere = [p for p in fleet.authority.rglob("*") if p.is_file() and private in p.read_text()]
    assert elsewhere == []
    assert not list(fleet.folder.rglob("pending*"))
    assert "ENCRYPTED" in (fleet.authority / "ca.key").read_text()


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    before = fleet.pair("store_1")[0].read_bytes()
    assert changes(fleet.play("certificates")) == {"store_1": 0, "store_2": 0}
    assert fleet.pair("store_1")[0].read_bytes() == before


def test_without_a_setting_the_authority_lies_beside_the_stores(tmp_path: Path) -> None:
    alone = Fleet(tmp_path)
    shutil.rmtree(tmp_path / "group_vars")
    folder = tmp_path / "broker"
    given = f"broker_folder={folder} broker_data={folder} broker_owner=root broker_become=false"
    words = ("-e", given)
    alone.play("broker", *words)
    assert (folder / "ca.pem").read_bytes() == (alone.authority / "ca.pem").read_bytes()
    assert "DNS:localhost\n" in _names(folder / "server.pem")
    named = (
        *words,
        "-e",
        '{"certificates_server_names": ["mqtt.example.com", "192.0.2.7", "2001:db8::7"]}',
    )
    alone.play("broker", *named)
    shown = "DNS:mqtt.example.com, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7\n"
    assert shown in _names(folder / "server.pem")
    assert changes(alone.play("broker", *named)) == {"localhost": 0}

    revoke = ("-i", alone.inventory, "playbooks/revoke.yml", "-e", "store=store_1")
    assert (
        "no certificate was ever issued to store_1" in ansible("ansible-playbook", *revoke).stdout
    )


def _names(certificate: Path) -> str:
    return openssl("x509", "-in", certificate, "-noout", "-ext", "subjectAltName")


def _daemon(fleet: Fleet, tmp_path: Path, broker: Central) -> Daemon:
    config = tmp_path / "config"
    config.mkdir()
    certificate, key = fleet.pair("store_1")
    (config / "site.yaml").write_text(
        f"site: store_1\nevacuation: {{on: []}}\n"
        f"mqtt: {{url: 'mqtts://127.0.0.1:{broker.port}', ca: {broker.folder}/ca.pem, "
        f"cert: {certificate}, key: {key}}}\n"
        f"http: {{listen: '127.0.0.1:0'}}\nbuffer: {{path: {tmp_path}/state}}\n"
    )
    (config / "devices.yaml").write_text("{}\n")
    return Daemon(tmp_path, config)


async def _refused(broker: Central, pair: tuple[Path, Path]) -> None:
    with pytest.raises((aiomqtt.MqttError, ssl.SSLError, OSError)):
        async with broker.client(*pair) as client:
            await client.publish("storewarden/store_1/status", b"{}", qos=1)


def test_the_daemon_connects_is_renewed_and_is_refused_once_revoked(
    fleet: Fleet, tmp_path: Path
) -> None:
    async def scenario(broker: Central) -> None:
        daemon = _daemon(fleet, tmp_path, broker)
        await daemon.start()
        try:
            await daemon.until(lambda status: status["uplink"]["connected"])
            await _only_its_own_topics(fleet, broker)
            old = fleet.pair("store_1")[0].read_bytes(), fleet.pair("store_1")[1].read_bytes()
            await asyncio.to_thread(
                fleet.play, "certificates", "-e", "certificates_force=true", "-l", "store_1"
            )
            new = fleet.pair("store_1")[0].read_bytes(), fleet.pair("store_1")[1].read_bytes()
            assert old[0] != new[0]
            assert old[1] != new[1], "a renewal is a new key"
            await daemon.stop()
            await daemon.start()
            await daemon.until(lambda status: status["uplink"]["connected"])

            await asyncio.to_thread(fleet.play, "revoke", "-e", "store=store_1")
            shutil.copyfile(fleet.authority / "revoked.pem", broker.folder / "revoked.pem")
            broker.read_again()
            status = await daemon.until(lambda _status: True)
            assert status["uplink"]["connected"], "what is connected stays so"
            await daemon.stop()
            await daemon.start()
            status = await daemon.until(lambda status: bool(status["uplink"]["error"]))
            assert not status["uplink"]["connected"]
            await _refused(broker, fleet.pair("store_1"))
            async with broker.client(*fleet.pair("store_2")) as other:
                await other.publish("storewarden/store_2/status", b"{}", qos=1)
        finally:
            await daemon.stop()

    with central(tmp_path / "broker", fleet.inventory) as broker:
        asyncio.run(scenario(broker))


def _reader(fleet: Fleet) -> tuple[Path, Path]:
    """Make a certificate for what may read all stores, as docs/certificates.md says."""
    certificate, key = fleet.folder / "central.pem", fleet.folder / "central.key"
    request = openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                      "-nodes", "-subj", "/CN=central", "-keyout", key)  # fmt: skip
    (fleet.folder / "central.csr").write_text(request)
    subprocess.run(
        ("openssl", "ca", "-batch", "-notext", "-config", fleet.authority / "openssl.cnf",
         "-subj", "/CN=central", "-passin", "env:CERTIFICATES_PASSPHRASE",
         "-in", fleet.folder / "central.csr", "-out", certificate),
        env={**os.environ, "CERTIFICATES_PASSPHRASE": "open sesame", "CERTIFICATES_NAMES": "DNS:-"},
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


async def _only_its_own_topics(fleet: Fleet, broker: Central) -> None:
    """What a store says under another's name reaches nobody, and it hears nothing of others."""
    async with (
        broker.client(*await asyncio.to_thread(_reader, fleet)) as reader,
        broker.client(*fleet.pair("store_2")) as store,
    ):
        await reader.subscribe("storewarden/#", qos=1)
        await store.subscribe("storewarden/store_1/#", qos=1)
        await store.publish("storewarden/store_1/event/door/door.opened", b"forged", qos=1)
        await store.publish("storewarden/store_2/event/door/door.opened", b"own", qos=1)
        async with asyncio.timeout(LIMIT):
            async for message in reader.messages:
                assert message.payload != b"forged"
                if message.payload == b"own":
                    break
        assert len(store.messages) == 0
