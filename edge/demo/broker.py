"""The embedded MQTT v5 broker of the demonstration: a child process on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIGURATION = """\
id = 0
[router]
id = 0
max_connections = 20
max_outgoing_packet_count = 200
max_segment_size = 10485760
max_segment_count = 5
[v5.1]
name = "demo"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 262144
max_inflight_count = 100
dynamic_filters = true
"""


@contextmanager
def embedded(folder: Path) -> Iterator[str]:
    """Run a broker until the block ends; yields its URL."""
    from iotcore import Broker

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    path = folder / "broker.toml"
    path.write_text(CONFIGURATION.format(port=port))
    with Broker(config_path=str(path)):
        yield f"mqtt://127.0.0.1:{port}"
