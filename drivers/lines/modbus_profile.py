"""Load the register map of a Modbus module that we know by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

from drivers.lines.modbus_map import ModuleMap

FOLDER = Path(__file__).parents[1] / "profiles" / "modbus"


class UnknownProfile(LookupError):
    """There is no profile of that name."""


class ProfileError(ValueError):
    """A profile's text is no register map; the message says where it goes wrong."""


def names() -> list[str]:
    """Return the name of every profile, sorted."""
    return sorted(f.name.removesuffix(".yaml") for f in FOLDER.iterdir() if f.name[-5:] == ".yaml")


def load(name: str) -> ModuleMap:
    """Return the map of the module `name`.

    Raises:
        UnknownProfile: there is none.
        ProfileError: its file is wrong.
    """
    if name not in names():
        raise UnknownProfile(f"unknown profile {name!r}")
    file = FOLDER / f"{name}.yaml"
    return parse(file.read_text(encoding="utf-8"))


def parse(text: str) -> ModuleMap:
    """Return the map that `text`, a profile in YAML, describes.

    Raises:
        ProfileError: it is no YAML, has an unknown key, or an impossible address.
    """
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ProfileError(f"no YAML: {error}") from error
    try:
        found = msgspec.convert(raw, ModuleMap)
    except msgspec.ValidationError as error:
        raise ProfileError(str(error)) from error
    _refuse_unknown(raw, msgspec.to_builtins(found), "$")
    return found


def _refuse_unknown(written: Any, known: Any, path: str) -> None:
    if isinstance(written, dict) and isinstance(known, dict):
        for key, value in written.items():
            if key not in known:
                raise ProfileError(f"unknown key {key!r} - at `{path}`")
            _refuse_unknown(value, known[key], f"{path}.{key}")
