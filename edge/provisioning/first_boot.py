"""A box becomes what storewarden.yaml says: all of it or nothing, and the same file but once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from edge.config.checked import checked
from edge.config.load import load
from edge.config.model import Configuration
from edge.discovery.look import of_the_box
from edge.provisioning import staged, wanted
from edge.provisioning.box import Box
from edge.provisioning.network import NetworkFile, NoNetwork, network_file
from edge.provisioning.site_edit import CannotEdit, with_values
from edge.provisioning.starter import starter
from edge.provisioning.tree import NoConfiguration, read_tree
from edge.provisioning.wanted import FILE, LARGEST, Read, Wanted
from edge.provisioning.writing import replace
from edge.units import addresses, devices
from rules import yaml_source as ys
from rules.problems import ConfigurationRefused, Problems
from rules.scenario import play

NOTE = ".first-boot.json"
"""In the configuration folder: the last file of each place, and which of them was the last."""
LAST = "last"
TREE = "config"
SERVICE = "etc/systemd/system/storewarden.service.d"
PASSWORD = "mqtt_password"  # noqa: S105 - the name of its file


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a file."""

    result: Literal["applied", "unchanged", "refused", "another box"]
    said: tuple[str, ...]
    """Lines for people."""
    without_password: str | None = None
    """What to put in the file's place: the password is in the box now. None: it has none."""


class Refused(Exception):
    """The file is not applied; `lines` say why."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is about to be written."""

    read: Read
    files: Mapping[str, bytes]
    """Of the configuration, without the note."""
    whole: bool
    """Whether they are a whole configuration, in the place of the old one."""
    tested: bool
    """Whether the tests of its rules have to pass."""
    network: NetworkFile | None
    said: tuple[str, ...]


def first_boot(source: Path, box: Box, *, place: str = "") -> Outcome:
    """Make the box what `source`/storewarden.yaml and `source`/config say.

    A file that was applied last, or was the last one of this place, is not applied again: one
    that lies in /boot for ever does not undo what a stick has brought since. `place` is what
    the source is known by, by default its folder.

    Nothing is replaced before all of it was checked. A power cut at any moment leaves the old
    configuration or the new one, and the next boot brings to an end what was begun.

    Raises:
        OSError: the box can't be written; its configuration is the old one.
    """
    staged.recover(box.configuration)
    try:
        read = _read(source)
        if why := box.meant_by(read.wanted):
            return Outcome(result="another box", said=(f"{FILE}: {why}; nothing was changed",))
        tree = _tree(source)
        noted, place = _noted(box), place or str(source)
        if (digest := _digest(read.text, tree)) in (*noted.get(LAST, ()), *noted.get(place, ())):
            if digest not in noted.get(place, ()):
                replace(box.configuration / NOTE, _note({**noted, place: [digest]}), 0o600)
            before = f"{FILE} was applied to this box before; nothing was changed"
            return Outcome(result="unchanged", said=(before,), without_password=_rest(read))
        plan = _plan(read, tree, box)
        digests = sorted(_digest(text, tree) for text in {read.text, read.without_password})
        new = staged.stage(box.configuration, plan.files, whole=plan.whole)
        replace(new / NOTE, _note({**noted, LAST: digests, place: digests}), 0o600)
        configuration = _check(new, tested=plan.tested)
    except Refused as refused:
        staged.discard(box.configuration)
        return Outcome(result="refused", said=(*refused.lines, "nothing was changed"))
    if plan.network is not None:
        path = box.root / plan.network.path
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, plan.network.content, plan.network.mode)
    said = (*plan.said, *_drop_ins(configuration, box))
    staged.put_in_place(new, box.configuration)
    return Outcome(result="applied", said=said, without_password=_rest(read))


def examine(source: Path, scratch: Path) -> Outcome:
    """Say what would become of a box without a configuration; writes into `scratch` only."""
    try:
        read, tree = _read(source), _tree(source)
        plan = _plan(read, tree, Box(root=scratch), network=False)
        _check(staged.stage(scratch / "etc/storewarden", plan.files, whole=True), tested=True)
    except Refused as refused:
        return Outcome(result="refused", said=refused.lines)
    return Outcome(result="applied", said=(*plan.said, *_whose(read)))


def _whose(read: Read) -> Iterator[str]:
    """Say which boxes alone take the file: of another machine nobody knows here what it is."""
    if read.wanted.serial is not None:
        yield f"only a box with the serial number {read.wanted.serial} takes it"
    if read.wanted.machine is not None:
        yield f"only the machine {read.wanted.machine} takes it"


def _read(source: Path) -> Read:
    problems = Problems()
    try:
        with (source / FILE).open("rb") as file:
            data = file.read(LARGEST + 1)
        text = data.decode("utf-8")
    except OSError as error:
        raise Refused(f"{FILE}: cannot read it: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Refused(f"{FILE}:1:1: not UTF-8: byte {error.start} can't be read") from None
    if len(data) > LARGEST:
        raise Refused(f"{FILE}:1:1: more than {LARGEST} bytes")
    found = wanted.read(text.removeprefix("\ufeff"), problems)
    if found is None:
        raise Refused(*_lines(problems, ""))
    return found


def _tree(source: Path) -> dict[str, bytes]:
    """Return the files of `config/`; none where there is no such folder."""
    if not (source / TREE).exists():
        return {}
    try:
        return read_tree(source / TREE)
    except NoConfiguration as why:
        raise Refused(str(why)) from None
    except OSError as error:
        raise Refused(f"{TREE}/: cannot read it: {error.strerror}") from None


def _plan(read: Read, tree: Mapping[str, bytes], box: Box, *, network: bool = True) -> _Plan:
    want = read.wanted
    own = _site_of(box)
    if own is not None and not want.replace:
        if own != want.site:
            raise Refused(
                f"{FILE}: this box is the site {own!r}, not {want.site!r}",
                "    write replace: yes if it shall become that one",
            )
        if tree:
            raise Refused(
                f"{FILE}: this box has a configuration already, and {TREE}/ is another",
                "    write replace: yes if it shall take its place",
            )
    base = dict(tree)
    if not tree and own is None:
        zone = want.timezone or "UTC"
        made = starter(of_the_box(box.root), site=want.site, timezone=zone)
        base = {name: text.encode() for name, text in made.items()}
    try:
        site = base["site.yaml"] if base else (box.configuration / "site.yaml").read_bytes()
        base["site.yaml"] = _edited(site.decode("utf-8"), want).encode()
    except (CannotEdit, UnicodeDecodeError) as why:
        raise Refused(f"{TREE}/ " * bool(tree) + str(why)) from None
    if want.mqtt is not None and want.mqtt.password is not None:
        base[f"secrets/{PASSWORD}"] = f"{want.mqtt.password}\n".encode()
    try:
        wired = network_file(want.network, box.root) if want.network and network else None
    except NoNetwork as why:
        raise Refused(f"{FILE}: network: {why}") from None
    return _Plan(
        read=read,
        files=base,
        whole=bool(tree) or own is None,
        tested=bool(tree),
        network=wired,
        said=tuple(_said(want, tree, wired)),
    )


def _edited(text: str, want: Wanted) -> str:
    values: dict[tuple[str, ...], str] = {("site",): want.site}
    secrets: dict[tuple[str, ...], str] = {}
    if want.timezone is not None:
        values["timezone",] = want.timezone
    if want.mqtt is not None:
        told = {"url": want.mqtt.url, "username": want.mqtt.username}
        values |= {("mqtt", word): value for word, value in told.items() if value is not None}
        if want.mqtt.password is not None:
            secrets["mqtt", "password"] = PASSWORD
    return with_values(text, values, secrets)


def _said(want: Wanted, tree: Mapping[str, bytes], wired: NetworkFile | None) -> list[str]:
    said = [f"this box is the site {want.site}"]
    if tree:
        said.append(f"its configuration is that of {TREE}/: {len(tree)} files")
    if want.timezone is not None:
        said.append(f"its local time is that of {want.timezone}")
    if want.network is not None:
        address = "by DHCP" if want.network.dhcp else f"{want.network.address}"
        on = want.network.interface or "every wired interface"
        said.append(f"network: {address} on {on}" + (f", by {wired.service}" if wired else ""))
    if want.mqtt is not None:
        said.append(f"broker: {want.mqtt.url or 'as configured'}")
        if want.mqtt.password is not None:
            said.append("the broker's password is in its secrets")
    return said


def _site_of(box: Box) -> str | None:
    """Return the site's id of a box that has a configuration; empty where it can't be read."""
    file = box.configuration / "site.yaml"
    if not file.exists():
        return None
    root = ys.read_file(file, Problems())
    node = root.items.get("site") if isinstance(root, ys.Mapping) else None
    return node.text if isinstance(node, ys.Scalar) else ""


def _drop_ins(configuration: Configuration, box: Box) -> Iterator[str]:
    """Let the service open what the new configuration names; yield what people should know.

    The drop-in of addresses is written anew only where there is one.
    """
    folder = box.root / SERVICE
    folder.mkdir(parents=True, exist_ok=True)
    replace(folder / devices.NAME, devices.text(configuration).encode(), 0o644)
    if not (folder / addresses.NAME).exists():
        return
    try:
        text = addresses.text(configuration, allow=(), resolvers=addresses.name_servers())
        replace(folder / addresses.NAME, text.encode(), 0o644)
    except addresses.Unnameable as why:
        (folder / addresses.NAME).unlink()
        yield f"{addresses.NAME} was taken away, the service may reach every address: {why}"


def _check(folder: Path, *, tested: bool) -> Configuration:
    """Return the configuration.

    Raises:
        Refused: `storewarden check` finds a mistake in it, or a test of its rules fails.
    """
    try:
        configuration = load(folder)
        problems = checked(configuration)
    except ConfigurationRefused as refused:
        raise Refused(*_lines(refused.problems, f"{TREE}/" if tested else "")) from None
    if problems.errors:
        raise Refused(*_lines(problems, f"{TREE}/" if tested else ""))
    for case in configuration.rules.tests if tested else ():
        if not case.skipped and play(case, configuration.rules, configuration.world):
            mark = case.mark
            raise Refused(f"{TREE}/{mark.file}:{mark.line}: the test fails: {case.name}")
    return configuration


def _lines(problems: Problems, before: str) -> list[str]:
    return [f"{before}{problem}" for problem in problems.errors[:20]]


def pass_over(source: Path, box: Box, *, place: str) -> None:
    """Note that a file was not taken for another place came first: it is not applied later.

    Raises:
        OSError: the note can't be written.
    """
    with suppress(Refused):
        read = _read(source)
        digest = _digest(read.text, _tree(source))
        replace(box.configuration / NOTE, _note({**_noted(box), place: [digest]}), 0o600)


def _noted(box: Box) -> dict[str, list[str]]:
    """Return the digests of the last file of each place."""
    with suppress(OSError, ValueError):
        return msgspec.json.decode(
            (box.configuration / NOTE).read_bytes(), type=dict[str, list[str]]
        )
    return {}


def _note(noted: Mapping[str, list[str]]) -> bytes:
    return json.dumps(noted).encode()


def _digest(text: str, tree: Mapping[str, bytes]) -> str:
    whole = hashlib.sha256(text.encode())
    for name, content in sorted(tree.items()):
        whole.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


def _rest(read: Read) -> str | None:
    return read.without_password if read.without_password != read.text else None
