"""Ansible module: checks a release's bundle, its sums and its signature, and may unpack it."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: storewarden_bundle
short_description: Check a release's bundle, its sums and who signed it, and unpack it
description:
  - Every file of the bundle has to be in its C(SHA256SUMS), be as that says, and be a plain file
    below one folder. C(SHA256SUMS) has to be signed by one of I(signers)
    whose principal is C(release), as the box's own upgrades ask.
options:
  path: {description: The bundle., type: path, required: true}
  signers:
    description: Who may sign releases, as C(ssh-keygen) reads it (ALLOWED SIGNERS).
    type: str
    default: ''
  signature:
    description: C(required), or C(optional) for a bundle of one's own that nobody has signed.
    type: str
    choices: [required, optional]
    default: required
  unpack:
    description: A folder to unpack it into. What was there is removed. Not in check mode.
    type: path
"""

RETURN = r"""
version: {description: The release in it, type: str, returned: always}
signer: {description: Who signed it; empty where nobody did, type: str, returned: always}
system: {description: "What it puts on the machine: sums by path", type: dict, returned: always}
folder: {description: Where it was unpacked, type: str, returned: unpacked}
"""

NAMESPACE = "storewarden-release"
IDENTITY = "release"
"""Who a signer has to be in the signers' file, as the box's own upgrades ask."""
SUMS = "SHA256SUMS"
SIGNATURE = "SHA256SUMS.sig"
PLACES = (
    ("systemd/sysusers.d/", "/usr/lib/sysusers.d/"),
    ("systemd/tmpfiles.d/", "/usr/lib/tmpfiles.d/"),
    ("systemd/journald.conf.d/", "/etc/systemd/journald.conf.d/"),
    ("systemd/system.conf.d/", "/etc/systemd/system.conf.d/"),
    ("systemd/udev/", "/etc/udev/rules.d/"),
    ("systemd/rules.d/", "/etc/udev/rules.d/"),
    ("systemd/", "/etc/systemd/system/"),
)
"""Where the bundle's install.sh puts what stands in a folder; the first that fits."""
_TOP = re.compile(r"storewarden-([0-9][0-9A-Za-z.+!-]*)")
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


class Unfit(Exception):
    """The bundle is not to be trusted; the text says why."""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "signers": {"type": "str", "default": ""},
            "signature": {
                "type": "str",
                "choices": ["required", "optional"],
                "default": "required",
            },
            "unpack": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given, folder = module.params, ""
    try:
        with tarfile.open(given["path"], "r:*") as archive:
            version = _version(archive)
            sums = _checked(archive, f"storewarden-{version}")
        signer, system = _signer(module, *sums), _system(sums[0].decode())
        if given["unpack"] and not module.check_mode:
            folder = _unpacked(Path(given["path"]), Path(given["unpack"]))
    except (Unfit, tarfile.TarError, OSError, EOFError) as wrong:
        module.fail_json(msg=f"{given['path']}: {wrong}")
    module.exit_json(
        changed=bool(folder), version=version, signer=signer, system=system, folder=folder
    )


def _version(archive: tarfile.TarFile) -> str:
    """Return the version after looking at every name in it.

    Raises:
        Unfit: a member is no plain file below one folder.
    """
    tops = set()
    for member in archive.getmembers():
        parts = member.name.split("/")
        tops.add(parts[0])
        if not (member.isreg() or member.isdir()) or any(p in ("", ".", "..") for p in parts):
            raise Unfit(f"{member.name}: not a plain file below one folder")
    found = _TOP.fullmatch(tops.pop()) if len(tops) == 1 else None
    if found is None:
        raise Unfit("it is no bundle of storewarden")
    return found[1]


def _checked(archive: tarfile.TarFile, top: str) -> tuple[bytes, bytes]:
    """Return the sums and their signature once every file is as the sums say.

    Raises:
        Unfit: one is not, is not named, or is missing.
    """
    contents = {}
    kept = {SUMS: b"", SIGNATURE: b""}
    for member in archive.getmembers():
        name = member.name.removeprefix(f"{top}/")
        source = archive.extractfile(member)
        if source is None:
            continue
        if name in kept:
            kept[name] = source.read()
            continue
        contents[name] = hashlib.file_digest(source, "sha256").hexdigest()
    if not kept[SUMS]:
        raise Unfit(f"it has no {SUMS}")
    told = {}
    for line in kept[SUMS].decode("utf-8", "replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is None:
            raise Unfit(f"{SUMS}: {line!r} is no sum")
        told[found[2].removeprefix("./")] = found[1]
    for name in sorted(told.keys() | contents.keys()):
        if contents.get(name) != told.get(name):
            raise Unfit(f"{name}: not as {SUMS} says")
    return kept[SUMS], kept[SIGNATURE]


def _signer(module: AnsibleModule, sums: bytes, signature: bytes) -> str:
    """Return who signed the sums; empty where nobody did and nobody has to.

    Raises:
        Unfit: the signature is missing or not one of those who may sign.
    """
    required = module.params["signature"] == "required"
    if not (signature and module.params["signers"].strip()):
        if required and not signature:
            raise Unfit("nobody has signed it")
        if required:
            raise Unfit("who may sign releases is not said: storewarden_signers")
        return ""
    keygen = module.get_bin_path("ssh-keygen", required=True)
    with tempfile.TemporaryDirectory() as made:
        signers, sig = Path(made, "signers"), Path(made, "sig")
        signers.write_text(module.params["signers"].rstrip("\n") + "\n", encoding="utf-8")
        sig.write_bytes(signature)
        told = ["-n", NAMESPACE, "-s", str(sig)]
        trusted = ["-f", str(signers), "-I", IDENTITY]
        data = {"data": sums.decode(), "binary_data": True}
        code, out, err = module.run_command([keygen, "-Y", "verify", *trusted, *told], **data)
        if code == 0:
            return IDENTITY
        code, *_ = module.run_command([keygen, "-Y", "check-novalidate", *told], **data)
        said = (err or out).strip()
    if code == 0:
        raise Unfit(f"it is signed by somebody who may not: {said}")
    raise Unfit(f"its signature is wrong: {said}")


def _system(sums: str) -> dict[str, str]:
    """Return the sums of what install.sh puts on the machine, by where it does."""
    found = {}
    for line in sums.splitlines():
        name, digest = line[66:], line[:64]
        place = next(((at, to) for at, to in PLACES if name.startswith(at)), None)
        if place is not None and name.endswith((".service", ".timer", ".path", ".conf", ".rules")):
            found[place[1] + name.removeprefix(place[0])] = digest
    return found


def _unpacked(path: Path, to: Path) -> str:
    """Unpack what was checked, and return the bundle's own folder in it."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(mode=0o700, parents=True)
    with tarfile.open(path, "r:*") as archive:
        for member in archive.getmembers():
            source = archive.extractfile(member)
            target = to / member.name
            if source is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(source, out)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)
        return str(to / archive.getnames()[0].split("/")[0])


if __name__ == "__main__":
    main()
