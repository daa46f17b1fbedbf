"""Where the broker is and who we are to it, out of `mqtt:` of site.yaml."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from buffer.message import Message
from edge.config.model import Mqtt

if TYPE_CHECKING:
    from buffer.mqtt import Connector


def connector_to(mqtt: Mqtt, client_id: str, will: Message) -> Connector:
    """Return what makes one connection after the other, each with the credentials as they are."""
    from buffer.mqtt import Endpoint, connector

    return connector(
        Endpoint(
            url=mqtt.url,
            client_id=client_id,
            username=mqtt.username,
            password=_password(mqtt),
            ca=str(mqtt.ca) if mqtt.ca else None,
            cert=str(mqtt.cert) if mqtt.cert else None,
            key=str(mqtt.key) if mqtt.key else None,
            will=will,
            keepalive=int(mqtt.keepalive),
        )
    )


def _password(mqtt: Mqtt) -> Callable[[], str | None] | None:
    """Return what reads the password as it is now; while its file can't be read, as it was."""
    loaded, renewed = mqtt.password, mqtt.renewed
    if loaded is None:
        return None
    return lambda: (renewed() if renewed is not None else None) or loaded.reveal()
