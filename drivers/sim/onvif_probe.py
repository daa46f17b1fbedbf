"""A camera's answers to WS-Discovery, on one interface, as it is found before anybody knows it."""

from __future__ import annotations

import asyncio
import socket
import struct
import uuid
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from drivers.contract import WireError
from drivers.wire.ws_discovery import GROUP, PORT, Match, answer, asked

Trouble = Literal["none", "silence", "rubbish", "bomb", "other", "twice"]
_MULTICAST_ALL = 49
"""IP_MULTICAST_ALL, 0: hear nothing of other interfaces. Source: ip(7)."""
_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "'
    + b"a" * 1000
    + b'"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><s:Envelope xmlns:s="x"><x>&b;</x></s:Envelope>'
)


@dataclass(slots=True, kw_only=True, eq=False)
class DiscoverableCamera:
    """`async with DiscoverableCamera(host="127.0.0.1:8080"): …` answers probes from then on."""

    host: str = "127.0.0.1"
    """`host` or `host:port` of its services."""
    interface: str = "lo"
    """Where it is heard."""
    name: str = "Simulated camera"
    hardware: str = "Storewarden"
    location: str = "exit"
    types: tuple[str, ...] = ("NetworkVideoTransmitter", "Device")
    port: int = PORT
    trouble: Trouble = "none"
    endpoint: str = field(default_factory=lambda: uuid.uuid4().urn)

    heard: list[str] = field(default_factory=list, init=False)
    """The ids of the probes that asked for it, oldest first."""
    _socket: socket.socket | None = field(default=None, init=False, repr=False)

    async def __aenter__(self) -> Self:
        listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((GROUP, self.port))
            joined = struct.pack(
                "4s4si", socket.inet_aton(GROUP), b"\0" * 4, socket.if_nametoindex(self.interface)
            )
            listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
            listening.setsockopt(socket.IPPROTO_IP, _MULTICAST_ALL, 0)
            listening.settimeout(0.0)
        except OSError:
            listening.close()
            raise
        self._socket = listening
        self.port = listening.getsockname()[1]
        asyncio.get_running_loop().add_reader(listening, self._ready)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _ready(self) -> None:
        assert self._socket is not None
        data, sender = self._socket.recvfrom(65535)
        try:
            message, types = asked(data)
        except WireError:
            return
        if types and types.isdisjoint(self.types):
            return
        self.heard.append(message)
        for reply in self._replies(message):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
                speaking.sendto(reply, sender)

    def _replies(self, message: str) -> list[bytes]:
        match = Match(
            endpoint=self.endpoint,
            types=self.types,
            addresses=(f"http://{self.host}/onvif/device_service",),
            name=self.name,
            hardware=self.hardware,
            location=self.location,
        )
        good = answer(message, uuid.uuid4().urn, [match])
        return {
            "none": [good],
            "silence": [],
            "rubbish": [b"\xff\xfe<html>", b"", b"<a" * 5000, b"<a>" * 15_000],
            "bomb": [_BOMB],
            "other": [answer(uuid.uuid4().urn, uuid.uuid4().urn, [match])],
            "twice": [good, good],
        }[self.trouble]
