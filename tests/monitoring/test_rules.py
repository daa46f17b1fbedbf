"""The rules are rules that Prometheus takes, each alert is tested, and each names its runbook."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.promtool import MONITORING, ROOT, RULES, promtool

TESTS = sorted((MONITORING / "tests").glob("*.test.yml"))
GROUPS = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
ALERTS = [rule for group in GROUPS for rule in group["rules"] if "alert" in rule]
RECORDS = [rule for group in GROUPS for rule in group["rules"] if "record" in rule]


def cases() -> Iterator[tuple[str, list[Any]]]:
    """Yield (alert, what is expected) of every moment that the tests look at, by time."""
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            looks = sorted(test.get("alert_rule_test", ()), key=lambda look: minutes(look))
            yield from ((look["alertname"], look["exp_alerts"]) for look in looks)


def minutes(look: dict[str, Any]) -> int:
    units = {"d": 1440, "h": 60, "m": 1}
    return sum(int(n) * units[u] for n, u in re.findall(r"(\d+)([dhm])", look["eval_time"]))


def test_prometheus_takes_the_rules() -> None:
    found = promtool("check", "rules", *RULES)

    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_rules_do_what_their_tests_say(path: Path) -> None:
    found = promtool("test", "rules", path)

    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("name", sorted({alert["alert"] for alert in ALERTS}))
def test_each_alert_is_seen_silent_firing_and_silent_again(name: str) -> None:
    seen = [bool(expected) for alert, expected in cases() if alert == name]

    assert seen[0] is False
    assert True in seen
    assert seen[-1] is False


def test_each_severity_of_an_alert_is_seen() -> None:
    told = {(alert["alert"], alert["labels"]["severity"]) for alert in ALERTS}
    seen = {(name, one["exp_labels"]["severity"]) for name, expected in cases() for one in expected}

    assert told == seen


def test_every_alert_says_what_it_is_and_where_to_read_on() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    for alert in ALERTS:
        assert alert["labels"].keys() == {"severity"}
        assert alert["labels"]["severity"] in {"critical", "warning"}
        notes = alert["annotations"]
        assert notes.keys() == {"summary", "description", "runbook_url"}
        assert notes["summary"].startswith("{{ $labels.site }}: ")
        assert notes["runbook_url"] == f"docs/monitoring.md#{alert['alert'].lower()}"
        assert f"\n### {alert['alert']}\n" in page


def test_every_metric_that_is_asked_for_is_in_the_table_or_recorded() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    known = set(re.findall(r"^\| `(storewarden_\w+)` \|", page, re.M))
    recorded = [rule["record"] for rule in RECORDS]
    for rule in [*ALERTS, *RECORDS]:
        for name in re.findall(r"[\w:]*storewarden_[\w:]+", rule["expr"]):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in known or name in recorded, name
    assert max(Counter(recorded).values()) == 1
