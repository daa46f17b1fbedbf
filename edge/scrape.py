"""The metrics that are read at a scrape: journal, uplink, evacuation."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from drivers.event import SITE
from drivers.priorities import Priority
from edge import gates
from edge.assembly import Parts
from edge.metrics import counter, gauge, per_device
from rules.states import LINK

FIRE_PANEL = "fire_panel"


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
    states, devices = parts.decider.engine.states, parts.configuration.devices
    links = {
        device: float(states.value(device, LINK) == "up")
        for device, one in devices.items()
        if one.type == FIRE_PANEL
    }
    yield per_device("fire_link_up", "1 while the fire panel is heard.", links)
    proven = gates.times(parts.metrics.gates, devices, parts.cloud.corrections)
    yield per_device(
        "gate_last_alarm_timestamp_seconds",
        "When the gate last said eas.alarm, Unix time; 0 where it never has.",
        proven,
    )
    yield gauge(
        "site_open",
        "1 while the store is open; 0 also where that is not known.",
        float(states.value(SITE, "open") == "yes"),
    )
    runs: dict[tuple[str, ...], float] = {
        (reason,): float(count) for reason, count in parts.metrics.ends.items()
    }
    yield counter("restarts", "Runs of the daemon that ended, by reason.", runs, "reason")
    wear = GaugeMetricFamily(
        "storewarden_disk_wear_ratio",
        "How much of the disk's life is used, where the disk says so.",
    )
    if parts.metrics.wear is not None:
        wear.add_metric([], parts.metrics.wear)
    yield wear
    active = states.value(SITE, "evacuation") == "yes"
    yield gauge("evacuation_active", "1 while the latch is set.", float(active))
