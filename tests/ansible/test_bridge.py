"""A store's own mosquitto as the role writes it: what passes to the central broker and back."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from edge.cli.run import environment, python
from tests import booted
from tests.ansible.central import LIMIT, Central
from tests.ansible.five import recap
from tests.ansible.fleet_files import ANSIBLE, ansible
from tests.broker import Received, mosquitto

INVENTORY = """\
templates:
  local:
    ansible:
      ansible_user: root
      ansible_ssh_private_key_file: KEY
      store_bridge: true
      bridge_broker: GATEWAY:PORT
      certificates_tls: /etc/mosquitto/certs
      certificates_key: /etc/mosquitto/private/key.pem
      certificates_owner: mosquitto
      certificates_service: mosquitto
stores:
  store_1: {template: local, address: ADDRESS}
"""
PLAY = f"""\
- hosts: stores
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.import_tasks: {ANSIBLE}/playbooks/tasks/store.yml
"""
"""What site.yml and rollout.yml do to a store; what follows the bridge is left out by `_roles`."""
SITE = """\
site: store_1
evacuation: {on: []}
mqtt: {url: "mqtt://127.0.0.1:1883"}
http: {listen: "127.0.0.1:0"}
buffer: {path: STATE}
"""
SAY = """
import sys
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
client, answers = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5), {}
client.on_publish = lambda _client, _data, mid, code, _more: answers.update({mid: code})
client.connect("127.0.0.1", 1883)
client.loop_start()
sent = [client.publish(*line.split(" ", 1), qos=1) for line in sys.stdin.read().splitlines()]
for one in sent:
    one.wait_for_publish(20)
    print("refused" if answers[one.mid].is_failure else "taken", answers[one.mid].value)
"""
"""Publishes each line of its input on the store's loopback, and says what the broker answered."""
HEAR = """
import asyncio, sys, aiomqtt
async def main():
    async with aiomqtt.Client("127.0.0.1", 1883, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(sys.argv[1], qos=1)
        print("listening", flush=True)
        async for message in client.messages:
            print(message.qos, message.topic, message.payload.decode(), flush=True)
asyncio.run(main())
"""


class Bridged:
    """A booted store with a bridge, and the central broker on this machine."""

    def __init__(self, folder: Path, store: booted.Booted) -> None:
        self.folder, self.store = folder, store
        self.inventory = folder / "stores.yaml"
        self.broker = Central(folder / "broker", self.inventory, "")
        self.broker.names = ["localhost", store.gateway]
        text = INVENTORY.replace("KEY", str(store.key)).replace("PORT", str(self.broker.port))
        text = text.replace("GATEWAY", store.gateway).replace("ADDRESS", store.address)
        self.inventory.write_text(text)
        (folder / "group_vars").mkdir()
        (folder / "group_vars/all.yml").write_text("broker_commanders: [central]\n")
        (folder / "play.yml").write_text(PLAY)
        (folder / "roles/storewarden").mkdir(parents=True)  # beside the play, so found first

    def play(self, *more: str) -> dict[str, int]:
        """Play what a rollout does to the store; return what its recap counts."""
        done = ansible(
            "ansible-playbook", "-i", self.inventory, self.folder / "play.yml", *more,
            ANSIBLE_HOST_KEY_CHECKING="False",
            ANSIBLE_SSH_ARGS="-o ControlMaster=auto -o ControlPersist=60s "
            "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        return recap(done.stdout)["store_1"]

    def inside(self, *command: str) -> tuple[str, ...]:
        """Return a command of this machine that sees the store's network only."""
        return ("nsenter", "-t", str(self.store.init), "-n", "--", *command)

    async def say(self, *lines: str) -> list[str]:
        """Publish `TOPIC PAYLOAD` lines on the store's loopback; return what it answered."""
        process = await asyncio.create_subprocess_exec(
            *self.inside(sys.executable, "-c", SAY),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(LIMIT):
            out, _ = await process.communicate("\n".join(lines).encode())
        return out.decode().splitlines()

    @asynccontextmanager
    async def hear(self, topic: str) -> AsyncIterator[asyncio.StreamReader]:
        """Subscribe on the store's loopback; yields lines of `QOS TOPIC PAYLOAD`."""
        process = await asyncio.create_subprocess_exec(
            *self.inside(sys.executable, "-c", HEAR, topic), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(LIMIT):
                assert await process.stdout.readline() == b"listening\n"
            yield process.stdout
        finally:
            process.kill()
            await process.wait()

    def reader(self) -> tuple[Path, Path]:
        """Make a certificate for what reads all stores, as docs/certificates.md says."""
        made, key = self.folder / "central.pem", self.folder / "central.key"
        asked = self.folder / "central.csr"
        settings = self.folder / "authority/openssl.cnf"
        for words in (
            ("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-subj", "/CN=central", "-keyout", key, "-out", asked),
            ("ca", "-batch", "-notext", "-config", settings, "-subj", "/CN=central",
             "-in", asked, "-out", made),
        ):  # fmt: skip
            subprocess.run(
                ("openssl", *map(str, words)),
                env={**os.environ, "CERTIFICATES_NAMES": "DNS:-"}, check=True, capture_output=True,
            )  # fmt: skip
        return made, key

    @asynccontextmanager
    async def centre(self) -> AsyncIterator[tuple[aiomqtt.Client, Received]]:
        """Connect to the central broker as what reads all stores; yields it and what comes."""
        client = self.broker.client(self.folder / "central.pem", self.folder / "central.key")
        received = Received()

        async def collect() -> None:
            async for message in client.messages:
                received.add(message)

        async with client:
            await client.subscribe("storewarden/#", qos=1)
            task = asyncio.create_task(collect())
            try:
                yield client, received
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _daemon(bridged: Bridged, folder: Path) -> AsyncIterator[None]:
    """Run the real daemon in the store's network."""
    (folder / "config").mkdir()
    (folder / "config/site.yaml").write_text(SITE.replace("STATE", str(folder / "state")))
    (folder / "config/devices.yaml").write_text("{}\n")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *bridged.inside(*python(), "run", "--config", str(folder / "config")),
            env=environment(RUNTIME_DIRECTORY=str(folder), STATE_DIRECTORY=str(folder / "state")),
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        async with asyncio.timeout(LIMIT):
            await process.wait()


@pytest.fixture(scope="module")
def bridged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridged]:
    booted.require()
    if mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    with booted.boot("bookworm", name="store-1", python=False) as store:
        made = Bridged(tmp_path_factory.mktemp("bridge"), store)
        made.broker.write()
        made.reader()
        made.broker.start()
        try:
            made.play()
            yield made
        finally:
            made.broker.stop()


def test_a_second_run_changes_nothing_and_mosquitto_is_on_loopback_only(bridged: Bridged) -> None:
    assert bridged.play()["changed"] == 0
    heard = bridged.store.run("ss", "-Hltn").stdout.split()[3::5]
    assert sorted(heard) == ["0.0.0.0:22", "127.0.0.1:1883", "[::]:22"]
    modes = "stat -c '%a %U %n' /etc/mosquitto/certs/*.pem /etc/mosquitto/private{,/key.pem}"
    assert bridged.store.run("bash", "-c", modes).stdout.splitlines() == [
        "644 root /etc/mosquitto/certs/ca.pem",
        "644 root /etc/mosquitto/certs/cert.pem",
        "700 mosquitto /etc/mosquitto/private",
        "600 mosquitto /etc/mosquitto/private/key.pem",
    ]


def test_what_the_daemon_says_arrives_at_the_centre_and_a_command_comes_back(
    bridged: Bridged, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with bridged.centre() as (client, received), _daemon(bridged, tmp_path):
            came = await received.until(
                lambda seen: (
                    {"storewarden/store_1/status", "storewarden/store_1/anchor"}
                    <= {str(m.topic) for m in seen}
                )
            )
            assert {m.qos for m in came} == {1}
            async with bridged.hear("storewarden/store_1/command/#") as lines:
                await client.publish("storewarden/store_1/command/order", b"{}", qos=1)
                async with asyncio.timeout(LIMIT):
                    said = await lines.readline()
                assert said == b"1 storewarden/store_1/command/order {}\n"

    asyncio.run(scenario())


def test_another_stores_id_is_refused_on_loopback_and_reaches_nobody(bridged: Bridged) -> None:
    async def scenario() -> None:
        async with bridged.centre() as (_, received):
            said = await bridged.say(
                "storewarden/store_2/event/door/door.opened forged",
                "storewarden/store_1/event/door/door.opened own",
            )
            assert said == ["refused 135", "taken 0"]
            await received.until(lambda seen: any(m.payload == b"own" for m in seen))
            assert b"forged" not in received.payloads()

    asyncio.run(scenario())


def test_what_was_said_while_the_centre_was_away_arrives_and_outlasts_a_kill(
    bridged: Bridged,
) -> None:
    topic = "storewarden/store_1/event/door/door.opened"
    expected = [f"away {number}" for number in range(200)]

    async def scenario() -> None:
        bridged.broker.stop()
        lines = [f"{topic} {one}" for one in expected]
        assert await bridged.say(*lines[:100]) == ["taken 0"] * 100
        bridged.store.run("systemctl", "kill", "--signal=KILL", "mosquitto")
        bridged.store.run("systemctl", "restart", "mosquitto")
        assert await bridged.say(*lines[100:]) == ["taken 0"] * 100
        await asyncio.to_thread(bridged.broker.start)
        async with bridged.centre() as (_, received):
            await received.until(lambda seen: any(m.payload == b"away 199" for m in seen), 90.0)
            came = [one.decode() for one in received.payloads(topic)]
            assert [one for one in came if one.startswith("away")] == expected

    asyncio.run(scenario())
