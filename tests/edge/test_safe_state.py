"""Outputs brought to their declared state with the drivers alone, over real Modbus."""

from __future__ import annotations

import asyncio
from pathlib import Path

from drivers.sim import modbus
from edge.safe_state import bring
from tests.edge.shop import shop

DEVICES = """
io:
  annex:
    type: modbus
    url: "{url}"
    unit: 1
    poll: 20ms
    profile: moxa_e1214
devices:
  siren: {{type: siren, output: annex.do0}}
  beacon: {{type: beacon, output: annex.do1, at_stop: "on"}}
  light: {{type: switch, output: annex.do2, at_stop: keep}}
  lock: {{type: lock, output: annex.do3}}
"""
SITE = "site: shop\nevacuation: {on: []}\n"
RULES = "rules: {}\n"
LIMIT = 30.0


def test_every_output_goes_to_what_at_stop_says_and_keep_is_left_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with asyncio.timeout(LIMIT), modbus.simulate("moxa_e1214") as module:
            for output in ("do0", "do2", "do3"):
                module.force_output(output, True)
            devices = DEVICES.format(url=module.url)
            configuration = shop(tmp_path, site=SITE, devices=devices, rules=RULES)
            assert await bring(configuration, 10.0) == {"siren": "", "beacon": "", "lock": ""}
            found = {name: module.outputs[name] for name in ("do0", "do1", "do2", "do3")}
            assert found == {"do0": False, "do1": True, "do2": True, "do3": False}

    asyncio.run(main())


def test_a_module_that_does_not_answer_is_told_after_the_time(tmp_path: Path) -> None:
    async def main() -> None:
        devices = DEVICES.format(url="tcp://127.0.0.1:1")
        configuration = shop(tmp_path, site=SITE, devices=devices, rules=RULES)
        async with asyncio.timeout(LIMIT):
            outcome = await bring(configuration, 0.5)
        assert set(outcome) == {"siren", "beacon", "lock"}
        assert all(outcome.values())

    asyncio.run(main())
