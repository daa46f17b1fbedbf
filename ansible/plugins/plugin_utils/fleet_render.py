"""Writes the configuration folder of every store: `fleet_render.py STORES_YAML FOLDER`."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import fleet_stores
from fleet_stores import Store
from fleet_yaml import StoresWrong


def files(store: Store) -> dict[str, bytes]:
    """Return what stands in the configuration folder of `store`, by name.

    Secrets are not known here: each has a word in its place, so that the rest can be checked.
    """
    found = {"site.yaml": store.site_yaml.encode(), "devices.yaml": store.devices_yaml.encode()}
    places = [("rules", folder) for folder in store.rules]
    places += [("rules.local", store.rules_local)] if store.rules_local else []
    for name, folder in places:
        for path in sorted(Path(folder).glob("*.yaml")):
            found[f"{name}/{path.name}"] = path.read_bytes()
    return found | {f"secrets/{name}": b"not known here\n" for name in store.secrets}


def render(stores: list[Store], folder: Path) -> list[str]:
    """Make `folder` hold a folder for each store and nothing else; return the ids that changed."""
    changed = []
    folder.mkdir(parents=True, exist_ok=True)
    for gone in {path.name for path in folder.iterdir()} - {store.id for store in stores}:
        if not (folder / gone / "site.yaml").is_file():
            raise StoresWrong(f"{folder / gone}: not of a store; name a folder of its own")
        shutil.rmtree(folder / gone)
        changed.append(gone)
    for store in stores:
        if _write(folder / store.id, files(store)):
            changed.append(store.id)
    return sorted(changed)


def _write(folder: Path, wanted: dict[str, bytes]) -> bool:
    there = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    if {name: path.read_bytes() for name, path in there.items()} == wanted:
        return False
    for name in there.keys() - wanted.keys():
        there[name].unlink()
    for name, content in wanted.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(content)
    return True


def alike(stores: list[Store]) -> list[str]:
    """Return one store of each kind: same template, same rules, same rules of its own."""
    kinds: dict[tuple[str, tuple[str, ...], str], str] = {}
    for store in stores:
        kinds.setdefault((store.template, store.rules, store.rules_local), store.id)
    return list(kinds.values())


def main(arguments: list[str]) -> int:
    """Render, and print as JSON what changed and which stores' tests stand for all."""
    source, folder = (Path(argument) for argument in arguments)
    try:
        stores = fleet_stores.read(source)
        changed = render(stores, folder)
    except StoresWrong as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps({"stores": len(stores), "changed": changed, "kinds": alike(stores)}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
