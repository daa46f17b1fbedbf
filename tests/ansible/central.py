"""The central broker as its role writes it: a real mosquitto with mutual TLS on this machine."""

import json
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt

from tests.ansible.fleet_files import ansible
from tests.broker import free_port, mosquitto

LIMIT = 30.0


class Central:
    """`address:port`; `folder` has what the role wrote, `log` what mosquitto says."""

    def __init__(self, folder: Path, inventory: Path, address: str) -> None:
        self.folder, self.address = folder, address
        self._inventory = inventory
        self.names = ["localhost", *([address] if address else [])]
        self.port = free_port()
        self.log = folder.parent / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def write(self) -> subprocess.CompletedProcess[str]:
        """Play broker.yml: settings, access list, certificates, the list of revoked ones."""
        done = ansible(
            "ansible-playbook", "-i", self._inventory, "playbooks/broker.yml",
            "-e", f"broker_folder={self.folder} broker_data={self.folder} broker_owner=root",
            "-e", f"broker_become=false broker_listen={self.port}",
            "-e", json.dumps({"broker_address": self.address}),
            "-e", json.dumps({"certificates_server_names": self.names}),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def start(self) -> None:
        """Start, and return once it listens."""
        program = mosquitto()
        assert program is not None
        seen = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", str(self.folder / "mosquitto.conf")], stderr=log
            )
        self._until(" running", seen)

    def read_again(self) -> None:
        """Have it read its access list and the list of revoked certificates again."""
        assert self._process is not None
        seen = self.log.stat().st_size
        self._process.send_signal(signal.SIGHUP)
        self._until("Reloading config", seen)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def client(self, certificate: Path, key: Path, **more: object) -> aiomqtt.Client:
        """Return a client that shows this certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(certificate, key)
        return aiomqtt.Client(
            self.address or "localhost",
            self.port,
            tls_context=context,
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=LIMIT,
            **more,  # type: ignore[arg-type]
        )

    def _until(self, word: str, seen: int) -> None:
        """Wait until the log has `word` after its first `seen` bytes."""
        deadline = time.monotonic() + LIMIT
        while word.encode() not in self.log.read_bytes()[seen:]:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)


@contextmanager
def central(folder: Path, inventory: Path, address: str = "127.0.0.1") -> Iterator[Central]:
    """Write a central broker, run it, and end it with the block."""
    broker = Central(folder, inventory, address)
    broker.write()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
