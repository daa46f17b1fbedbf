"""docs/monitoring.md tells the alerts and panels that there are, by STOREWARDEN_WRITE_DOCS=1."""

import os
import re

import pytest
import yaml

from monitoring.panels import FLEET, STORE
from tests.monitoring.promtool import MONITORING, ROOT
from tests.monitoring.test_rules import ALERTS

PAGE = ROOT / "docs" / "monitoring.md"
PROM = re.compile(r"(?<![\w:])storewarden_\w+|(?<![\w:])up(?=\{)")


def metrics(expr: str) -> str:
    """Return the metrics that an alert looks at; `up` for what is recorded of it."""
    found = dict.fromkeys(PROM.findall(expr)) or {"up": None}
    return ", ".join(f"`{name}`" for name in found)


def alerts() -> str:
    rows = ["| alert | severity | after | looks at |", "|---|---|---|---|"]
    for alert in ALERTS:
        name, after = alert["alert"], alert.get("for", "at once")
        severity = alert["labels"]["severity"]
        rows.append(
            f"| [{name}](#{name.lower()}) | {severity} | {after} | {metrics(alert['expr'])} |"
        )
    return "\n".join(rows)


def panels() -> str:
    parts = []
    for name, rows in {"fleet.json: all stores": FLEET, "store.json: one store": STORE}.items():
        lines = [f"| {name} | shows |", "|---|---|"]
        for title, members in rows.items():
            lines += [f"| {title}: {panel.title} | {panel.shows} |" for panel in members]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


MADE = {"alerts": alerts(), "panels": panels()}


@pytest.mark.parametrize("what", MADE)
def test_the_tables_are_what_there_is(what: str) -> None:
    """Written anew with `STOREWARDEN_WRITE_DOCS=1 pytest tests/monitoring/test_docs.py`."""
    page = PAGE.read_text()
    before, mark, rest = page.partition(f"<!-- {what} -->\n")
    assert mark
    after = re.sub(r"\A(?:\|.*\n|\n)*", "", rest)
    wanted = f"{before}{mark}\n{MADE[what]}\n\n{after}"
    if os.environ.get("STOREWARDEN_WRITE_DOCS"):
        PAGE.write_text(wanted)
    assert page == wanted


def test_the_alertmanager_example_is_what_the_page_says() -> None:
    rules = yaml.safe_load((MONITORING / "alertmanager.yml").read_text())["inhibit_rules"]
    table = PAGE.read_text().partition("| while this fires |")[2].partition("\n\n")[0]
    told = [
        [re.findall(r"`(\w+)`", cell) for cell in row.strip("| ").split(" | ")]
        for row in table.splitlines()[2:]
    ]

    assert [
        [re.findall(r"Storewarden\w+", str(rule["source_matchers"])), rule["equal"]]
        for rule in rules
    ] == [[source, equal] for source, _, equal in told]
    assert [
        re.findall(r'="?(Storewarden\w+)', str(rule["target_matchers"])) for rule in rules[1:2]
    ] == [told[1][1]]


def test_the_site_is_the_only_word_that_stores_are_told_apart_by() -> None:
    for alert in ALERTS:
        assert "instance" not in alert["expr"]
        assert "site" in alert["annotations"]["summary"]
