"""What the two dashboards show: every panel with what it asks Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FIRING = 'ALERTS{alertname=~"Storewarden.*", alertstate="firing"}'
RANGE = "$__rate_interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; `kind` is how it is drawn."""

    title: str
    shows: str
    """For whoever looks: what it means."""
    kind: Literal["stat", "lines", "table", "timeline"]
    asks: tuple[tuple[str, str], ...]
    """PromQL and legend of each query."""
    unit: str = "short"
    bad: float | None = None
    """From here on it is red."""
    width: int = 12
    height: int = 8


def stat(
    title: str,
    shows: str,
    ask: str,
    unit: str = "short",
    bad: float | None = None,
    legend: str = "",
    width: int = 4,
) -> Panel:
    """Return a panel with one number."""
    return Panel(
        title=title,
        shows=shows,
        kind="stat",
        asks=((ask, legend),),
        unit=unit,
        bad=bad,
        width=width,
        height=4,
    )


def lines(title: str, shows: str, *asks: tuple[str, str], unit: str = "short") -> Panel:
    """Return a panel of curves."""
    return Panel(title=title, shows=shows, kind="lines", asks=asks, unit=unit)


def table(title: str, shows: str, ask: str, unit: str = "short") -> Panel:
    """Return a panel with a row for each series."""
    return Panel(title=title, shows=shows, kind="table", asks=((ask, ""),), unit=unit)


def timeline(title: str, shows: str, ask: str, legend: str) -> Panel:
    """Return a panel with a bar for each series: green at 1, red at 0."""
    return Panel(title=title, shows=shows, kind="timeline", asks=((ask, legend),))


def count(ask: str) -> str:
    """Return a query that counts series, and is 0 where there are none."""
    return f"count({ask}) or vector(0)"


HEARD = "site:storewarden_up:max5m"
GATE = "storewarden_gate_last_alarm_timestamp_seconds"

FLEET: dict[str, tuple[Panel, ...]] = {
    "Now": (
        stat("Stores heard", "Boxes whose metrics answer.", count(f"{HEARD} == 1")),
        stat(
            "Stores gone",
            "Heard within a week, and not now.",
            count("site:storewarden_known:7d unless on (site) (site:storewarden_up:max5m == 1)"),
            bad=1,
        ),
        stat(
            "Evacuations",
            "Stores whose latch is set, drills too.",
            count("site:storewarden_evacuation_active:last5m == 1"),
            bad=1,
        ),
        stat(
            "Fire links unknown",
            "Panels that nobody hears.",
            count("storewarden_fire_link_up == 0"),
            bad=1,
        ),
        stat(
            "Devices down",
            "Devices and I/O modules that can't be heard.",
            "sum(site:storewarden_devices_down:count)",
            bad=1,
        ),
        stat(
            "Stores without link",
            "Stores that have something to send and no broker.",
            count(
                "site:storewarden_uplink_connected:last5m == 0"
                " and site:storewarden_uplink_backlog_records:last5m > 0"
            ),
            bad=1,
        ),
    ),
    "Alerts": (
        table("Firing", "What a person was or will be called for.", FIRING),
        lines(
            "Alerts by name",
            "How many stores have each.",
            (f"count by (alertname) ({FIRING})", "{{alertname}}"),
        ),
    ),
    "What happens": (
        lines(
            "Events",
            "Events handled, all stores.",
            ("sum(site:storewarden_events:rate5m)", "events"),
            unit="cps",
        ),
        lines(
            "Firings in an hour",
            "The ten stores whose rules fired most.",
            ("topk(10, site:storewarden_rule_fired:increase1h)", "{{site}}"),
        ),
        lines(
            "Reaction, all stores",
            "From the edge seen to the order handed over.",
            ("histogram_quantile(0.5, le:storewarden_reaction_seconds_bucket:rate5m)", "p50"),
            ("histogram_quantile(0.99, le:storewarden_reaction_seconds_bucket:rate5m)", "p99"),
            unit="s",
        ),
        lines(
            "Orders that failed in an hour",
            "The ten stores with most.",
            ("topk(10, site:storewarden_orders_failed:increase1h)", "{{site}}"),
        ),
    ),
    "Upstream": (
        lines(
            "Backlog",
            "Records that the broker lacks: the ten stores with most.",
            ("topk(10, site:storewarden_uplink_backlog_records:last5m)", "{{site}}"),
        ),
        lines(
            "Records lost in an hour",
            "Left a journal before the broker had them.",
            ("topk(10, site:storewarden_journal_dropped:increase1h)", "{{site}}"),
        ),
        table(
            "Certificates that end first",
            "Seconds until a certificate of the uplink ends.",
            "bottomk(20, storewarden_certificate_expiry_timestamp_seconds - time())",
            unit="s",
        ),
        stat(
            "Published",
            "Records a second that brokers have acknowledged.",
            f"sum(rate(storewarden_uplink_published_total[{RANGE}]))",
            unit="cps",
        ),
        stat(
            "Clocks untrusted",
            "Boxes whose clock nobody has set.",
            count("storewarden_clock_trusted == 0"),
            bad=1,
        ),
        stat(
            "Old configurations",
            "Boxes that refuse their configuration and run an older one.",
            count("storewarden_config_refused == 1"),
            bad=1,
        ),
    ),
    "Boxes": (
        table(
            "Versions",
            "How many boxes run which release.",
            "count by (version) (storewarden_build_info)",
        ),
        table(
            "Gates not proven for a day",
            "Seconds since the gate last alarmed, the longest first.",
            f"topk(50, time() - {GATE} > 26 * 3600)",
            unit="s",
        ),
        lines(
            "Restarts in a day",
            "Why daemons ended that nobody stopped.",
            (
                'sum by (reason) (increase(storewarden_restarts_total{reason!="stop"}[1d]))',
                "{{reason}}",
            ),
        ),
        table(
            "Worn disks",
            "How much of the disk's life is used, the worst first; only where a disk says so.",
            "topk(20, storewarden_disk_wear_ratio)",
            unit="percentunit",
        ),
    ),
}

OF = '{site="$site"}'
OF_DEVICE = '{site="$site", device=~"$device"}'

STORE: dict[str, tuple[Panel, ...]] = {
    "Now": (
        stat("Heard", "1 while the metrics of the box answer.", HEARD + OF),
        stat("Open", "1 while the store is open.", "storewarden_site_open" + OF),
        stat(
            "Evacuation",
            "1 while the latch is set, in a drill too.",
            "storewarden_evacuation_active" + OF,
            bad=1,
        ),
        stat("Broker", "1 while it is connected.", "storewarden_uplink_connected" + OF),
        stat("Clock", "1 while it is trusted.", "storewarden_clock_trusted" + OF),
        stat(
            "Configuration refused",
            "1 while an older one runs.",
            "storewarden_config_refused" + OF,
            bad=1,
        ),
    ),
    "Devices": (
        timeline(
            "Devices heard",
            "Green while the device is heard.",
            "storewarden_device_up" + OF_DEVICE,
            "{{device}}",
        ),
        timeline(
            "Fire panels",
            "Green while the panel is heard. Unknown is never normal.",
            "storewarden_fire_link_up" + OF,
            "{{device}}",
        ),
        table(
            "Firing",
            "Alerts of this store.",
            FIRING.replace("}", ', site="$site"}'),
        ),
        table(
            "Gates",
            "Seconds since each gate last alarmed; the time since 1970 where it never has.",
            f"time() - {GATE}{OF}",
            unit="s",
        ),
        table(
            "Bypassed",
            "1 where a person has taken a device out of service for a time.",
            "storewarden_device_bypassed" + OF_DEVICE,
        ),
        table(
            "Silent for",
            "Seconds since each device last said something.",
            "time() - storewarden_device_last_seen_timestamp_seconds" + OF_DEVICE,
            unit="s",
        ),
    ),
    "What happens": (
        lines(
            "Events",
            "What devices said, by signal.",
            (f"sum by (signal) (rate(storewarden_events_total{OF_DEVICE}[{RANGE}]))", "{{signal}}"),
            unit="cps",
        ),
        lines(
            "Firings in an hour",
            "By rule.",
            (f"increase(storewarden_rule_fired_total{OF}[1h]) > 0", "{{rule}}"),
        ),
        lines(
            "Blind in an hour",
            "Rules that did not act for they could not know.",
            (f"increase(storewarden_rule_blind_total{OF}[1h])", "{{rule}}"),
        ),
        lines(
            "Reaction",
            "From the edge seen to the order handed over, by priority.",
            (
                "histogram_quantile(0.99, sum by (le, priority)"
                f" (rate(storewarden_reaction_seconds_bucket{OF}[{RANGE}])))",
                "p99 {{priority}}",
            ),
            unit="s",
        ),
        lines(
            "Orders",
            "From the edge seen to the device's confirmation, on average.",
            (
                f"rate(storewarden_order_seconds_sum{OF}[{RANGE}])"
                f" / rate(storewarden_order_seconds_count{OF}[{RANGE}])",
                "{{device}} {{command}}",
            ),
            unit="s",
        ),
        lines(
            "Orders that failed in an hour",
            "Refused or not confirmed.",
            (
                f"increase(storewarden_orders_failed_total{OF_DEVICE}[1h])",
                "{{device}} {{command}}",
            ),
        ),
    ),
    "Journal and uplink": (
        lines(
            "Journal",
            "Bytes on disk.",
            ("storewarden_journal_bytes" + OF, "bytes"),
            unit="bytes",
        ),
        lines("Records", "In the journal.", ("storewarden_journal_records" + OF, "records")),
        lines(
            "Commits",
            "How long the disk takes.",
            (
                "histogram_quantile(0.99, sum by (le)"
                f" (rate(storewarden_journal_commit_seconds_bucket{OF}[{RANGE}])))",
                "p99",
            ),
            unit="s",
        ),
        lines(
            "Waiting for the broker",
            "Records that it lacks, will never take, and has refused for now.",
            ("storewarden_uplink_backlog_records" + OF, "lacks"),
            ("storewarden_uplink_set_aside_records" + OF, "never takes"),
            ("storewarden_uplink_refused_records" + OF, "refused for now"),
        ),
        lines(
            "Oldest unsent",
            "Its age.",
            ("storewarden_uplink_oldest_unsent_seconds" + OF, "age"),
            unit="s",
        ),
        lines(
            "Published and refused",
            "Answers of the broker.",
            (f"rate(storewarden_uplink_published_total{OF}[{RANGE}])", "published"),
            (f"rate(storewarden_uplink_rejected_total{OF}[{RANGE}])", "refused"),
            unit="cps",
        ),
        lines(
            "Lost in an hour",
            "Left the journal before the broker had them.",
            (
                f"sum by (priority, reason) (increase(storewarden_journal_dropped_total{OF}[1h]))",
                "{{priority}} {{reason}}",
            ),
        ),
        table(
            "Certificates",
            "Seconds until each ends.",
            f"storewarden_certificate_expiry_timestamp_seconds{OF} - time()",
            unit="s",
        ),
    ),
    "Box": (
        table("Release", "Version and configuration.", "storewarden_build_info" + OF),
        lines(
            "Loop lag",
            "How late the event loop woke.",
            ("storewarden_loop_lag_seconds" + OF, "lag"),
            unit="s",
        ),
        lines(
            "Restarts in a day",
            "Why the daemon ended when nobody stopped it.",
            (
                'increase(storewarden_restarts_total{site="$site", reason!="stop"}[1d])',
                "{{reason}}",
            ),
        ),
        lines(
            "Disk wear",
            "How much of the disk's life is used; empty where the disk does not say.",
            ("storewarden_disk_wear_ratio" + OF, "used"),
            unit="percentunit",
        ),
    ),
}
