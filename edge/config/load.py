"""From a folder to a Configuration, or to every mistake in it at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from edge.config import addresses, devices_file, evacuation, files, safety, site_file, wiring
from edge.config.devices_file import Entries
from edge.config.model import Configuration, Configured
from edge.config.secret_files import SecretFiles
from edge.config.vocabulary import world
from rules import yaml_source as ys
from rules.convert import Context
from rules.loader import load_rules
from rules.problems import ConfigurationRefused, Mark, Problems


def load(
    folder: Path, *, secrets_of: Path | None = None, secrets: SecretFiles | None = None
) -> Configuration:
    """Return the checked configuration in `folder`. Touches no device.

    Places in problems are relative to `folder`. Secrets are looked up in
    `$CREDENTIALS_DIRECTORY`, then in `secrets/` of `secrets_of`, by default of `folder`;
    or as `secrets` does.

    Raises:
        ConfigurationRefused: there is at least one mistake; it holds all of them, and warnings.
    """
    problems = Problems()
    before = _fingerprint(folder)
    documents = _documents(folder, problems)
    refused = {problem.mark.file for problem in problems.errors}
    secrets = secrets or SecretFiles(secrets_of or folder)
    secrets.check(documents.values(), problems)
    fleet, local = (
        [(name, documents.pop(name)) for name in list(documents) if name.startswith(f"{part}/")]
        for part in ("rules", "rules.local")
    )
    site_node = documents.pop(site_file.FILE, None)
    variables = site_file.variables(site_node)
    context = Context(
        problems=problems,
        variables=variables,
        secret=secrets.value,
        secret_file=secrets.path,
    )

    site = site_file.site(site_node, context)
    entries = devices_file.entries(documents.values(), context)
    if refused & {site_file.FILE, *_device_files(folder)} or not all(
        map(_sound, documents.values())
    ):
        raise ConfigurationRefused(problems)  # what the rest names can't be known
    groups = wiring.groups(entries, context)
    wiring.check(entries, problems)
    addresses.check(entries, site.http, problems)
    devices = _devices(entries, groups, problems)
    plan = evacuation.plan(site_node, entries, groups, context)
    site = dataclasses.replace(site, evacuation=plan)
    safety.warn(entries, problems)
    words = world(site, entries, devices, groups)
    own = dataclasses.replace(context, problems=Problems())
    rules = load_rules(fleet, words, own, local=local)
    if not (entries.io or entries.devices) and own.problems.errors:
        problems.error(Mark(devices_file.FILE, 1, 1), "no device is declared, and rules name some")
    else:
        _pass_on(own.problems, problems, entries.broken())
    if _fingerprint(folder) != before:
        problems.error(Mark(site_file.FILE, 1, 1), "a file changed while it was read", "try again")
    if problems.errors:
        raise ConfigurationRefused(problems)
    return Configuration(
        folder=folder,
        site=site,
        io={e.id: e.configured for e in entries.io.values() if e.configured is not None},
        devices=devices,
        groups=groups,
        world=words,
        rules=rules,
        problems=problems,
        hash=before,
    )


def _fingerprint(folder: Path) -> str:
    """Return the hash; an empty one where a file can't be read, which is said when it is read."""
    try:
        return files.fingerprint(folder)
    except OSError:
        return ""


def _documents(folder: Path, problems: Problems) -> dict[str, ys.Node]:
    """Return the document of each file by name, in the order of reading, but for empty ones."""
    found: dict[str, ys.Node] = {}
    wanted = files.names(folder)
    for part, reason in files.shut(folder).items():
        problems.error(Mark(part, 1, 1), f"cannot read it: {reason}")
    for name in (*(name for name in files.REQUIRED if name not in wanted), *wanted):
        if not name.isprintable():
            shown = name.encode("ascii", "backslashreplace").decode().replace("\n", "\\n")
            problems.error(Mark(shown, 1, 1), "not a file's name that can be shown", "rename it")
            continue
        node = ys.read_file(folder / name, problems, name)
        if node is not None:
            found[name] = node
    for name in files.unread(folder):
        hint = f"only .yaml is read: call it {Path(name).with_suffix('.yaml')}"
        problems.warning(Mark(name, 1, 1), "this file is not read", hint)
    return found


def _device_files(folder: Path) -> list[str]:
    """Return the names of the files that declare devices."""
    return [name for name in (*files.REQUIRED, *files.names(folder)) if name.startswith("devices")]


def _sound(document: ys.Node) -> bool:
    """Return whether all that a file of devices declares could be found: its sections are such."""
    return isinstance(document, ys.Mapping) and all(
        key in devices_file.SECTIONS
        and (isinstance(part := document.items.get(key), ys.Mapping) or _empty(part))
        for key in document.keys
    )


def _empty(node: ys.Node | None) -> bool:
    return isinstance(node, ys.Scalar) and node.null


def _pass_on(found: Problems, to: Problems, broken: set[str]) -> None:
    """Pass on what is wrong with the rules, but for what follows from refused devices."""
    refused = bool(to.errors)
    for problem in found.all:
        if problem.level == "warning":
            if not (refused and problem.message.startswith(("the group ", "nothing ends "))):
                to.warning(problem.mark, problem.message, problem.hint)
        elif not any(f"'{word}'" in problem.message for word in broken):
            to.error(problem.mark, problem.message, problem.hint)


def _devices(
    entries: Entries, groups: Mapping[str, tuple[str, ...]], problems: Problems
) -> dict[str, Configured]:
    """Return the devices that could be built, each with its neighbours."""
    found: dict[str, Configured] = {}
    for entry in entries.devices.values():
        near = wiring.near(entry, entries, groups, problems)
        if entry.configured is not None:
            found[entry.id] = dataclasses.replace(entry.configured, near=near)
    return found
