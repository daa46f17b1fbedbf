"""`mqtt:` and `http:` of site.yaml: addresses checked, and nothing secret in them."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeGuard
from urllib.parse import SplitResult, urlsplit

from edge.config.model import Http, Mqtt
from rules import convert
from rules import yaml_source as ys
from rules.convert import Context

_URL_HINT = "write mqtts://host:8883, or mqtt://host:1883"
_LISTEN_HINT = "write an address and a port: 127.0.0.1:9464"
_RATE = re.compile(r"([1-9]\d{0,5})/s")
_GROUP = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROOT = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_LARGEST_WINDOW = 50
_JITTER = 5.0
"""Seconds over which the stores of a region spread, where a drain rate spares their broker."""


def mqtt(node: ys.Node, values: Mapping[str, Any], context: Context) -> Mqtt:
    """Return the uplink's settings after saying what is wrong with them."""
    problems = context.problems
    _url(node, values, context)
    for one, other in (("cert", "key"), ("key", "cert")):
        if values.get(one) and not values.get(other):
            problems.error(convert.place(node, one), f"{one!r} needs {other!r} beside it")
    _files(node, values, context)
    root = values.get("topic_root", "storewarden")
    if not _ROOT.fullmatch(root):
        hint = "words, with / between them; no + and no #"
        problems.error(convert.place(node, "topic_root"), f"{root!r} is not a topic", hint)
    prefix, group = values.get("home_assistant"), values.get("sparkplug")
    if prefix is not None and not _ROOT.fullmatch(prefix):
        hint = "Home Assistant's discovery prefix: homeassistant"
        problems.error(convert.place(node, "home_assistant"), f"{prefix!r} is not a topic", hint)
    if group is not None and not _GROUP.fullmatch(group):
        hint = "one word: letters, digits, _ and -"
        problems.error(convert.place(node, "sparkplug"), f"{group!r} can't name a group", hint)
    if group is not None and not (find_spec("google") and find_spec("google.protobuf")):
        hint = "install storewarden[sparkplug]"
        problems.error(convert.place(node, "sparkplug"), "protobuf is not installed", hint)
    if not 1 <= values.get("window", 1) <= _LARGEST_WINDOW:
        problems.error(convert.place(node, "window"), f"'window' is 1 to {_LARGEST_WINDOW}")
    rate = values.get("drain_rate")
    number = None if rate is None else _RATE.fullmatch(rate)
    if rate is not None and number is None:
        hint = "write records a second: 200/s"
        problems.error(convert.place(node, "drain_rate"), f"{rate!r} is not a rate", hint)
    _times(node, values, context)
    rest = dict(values)
    rest["drain_rate"] = float(number[1]) if number else None
    jitter = values.get("drain_jitter")
    rest["drain_jitter"] = (_JITTER if number else 0.0) if jitter is None else jitter
    return Mqtt(**rest, renewed=_again(node, context))


def _files(node: ys.Node, values: Mapping[str, Any], context: Context) -> None:
    """The daemon is started in any folder, so a path has to say all."""
    for key in ("ca", "cert", "key"):
        path = values.get(key)
        if path is None or path.is_absolute() or _is_secret(_written(node, key, context)):
            continue
        hint = f"write it from / on: /etc/storewarden/tls/{path.name or 'ca.pem'}"
        context.problems.error(convert.place(node, key), f"{key!r} is no whole path", hint)


def _times(node: ys.Node, values: Mapping[str, Any], context: Context) -> None:
    for key, least, most, words in (
        ("drain_jitter", 0.0, 3600.0, "at most 1h"),
        ("keepalive", 5.0, 600.0, "5s to 10m"),
        ("expiry", 1.0, 365 * 86400.0, "1s to 365d"),
    ):
        value = values.get(key)
        if value is None:
            continue
        if not least <= value <= most:
            context.problems.error(convert.place(node, key), f"{key!r} is {words}")
        elif key != "drain_jitter" and value != int(value):
            context.problems.error(convert.place(node, key), f"{key!r} is in whole seconds")


def _again(node: ys.Node, context: Context) -> Callable[[], str | None] | None:
    """Return what reads the password from its file again; None where there is none."""
    found = _written(node, "password", context)
    return partial(context.secret, found.text) if _is_secret(found) else None


def _written(node: ys.Node, key: str, context: Context) -> ys.Node | None:
    written = node.items.get(key) if isinstance(node, ys.Mapping) else None
    return None if written is None else convert.resolve(written, context)


def _is_secret(node: ys.Node | None) -> TypeGuard[ys.Scalar]:
    return isinstance(node, ys.Scalar) and node.tag == "!secret"


def _url(node: ys.Node, values: Mapping[str, Any], context: Context) -> None:
    problems, mark = context.problems, convert.place(node, "url")
    text: str = values["url"]
    if "@" in text:
        hint = "write username: and password: !secret NAME beside it"
        problems.error(mark, "no user and no password in an address", hint)
        return
    url = _split(text)
    if url is None or url.scheme not in {"mqtt", "mqtts"} or not _is_host(url.hostname):
        problems.error(mark, f"{text!r} is not the address of a broker", _URL_HINT)
        return
    if url.path not in {"", "/"} or url.query or url.fragment:
        problems.error(mark, f"{text!r} has more than a host and a port", _URL_HINT)
    if url.scheme == "mqtt":
        for key in ("ca", "cert", "key"):
            if values.get(key):
                hint = "write mqtts:// in url"
                problems.error(convert.place(node, key), f"{key!r} is for TLS only", hint)
        if values.get("password") and not _loopback(url.hostname or ""):
            hint = "mqtts:// encrypts it"
            problems.warning(mark, "the password crosses the network in the clear", hint)


def _split(text: str) -> SplitResult | None:
    try:
        url = urlsplit(text)
        return url if url.port != 0 else None
    except ValueError:
        return None


def _is_host(host: str | None) -> bool:
    if host is None:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(_HOST.fullmatch(host)) and not re.fullmatch(r"[\d.]+", host)
    return True


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def http(node: ys.Node, values: Mapping[str, Any], context: Context) -> Http:
    """Return where the daemon listens; the default after saying that it is no address."""
    text: str = values.get("listen", "")
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not text:
        return Http()
    if not re.fullmatch(r"\d{1,5}", port) or int(port) > 65535 or not _is_host(host):
        mark = convert.place(node, "listen")
        context.problems.error(mark, f"{text!r} is not an address to listen at", _LISTEN_HINT)
        return Http()
    return dataclasses.replace(Http(), host=host, port=int(port))
