"""Reads stores.yaml: templates laid over each other, each store over its template, all checked."""

from __future__ import annotations

import difflib
import ipaddress
import re
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet_writing import Writer
from fleet_yaml import (
    Leaf,
    Map,
    Mistakes,
    Place,
    Seq,
    StoresWrong,
    Tree,
    leaves,
    merged,
    nothing,
    parsed,
    section,
)

SITE_FIRST = ("timezone", "hours")
SECTIONS = ("io", "devices", "groups")
MAPPINGS = ("values", "hours", "vars", "site", *SECTIONS, "ansible")
COMMON = ("ring", "zone", "timezone", "rules", "rules_local", *MAPPINGS)
IN_TEMPLATE = ("extends", *COMMON)
IN_STORE = ("template", "address", "port", *COMMON)
TOP = ("plugin", "rings", "zones", "templates", "stores")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_DIGITS = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One store, its template merged in; the two texts are what its box is given."""

    id: str
    address: str
    port: str
    template: str
    ring: str
    zone: str
    timezone: str
    site_yaml: str
    devices_yaml: str
    rules: tuple[str, ...]
    rules_local: str
    secrets: tuple[str, ...]
    ansible: Mapping[str, Any]


def read(path: Path) -> list[Store]:
    """Return the stores of the file in the order of a rollout.

    Raises:
        StoresWrong: the file can't be read, or has mistakes: all of them at once.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoresWrong(f"{path}: can't be read: {error}") from error
    return read_text(text, str(path), path.parent)


def read_text(text: str, file: str, folder: Path | None = None) -> list[Store]:
    """Return the stores written in `text`; folders of rules are looked for below `folder`.

    Raises:
        StoresWrong: `text` has mistakes: all of them at once.
    """
    mistakes = Mistakes(file)
    stores = _Reader(parsed(text, mistakes), mistakes, folder).stores()
    mistakes.end()
    return stores


class _Reader:
    def __init__(self, root: Map, mistakes: Mistakes, folder: Path | None) -> None:
        self._root, self._mistakes, self._folder = root, mistakes, folder
        self._known(root, TOP)
        self._rings = self._words(root, "rings") or ["all_stores"]
        self._zones = self._words(root, "zones")
        self._templates = self._named(root, "templates", _WORD, IN_TEMPLATE)
        self._ready: dict[str, Map] = {}
        self._times = zoneinfo.available_timezones()
        self._lacking: dict[tuple[Place, str], list[str]] = {}
        self._addresses: dict[str, str] = {}

    def stores(self) -> list[Store]:
        for name in self._templates:
            self._template(name, ())
        given = self._named(self._root, "stores", _ID, IN_STORE)
        if not given:
            self._mistakes.say(self._root.place, "there are no 'stores'")
        made = [self._store(name, own) for name, own in given.items()]
        for (place, value), names in self._lacking.items():
            who = names[0] + (f" and {len(names) - 1} more have" if len(names) > 1 else " has")
            self._mistakes.say(place, f"{who} no {value!r} under 'values'")
        order = {ring: number for number, ring in enumerate(self._rings)}
        return sorted(made, key=lambda store: order.get(store.ring, 0))

    def _template(self, name: str, within: tuple[str, ...]) -> Map:
        if name in self._ready:
            return self._ready[name]
        own = self._templates[name]
        result = Map(items={}, place=own.place)
        for word in self._words(own, "extends"):
            place = own.keys["extends"]
            if word in (*within, name):
                self._mistakes.say(place, f"{' extends '.join((*within, name, word))}: a circle")
            elif self._one_of(word, self._templates, "template", place):
                result = merged(result, self._template(word, (*within, name)))
        rest = {key: value for key, value in own.items.items() if key != "extends"}
        result = merged(result, Map(items=rest, place=own.place, keys=own.keys))
        self._ready[name] = result
        return result

    def _store(self, name: str, own: Map) -> Store:
        template = self._word(own, "template", needed=True)
        address = self._word(own, "address", needed=True)
        if template and self._one_of(template, self._templates, "template", own.keys["template"]):
            whole = merged(self._template(template, ()), own)
        else:
            whole = own
        ring = self._word(whole, "ring") or self._rings[-1]
        zone = self._word(whole, "zone")
        self._one_of(ring, self._rings, "ring", whole.keys.get("ring", own.place))
        if zone and self._zones:
            self._one_of(zone, self._zones, "zone", whole.keys["zone"])
        time = self._word(whole, "timezone")
        if time and self._times:
            self._one_of(time, self._times, "time zone", whole.keys["timezone"])
        port = self._word(own, "port")
        if port and not (port.isdecimal() and 0 < int(port) < 65536):
            self._mistakes.say(own.keys["port"], f"{port!r} is not a port")
        if address:
            self._address(name, address, port, own.keys["address"])
        builtin = {"id": name, "address": address, "zone": zone, "ring": ring}
        values = builtin | {k: v.text for k, v in leaves(section(whole, "values"))}
        writer = Writer(name, values, self._lacking)
        site_yaml = writer.text(_site(name, whole))
        devices_yaml = writer.text({key: section(whole, key) for key in SECTIONS})
        return Store(
            id=name, address=address, port=port, template=template, ring=ring, zone=zone,
            timezone=time, site_yaml=site_yaml,
            devices_yaml=devices_yaml,
            rules=tuple(self._rules(whole)), rules_local=self._local(whole),
            secrets=tuple(sorted(writer.secrets)),
            ansible=writer.data(section(whole, "ansible")),
        )  # fmt: skip

    def _address(self, name: str, address: str, port: str, place: Place) -> None:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            if _DIGITS.fullmatch(address) or not _HOST.fullmatch(address):
                self._mistakes.say(place, f"{address!r} is neither an address nor a host's name")
        first = self._addresses.setdefault(f"{address} {port or 22}", name)
        if first != name:
            self._mistakes.say(place, f"{first} has the address {address} already")

    def _rules(self, whole: Map) -> Iterator[str]:
        files: dict[str, str] = {}
        for word in self._words(whole, "rules"):
            place = whole.keys["rules"]
            if self._folder is None:
                yield word
            elif not (folder := self._folder / "rules" / word).is_dir():
                self._mistakes.say(place, f"there is no folder rules/{word} beside the file")
            else:
                for file in sorted(folder.glob("*.yaml")):
                    first = files.setdefault(file.name, word)
                    if first != word:
                        said = f"rules/{first} and rules/{word} both have {file.name}"
                        self._mistakes.say(place, said)
                yield str(folder)

    def _local(self, whole: Map) -> str:
        word = self._word(whole, "rules_local")
        if not word or self._folder is None:
            return word
        folder = self._folder / "rules.local" / word
        if not folder.is_dir():
            said = f"there is no folder rules.local/{word} beside the file"
            self._mistakes.say(whole.keys["rules_local"], said)
        return str(folder)

    def _named(
        self, root: Map, key: str, shape: re.Pattern[str], known: tuple[str, ...]
    ) -> dict[str, Map]:
        found: dict[str, Map] = {}
        for name, value in section(root, key, self._mistakes).items.items():
            if not shape.fullmatch(name):
                said = f"{name!r} is no name here: lower case letters, digits and _"
                self._mistakes.say(section(root, key).keys[name], said)
            if not isinstance(value, Map):
                self._mistakes.say(value.place, f"{name!r} is a mapping")
                continue
            self._known(value, known)
            for part in MAPPINGS:
                section(value, part, self._mistakes)
            found[name] = value
        return found

    def _known(self, given: Map, known: Iterable[str]) -> None:
        for key in given.items:
            self._one_of(key, known, "key", given.keys[key])

    def _one_of(self, word: str, known: Iterable[str], what: str, place: Place) -> bool:
        if word in known:
            return True
        near = difflib.get_close_matches(word, list(known), 1)
        hint = f", did you mean {near[0]}?" if near else ""
        self._mistakes.say(place, f"unknown {what} {word!r}{hint}")
        return False

    def _word(self, given: Map, key: str, *, needed: bool = False) -> str:
        value = given.items.get(key)
        if value is None or nothing(value):
            if needed:
                self._mistakes.say(given.place, f"{key!r} is missing")
            return ""
        if isinstance(value, Leaf) and not value.tag:
            return value.text
        self._mistakes.say(value.place, f"{key!r} is a word")
        return ""

    def _words(self, given: Map, key: str) -> list[str]:
        value = given.items.get(key)
        if value is None or nothing(value):
            return []
        items = value.items if isinstance(value, Seq) else [value]
        words = [item.text for item in items if isinstance(item, Leaf) and not item.tag]
        if isinstance(value, Map) or len(words) != len(items):
            self._mistakes.say(value.place, f"{key!r} is a list of words")
            return []
        return words


def _site(name: str, whole: Map) -> dict[str, Tree]:
    words = {"site": Leaf(text=name, quoted=False, tag="", place=whole.place)}
    first = {key: whole.items[key] for key in SITE_FIRST if key in whole.items}
    site = section(whole, "site")
    own = Map(items={"vars": section(whole, "vars")}, place=site.place)
    return {**words, **first, **merged(site, own).items}
