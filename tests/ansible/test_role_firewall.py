"""The firewall that the role writes, loaded into a network of its own and called from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ansible.fleet_files import ROOT, program
from tests.booted import require

TEMPLATE = ROOT / "ansible/roles/storewarden/templates/firewall.nft.j2"
BOX, OUTSIDE = "10.98.7.2", "10.98.7.1"
PORTS = (22, 10000, 9464)
"""ssh; what is named; and the metrics, which nobody named."""
LISTENS = """\
import socket, sys
kept = []
for port in map(int, sys.argv[1:]):
    kept.append(socket.create_server(("", port)))
print("listens", flush=True)
sys.stdin.read()
"""
CALLS = """\
import socket, sys
for port in map(int, sys.argv[2:]):
    try:
        socket.create_connection((sys.argv[1], port), 1.0).close()
        print(port)
    except OSError:
        pass
"""


def do(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


@contextmanager
def two_networks() -> Iterator[tuple[str, str]]:
    """Yield the names of two network namespaces with a cable between them: the box, the shop."""
    box, shop = f"box{os.getpid()}", f"shop{os.getpid()}"
    try:
        for space in (box, shop):
            do("ip", "netns", "add", space)
            do("ip", "-n", space, "link", "set", "lo", "up")
        peer = ("type", "veth", "peer", "name", "eth0", "netns", shop)
        do("ip", "-n", box, "link", "add", "eth0", *peer)
        for space, address in ((box, BOX), (shop, OUTSIDE)):
            do("ip", "-n", space, "address", "add", f"{address}/24", "dev", "eth0")
            do("ip", "-n", space, "link", "set", "eth0", "up")
        yield box, shop
    finally:
        for space in (box, shop):
            subprocess.run(("ip", "netns", "del", space), capture_output=True)


def rendered(folder: Path, variables: dict[str, Any]) -> Path:
    """Return the file as Ansible makes it."""
    made = folder / "firewall.nft"
    task = {"ansible.builtin.template": {"src": str(TEMPLATE), "dest": str(made)}}
    known = {"ansible_python_interpreter": sys.executable} | variables
    play = {"hosts": "localhost", "gather_facts": False, "vars": known, "tasks": [task]}
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    played = (program("ansible-playbook"), "-i", "localhost,", "-c", "local")
    subprocess.run((*played, "play.yml"), check=True, capture_output=True, timeout=120, cwd=folder)
    return made


def reached(box: str, shop: str) -> list[int]:
    """Return the ports of the box that somebody in the shop can call."""
    words = ("ip", "netns", "exec", box, "python3", "-c", LISTENS, *map(str, PORTS))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as listening:
        assert listening.stdout is not None
        assert listening.stdout.readline() == b"listens\n"
        call = ("ip", "netns", "exec", shop, "python3", "-c", CALLS, BOX, *map(str, PORTS))
        return [int(port) for port in do(*call).split()]


@pytest.mark.parametrize(
    ("ssh_from", "opened", "reachable"),
    [
        ([], [], [22]),
        (["10.98.7.0/24"], ["10.98.7.0/24 tcp 10000"], [22, 10000]),
        (["10.1.0.0/16"], ["10.1.0.0/16 tcp 10000", "fd00::/8 tcp 10000"], []),
    ],
    ids=["nothing named", "this network named", "another network named"],
)
def test_what_is_named_comes_in_and_nothing_else(
    tmp_path: Path, ssh_from: list[str], opened: list[str], reachable: list[int]
) -> None:
    require()
    variables = {
        "storewarden_host_firewall_ssh_from": ssh_from,
        "storewarden_host_firewall_open": opened,
    }
    made = rendered(tmp_path, variables)
    with two_networks() as (box, shop):
        assert reached(box, shop) == list(PORTS)
        for _ in range(2):  # at each boot and each reload: the table is replaced
            do("ip", "netns", "exec", box, "nft", "-f", str(made))
        assert reached(box, shop) == reachable
        tables = do("ip", "netns", "exec", box, "nft", "list", "tables")
        assert tables == "table inet storewarden\n"
