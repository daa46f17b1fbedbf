"""The names and rules of the metrics, as Prometheus' own check has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from edge.metrics import Metrics, counter, gauge

NAMES = (
    "events_total",
    "rule_fired_total",
    "rule_blind_total",
    "reaction_seconds",
    "order_seconds",
    "orders_failed_total",
    "device_up",
    "device_last_seen_timestamp_seconds",
    "device_bypassed",
    "journal_commit_seconds",
    "clock_trusted",
    "loop_lag_seconds",
    "build_info",
    "config_refused",
)


@pytest.fixture
def metrics() -> Metrics:
    found = Metrics("1.2")
    found.configured("abc", {"door": [], "siren": ["sound"]}, ["r"])
    found.events.labels("door", "door.opened").inc()
    found.fired.labels("r").inc()
    found.blind.labels("r").inc()
    found.reacted("security", 0.002)
    found.order.labels("siren", "sound").observe(0.1)
    found.failed.labels("siren", "sound").inc()
    found.seen.labels("door").set(1.0)
    return found


def families(metrics: Metrics) -> dict[str, Metric]:
    return {f.name: f for f in text_string_to_metric_families(metrics.page().decode())}


def test_every_name_of_the_contract_is_there(metrics: Metrics) -> None:
    page = metrics.page().decode()
    for name in NAMES:
        assert re.search(rf"^storewarden_{name}(_bucket)?[{{ ]", page, re.M), name


def test_counters_end_in_total_all_have_help_and_no_time_of_creation(metrics: Metrics) -> None:
    page = metrics.page().decode()
    assert "_created" not in page
    for family in families(metrics).values():
        assert family.documentation, family.name
        assert re.fullmatch(r"storewarden_[a-z_]+", family.name)
        if family.type == "counter":
            assert all(s.name.endswith("_total") for s in family.samples)
        else:
            assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        assert not re.search(r"_(milli|micro|minutes|hours|kilo)", family.name)


def test_every_device_is_there_before_it_was_heard(metrics: Metrics) -> None:
    page = metrics.page().decode()
    assert 'storewarden_device_up{device="door"} 0.0' in page
    assert 'storewarden_device_bypassed{device="siren"} 0.0' in page
    metrics.configured("def", {"door": []}, [])
    page = metrics.page().decode()
    assert 'device_up{device="siren"}' not in page
    assert 'storewarden_build_info{config="def",version="1.2"} 1.0' in page
    assert 'config="abc"' not in page


def test_what_is_read_at_a_scrape_takes_the_place_of_the_reader_before(metrics: Metrics) -> None:
    def read(value: float) -> Iterator[Metric]:
        yield gauge("journal_records", "Records.", value)
        yield counter("journal_dropped", "Lost.", {("security", "disk"): 2}, "priority", "reason")

    metrics.collect_with(lambda: read(1))
    metrics.collect_with(lambda: read(7))
    page = metrics.page().decode()
    assert "storewarden_journal_records 7.0" in page
    assert 'storewarden_journal_dropped_total{priority="security",reason="disk"} 2.0' in page


def test_recent_reactions_are_told_in_the_middle_and_at_the_edge(metrics: Metrics) -> None:
    assert Metrics("1").recent_reactions() == {"count": 0, "p50": 0.0, "p99": 0.0}
    for milliseconds in range(3, 101):
        metrics.reacted("security", milliseconds / 1000)
    assert metrics.recent_reactions() == {"count": 99, "p50": 0.051, "p99": 0.099}
