"""Ansible module: what a box is, what is installed on it, and how the daemon there is."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib import request
from urllib.error import URLError

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: storewarden_box
short_description: Tell what a box is, what is installed on it, and how its daemon is
description:
  - Changes nothing.
  - With I(version) or I(config) it waits until the daemon runs that release or that configuration,
    moves and is ready, and fails where it does not.
options:
  system:
    description: What the release puts on the machine, sums by path.
    type: dict
    default: {}
  packages: {description: Debian packages that are wanted., type: list, elements: str, default: []}
  config: {description: Hash of the configuration that shall run., type: str, default: ''}
  version: {description: The release that shall run., type: str, default: ''}
  uplink: {description: Whether the broker has to be connected., type: bool, default: false}
  within: {description: Seconds to wait for all that., type: int, default: 60}
"""

RETURN = r"""
box: {description: "What was found, see the code", type: dict, returned: always}
"""

RELEASES = Path("/opt/storewarden")
CONTROL = "/run/storewarden/control.sock"
LISTEN = re.compile(
    r"^\s*http:\s*\{?\s*listen:\s*[\"']?([0-9A-Za-z_.\[\]:]+):([0-9]+)", re.MULTILINE
)
NOTIFY_RELOAD = "/etc/systemd/system/storewarden.service.d/10-notify-reload.conf"
NOTIFIES_RELOADS = 254
"""The first systemd that can be told of a reload as that file says."""
EVERYWHERE = ("0.0.0.0", "[::]")  # noqa: S104 - what a configuration may say
ANSWERS_WITHIN = 5.0


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "system": {"type": "dict", "default": {}},
            "packages": {"type": "list", "elements": "str", "default": []},
            "config": {"type": "str", "default": ""},
            "version": {"type": "str", "default": ""},
            "uplink": {"type": "bool", "default": False},
            "within": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    if wanted["config"] or wanted["version"]:
        ends = time.monotonic() + wanted["within"]
        while wrong := _wrong(wanted):
            if time.monotonic() > ends:
                module.fail_json(msg=f"after {wanted['within']} s: {wrong}", box=_box(module))
            time.sleep(0.25)  # another process's doing: nothing to wait on
    module.exit_json(changed=False, box=_box(module))


def _wrong(wanted: dict[str, Any]) -> str:
    """Return why the daemon is not as it shall be; empty when it is."""
    status = _status()
    if status is None:
        return "the daemon does not answer; see: journalctl -u storewarden"
    if wanted["version"] and status["version"] != wanted["version"]:
        return f"release {status['version']} runs, and {wanted['version']} shall"
    if wanted["config"] and status["config"] != wanted["config"]:
        why = f": {status['refused'][0]}" if status.get("refused") else ""
        return f"configuration {status['config']} runs, and {wanted['config']} shall{why}"
    for path in ("/healthz", "/readyz"):
        if code := _asked(path):
            return f"http://{_listen()}{path}: {code}"
    uplink = status["uplink"]
    if wanted["uplink"] and uplink["configured"] and not uplink["connected"]:
        return f"the broker is not connected: {uplink['error'] or 'no answer yet'}"
    return ""


def _status() -> dict[str, Any] | None:
    """Return what `storewarden status --json` prints; None where no daemon answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(ANSWERS_WITHIN)
        try:
            peer.connect(CONTROL)
            peer.sendall(b'{"do": "status"}\n')
            with peer.makefile("rb") as answer:
                found = json.loads(answer.readline() or b"{}")
        except (OSError, ValueError):
            return None
    status: dict[str, Any] | None = found.get("ok")
    return status


def _listen() -> str:
    try:
        text = Path("/etc/storewarden/site.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    found = LISTEN.search(text)
    if found is None:
        return "127.0.0.1:9464"
    host, port = found.groups()
    return f"{'127.0.0.1' if host in EVERYWHERE else host}:{port}"


def _asked(path: str) -> str:
    """Return what is wrong with the answer at `path`; empty for 200."""
    try:
        with request.urlopen(f"http://{_listen()}{path}", timeout=ANSWERS_WITHIN):
            return ""
    except (URLError, OSError) as error:
        return str(error)


def _runs(release: Path) -> bool:
    """Return whether a release was made to its end and its Python is still on the machine."""
    return (release / ".complete").exists() and os.access(release / "bin/python", os.X_OK)


def _box(module: AnsibleModule) -> dict[str, Any]:
    about = platform.freedesktop_os_release()
    status, wanted = _status(), module.params
    folders = [path for path in (RELEASES / "releases").glob("*") if _runs(path)]
    return {
        "distribution": about.get("ID", ""),
        "release": about.get("VERSION_ID", ""),
        "like": about.get("ID_LIKE", ""),
        "machine": platform.machine(),
        "python": ".".join(str(number) for number in sys.version_info[:2]),
        "systemd": Path("/run/systemd/system").is_dir(),
        "free_mb": shutil.disk_usage(_existing(RELEASES)).free // 2**20,
        "synchronised": _synchronised(module),
        "releases": sorted(path.name for path in folders),
        "current": _link("current"),
        "previous": _link("previous"),
        "on_trial": (RELEASES / "trial.json").exists(),
        "unit": Path("/etc/systemd/system/storewarden.service").exists(),
        "system_differs": _differing(module, wanted["system"]),
        "packages_missing": _missing(module, wanted["packages"]),
        "raspi_config": shutil.which("raspi-config") is not None,
        "overlay_root": "overlayroot" in Path("/proc/mounts").read_text(encoding="utf-8"),
        "root": os.geteuid() == 0,
        "status": status,
    }


def _differing(module: AnsibleModule, system: dict[str, str]) -> list[str]:
    """Return what is not as the release has it; install.sh leaves one out on Debian 12."""
    found = sorted(path for path, digest in system.items() if _sum(path) != digest)
    if not found:
        return []
    _, out, _ = module.run_command(["systemctl", "--version"])
    number = re.match(r"systemd (\d+)", out)
    old = number is not None and int(number[1]) < NOTIFIES_RELOADS
    return [
        path for path in found if not (old and path == NOTIFY_RELOAD and not Path(path).exists())
    ]


def _sum(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def _missing(module: AnsibleModule, packages: list[str]) -> list[str]:
    """Return which packages are not installed."""
    if not packages:
        return []
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *packages]
    _, out, _ = module.run_command(command)  # it fails where one is unknown to it
    there = {line.split()[1] for line in out.splitlines() if line.startswith("installed ")}
    return [name for name in packages if name not in there]


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _link(name: str) -> str:
    with suppress(OSError):
        return (RELEASES / name).readlink().name
    return ""


def _synchronised(module: AnsibleModule) -> bool:
    if Path("/run/systemd/timesync/synchronized").exists():
        return True
    code, out, _ = module.run_command(["timedatectl", "show", "-p", "NTPSynchronized", "--value"])
    return code == 0 and out.strip() == "yes"


if __name__ == "__main__":
    main()
