"""The list of components of a release (CycloneDX 1.6), read out of the wheels that it holds."""

from __future__ import annotations

import email
import uuid
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release.targets import Target
from release.wheelhouse import digest

OURS = "storewarden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One version of a package, as the wheels in a release have it."""

    name: str
    version: str
    about: Message
    """The METADATA of one of its wheels: they agree."""
    files: tuple[tuple[str, str], ...]
    """Name and SHA-256 of each wheel, sorted."""


def packages(house: Path) -> tuple[Package, ...]:
    """Return what the wheels in the folder `house` are of, sorted by name."""
    found: dict[str, Package] = {}
    for wheel in sorted(house.glob("*.whl")):
        about = metadata(wheel)
        name = canonicalize_name(about["Name"])
        before = found[name].files if name in found else ()
        files = (*before, (wheel.name, digest(wheel)))
        found[name] = Package(name=name, version=about["Version"], about=about, files=files)
    return tuple(found[name] for name in sorted(found))


def metadata(wheel: Path) -> Message:
    """Return the METADATA of a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (n for n in opened.namelist() if n.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(opened.read(name))


def needs(about: Message, extras: Iterable[str], where: Target) -> set[str]:
    """Return the names of the packages that a package asks for, at a target and with extras."""
    wanted: set[str] = set()
    for text in about.get_all("Requires-Dist", []):
        asked = Requirement(text)
        for extra in ("", *extras):
            if asked.marker is None or asked.marker.evaluate({**where.markers(), "extra": extra}):
                wanted.add(canonicalize_name(asked.name))
    return wanted


def describe(house: Path, *, moment: int, extras: Sequence[str], targets: Sequence[Target]) -> str:
    """Return the list for the wheels in `house`, as JSON; the same wheels give the same text.

    `moment`: seconds since 1970 that it is dated with.
    """
    known = packages(house)
    parts = {package.name: _component(package) for package in known}
    named = "".join(sum_ for package in known for _, sum_ in package.files)
    bom = Bom(
        components=[part for name, part in parts.items() if name != OURS],
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, named),
    )
    bom.metadata.timestamp = datetime.fromtimestamp(moment, UTC)
    bom.metadata.component = parts[OURS]
    for package in known:
        asked = set().union(
            *(needs(package.about, extras if package.name == OURS else (), t) for t in targets)
        )
        bom.register_dependency(
            parts[package.name], [parts[name] for name in sorted(asked) if name in parts]
        )
    return f"{JsonV1Dot6(bom).output_as_string(indent=2)}\n"


def _component(package: Package) -> Component:
    url = PackageURL(type="pypi", name=package.name, version=package.version)
    references = [
        ExternalReference(
            type=ExternalReferenceType.DISTRIBUTION,
            url=XsUri(f"wheels/{name}"),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one)],
        )
        for name, one in package.files
    ]
    return Component(
        type=ComponentType.APPLICATION if package.name == OURS else ComponentType.LIBRARY,
        name=package.name,
        version=package.version,
        description=package.about["Summary"],
        bom_ref=str(url),
        purl=url,
        licenses=licences(package.about),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=one) for _, one in package.files],
        external_references=references,
    )


def licences(about: Message) -> list[License]:
    """Return the licence that a package names: as an expression, else by its own words."""
    make = LicenseFactory()
    for field in ("License-Expression", "License"):
        text = about[field]
        if text and "\n" not in text and text != "UNKNOWN":
            return [make.make_from_string(text)]
    kinds = [one for one in about.get_all("Classifier", []) if one.startswith("License ::")]
    return [make.make_with_name(one.rpartition(":: ")[2]) for one in sorted(kinds)]
