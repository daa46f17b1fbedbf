"""The service as it is installed, on a booted Debian 12 and 13: started, killed, hung, shut in."""

from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path

import pytest

from release import bundle as release
from tests import booted
from tests.systemd import service as services
from tests.systemd.service import SECRET, Service

PROBE = Path(__file__).with_name("probe.py")
TARGETS = {"bookworm": "x86_64-3.11", "trixie": "x86_64-3.13"}
REFUSED = "devices:\n  door_front: {type: dor}\n"
SHUT_OUT = {"EROFS", "EACCES", "EPERM", "ENOENT"}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    booted.require()
    shared = tmp_path_factory.getbasetemp().parent
    with (shared / "service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = list((shared / "service").glob("*.tar.gz"))
        return found[0] if found else release.build(shared / "service", list(TARGETS.values()))


@pytest.mark.parametrize("suite", TARGETS)
def test_the_service_keeps_what_the_page_on_hardening_promises(
    suite: str, bundle: Path, tmp_path: Path
) -> None:
    """One system a suite: installing takes longer than all that is asked of it."""
    with services.installed(suite, bundle, tmp_path) as service:
        _is_active_only_when_rules_run(service)
        _has_its_secrets_and_shows_them_to_nobody(service)
        _has_no_capabilities_and_keeps_its_files_to_itself(service)
        _can_do_nothing_else(service, tmp_path)
        _keeps_running_when_a_reload_is_refused(service, suite, tmp_path)
        _has_its_outputs_at_their_state_after_a_kill(service)
        _is_killed_and_started_again_when_it_hangs(service)
        _starts_with_the_last_good_configuration(service, tmp_path)


def _is_active_only_when_rules_run(service: Service) -> None:
    service.run("systemctl", "start", "storewarden")

    assert service.shown("ActiveState") == "active"
    assert "rules run" in service.log()
    service.until(lambda status: not status["devices_down"])


def _has_its_secrets_and_shows_them_to_nobody(service: Service) -> None:
    pid = service.shown("MainPID")

    assert service.status() is not None
    folder = service.shown("CredentialsDirectory") or "/run/credentials/storewarden.service"
    inside = ("nsenter", "-t", pid, "-m", "cat", f"{folder}/secrets_mqtt_password")
    assert service.run(*inside) == f"{SECRET}\n"
    for command in (
        ("cat", f"/proc/{pid}/environ"),
        ("ps", "axeww"),
        ("journalctl", "--no-pager"),
        ("systemctl", "show", "storewarden"),
        ("grep", "-rl", SECRET, "/var/lib/storewarden", "/run/storewarden"),
    ):
        assert SECRET not in service.run(*command, check=False)
    assert service.run("grep", "-rl", SECRET, "/var/lib/storewarden", check=False) == ""


def _has_no_capabilities_and_keeps_its_files_to_itself(service: Service) -> None:
    status = service.run("cat", f"/proc/{service.shown('MainPID')}/status")

    assert set(re.findall(r"^Cap\w+:\s+(\w+)$", status, re.M)) == {"0000000000000000"}
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert re.search(r"^Seccomp:\s+2$", status, re.M)
    modes = service.run("stat", "-c", "%a %U:%G %n", "/var/lib/storewarden", "/run/storewarden")
    assert modes.splitlines() == [
        "750 storewarden:storewarden /var/lib/storewarden",
        "750 storewarden:storewarden /run/storewarden",
    ]
    open_to_all = service.run("find", "/var/lib/storewarden", "!", "-type", "l", "-perm", "/007")
    assert open_to_all == ""
    assert service.run("stat", "-c", "%a %U", "/etc/storewarden/secrets/mqtt_password") == (
        "600 root\n"
    )


def _can_do_nothing_else(service: Service, made: Path) -> None:
    """Its own unit, with a probe in the place of the daemon."""
    service.system.put(PROBE, "/usr/local/lib/probe.py")
    unit = service.run("cat", "/etc/systemd/system/storewarden.service")
    for key, value in {
        "Type": "oneshot",
        "ExecStart": "/usr/bin/python3 /usr/local/lib/probe.py",
        "ExecStopPost": "",
        "ExecReload": "",
        "Restart": "no",
        "WatchdogSec": "0",
        "StateDirectory": "probe",
        "RuntimeDirectory": "probe",
        "WorkingDirectory": "/",
        "NoExecPaths": "/ %S/probe %t/probe",
    }.items():
        unit = re.sub(rf"^{key}=.*$", f"{key}={value}", unit, flags=re.M)
    service.put("/etc/systemd/system/probe.service", unit, made)
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "start", "probe")
    (line,) = [x for x in service.log("probe").splitlines() if x.startswith("{")]
    found = json.loads(line)

    for what in ("/etc", "/opt", "/usr", "/sys", "/proc/sys"):
        assert found.pop(f"write {what}") in SHUT_OUT, what
    for what in ("look into secrets", "look into /root", "memory to write and execute"):
        assert found.pop(what) in SHUT_OUT, what
    assert found == {
        "write state": "done",
        "execute from state": "EACCES",
        "mount": "EPERM",
        "unshare": "EPERM",
        "chroot": "EPERM",
        "ptrace": "EPERM",
        "keyctl": "EPERM",
        "bpf": "EPERM",
        "set the clock": "EPERM",
        "real-time": "EPERM",
        "personality": "EPERM",
        "packet socket": "EAFNOSUPPORT",
        "netlink socket": "EAFNOSUPPORT",
        "setuid file": "EPERM",
        "processes of others": 0,
        "boot id": "done",
        "credentials": ["secrets", "secrets_mqtt_password"],
    }


def _keeps_running_when_a_reload_is_refused(service: Service, suite: str, made: Path) -> None:
    pid = service.shown("MainPID")
    assert service.shown("Type") == {"bookworm": "notify", "trixie": "notify-reload"}[suite]

    service.put("/etc/storewarden/devices.yaml", REFUSED, made)
    service.run("systemctl", "reload", "storewarden")

    service.until_so(lambda: "the new configuration is refused" in service.log(), "not refused")
    assert service.shown("ActiveState") == "active"
    assert service.shown("MainPID") == pid

    path = "/etc/storewarden/devices.yaml"
    service.put(path, services.FILES[path], made)
    service.run("systemctl", "reload", "storewarden")

    service.until_so(lambda: "rules run, in" in service.log(), "not reloaded")
    assert service.shown("MainPID") == pid


def _has_its_outputs_at_their_state_after_a_kill(service: Service) -> None:
    service.run(services.PROGRAM, "order", "siren_front", "sound", "--reason", "test")
    service.until_so(lambda: "do0 is on" in service.log("module"), "the siren does not sound")

    service.run("kill", "-KILL", service.shown("MainPID"))

    # at_start is keep: nobody but safe-state has switched it off
    service.until_so(lambda: "do0 is off" in service.log("module"), "the siren sounds on")
    service.until_so(lambda: service.shown("ActiveState") == "active", "not started again")
    assert "siren_front: done" in service.log()
    assert service.shown("NRestarts") == "1"
    assert service.ends()["counts"] == {"signal": 1}


def _is_killed_and_started_again_when_it_hangs(service: Service) -> None:
    service.run("kill", "-STOP", service.shown("MainPID"))

    service.until_so(lambda: service.shown("NRestarts") == "2", "not started again")
    service.until_so(lambda: service.shown("ActiveState") == "active", "not started again")
    service.until(lambda status: not status["devices_down"])
    found = service.ends()
    assert found["counts"] == {"signal": 1, "watchdog": 1}
    assert found["last"]["reason"] == "watchdog"
    assert "the last run ended by itself: watchdog" in service.log()


def _starts_with_the_last_good_configuration(service: Service, made: Path) -> None:
    service.put("/etc/storewarden/devices.yaml", REFUSED, made)

    service.run("systemctl", "restart", "storewarden")

    assert service.shown("ActiveState") == "active"
    service.until(lambda status: not status["devices_down"])
    assert "the configuration is refused, the last good one runs" in service.log()
    assert service.ends()["counts"] == {"signal": 1, "watchdog": 1, "stop": 1}
