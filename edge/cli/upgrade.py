"""`storewarden upgrade`: install a release, switch to it under watch, go back, say how it is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.cli import words
from edge.cli.orders import who

EXAMPLE = "storewarden upgrade to 0.1.1 --watch 2m"


def add(commands: Any) -> None:
    upgrade = words.command(
        commands,
        "upgrade",
        "install releases and switch between them, watched; alone it is status",
        act_status,
        EXAMPLE,
    )
    parts = upgrade.add_subparsers(dest="part", metavar="install|to|back|status|recover|tell|facts")
    install = words.command(
        parts,
        "install",
        "verify a bundle, and make its release beside the one that runs",
        act_install,
        "storewarden upgrade install storewarden-0.1.1.tar.gz",
    )
    install.add_argument("bundle", type=Path, metavar="BUNDLE", help="storewarden-VERSION.tar.gz")
    install.add_argument(
        "--unsigned",
        action="store_true",
        help="take it without a signature; only where the box trusts no signer at all",
    )
    install.add_argument("--keep", action="store_true", help="remove no older release")
    to = words.command(
        parts,
        "to",
        "switch to an installed release, watch it, and go back by itself if need be",
        act_to,
        EXAMPLE,
    )
    to.add_argument("version", metavar="VERSION", help="an installed release, such as 0.1.1")
    back = words.command(
        parts,
        "back",
        "switch to the release that ran before, watched as well",
        act_back,
        "storewarden upgrade back --reason 'the gates are slow'",
    )
    for each in (to, back):
        each.add_argument(
            "--watch",
            type=words.seconds,
            metavar="D",
            help="watch for so long before it stays (default 2m)",
        )
        each.add_argument(
            "--one-way",
            action="store_true",
            help="accept that going back begins the journal anew: what the old release can't "
            "read of it stays aside until it is upgraded again",
        )
        each.add_argument("--keep", action="store_true", help="remove no older release")
        each.add_argument("--reason", default="", required=each is back, help="why; recorded")
        each.add_argument("--by", default="", help="who does it; default the user")
    status = words.command(
        parts,
        "status",
        "say which releases there are, and what became of the last upgrades",
        act_status,
        "storewarden upgrade status --json",
    )
    recover = words.command(
        parts,
        "recover",
        "go back from an upgrade that was cut off; for the unit at boot",
        act_recover,
        "storewarden upgrade recover",
    )
    recover.add_argument(
        "--no-wait",
        action="store_true",
        help="do not wait for the service: it may start when this has ended, as at boot",
    )
    tell = words.command(
        parts,
        "tell",
        "tell the daemon what became of an upgrade that it has not heard of; for the unit at boot",
        act_tell,
        "storewarden upgrade tell",
    )
    facts = words.command(
        parts,
        "facts",
        "say what this release is, after a look whether all of it is there",
        act_facts,
        "storewarden upgrade facts --json",
    )
    for each in (upgrade, install, to, back, status, recover, tell, facts):
        words.json_option(each)
    for each in (upgrade, install, to, back, status, recover, tell):
        each.add_argument(
            "--root",
            type=Path,
            default=Path("/opt/storewarden"),
            metavar="DIR",
            help="the folder of the releases (default: %(default)s)",
        )
    for each in (to, back, recover, tell):
        words.config_option(each)


def act_install(chosen: argparse.Namespace) -> int:
    from edge.cli import upgrading

    return upgrading.install(chosen)


def act_to(chosen: argparse.Namespace) -> int:
    from edge.cli import upgrading

    chosen.by = who(chosen)
    return upgrading.switch(chosen, chosen.version)


def act_back(chosen: argparse.Namespace) -> int:
    from edge.cli import upgrading

    chosen.by = who(chosen)
    return upgrading.back(chosen)


def act_status(chosen: argparse.Namespace) -> int:
    from edge.cli import upgrading

    return upgrading.status(chosen)


def act_recover(chosen: argparse.Namespace) -> int:
    from edge.cli import upgrading

    return upgrading.recover(chosen)


def act_tell(chosen: argparse.Namespace) -> int:
    from edge.cli import upgrading

    return upgrading.tell(chosen)


def act_facts(chosen: argparse.Namespace) -> int:
    from edge.cli import upgrading

    return upgrading.facts(chosen)
