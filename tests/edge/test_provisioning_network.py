"""The network is written for whichever the box uses, in files that are ours alone."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from edge.provisioning.network import NoNetwork, network_file, network_manager, networkd
from edge.provisioning.wanted import Network

FIXED = Network(
    interface="eth0", address="10.0.4.10/24", gateway="10.0.4.1", dns=["10.0.4.1", "fd00::1"]
)


def box(root: Path, *services: str) -> Path:
    (root / "sys/class/net/lo").mkdir(parents=True)
    (root / "sys/class/net/eth0").mkdir()
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    for service in services:
        (wants / service).symlink_to(f"/lib/systemd/system/{service}")
    return root


def test_a_box_with_networkd_gets_a_network_file(tmp_path: Path) -> None:
    found = network_file(FIXED, box(tmp_path, "systemd-networkd.service"))

    assert (found.path, found.mode) == ("etc/systemd/network/05-storewarden.network", 0o644)
    assert found.content.decode() == (
        "# Written by storewarden first-boot from storewarden.yaml.\n"
        "[Match]\nName=eth0\n\n[Network]\nAddress=10.0.4.10/24\nGateway=10.0.4.1\n"
        "DNS=10.0.4.1\nDNS=fd00::1\n"
    )


def test_a_box_with_networkmanager_gets_a_keyfile_that_only_root_reads(tmp_path: Path) -> None:
    services = ("systemd-networkd.service", "NetworkManager.service")
    found = network_file(FIXED, box(tmp_path, *services))
    keys = configparser.ConfigParser()
    keys.read_string(found.content.decode())

    assert found.path == "etc/NetworkManager/system-connections/storewarden.nmconnection"
    assert found.mode == 0o600
    assert dict(keys["connection"])["interface-name"] == "eth0"
    assert dict(keys["ipv4"]) == {
        "method": "manual", "address1": "10.0.4.10/24,10.0.4.1", "dns": "10.0.4.1;",
    }  # fmt: skip
    assert dict(keys["ipv6"]) == {"method": "disabled", "dns": "fd00::1;"}


def test_by_dhcp_every_wired_interface_is_meant() -> None:
    assert networkd(Network(dhcp=True)).endswith(
        "[Match]\nType=ether\nName=en* eth*\n\n[Network]\nDHCP=yes\n"
    )
    assert "interface-name" not in network_manager(Network(dhcp=True))
    assert network_manager(Network(dhcp=True)) == network_manager(Network(dhcp=True))


def test_a_masked_service_reads_nothing(tmp_path: Path) -> None:
    root = box(tmp_path, "NetworkManager.service", "systemd-networkd.service")
    (root / "etc/systemd/system/NetworkManager.service").symlink_to("/dev/null")

    assert network_file(FIXED, root).service == "systemd-networkd"


def test_where_neither_is_used_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoNetwork, match="neither NetworkManager nor systemd-networkd is enabled"):
        network_file(FIXED, box(tmp_path))


def test_an_interface_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    other = Network(interface="eth1", dhcp=True)

    with pytest.raises(NoNetwork, match="no interface 'eth1' here; there are: eth0"):
        network_file(other, box(tmp_path, "systemd-networkd.service"))
