"""Five stores at once over ssh: installed, passed again, and left alone by what is not good."""

from pathlib import Path

import pytest

from edge.version import VERSION
from tests.ansible.five import TARGETS, fleet, release_of
from tests.broker import mosquitto

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
STORES = 5
BROKEN = "9.0.2"


def test_a_fleet_is_installed_ring_by_ring_and_what_is_broken_stops_at_its_first_store(
    tmp_path: Path,
) -> None:
    with fleet(tmp_path, STORES, batches="[1, 100%]") as (stores, key):
        bundle = release_of(tmp_path, VERSION, key, TARGETS["bookworm"])
        first = stores.good("rollout", "-e", f"storewarden_bundle={bundle}")
        names = [f"store_{n}" for n in range(STORES)]
        assert [first[name]["failed"] for name in names] == [0] * STORES
        assert stores.runs() == [VERSION] * STORES

        again = stores.good("rollout", "-e", f"storewarden_bundle={bundle}")
        assert [numbers["changed"] for numbers in again.values()] == [0] * (STORES + 1)

        rules = stores.rules.read_text()
        stores.rules.write_text(rules.replace("incident: sale}]\ntests", "incident: no}]\ntests"))
        refused = stores.play("rules")
        assert refused.returncode != 0
        assert "store_" not in refused.stdout.split("PLAY RECAP")[-1], "no store was asked"
        stores.rules.write_text(rules)

        broken = release_of(tmp_path, BROKEN, key, TARGETS["bookworm"], broken=True)
        stopped = stores.play("upgrade", "-e", f"storewarden_bundle={broken}")
        assert stopped.returncode != 0
        assert f"back to {VERSION} from {BROKEN}: {BROKEN} ended by itself" in stopped.stdout
        assert stores.runs() == [VERSION] * STORES
        there = [store.folder / "opt/storewarden/releases" / BROKEN for store in stores.stores]
        assert [folder.exists() for folder in there] == [True] + [False] * (STORES - 1)

        stores.good("uninstall", "--limit", "store_4")
        assert stores.runs() == [VERSION] * (STORES - 1) + ["none"]
