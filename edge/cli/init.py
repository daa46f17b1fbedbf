"""`storewarden init`: a commented configuration from what was found."""

from __future__ import annotations

import argparse
import getpass
import re
import socket
import sys
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli import words
from edge.cli.exits import DONE, Failed, WrongUsage

if TYPE_CHECKING:
    from edge.discovery.found import Found
    from edge.provisioning.starter import Broker, Login

EXAMPLE = "storewarden init --config /etc/storewarden --site store_0421 --from found.json"
_SITE = re.compile(r"[a-z0-9_-]+")


def add(commands: Any) -> None:
    init = words.command(
        commands, "init", "write a commented configuration from what was found", act, EXAMPLE
    )
    words.config_option(init)
    init.add_argument(
        "--from",
        dest="found",
        type=Path,
        metavar="FILE",
        help="what `discover --json` printed; default: what this box has, nothing is asked",
    )
    init.add_argument("--site", metavar="ID", help="the site's id (default: the host's name)")
    init.add_argument("--timezone", metavar="ZONE", help="Europe/London (default: this box's)")
    init.add_argument(
        "--into",
        action="store_true",
        help="write into a folder that has files; none of them is changed",
    )
    init.add_argument(
        "--ask", action="store_true", help="ask for the broker and for the logins of cameras"
    )
    words.json_option(init)


def act(chosen: argparse.Namespace) -> int:
    from edge.provisioning.starter import starter
    from edge.provisioning.writing import write_new

    site = chosen.site or _host_name()
    if not _SITE.fullmatch(site):
        raise WrongUsage(f"{site!r} is not a site's id: small letters, digits, _ and -")
    zone = chosen.timezone or _zone(Path("/etc"))
    if zone not in zoneinfo.available_timezones():
        raise WrongUsage(f"unknown timezone {zone!r}; an IANA name, like Europe/London")
    folder: Path = chosen.config
    if not chosen.into and _taken(folder):
        raise Failed(f"{folder} is there already; --into adds files and changes none")
    found = _found(chosen.found)
    broker, logins, secrets = _asked(found, site) if chosen.ask else (None, {}, {})
    files = starter(found, site=site, timezone=zone, logins=logins, broker=broker)
    whole: dict[str, str | bytes] = {**files, **{f"secrets/{n}": v for n, v in secrets.items()}}
    written = write_new(folder, whole)
    kept = [name for name in whole if name not in written]
    errors = _checked(folder)
    if chosen.json:
        words.print_json({"folder": str(folder), "written": written, "kept": kept})
    else:
        for name in written:
            print(f"{folder / name} written")
        for name in kept:
            print(f"{folder / name} was there and is as it was")
    if errors:
        raise Failed(f"{folder}: {words.counted(errors, 'problem')}")
    return DONE


def _taken(folder: Path) -> bool:
    """Return whether something is in a folder beside the empty ones that a release brings."""
    from edge.config import files
    from edge.provisioning.writing import BROUGHT

    if not folder.is_dir():
        return folder.exists()
    return bool(files.names(folder)) or any(p.name not in BROUGHT for p in folder.iterdir())


def _found(file: Path | None) -> Found:
    from edge.discovery.found import NotFound, from_json
    from edge.discovery.look import of_the_box

    if file is None:
        return of_the_box()
    try:
        return from_json(file.read_text(encoding="utf-8"))
    except (NotFound, UnicodeDecodeError) as error:
        raise WrongUsage(f"{file}: {error}") from None


def _checked(folder: Path) -> int:
    """Show what `check` says of the folder; return how many mistakes."""
    from edge.config.checked import checked
    from edge.config.load import load
    from rules.problems import ConfigurationRefused

    try:
        problems = checked(load(folder))
    except ConfigurationRefused as refused:
        problems = refused.problems
    words.show_problems(problems)
    return len(problems.errors)


def _asked(found: Found, site: str) -> tuple[Broker | None, dict[str, Login], dict[str, str]]:
    """Ask a person; return the broker, the logins by camera, and the secrets by name."""
    from edge.provisioning.starter import Broker, Login, camera_ids

    secrets: dict[str, str] = {}
    broker = None
    if url := _line("broker (mqtts://host:8883, empty: none)", ""):
        who = _line("  username", site)
        password = _password("  password (empty: none)")
        secrets |= {"mqtt_password": password} if password else {}
        broker = Broker(url=url, username=who, secret="mqtt_password" if password else "")
    logins: dict[str, Login] = {}
    for name, camera in camera_ids(found).items():
        who = _line(f"{name}: {camera.host} {camera.name}: username (empty: later)", "")
        password = _password("  password") if who else ""
        if who and password:
            logins[name] = Login(username=who, secret=name)
            secrets[name] = password
    return broker, logins, {name: f"{value}\n" for name, value in secrets.items()}


def _line(question: str, default: str) -> str:
    print(f"{question}{f' [{default}]' if default else ''}: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or default


def _password(question: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"{question}: ")
    return _line(question, "")


def _host_name() -> str:
    word = re.sub(r"[^a-z0-9_-]", "_", socket.gethostname().partition(".")[0].lower())
    return "store" if word in ("", "localhost") else word


def _zone(etc: Path) -> str:
    """Return the time zone of this box by its own files, else UTC."""
    told = str((etc / "localtime").resolve()).partition("/zoneinfo/")[2]
    return told if told in zoneinfo.available_timezones() else "UTC"
