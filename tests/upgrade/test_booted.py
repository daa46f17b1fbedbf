"""Upgrades of a booted system with the real bundle and units: good, broken and killed ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench import broken_releases
from tests.upgrade.installed import Installed, copied

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the bundle is for x86_64")

SITE = "/etc/storewarden/site.yaml"
TAKES_MORE = broken_releases.Change(
    file="edge/config/site_apply.py", old=" 7 * 86400.0", new=" 70 * 86400.0"
)
NEWER = "apply: {watch: 10d}"
"""A configuration that a release with this change takes, and the one before does not."""


def good(store: Installed, before: list[str], journal: str, version: str = "0.1.0") -> None:
    """See that `version` runs, all is up, and no record was lost."""
    store.until(lambda s: not s["devices_down"] and s["uplink"]["connected"])
    status = store.until(lambda s: s["version"] == version)
    assert status["journal"]["error"] is None
    upgrades = store.until_decided()
    assert upgrades["current"] == version
    assert store.journal() == journal
    ids = store.ids()
    assert ids[: len(before)] == before
    assert store.verified().returncode == 0


def gone_back_from(store: Installed, made: Path, reason: str) -> None:
    """Upgrade to a broken release, and see that it is gone back from for this reason."""
    version = copied(store, made, "0.1.0", made.parent)
    before, journal = store.ids(), store.journal()

    done = store.to(version, "--watch", "30s")

    assert (done.returncode, done.stdout) == (1, "")
    assert f"storewarden: back to 0.1.0 from {version}: {reason}" in done.stderr
    good(store, before, journal)
    outcome = store.upgrades()["upgrades"][-1]
    assert (outcome["outcome"], outcome["to"]) == ("returned", version)
    told = store.said("upgrade.returned")[-1]
    assert (told["from"], told["to"], told["by"]) == ("0.1.0", version, "root")
    assert reason in told["reason"]


def test_a_release_that_does_not_start_is_gone_back_from(
    store: Installed, first: Path, tmp_path: Path
) -> None:
    changes = broken_releases.WAYS["import"].changes
    made = broken_releases.made(first, tmp_path, "0.2.1", changes)
    gone_back_from(store, made, "0.2.1 ended by itself before it was ready")


def test_a_release_that_aborts_leaves_the_one_before_the_configuration_that_it_ran(
    store: Installed, first: Path, tmp_path: Path
) -> None:
    changes = (TAKES_MORE, *broken_releases.later(4, '__import__("os").abort()'))
    made = broken_releases.made(first, tmp_path, "0.2.7", changes)
    ran = store.system.run("cat", SITE).stdout
    config = store.until(lambda s: s["version"] == "0.1.0")["config"]
    store.system.run("tee", SITE, input=f"{ran}{NEWER}\n")
    try:
        gone_back_from(store, made, "0.2.7 ended by itself ")
        assert store.until(lambda s: True)["config"] == config
        refused = store.said("config.refused")[-1]["reason"]
        assert refused.endswith("'watch' is at most 7d")
    finally:
        store.system.run("tee", SITE, input=ran)
        store.system.run("systemctl", "reload", "storewarden")


def test_an_upgrade_whose_program_is_killed_is_gone_back_from(
    store: Installed, later: Path
) -> None:
    store.install(later)
    before, journal = store.ids(), store.journal()
    unit = "storewarden-upgrade@0.1.1.service"

    store.system.run("systemctl", "start", "--no-block", unit)
    store.until(lambda s: s["version"] == "0.1.1")
    store.system.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", unit)

    good(store, before, journal)
    assert store.upgrades()["upgrades"][-1]["reason"] == "the upgrade was cut off"
    store.until_said("upgrade.returned", "the upgrade was cut off")


def test_a_trial_that_a_boot_finds_is_gone_back_from_before_the_service_starts(
    store: Installed, later: Path
) -> None:
    store.install(later)
    before, journal = store.ids(), store.journal()
    units = ("storewarden-upgrade-recover", "storewarden", "storewarden-upgrade-tell")
    store.system.run("systemctl", "stop", *units)
    plan = {"from": "0.1.0", "to": "0.1.1", "began": "2026-11-22T20:00:00Z", "boot": "another"}
    root = "/opt/storewarden"
    for words in (
        ("ln", "-sfn", "releases/0.1.0", f"{root}/previous"),
        ("ln", "-sfn", "releases/0.1.1", f"{root}/current"),
    ):
        store.system.run(*words)
    store.system.run("tee", f"{root}/trial.json", input=json.dumps(plan))

    store.system.run("systemctl", "start", *units)

    good(store, before, journal)
    cut = "the upgrade was cut off by a restart of the box"
    assert store.upgrades()["upgrades"][-1]["reason"] == cut
    store.until_said("upgrade.returned", cut)


def test_a_good_release_stays_and_is_gone_back_from_by_a_person(
    store: Installed, later: Path
) -> None:
    store.install(later)
    before, journal = store.ids(), store.journal()

    done = store.to("0.1.1", "--watch", "2s", "--json")

    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "done")
    good(store, before, journal, "0.1.1")
    assert store.upgrades()["releases"] == ["0.1.0", "0.1.1"]
    assert store.said("upgrade.done")[-1] == {"from": "0.1.0", "to": "0.1.1", "by": "root"}
    words = ("upgrade", "back", "--reason", 'the "gates" are slow', "--watch", "2s")
    back = store.system.run("/usr/local/bin/storewarden", *words, check=False)
    assert back.returncode == 0, back.stderr
    good(store, before, journal)
    assert store.said("upgrade.done")[-1]["reason"] == 'the "gates" are slow'
