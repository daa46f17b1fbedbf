"""The metrics that are read at a scrape: journal, uplink, evacuation."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from drivers.event import SITE
from drivers.priorities import Priority
from edge.assembly import Parts
from edge.metrics import counter, gauge


def register(parts: Parts) -> None:
    """Add to the page what the parts know; a later call takes the place of an earlier one."""
    parts.metrics.collect_with(lambda: _read(parts))


def _read(parts: Parts) -> Iterator[Metric]:
    stats, uplink = parts.writer.stats, parts.cloud.status()
    yield gauge("journal_records", "Records in the journal.", parts.cloud.records())
    yield gauge("journal_bytes", "Bytes of the journal on disk.", parts.cloud.bytes())
    dropped: dict[tuple[str, ...], float] = {
        (Priority(p).name, "disk"): float(count) for p, count in enumerate(stats.lost)
    }
    dropped |= {
        (p.name, reason): float(parts.metrics.evicted[p.name, reason])
        for p in Priority
        for reason in ("quota", "age")
    }
    dropped["unknown", "damage"] = float(parts.metrics.evicted["unknown", "damage"])
    yield counter(
        "journal_dropped", "Unsent records that were lost.", dropped, "priority", "reason"
    )
    yield gauge("uplink_connected", "1 while the broker is connected.", uplink["connected"])
    yield gauge("uplink_backlog_records", "Records the broker lacks.", uplink["backlog"])
    yield gauge(
        "uplink_oldest_unsent_seconds", "Age of the oldest of them.", uplink["oldest_unsent"]
    )
    published: dict[tuple[str, ...], float] = {(): float(uplink["published"])}
    yield counter("uplink_published", "Records the broker has acknowledged.", published)
    rejected: dict[tuple[str, ...], float] = {(): float(uplink["rejected"])}
    yield counter("uplink_rejected", "Answers of the broker that refused something.", rejected)
    yield gauge(
        "uplink_refused_records", "Refused records that are tried again.", uplink["refused"]
    )
    yield gauge(
        "uplink_set_aside_records", "Records that the broker will never take.", uplink["set_aside"]
    )
    ends = GaugeMetricFamily(
        "storewarden_certificate_expiry_timestamp_seconds",
        "When a certificate of the uplink ends, Unix time.",
        labels=["certificate"],
    )
    for which, when in parts.cloud.certificates().items():
        ends.add_metric([which], when)
    yield ends
    active = parts.decider.engine.states.value(SITE, "evacuation") == "yes"
    yield gauge("evacuation_active", "1 while the latch is set.", float(active))
