"""Ansible module: puts a whole configuration in place at once, after the box has accepted it."""

from __future__ import annotations

import ctypes
import errno
import grp
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: storewarden_config
short_description: Put the configuration of a store in place, all of it or nothing
description:
  - Makes the folder as it would be beside the one that is there, has C(storewarden check) and
    C(storewarden rules test) look at it with its secrets, and only then exchanges the two.
  - Where either refuses, nothing is changed and the module fails with what they said.
  - Check mode does the same in a folder of C(/run), and exchanges nothing. Diff mode shows the
    differences of every file that holds no secret, and the names of secrets that change.
  - In C(rules/), C(rules.local/) and C(devices.d/) a C(*.yaml) that is not given is removed. Any
    other file that is there stays.
options:
  path:
    description: The configuration folder.
    type: path
    default: /etc/storewarden
  files:
    description: Contents by name, such as C(site.yaml), C(rules/doors.yaml), C(tls/ca.pem).
    type: dict
    required: true
  secrets:
    description: Contents of C(secrets/) by name. They are never shown.
    type: dict
    default: {}
  secrets_exclusive:
    description: Whether secrets that are not given are removed.
    type: bool
    default: false
  program:
    description: The storewarden that checks. Where it is missing, check mode goes on unchecked.
    type: path
    required: true
  drop_ins:
    description: Arguments of C(storewarden drop-in) by a name of one's own, to be asked for.
    type: dict
    default: {}
  group:
    description: Who may read the configuration; secrets are for root alone.
    type: str
    default: storewarden
"""

RETURN = r"""
config: {description: Hash of the configuration as it will be, type: str, returned: checked}
parts: {description: "What differs: files, secrets, tls, modes", type: list, returned: always}
drop_ins: {description: What each drop-in shall hold, type: dict, returned: checked}
checked: {description: What check and the tests said, type: str, returned: checked}
"""

FOLDERS = ("rules", "rules.local", "devices.d")
SECRETS = "secrets"
TLS = "tls"
FINGERPRINT = (
    "import sys, pathlib\n"
    "from edge.config.files import fingerprint\n"
    "print(fingerprint(pathlib.Path(sys.argv[1])))\n"
)
ENVIRONMENT = {"CREDENTIALS_DIRECTORY": "", "LANG": "C.UTF-8"}
"""Secrets are looked for in the folder itself."""
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Source: renameat2(2)."""


class Kept(NamedTuple):
    """One file as it is or shall be."""

    content: bytes
    mode: int
    gid: int


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/etc/storewarden"},
            "files": {"type": "dict", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "secrets_exclusive": {"type": "bool", "default": False, "no_log": False},
            "program": {"type": "path", "required": True},
            "drop_ins": {"type": "dict", "default": {}},
            "group": {"type": "str", "default": "storewarden"},
        },
        supports_check_mode=True,
    )
    given = module.params
    path, gid = Path(given["path"]), _gid(module)
    try:
        wanted = _wanted(given["files"], given["secrets"], gid)
    except ValueError as wrong:
        module.fail_json(msg=str(wrong))
    present = _present(path)
    gone = [name for name in present if name not in wanted and _ours(name, given)]
    differing = [name for name in sorted(wanted) if present.get(name) != wanted[name]]
    folders = _folders(path, wanted, gid)
    unfit = any(not _is_so(path / name, owned) for name, owned in folders.items())
    changed = bool(differing or gone or unfit)
    place = path.parent if changed and not module.check_mode else Path("/run")
    made = Path(tempfile.mkdtemp(prefix=".storewarden.", dir=place))
    try:
        staged = made / path.name
        _stage(staged, path, wanted, gone, folders)
        result: dict[str, Any] = {
            "changed": changed,
            "parts": _parts(differing, gone, unfit, present, wanted),
            "diff": _diff(differing, gone, present, wanted),
        }
        result |= _checked(module, staged)
        if result["changed"] and not module.check_mode:
            _install(staged, path, differing, gone)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or path}: {error.strerror or error}")
    finally:
        shutil.rmtree(made, ignore_errors=True)
    module.exit_json(**result)


def _gid(module: AnsibleModule) -> int:
    """Return the group's number; root's where it is not made yet, which check mode may meet."""
    name = module.params["group"]
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        if not module.check_mode:
            module.fail_json(msg=f"there is no group {name}: is the release installed?")
        return 0


def _wanted(files: dict[str, str], secrets: dict[str, str], gid: int) -> dict[str, Kept]:
    """Return every file that shall be there.

    Raises:
        ValueError: a name leads elsewhere.
    """
    found = {}
    for name, content in files.items():
        mode, group = (0o644, 0) if name.startswith(f"{TLS}/") or "/" not in name else (0o640, gid)
        if name.endswith(".yaml"):
            mode, group = 0o640, gid
        found[name] = Kept(str(content).encode(), mode, group)
    for name, content in secrets.items():
        found[f"{SECRETS}/{name}"] = Kept(str(content).encode(), 0o600, 0)
    for name in found:
        parts = name.split("/")
        if len(parts) > 2 or any(not part or part.startswith(".") for part in parts):
            raise ValueError(f"{name!r} is no name of a file in a configuration folder")
    return found


def _present(path: Path) -> dict[str, Kept]:
    """Return every file that is there, one folder deep; what is no file is not."""
    found = {}
    for file in (*path.glob("*"), *path.glob("*/*")):
        about = file.lstat()
        if stat.S_ISREG(about.st_mode):
            name = str(file.relative_to(path))
            mode = stat.S_IMODE(about.st_mode)
            owned = about.st_gid if about.st_uid == 0 else -1
            found[name] = Kept(file.read_bytes(), mode, owned)
    return found


def _ours(name: str, given: dict[str, Any]) -> bool:
    """Return whether a file that is not wanted has to go."""
    folder, _, file = name.partition("/")
    if folder == SECRETS:
        return bool(given["secrets_exclusive"])
    return folder in FOLDERS and file.endswith(".yaml")


def _folders(path: Path, wanted: dict[str, Kept], gid: int) -> dict[str, tuple[int, int]]:
    """Return mode and group of the folder and of each one in it, by name."""
    names = {"", SECRETS, TLS, *FOLDERS, *(n.rpartition("/")[0] for n in wanted)}
    names |= {part.name for part in path.glob("*") if part.is_dir() and not part.is_symlink()}
    others = {SECRETS: (0o700, 0), TLS: (0o755, 0)}
    return {name: others.get(name, (0o750, gid)) for name in sorted(names)}


def _is_so(folder: Path, owned: tuple[int, int]) -> bool:
    if folder.is_symlink() or not folder.is_dir():
        return False
    about = folder.stat()
    return (stat.S_IMODE(about.st_mode), about.st_gid, about.st_uid) == (*owned, 0)


def _stage(
    staged: Path,
    path: Path,
    wanted: dict[str, Kept],
    gone: list[str],
    folders: dict[str, tuple[int, int]],
) -> None:
    """Make the folder as it shall be: what is there, and laid over it what is wanted."""
    if path.is_dir():
        shutil.copytree(path, staged, symlinks=True)
        for copied in path.rglob("*"):
            about = copied.lstat()
            os.lchown(staged / copied.relative_to(path), about.st_uid, about.st_gid)
    for name in gone:
        (staged / name).unlink()
    for name, (mode, gid) in folders.items():
        (staged / name).mkdir(exist_ok=True)
        os.chown(staged / name, 0, gid)
        (staged / name).chmod(mode)
    for name, kept in wanted.items():
        file = staged / name
        if file.is_symlink():
            file.unlink()
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(kept.content)
            os.fchown(out.fileno(), 0, kept.gid)
            os.fchmod(out.fileno(), kept.mode)
            out.flush()
            os.fsync(out.fileno())


def _parts(
    differing: list[str],
    gone: list[str],
    unfit: bool,  # noqa: FBT001
    present: dict[str, Kept],
    wanted: dict[str, Kept],
) -> list[str]:
    found = {"modes"} if unfit else set()
    for name in (*differing, *gone):
        if name in present and name in wanted and present[name].content == wanted[name].content:
            found.add("modes")
        elif name.startswith(f"{TLS}/"):
            found.add("tls")
        elif name.startswith(f"{SECRETS}/"):
            found.add("secrets")
        elif name.endswith(".yaml"):
            found.add("files")
    return sorted(found)


def _diff(
    differing: list[str], gone: list[str], present: dict[str, Kept], wanted: dict[str, Kept]
) -> list[dict[str, str]]:
    return [
        {
            "before_header": name if name in present else f"{name} (absent)",
            "after_header": name if name in wanted else f"{name} (absent)",
            "before": _shown(name, present.get(name), wanted.get(name), "(a secret)"),
            "after": _shown(name, wanted.get(name), present.get(name), "(another secret)"),
        }
        for name in sorted((*differing, *gone))
    ]


def _shown(name: str, kept: Kept | None, other: Kept | None, word: str) -> str:
    """Return a file for people; of a secret only `word`, where its other side is another."""
    if kept is None:
        return ""
    head = ""
    if other is not None and kept[1:] != other[1:]:
        owner = "not root's" if kept.gid < 0 else f"group {kept.gid}"
        head = f"(mode {kept.mode:04o}, {owner})\n"
    if not name.startswith(f"{SECRETS}/"):
        return head + kept.content.decode("utf-8", "replace")
    alike = other is None or kept.content == other.content
    return head + ("(a secret)" if alike else word) + "\n"


def _checked(module: AnsibleModule, staged: Path) -> dict[str, Any]:
    """Return what the release says of the folder; fails where it refuses it."""
    program = module.params["program"]
    if not Path(program).exists():
        if not module.check_mode:
            module.fail_json(msg=f"{program} is missing: nothing checks the configuration")
        module.warn("the release is not installed yet: the configuration was not checked")
        return {"checked": "", "drop_ins": {}}

    def asked(*words: str) -> str:
        command = [program, *words, "--config", str(staged)]
        code, out, err = module.run_command(command, environ_update=ENVIRONMENT, cwd="/")
        if code != 0:
            text = (out + err).replace(f"{staged}/", "").strip()
            named = f"storewarden {' '.join(words)}"
            module.fail_json(
                msg=f"{named} refuses the configuration; nothing was changed:\n{text}", rc=code
            )
        return out

    said = "".join((asked("check"), asked("rules", "test"))).replace(f"{staged}/", "")
    wanted = module.params["drop_ins"].items()
    drop_ins = {name: asked("drop-in", *words) for name, words in wanted}
    python = str(Path(program).with_name("python"))
    code, out, err = module.run_command([python, "-I", "-c", FINGERPRINT, str(staged)], cwd="/")
    if code != 0:
        module.fail_json(msg=f"the hash of the configuration can't be had: {err}")
    return {"checked": said, "drop_ins": drop_ins, "config": out.strip()}


def _install(staged: Path, path: Path, differing: list[str], gone: list[str]) -> None:
    """Let the staged folder be the configuration; what was lies in its place afterwards."""
    for folder in (*(part for part in staged.iterdir() if part.is_dir()), staged):
        _sync(folder)
    if not path.exists():
        staged.rename(path)
    elif not _exchanged(staged, path):
        for name in differing:  # no folder can change its name here: each file at once
            (path / name).parent.mkdir(exist_ok=True)
            fresh = (path / name).with_name(f".{Path(name).name}.new")
            shutil.copyfile(staged / name, fresh)
            about = (staged / name).stat()
            os.chown(fresh, about.st_uid, about.st_gid)
            fresh.chmod(stat.S_IMODE(about.st_mode))
            _sync(fresh)
            fresh.replace(path / name)
        for name in gone:
            (path / name).unlink()
        for folder in (staged, *(part for part in staged.iterdir() if part.is_dir())):
            there, about = path / folder.relative_to(staged), folder.stat()
            there.mkdir(exist_ok=True)
            os.chown(there, about.st_uid, about.st_gid)
            there.chmod(stat.S_IMODE(about.st_mode))
    _sync(path.parent)


def _exchanged(one: Path, other: Path) -> bool:
    """Let two folders have each other's name; False where the file system can't."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number not in (errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EBUSY):
        raise OSError(number, os.strerror(number), str(other))
    return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


if __name__ == "__main__":
    main()
