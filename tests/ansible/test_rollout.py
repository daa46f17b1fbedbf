"""Five stores at once over ssh: installed, passed again, and left alone by what is not good."""

from pathlib import Path

import pytest

from edge.version import VERSION
from tests.ansible.five import TARGETS, fleet, release_of
from tests.broker import mosquitto

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
STORES = 5


def test_a_fleet_is_installed_ring_by_ring_and_what_is_broken_stops_at_its_first_store(
    tmp_path: Path,
) -> None:
    with fleet(tmp_path, STORES) as (stores, key):
        bundle = release_of(tmp_path, VERSION, key, TARGETS["bookworm"])
        first = stores.good("rollout", "-e", f"storewarden_bundle={bundle}")
        assert {host: n["failed"] for host, n in first.items() if host != "localhost"} == {
            f"store_{n}": 0 for n in range(STORES)
        }
        assert stores.runs() == [VERSION] * STORES

        again = stores.good("rollout", "-e", f"storewarden_bundle={bundle}")
        assert {n["changed"] for n in again.values()} == {0}

        stores.rules.write_text(
            stores.rules.read_text().replace("incident: sale}]\n", "incident: no}]\n")
        )
        refused = stores.play("rules")
        assert refused.returncode != 0
        assert "store_" not in refused.stdout.split("PLAY RECAP")[-1], "no store was touched"

        stores.good("uninstall", "--limit", "store_4")
        assert stores.runs() == [VERSION] * (STORES - 1) + ["none"]
