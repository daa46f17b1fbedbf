"""The dashboards in the tree are what the code makes, and what Grafana's own library reads."""

import json
import re

import pytest

pytest.importorskip("grafana_foundation_sdk")

from grafana_foundation_sdk.models.dashboard import Dashboard, RowPanel

from monitoring import make_dashboards as dashboards
from monitoring.panels import FLEET, STORE, Panel
from tests.monitoring.promtool import ROOT
from tests.monitoring.test_rules import RECORDS

WRITTEN = dashboards.written()


@pytest.mark.parametrize("name", WRITTEN)
def test_the_file_is_what_the_code_makes(name: str) -> None:
    assert (dashboards.FOLDER / name).read_text() == WRITTEN[name], (
        "write it anew: .venv/bin/python -m monitoring.make_dashboards"
    )


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_read_back_is_what_was_written(name: str) -> None:
    read = Dashboard.from_json(json.loads(WRITTEN[name]))

    assert dashboards.text_of(read) == WRITTEN[name]


@pytest.mark.parametrize("name", WRITTEN)
def test_panels_stand_side_by_side_without_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    ids = []
    for panel in Dashboard.from_json(json.loads(WRITTEN[name])).panels or ():
        place = panel.grid_pos
        assert place is not None
        cells = {
            (x, y)
            for x in range(place.x, place.x + place.w)
            for y in range(place.y, place.y + place.h)
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
        ids.append(panel.id_val)
        assert isinstance(panel, RowPanel) or panel.description
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("rows", [FLEET, STORE], ids=["fleet", "store"])
def test_panels_ask_for_what_there_is(rows: dict[str, tuple[Panel, ...]]) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    known = set(re.findall(r"^\| `(storewarden_\w+)` \|", page, re.M))
    known |= {rule["record"] for rule in RECORDS}
    titles = [panel.title for panels in rows.values() for panel in panels]
    assert len(set(titles)) == len(titles)
    for panel in (panel for panels in rows.values() for panel in panels):
        for ask, _ in panel.asks:
            for name in re.findall(r"[\w:]*storewarden_[\w:]+", ask):
                assert re.sub(r"(_seconds)_(bucket|sum|count)$", r"\1", name) in known, name
