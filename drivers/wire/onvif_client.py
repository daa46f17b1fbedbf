"""One camera's SOAP services over HTTP: signed by the camera's own clock, told apart when refused.

Every request carries a WS-UsernameToken; a camera that wants HTTP digest instead is answered so.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from drivers.contract import DriverError, LinkLost, WireError
from drivers.ports.reason import in_words
from drivers.settings import Secret
from drivers.wire.onvif import (
    CONTENT_TYPE,
    DEVICE,
    LONGEST_ANSWER,
    Request,
    SoapFault,
    answer,
    camera_time,
    envelope,
    service_addresses,
    username_token,
)

if TYPE_CHECKING:
    from aiohttp import ClientSession

ANSWER_LIMIT = 5.0
"""Seconds for one answer."""
_NOT_AUTHORIZED = frozenset({"NotAuthorized", "FailedAuthentication", "FailedCheck"})


class AccessDenied(DriverError):
    """The camera answers, and refuses the user name or the password."""


class OnvifClient:
    """Calls to one camera. Made by `connect`."""

    def __init__(
        self, http: ClientSession, authority: str, username: str, password: Secret
    ) -> None:
        self._http = http
        self._authority = authority
        self._username = username
        self._password = password
        self._addresses = {DEVICE: f"http://{authority}/onvif/device_service"}
        self.skew = timedelta()
        """The camera's clock minus ours."""

    async def find_services(self) -> None:
        """Learn the camera's time and where its services are.

        Raises:
            LinkLost, WireError, AccessDenied, SoapFault: as `call`.
        """
        await self._learn_time()
        try:
            found = await self.call(
                Request(
                    service=DEVICE,
                    operation="GetServices",
                    arguments=(("IncludeCapability", "false"),),
                )
            )
        except SoapFault:  # older than GetServices
            found = await self.call(
                Request(
                    service=DEVICE, operation="GetCapabilities", arguments=(("Category", "All"),)
                )
            )
        for space, address in service_addresses(found).items():
            self._addresses[space] = self._reachable(address)

    def offers(self, service: str) -> bool:
        return service in self._addresses

    async def call(self, request: Request) -> ET.Element:
        """Return the answer to `request`. A refused login is tried again by the camera's clock.

        Raises:
            LinkLost: no connection, or no answer within `ANSWER_LIMIT`.
            WireError: an answer that is no SOAP.
            AccessDenied: the camera refuses the user name or the password.
            SoapFault: the camera refuses the request.
        """
        try:
            return await self._ask(request, signed=True)
        except AccessDenied:
            await self._learn_time()
            return await self._ask(request, signed=True)

    async def time(self) -> datetime | None:
        """Return what the camera's clock shows, without a login where the camera allows it.

        Raises:
            LinkLost, WireError, AccessDenied, SoapFault: as `call`.
        """
        request = Request(service=DEVICE, operation="GetSystemDateAndTime")
        try:
            found = await self._ask(request, signed=False)
        except (AccessDenied, SoapFault):  # asks for a password even for the time
            found = await self._ask(request, signed=True)
        return camera_time(found)

    async def _learn_time(self) -> None:
        told = await self.time()
        self.skew = told - datetime.now(UTC) if told else timedelta()

    async def _ask(self, request: Request, *, signed: bool) -> ET.Element:
        from aiohttp import ClientError, ClientResponseError

        security = ""
        if signed:
            created = datetime.now(UTC) + self.skew
            security = username_token(
                self._username, self._password.reveal(), created, os.urandom(16)
            )
        try:
            async with (
                asyncio.timeout(ANSWER_LIMIT),
                self._http.post(
                    self._addresses[request.service],
                    data=envelope(request, security),
                    headers={"Content-Type": CONTENT_TYPE},
                    allow_redirects=False,
                ) as response,
            ):
                data = b""
                async for piece in response.content.iter_any():
                    data += piece
                    if len(data) > LONGEST_ANSWER:
                        raise WireError(f"{self._authority}: an answer of more than 1 MB")
        except TimeoutError as error:
            raise LinkLost(f"{self._authority}: no answer within {ANSWER_LIMIT:g} s") from error
        except OSError as error:
            raise LinkLost(f"cannot connect to {self._authority}: {in_words(error)}") from error
        except ClientResponseError as error:
            raise WireError(f"{self._authority}: what answers there speaks no HTTP") from error
        except ClientError as error:
            raise LinkLost(f"{self._authority} ended the connection") from error
        if response.status == 401:
            raise AccessDenied(f"{self._authority}: refuses this user name or password")
        try:
            return answer(data)
        except SoapFault as fault:
            if _NOT_AUTHORIZED.intersection(fault.codes):
                raise AccessDenied(
                    f"{self._authority}: refuses this user name or password"
                ) from fault
            raise
        except WireError as error:
            raise WireError(f"{self._authority}: HTTP {response.status}: {error}") from error

    def _reachable(self, address: str) -> str:
        """Return `address` at the host that is configured: cameras behind NAT name another."""
        try:
            told = urlsplit(address)
            ours = urlsplit(f"http://{self._authority}")
            same = told.hostname == ours.hostname
            authority = told.netloc if same else self._authority
        except ValueError:
            return f"http://{self._authority}/onvif/device_service"
        query = f"?{told.query}" if told.query else ""
        return f"http://{authority}{told.path}{query}"


@asynccontextmanager
async def connect(authority: str, username: str, password: Secret) -> AsyncIterator[OnvifClient]:
    """Lend a client of the camera at `authority` (`host` or `host:port`) for one connection.

    The HTTP library is loaded here, in a thread, so that a daemon without cameras never loads it.
    Each request is a connection of its own: cameras close idle ones at any moment.
    """
    if "aiohttp" not in sys.modules:
        await asyncio.to_thread(importlib.import_module, "aiohttp")
    from aiohttp import ClientSession, DigestAuthMiddleware, TCPConnector

    digest = DigestAuthMiddleware(username, password.reveal())
    async with ClientSession(
        connector=TCPConnector(force_close=True), middlewares=(digest,)
    ) as http:
        yield OnvifClient(http, authority, username, password)
