"""`storewarden drop-in`: settings of the systemd unit that follow from the configuration."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from pathlib import Path
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE, NO, Failed

FOLDER = Path("/etc/systemd/system/storewarden.service.d")


def add(commands: Any) -> None:
    drop_in = words.command(
        commands,
        "drop-in",
        "print what the systemd unit needs for a configuration: its devices, its addresses",
        act,
        f"storewarden drop-in devices --write {FOLDER}",
    )
    drop_in.add_argument("part", choices=("devices", "addresses"), help="which drop-in")
    words.config_option(drop_in)
    drop_in.add_argument(
        "--resolve", action="store_true", help="addresses: look up hosts that are names, now"
    )
    drop_in.add_argument(
        "--allow",
        action="append",
        default=[],
        type=_network,
        metavar="NETWORK",
        help="addresses: who may call ports that listen, 10.0.4.0/24; may be repeated",
    )
    where = drop_in.add_mutually_exclusive_group()
    where.add_argument("--write", type=Path, metavar="FOLDER", help="write it into this folder")
    where.add_argument(
        "--check", type=Path, metavar="FOLDER", help="exit 1 where the file there is another"
    )


def act(chosen: argparse.Namespace) -> int:
    name, text = _made(chosen)
    if chosen.write is not None:
        from edge.provisioning.writing import replace

        chosen.write.mkdir(parents=True, exist_ok=True)
        replace(chosen.write / name, text.encode(), 0o644)
        print(chosen.write / name)
    elif chosen.check is not None:
        return _checked(chosen.check / name, text)
    else:
        sys.stdout.write(text)
    return DONE


def _made(chosen: argparse.Namespace) -> tuple[str, str]:
    from edge.config.load import load
    from edge.config.secret_files import AnySecret
    from edge.units import addresses, devices
    from rules.problems import ConfigurationRefused

    try:
        configuration = load(chosen.config, secrets=AnySecret(chosen.config))
    except ConfigurationRefused as refused:
        words.show_problems(refused.problems)
        raise Failed(f"{chosen.config}: refused") from None
    if chosen.part == "devices":
        return devices.NAME, devices.text(configuration)
    try:
        text = addresses.text(
            configuration,
            allow=chosen.allow,
            resolve=addresses.looked_up if chosen.resolve else None,
            resolvers=addresses.name_servers(),
        )
    except addresses.Unnameable as unnameable:
        raise Failed(str(unnameable)) from None
    return addresses.NAME, text


def _checked(file: Path, text: str) -> int:
    try:
        found = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        print(f"{file}: is not there", file=sys.stderr)
        return NO
    if found == text:
        return DONE
    print(f"{file}: is another than the configuration asks for", file=sys.stderr)
    return NO


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{error}; write 10.0.4.0/24") from None
