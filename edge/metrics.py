"""Every Prometheus metric of the daemon, counted on the way past."""

from __future__ import annotations

from collections import Counter as Counter_
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from drivers.event import Event
from edge import gates
from edge.gates import Alarm

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
RECENT = 1000
COMMITS = (1e-4, 2e-4, 5e-4, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Seconds, from a good disk's tenth of a millisecond to an SD card on its worst days."""


class Metrics:
    """The registry and what is counted where it happens."""

    def __init__(self, version: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self.events = Counter(
            "storewarden_events",
            "Events handled.",
            ["device", "signal"],
            registry=registry,
        )
        self.fired = Counter(
            "storewarden_rule_fired", "Times a rule fired.", ["rule"], registry=registry
        )
        self.blind = Counter(
            "storewarden_rule_blind",
            "Times a rule did not fire because a state was unknown.",
            ["rule"],
            registry=registry,
        )
        self.reaction = Histogram(
            "storewarden_reaction_seconds",
            "From the edge seen to the order handed to the device.",
            ["priority"],
            buckets=SECONDS,
            registry=registry,
        )
        self.order = Histogram(
            "storewarden_order_seconds",
            "From the edge seen to the device's confirmation.",
            ["device", "command"],
            buckets=SECONDS,
            registry=registry,
        )
        self.failed = Counter(
            "storewarden_orders_failed",
            "Orders that were refused or not confirmed.",
            ["device", "command"],
            registry=registry,
        )
        self.up = Gauge(
            "storewarden_device_up", "1 while the device is heard.", ["device"], registry=registry
        )
        self.seen = Gauge(
            "storewarden_device_last_seen_timestamp_seconds",
            "When the device last said something, Unix time.",
            ["device"],
            registry=registry,
        )
        self.bypassed = Gauge(
            "storewarden_device_bypassed",
            "1 while the device is bypassed by a person.",
            ["device"],
            registry=registry,
        )
        self.commit = Histogram(
            "storewarden_journal_commit_seconds",
            "One commit of the journal, synced.",
            buckets=COMMITS,
            registry=registry,
        )
        self.trusted = Gauge(
            "storewarden_clock_trusted", "1 while the wall clock is trusted.", registry=registry
        )
        self.lag = Gauge(
            "storewarden_loop_lag_seconds",
            "How late the event loop woke last.",
            registry=registry,
        )
        self.refused = Gauge(
            "storewarden_config_refused",
            "1 while the last good configuration runs in place of a refused one.",
            registry=registry,
        )
        self.build = Gauge(
            "storewarden_build_info",
            "Version and configuration, always 1.",
            ["version", "config"],
            registry=registry,
        )
        self._version = version
        self._rules: set[str] = set()
        self.handled = 0
        self.firings = 0
        self.evicted: Counter_[tuple[str, str]] = Counter_()
        """Records that left the journal before the broker had them, by priority and reason."""
        self.gates: dict[str, Alarm] = {}
        """The last alarm of each gate."""
        self.wear: float | None = None
        """How much of the disk's life is used, 0 to 1; None where the disk does not say."""
        self.ends: Mapping[str, int] = {}
        """How often a run of the daemon ended for which reason; empty until it was looked at."""
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._read: _Read | None = None

    def reacted(self, priority: str, seconds: float) -> None:
        """Count one reaction: from the edge seen to the order handed over."""
        self.reaction.labels(priority).observe(seconds)
        self._recent.append(seconds)

    def heard(self, event: Event) -> None:
        """Count one event that was handled."""
        self.events.labels(event.device, event.kind).inc()
        self.handled += 1
        if (alarm := gates.of(event)) is not None:
            self.gates[event.device] = alarm

    def recent_reactions(self) -> dict[str, float]:
        """Return how many of the last 1,000 reactions there were, and their p50 and p99."""
        found = sorted(self._recent)
        if not found:
            return {"count": 0, "p50": 0.0, "p99": 0.0}
        last = len(found) - 1
        return {
            "count": len(found),
            "p50": found[round(last * 0.5)],
            "p99": found[round(last * 0.99)],
        }

    def configured(
        self, config: str, devices: Mapping[str, Iterable[str]], rules: Iterable[str]
    ) -> None:
        """Show which configuration runs, with its rules and devices (to their commands) at 0."""
        self.ruled(config, rules)
        for per_device in (self.up, self.seen, self.bypassed):
            per_device.clear()
        for device, commands in devices.items():
            self.up.labels(device).set(0)
            self.bypassed.labels(device).set(0)
            for command in commands:
                self.failed.labels(device, command)

    def ruled(self, config: str, rules: Iterable[str]) -> None:
        """Show which configuration runs, with its rules; those that are gone are shown no more."""
        self.build.clear()
        self.build.labels(self._version, config).set(1)
        here = set(rules)
        for gone in self._rules - here:
            self.fired.remove(gone)
            self.blind.remove(gone)
        for rule in here - self._rules:
            self.fired.labels(rule)
            self.blind.labels(rule)
        self._rules = here

    def page(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def collect_with(self, collect: Callable[[], Iterator[Metric]]) -> None:
        """Take what is read at each scrape from `collect`, and from nobody else any more."""
        if self._read is not None:
            self.registry.unregister(self._read)
        self._read = _Read(collect)
        self.registry.register(self._read)


class _Read(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()

    def describe(self) -> Iterator[Metric]:
        return iter(())


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a gauge without labels, to be read at a scrape."""
    family = GaugeMetricFamily(f"storewarden_{name}", text)
    family.add_metric([], value)
    return family


def per_device(name: str, text: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge of each device, to be read at a scrape."""
    family = GaugeMetricFamily(f"storewarden_{name}", text, labels=["device"])
    for device, value in values.items():
        family.add_metric([device], value)
    return family


def counter(name: str, text: str, values: dict[tuple[str, ...], float], *labels: str) -> Metric:
    """Return a counter with labels, to be read at a scrape."""
    family = CounterMetricFamily(f"storewarden_{name}", text, labels=labels)
    for words, value in values.items():
        family.add_metric(list(words), value)
    return family
