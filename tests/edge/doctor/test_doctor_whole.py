"""The command looks at a running store, changes nothing, and says what it could not see."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.sim.onvif_camera import OnvifCameraSimulator
from edge.doctor import cameras, journal
from edge.doctor.box import Box, aside
from edge.doctor.examine import SUBJECTS, checks, examine, table
from edge.doctor.finding import Check, Finding, Subject
from tests.edge.doctor.looking import box, folder, look
from tests.shop import shop

ROOT = Path(__file__).parents[3]


def test_the_page_has_the_table_of_all_checks() -> None:
    assert table() in (ROOT / "docs" / "doctor.md").read_text()


def test_every_check_has_a_name_of_its_own_a_question_and_a_remedy() -> None:
    every = [check for _, check in checks()]
    assert len({check.id for check in every}) == len(every) > 40
    assert all(check.asks.endswith("?") and check.remedy for check in every)


def contents(at: Path) -> dict[str, tuple[int, int, int]]:
    """Return inode, mode and owner of everything in a folder."""
    return {
        str(p.relative_to(at)): (p.lstat().st_ino, p.lstat().st_mode, p.lstat().st_uid)
        for p in sorted(at.rglob("*"))
    }


def test_a_running_store_is_looked_at_and_left_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as (_store, daemon):
            before = contents(daemon.state)
            code, out, err = await daemon.command(
                "doctor", "--config", str(daemon.config), "--json"
            )
            assert contents(daemon.state) == before
            found = {f["check"]: f for f in json.loads(out)}
            assert code == (1 if any(f["level"] == "problem" for f in found.values()) else 0)
            assert err == ""
            for check in (
                "configuration.loads", "configuration.runs", "service.answers", "journal.opens",
                "journal.chain", "journal.takes", "rights.socket", "ports.serial",
            ):  # fmt: skip
                assert found[check]["level"] == "ok", found[check]
            heard = [f for f in json.loads(out) if f["check"] == "devices.heard"]
            assert [f["level"] for f in heard] == ["ok"]
            with (daemon.config / "site.yaml").open("a") as site:
                site.write("# another hash\n")
            with (daemon.config / "devices.yaml").open("a") as devices:
                devices.write("  broken\n")
            code, out, _err = await daemon.command("doctor", "--config", str(daemon.config))
            assert code == 1
            assert "PROBLEM  configuration.loads" in out
            assert "do: storewarden check --config" in out

    asyncio.run(main())


def test_a_box_without_a_daemon_is_looked_at_without_a_trace(tmp_path: Path) -> None:
    config = folder(tmp_path, site=f"site: s1\nbuffer: {{path: {tmp_path}/state}}\n")
    before = contents(tmp_path)
    made = subprocess.run(
        [sys.executable, "-P", "-m", "edge.cli.main", "doctor", "--config", str(config), "--json"],
        env={**os.environ, "RUNTIME_DIRECTORY": str(tmp_path / "run")},
        capture_output=True,
        timeout=60,
    )
    assert made.returncode == 1
    found = {f["check"]: f for f in json.loads(made.stdout)}
    assert found["service.answers"]["level"] == "problem"
    assert found["journal.opens"]["level"] == "warning"
    assert contents(tmp_path) == before


def test_a_record_that_was_altered_does_not_fit(tmp_path: Path) -> None:
    import sqlite3

    from buffer.journal import Journal
    from buffer.record import Draft, Kind

    (tmp_path / "state").mkdir()
    path = tmp_path / "state/journal.db"
    with Journal.open(path) as made:
        made.append(
            [
                Draft(id=f"{n:032x}", kind=Kind.EVENT, priority=3, topic="t", body=b"{}")
                for n in range(5)
            ]
        )
    at = box(tmp_path)
    before = contents(tmp_path)
    assert {f.check: f.level for f in look(journal.SUBJECT, at)}["journal.chain"] == "ok"
    assert contents(tmp_path) == before
    with sqlite3.connect(path) as db:
        db.execute("UPDATE records SET body = ? WHERE sequence = 4", (b"[]",))
    db.close()
    found = {f.check: f for f in look(journal.SUBJECT, at)}["journal.chain"]
    assert (found.level, found.seen) == ("problem", "record 4 does not fit")


def test_a_file_that_is_no_journal_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/journal.db").write_bytes(b"rubbish" * 1000)
    found = [(f.check, f.level) for f in look(journal.SUBJECT, box(tmp_path))]
    assert found == [("journal.opens", "problem")]


CAMERA = (
    "devices: {{cam: {{type: onvif_camera, host: '{host}', username: warden,"
    " password: !secret cam, stream: 'off'}}}}\n"
)


@pytest.mark.parametrize(("skew", "level"), [(0.0, "ok"), (-20.0, "warning"), (3600.0, "problem")])
def test_a_cameras_clock_is_read_without_its_password(
    tmp_path: Path, skew: float, level: str
) -> None:
    from dataclasses import replace

    from edge.clock import wall

    async def main() -> list[Finding]:
        async with OnvifCameraSimulator(skew=skew) as camera:
            config = folder(tmp_path, devices=CAMERA.format(host=camera.host))
            at = replace(box(tmp_path, config), now=wall)
            return await examine(at, (cameras.SUBJECT,))

    found = asyncio.run(main())
    assert [(f.check, f.level) for f in found] == [
        ("devices.heard", "ok"),
        ("cameras.clock", level),
    ]


def test_a_module_that_hangs_up_and_a_port_that_is_shut_are_told_apart(tmp_path: Path) -> None:
    with socket.socket() as listening, socket.socket() as shut:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        shut.bind(("127.0.0.1", 0))
        devices = "io:\n" + "".join(
            f'  {name}: {{type: text, url: "tcp://127.0.0.1:{of.getsockname()[1]}"}}\n'
            for name, of in (("there", listening), ("gone", shut))
        )
        found = look(cameras.SUBJECT, box(tmp_path, folder(tmp_path, devices=devices)))
    assert [(f.level, f.seen.partition(":")[0]) for f in found] == [
        ("ok", "there"),
        ("problem", "gone"),
    ]


def test_what_does_not_end_or_may_not_be_read_is_unknown_and_never_ok(tmp_path: Path) -> None:
    first, second = Check("a.first", "?", "-"), Check("a.second", "?", "-")

    async def hangs(_box: Box) -> AsyncIterator[Finding]:
        yield first.ok("seen")
        await aside(lambda: __import__("threading").Event().wait(600))
        yield second.ok("never")

    async def denied(_box: Box) -> AsyncIterator[Finding]:
        (tmp_path / "none").stat()
        yield first.ok("never")

    found = look(Subject("a", (first, second), hangs, within=0.2), box(tmp_path))
    assert [(f.check, f.level, f.seen) for f in found] == [
        ("a.first", "ok", "seen"),
        ("a.second", "unknown", "it did not end within 0.2 s"),
    ]
    found = look(Subject("a", (first,), denied), box(tmp_path))
    assert [(f.check, f.level) for f in found] == [("a.first", "unknown")]


def test_all_together_ends_within_fifteen_seconds() -> None:
    assert max(subject.within for subject in SUBJECTS) <= 12.0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_is_told_what_they_can_not_see() -> None:
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        _look_as_nobody(Path(made))


def _look_as_nobody(tmp_path: Path) -> None:
    config = folder(tmp_path, site=f"site: s1\nbuffer: {{path: {tmp_path}/state}}\n")
    (tmp_path / "state").mkdir(mode=0o700)
    (config / "secrets").mkdir(mode=0o700)
    config.chmod(0o755)
    for name in ("site.yaml", "devices.yaml"):
        (config / name).chmod(0o644)
    script = (
        "import os, sys; from edge.doctor import examine; import buffer.journal, buffer.chain;"
        "import asyncio, json, dataclasses, pathlib; os.setgroups([]); os.setgid(65534);"
        "os.setuid(65534);"
        "look = lambda: asyncio.run(_go());\n"
        "async def _go():\n"
        "    at = await examine.box_at(pathlib.Path(sys.argv[1]))\n"
        "    at.user = os.geteuid()\n"
        "    return await examine.examine(at, (examine.rights.SUBJECT, examine.journal.SUBJECT))\n"
        "print(json.dumps([dataclasses.asdict(f) for f in look()]))\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", script, str(config)], capture_output=True, text=True, timeout=60
    )
    assert made.returncode == 0, made.stderr
    found = {f["check"]: f for f in json.loads(made.stdout)}
    assert found["journal.opens"]["level"] == "unknown"
    assert found["rights.secrets"]["level"] in ("unknown", "ok")
    assert found["rights.configuration"]["level"] == "problem"
