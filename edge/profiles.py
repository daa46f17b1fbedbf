"""The optional profiles beside the CloudEvents: Home Assistant discovery and Sparkplug B."""

from __future__ import annotations

from buffer.message import Message
from drivers.event import SITE
from drivers.signals import SAID_BY_ALL, SAID_OF_ORDERS, InputEdge
from edge.assembly import Parts
from edge.broker import connector_to
from edge.home_assistant import Shown, discovery
from edge.sparkplug.node import Node
from edge.sparkplug.voice import Talk, Voice
from edge.version import VERSION

NOTE = "sparkplug.json"
"""In the state folder: how far the Sparkplug host is."""
_ORDERED = "order.given"


def discovered(parts: Parts) -> dict[str, bytes]:
    """Return what Home Assistant is to be told, topic to payload; empty when it is off."""
    site = parts.configuration.site
    if site.mqtt is None or site.mqtt.home_assistant is None:
        return {}
    states = parts.decider.engine.states
    shown = [Shown(id=SITE, type=SITE, name=site.site, states=dict.fromkeys(states.of(SITE), ()))]
    everything = {**parts.configuration.io, **parts.configuration.devices}
    for name, one in everything.items():
        kind = type(one.driver)
        said = kind.says | SAID_BY_ALL | (SAID_OF_ORDERS if kind.accepts else frozenset())
        words = {signal.kind for signal in said} - {InputEdge.kind}
        shown.append(
            Shown(
                id=name,
                type=one.type,
                name=one.name,
                states=kind.has_states,
                says=tuple(words | ({_ORDERED} if kind.accepts else set())),
            )
        )
    prefix, root = site.mqtt.home_assistant, site.mqtt.topic_root
    return discovery(prefix, root, site.site, VERSION, shown)


def voice(parts: Parts) -> Voice | None:
    """Return what tells a Sparkplug host; None when it is off."""
    site, states, clock = parts.configuration.site, parts.decider.engine.states, parts.clock
    mqtt = site.mqtt
    if mqtt is None or mqtt.sparkplug is None:
        return None

    def connect(will: Message) -> Talk:
        return connector_to(mqtt, f"storewarden-{site.site}-sparkplug", will)

    node = Node(mqtt.sparkplug, site.site, VERSION, parts.drivers, states.of, clock.now)
    note = parts.places.state / NOTE
    return Voice(node, parts.writer, connect, note, true_time=parts.cloud.corrections.true_time)
