"""Write the dashboards for Grafana, from the panels: `python -m monitoring.make_dashboards`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from monitoring.panels import FLEET, STORE, Panel

FOLDER = Path(__file__).parent / "dashboards"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
KINDS: Mapping[str, Any] = {
    "stat": stat.Panel,
    "lines": timeseries.Panel,
    "table": table.Panel,
    "timeline": statetimeline.Panel,
}


def written() -> dict[str, str]:
    """Return the text of each dashboard's file, by name."""
    made = {"fleet.json": fleet(), "store.json": store()}
    return {name: text_of(one) for name, one in made.items()}


def text_of(made: Dashboard) -> str:
    """Return a dashboard as the text of its file."""
    return json.dumps(made, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def fleet() -> Dashboard:
    """Return the dashboard of all stores."""
    made = _begun("Storewarden: all stores", "storewarden-fleet", "Which store needs somebody.")
    return _filled(made, FLEET)


def store() -> Dashboard:
    """Return the dashboard of one store."""
    made = _begun("Storewarden: one store", "storewarden-store", "What goes on in one store.")
    made.with_variable(_asked("site", 'label_values(up{job="storewarden"}, site)'))
    devices = _asked("device", 'label_values(storewarden_device_up{site="$site"}, device)')
    made.with_variable(devices.multi(True).include_all(True).all_value(".*"))  # noqa: FBT003
    return _filled(made, STORE)


def _begun(title: str, uid: str, shows: str) -> dashboard.Dashboard:
    other = dashboard.DashboardLink("Storewarden").type(DashboardLinkType.DASHBOARDS)
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(shows)
        .tags(["storewarden"])
        .link(other.tags(["storewarden"]).keep_time(True))  # noqa: FBT003
        .time("now-6h", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
    )


def _asked(name: str, query: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _filled(made: dashboard.Dashboard, rows: Mapping[str, Sequence[Panel]]) -> Dashboard:
    for title, panels in rows.items():
        made.with_row(dashboard.Row(title))
        for panel in panels:
            made.with_panel(_drawn(panel))
    built = made.build()
    for number, one in enumerate(built.panels or (), 1):
        one.id_val = number
    return built


def _drawn(panel: Panel) -> Any:
    made = (
        KINDS[panel.kind]()
        .title(panel.title)
        .description(panel.shows)
        .datasource(SOURCE)
        .unit(panel.unit)
        .span(panel.width)
        .height(panel.height)
    )
    if panel.bad is not None:
        made.thresholds(_colours("green", panel.bad, "red"))
    if panel.kind == "timeline":
        made.thresholds(_colours("red", 1, "green"))
    if panel.kind == "stat":
        made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    if panel.kind == "table":
        hidden = {"excludeByName": {"Time": True, "__name__": True, "job": True, "instance": True}}
        made.with_transformation(DataTransformerConfig(id_val="organize", options=hidden))
    for letter, (ask, legend) in zip("ABCDEF", panel.asks, strict=False):
        made.with_target(_target(panel, letter, ask, legend))
    return made


def _target(panel: Panel, letter: str, ask: str, legend: str) -> prometheus.Dataquery:
    made = prometheus.Dataquery().expr(ask).ref_id(letter).datasource(SOURCE)
    if legend:
        made.legend_format(legend)
    if panel.kind == "table":
        return made.instant().format(PromQueryFormat.TABLE)
    return made.instant() if panel.kind == "stat" else made.range()


def _colours(below: str, edge: float, above: str) -> Any:
    steps = [Threshold(value=None, color=below), Threshold(value=edge, color=above)]
    return dashboard.ThresholdsConfig().steps(steps)


def _main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in written().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    _main()
