"""The way to the broker, step by step, by a name of its own: the daemon's session is left alone."""

from __future__ import annotations

import math
import secrets
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge.doctor.box import GUESSED, Box, aside
from edge.doctor.finding import Check, Finding, Subject

if TYPE_CHECKING:
    from buffer.endpoint import Endpoint
    from edge.config.model import Mqtt

NAME = Check(
    "broker.name",
    "is the broker's name known?",
    "resolvectl query {host}; see to the name server, or write the address into mqtt.url",
)
REACHED = Check(
    "broker.reached",
    "can the broker be reached?",
    "let TCP port {port} out to {host}; is the broker running?",
)
CERTIFICATE = Check(
    "broker.certificate",
    "is the broker's certificate signed by `mqtt.ca`, for its name, and for how long?",
    "renew the broker's certificate, or put the authority that signed it into {ca}",
)
OWN = Check(
    "broker.own",
    "do our own certificate and key fit each other, and for how long?",
    "write new files to {cert} and its key: nothing has to be restarted",
)
ACCEPTED = Check(
    "broker.accepted",
    "does the broker let us in with this user name, password and certificate?",
    "correct username, password or certificate, or what the broker allows {user}",
)
WARNED, URGENT = 30, 7
"""Days before its end from which a certificate is a warning, and a problem."""
CONSENT_WITHIN = 4.0
"""Seconds."""


async def _look(box: Box) -> AsyncIterator[Finding]:
    import socket

    from buffer.dial import Dialer, secured, unsecured
    from buffer.endpoint import read_credentials
    from buffer.message import Unreachable

    mqtt = box.configuration.site.mqtt if box.configuration else None
    if mqtt is None or box.configuration is None:
        return
    endpoint = _endpoint(mqtt, f"{box.configuration.site.site}-doctor-{secrets.token_hex(4)}")
    host, port = endpoint.host, endpoint.port
    if mqtt.cert is not None:
        yield await aside(lambda: _own(box, mqtt))
    try:
        found = await aside(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        yield NAME.problem(f"{host}: {error.strerror or error}", host=host)
        return
    addresses = list(dict.fromkeys(str(row[4][0]) for row in found))
    yield NAME.ok(f"{host} is {', '.join(addresses[:3])}")
    try:
        link = await Dialer(addresses[0], port).dial()
    except OSError as error:
        why = error.strerror or error
        yield REACHED.problem(f"{addresses[0]}:{port}: {why}", host=host, port=port)
        return
    yield REACHED.ok(f"{addresses[0]}:{port} answers")
    try:
        ours = await aside(lambda: read_credentials(endpoint))
    except Unreachable as error:
        link.close()
        yield ACCEPTED.unknown(str(error))
        return
    if ours.tls is not None:
        try:
            link = await secured(link, ours.tls, host)
        except ssl.SSLError as error:
            yield CERTIFICATE.problem(str(unsecured(host, error)), ca=mqtt.ca or "mqtt.ca")
            return
        except OSError as error:
            why = error.strerror or "it hung up"
            yield CERTIFICATE.problem(f"{host}: no TLS: {why}", ca=mqtt.ca or "mqtt.ca")
            return
        yield _presented(box, mqtt, link)
    if mqtt.password is not None and mqtt.password.reveal() == GUESSED:
        link.close()
        yield ACCEPTED.unknown("the password can't be read")
        return
    yield await _consent(box, mqtt, endpoint, ours, link)


def _endpoint(mqtt: Mqtt, client_id: str) -> Endpoint:
    from buffer.endpoint import Endpoint

    return Endpoint(
        url=mqtt.url,
        client_id=client_id,
        username=mqtt.username,
        password=mqtt.password.reveal() if mqtt.password else None,
        ca=str(mqtt.ca) if mqtt.ca else None,
        cert=str(mqtt.cert) if mqtt.cert else None,
        key=str(mqtt.key) if mqtt.key else None,
    )


def _presented(box: Box, mqtt: Mqtt, link: ssl.SSLSocket) -> Finding:
    from buffer import x509

    try:
        told = x509.read(link.getpeercert(binary_form=True) or b"")
    except ValueError as error:
        return CERTIFICATE.unknown(f"it can't be read: {error}", "openssl s_client")
    return _by_days(
        CERTIFICATE, box, told.ends, f"{link.version()}, verified", ca=mqtt.ca or "mqtt.ca"
    )


def _by_days(check: Check, box: Box, ends: float, seen: str, **words: Path | str) -> Finding:
    days = math.floor((ends - box.now().timestamp()) / 86400)
    said = f"{seen}, {days} days left" if days >= 0 else f"{seen}, and ended {-days} days ago"
    if days < URGENT:
        return check.problem(said, **words)
    return check.warning(said, **words) if days < WARNED else check.ok(said)


def _own(box: Box, mqtt: Mqtt) -> Finding:
    from buffer import x509

    cert = mqtt.cert or Path("cert.pem")
    try:
        own = x509.read_pem(cert.read_text(encoding="utf-8", errors="replace"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(cert, mqtt.key, password=lambda: b"")
    except PermissionError as error:
        return OWN.unknown(f"{error.filename or mqtt.key} can't be read by this user")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        return OWN.problem(f"{cert} and {mqtt.key}: {why}", cert=cert)
    if not own:
        return OWN.problem(f"{cert} holds no certificate", cert=cert)
    return _by_days(OWN, box, min(one.ends for one in own), "they fit", cert=cert)


async def _consent(box: Box, mqtt: Mqtt, endpoint: Endpoint, ours: object, link: object) -> Finding:
    from buffer.client import AckClient
    from buffer.message import Unreachable

    user = mqtt.username or "this certificate"
    runs = bool(box.status and box.status["uplink"]["connected"])
    client = AckClient(endpoint, ours, link)  # type: ignore[arg-type]
    try:
        await client.open(CONSENT_WITHIN)
    except Unreachable as error:
        if runs:
            return ACCEPTED.warning(
                f"the daemon is connected, and {endpoint.client_id} is not let in: {error}",
                "nothing, if the broker lets in the site's own client id only",
            )
        return ACCEPTED.problem(str(error), user=user)
    finally:
        await client.close()
    return ACCEPTED.ok(f"{user} is let in" + (", and the daemon is connected" if runs else ""))


SUBJECT = Subject("broker", (OWN, NAME, REACHED, CERTIFICATE, ACCEPTED), _look, within=12.0)
