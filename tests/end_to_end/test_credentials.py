"""A broker's password changes, then the site's secret: no restart, and nothing is lost."""

import asyncio
import subprocess
from pathlib import Path

from edge.demo.store import configured, simulated
from tests.broker import Broker
from tests.daemon import running
from tests.shop import PANIC, TOP, connected, events, ids, published, said


def test_a_new_password_is_taken_without_a_restart_and_nothing_is_lost(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"

    def change(word: str) -> None:
        for user, own in (("store", word), ("ear", "ear")):
            new = [] if passwords.exists() else ["-c"]
            command = ["mosquitto_passwd", *new, "-b", str(passwords), user, own]
            subprocess.run(command, check=True)

    async def main() -> None:
        async with simulated(tmp_path) as store:
            config = configured(tmp_path, store, None)
            site, secret = config / "site.yaml", config / "secrets" / "broker"
            login = (
                f'{{url: "{broker.url}", username: store, password: !secret broker, expiry: 1h}}'
            )
            site.write_text(f"{site.read_text()}mqtt: {login}\n")
            secret.parent.mkdir(exist_ok=True)
            secret.write_text("first\n")
            secret.chmod(0o600)
            async with running(tmp_path, config) as daemon:
                assert daemon.process is not None
                pid = daemon.process.pid
                await connected(daemon)
                await daemon.until(lambda status: not status["uplink"]["backlog"])
                before = published(daemon)[-1].sequence
                await asyncio.to_thread(broker.kill)
                change("second")
                await asyncio.to_thread(broker.start)
                denied = await daemon.until(
                    lambda status: "Not authorized" in str(status["uplink"]["error"])
                )
                assert not denied["uplink"]["connected"]
                async with broker.listen(f"{TOP}/#", username="ear", password="ear") as heard:
                    store.module.set(PANIC, True)
                    secret.write_text("second\n")
                    await connected(daemon)
                    await daemon.until(lambda status: not status["uplink"]["backlog"])
                    unsent = {r.id for r in published(daemon) if r.sequence > before}
                    await heard.until(lambda messages: unsent <= ids(messages))
                assert daemon.process.pid == pid
                reasons = [fields["reason"] for fields in said(daemon, "uplink.disconnected")]
                assert "Not authorized" in reasons[-1]
                assert "second" not in daemon.log
                expiry = {
                    str(message.topic): getattr(message.properties, "MessageExpiryInterval", None)
                    for message in heard.messages
                }
                assert 3500 < (expiry[f"{TOP}/event/site/uplink.disconnected"] or 0) <= 3600
                assert expiry[f"{TOP}/event/panic_office/button.pressed"] is None
                late = [event for event in events(heard.messages) if event["replayed"]]
                assert {e["type"] for e in late} >= {"storewarden.uplink.disconnected"}

    change("first")
    options = [f"password_file {passwords}"]
    with Broker(tmp_path, options=options, anonymous=False) as broker:
        asyncio.run(main())
