"""The inventory of stores: what a store is given, and every mistake at its place."""

import json
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ansible.fleet_files import ANSIBLE, ansible, many, stores, tree

SMALL = """\
rings: [canary, rest]
zones: [north]
templates:
  base: {timezone: Europe/London, values: {net: 10.0.0}}
  small:
    extends: base
    hours: {mon-sat: "09:00-21:00"}
    vars: {propped_after: 2m}
    site: {mqtt: {url: "mqtts://broker:8883", password: !secret mqtt}, evacuation: {on: []}}
    io: {annex: {type: modbus, url: "tcp://${net}.20:502", unit: 1}}
    devices:
      door: {type: door, contact: annex.di1, held_after: 30s, tags: [a, b]}
      gate: {type: eas_pedestal, alarm: annex.di0}
stores:
"""


def wrong(text: str) -> list[str]:
    with pytest.raises(tree.StoresWrong) as caught:
        stores.read_text(text, "stores.yaml")
    return str(caught.value).splitlines()


def test_a_store_is_its_template_with_what_differs_laid_over_it() -> None:
    own = """\
  store_1:
    template: small
    address: 10.4.21.10
    values: {net: 10.4.21}
    hours: {sun: "10:00-18:00"}
    vars: {propped_after: 5m}
    site: {mqtt: {window: 5}}
    devices: {door: {held_after: 2m, tags: [c]}, gate: ~}
"""
    (store,) = stores.read_text(SMALL + own, "stores.yaml")
    assert store.site_yaml == (
        'site: store_1\ntimezone: Europe/London\nhours:\n  mon-sat: "09:00-21:00"\n'
        '  sun: "10:00-18:00"\nmqtt:\n  url: "mqtts://broker:8883"\n  password: !secret mqtt\n'
        "  window: 5\nevacuation:\n  on: []\nvars:\n  propped_after: 5m\n"
    )
    assert store.devices_yaml == (
        'io:\n  annex:\n    type: modbus\n    url: "tcp://10.4.21.20:502"\n    unit: 1\n'
        "devices:\n  door:\n    type: door\n    contact: annex.di1\n    held_after: 2m\n"
        "    tags:\n      - c\n"
    )
    assert (store.ring, store.zone, store.timezone) == ("rest", "", "Europe/London")


def test_templates_are_laid_over_each_other_from_left_to_right() -> None:
    text = """\
templates:
  one: {vars: {a: 1, b: 1, c: 1}}
  two: {vars: {b: 2, c: 2}}
  both: {extends: [one, two], vars: {c: 3}}
stores:
  s1: {template: both, address: 10.0.0.1, vars: {d: 4}}
"""
    (store,) = stores.read_text(text, "stores.yaml")
    assert store.site_yaml == "site: s1\nvars:\n  a: 1\n  b: 2\n  c: 3\n  d: 4\n"


def test_stores_come_ring_by_ring() -> None:
    own = "".join(
        f"  s{n}: {{template: small, address: 10.0.0.{n}, ring: {ring}}}\n"
        for n, ring in ((1, "rest"), (2, "canary"), (3, "rest"), (4, "canary"))
    )
    found = [store.id for store in stores.read_text(SMALL + own, "stores.yaml")]
    assert found == ["s2", "s4", "s1", "s3"]


def test_all_mistakes_are_said_at_once_each_at_its_place() -> None:
    own = """\
  store_1: {template: smal, address: 10.4.21.10}
  store_2: {template: small, adress: 10.4.21.11}
  store_3: {template: small, address: 10.4.21.300, ring: canari, zone: west}
  store_4: {template: small, address: 10.4.21.10, timezone: Europe/Londn, devices: [door]}
  store_4: {template: small, address: 10.4.21.14}
  Store_5: {template: small, address: 10.4.21.15, port: 70000}
"""
    assert wrong(SMALL + own) == ["stores.yaml:19:3: 'store_4' stands here twice"]
    assert wrong(
        SMALL + own.replace("  store_4: {template: small, address: 10.4.21.14}\n", "")
    ) == [
        "stores.yaml:15:13: unknown template 'smal', did you mean small?",
        "stores.yaml:16:12: 'address' is missing",
        "stores.yaml:16:30: unknown key 'adress', did you mean address?",
        "stores.yaml:17:30: '10.4.21.300' is neither an address nor a host's name",
        "stores.yaml:17:52: unknown ring 'canari', did you mean canary?",
        "stores.yaml:17:66: unknown zone 'west'",
        "stores.yaml:18:30: store_1 has the address 10.4.21.10 already",
        "stores.yaml:18:51: unknown time zone 'Europe/Londn', did you mean Europe/London?",
        "stores.yaml:18:84: 'devices' is a mapping",
        "stores.yaml:19:3: 'Store_5' is no name here: lower case letters, digits and _",
        "stores.yaml:19:51: '70000' is not a port",
    ]


def test_a_value_that_stores_lack_is_said_once_where_it_is_used() -> None:
    text = """\
templates:
  a: {site: {mqtt: {url: "mqtts://${brokr}:8883"}}}
stores:
  s1: {template: a, address: 10.0.0.1}
  s2: {template: a, address: 10.0.0.2}
  s3: {template: a, address: 10.0.0.3, values: {brokr: b.example.com}}
"""
    assert wrong(text) == ["stores.yaml:2:26: s1 and 1 more have no 'brokr' under 'values'"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["stores.yaml:1:1: there are no 'stores'"]),
        ("- a\n", ["stores.yaml:1:1: the file is a mapping with 'templates' and 'stores'"]),
        ("stores: {a: [}\n", ["stores.yaml:1:14: did not find expected node content"]),
        (
            "templates: {a: {extends: b}, b: {extends: a}}\nstores: {s: {template: a, address: h}}",
            ["stores.yaml:1:34: a extends b extends a: a circle"],
        ),
        (
            "templates: {a: {vars: {x: !vault y}}}\nstores: {s: {template: a, address: h}}",
            ["stores.yaml:1:27: unknown tag '!vault': there are !secret and !var"],
        ),
        (
            "templates: {a: {}}\nx: &x {b: 1}\nstores: {s: {<<: *x, template: a, address: h}}",
            ["stores.yaml:3:14: '<<' is not known here: write what is common as a template"],
        ),
        (
            "templates: {a: {rules: {b: 1}}}\nstores: {s: {template: a, address: [h]}}",
            [
                "stores.yaml:1:24: 'rules' is a list of words",
                "stores.yaml:2:36: 'address' is a word",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_no_inventory_is_refused_in_words(text: str, said: list[str]) -> None:
    assert wrong(text) == said


def test_a_folder_of_rules_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "rules" / name).mkdir(parents=True)
        (tmp_path / "rules" / name / "doors.yaml").touch()
    file = tmp_path / "stores.yaml"
    file.write_text(
        "templates: {a: {rules: [one, two]}}\nstores:\n"
        "  s1: {template: a, address: h1}\n"
        "  s2: {template: a, address: h2, rules: [three], rules_local: own}\n"
    )
    with pytest.raises(tree.StoresWrong) as caught:
        stores.read(file)
    assert str(caught.value).splitlines() == [
        f"{file}:1:17: rules/one and rules/two both have doors.yaml",
        f"{file}:4:34: there is no folder rules/three beside the file",
        f"{file}:4:50: there is no folder rules.local/own beside the file",
    ]


WORDS = st.sampled_from(
    ["templates", "stores", "a", "s1", "extends", "template", "address", "hours", "site", "rings",
     "~", "10.0.0.1", "${net}", "${", "!secret x", "devices", "rules", "", "on: off", "- x", "ä\t"]
)  # fmt: skip
TREES = st.recursive(
    WORDS | st.none() | st.integers(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(WORDS, below, max_size=5),
    max_leaves=25,
)


@given(st.one_of(TREES.map(json.dumps), st.text(max_size=80)))
def test_any_text_gives_stores_or_mistakes_with_their_places(text: str) -> None:
    try:
        found = stores.read_text(text, "f")
    except tree.StoresWrong as error:
        lines = str(error).splitlines()
        assert lines
        assert re.match(r"f:\d+:\d+: ", lines[0])
    else:
        assert found


@given(st.dictionaries(st.text(max_size=5), TREES, max_size=5))
def test_what_is_written_for_a_store_reads_back_as_it_was(site: dict[str, object]) -> None:
    text = json.dumps({"templates": {"a": {}}, "stores": {"s": {"template": "a", "address": "h"}}})
    whole = json.loads(text)
    whole["stores"]["s"]["values"] = {"net": "10.0.0"}
    whole["templates"]["a"]["io"] = {"x": {"kept": json.loads(json.dumps(site))}}
    try:
        (store,) = stores.read_text(json.dumps(whole), "f")
    except tree.StoresWrong:
        return
    mistakes = tree.Mistakes("again")
    again = tree.parsed(store.devices_yaml, mistakes)
    mistakes.end()
    assert again is not None


def test_five_hundred_stores_are_an_inventory_in_about_a_second(tmp_path: Path) -> None:
    file = many(tmp_path / "inventory", 500)
    began = time.perf_counter()
    found = stores.read(file)
    assert len(found) == 500
    assert found[0].id == "store_0499", "the canary comes first"
    assert time.perf_counter() - began < 10.0, "0.3 s on an idle machine"
    listed = ansible("ansible-inventory", "-i", file, "--list")
    assert listed.returncode == 0, listed.stderr
    groups = json.loads(listed.stdout)
    assert len(groups["stores"]["hosts"]) == 500
    assert groups["ring_canary"]["hosts"] == ["store_0499"]


def test_ansible_says_every_mistake_and_takes_no_half_of_a_fleet(tmp_path: Path) -> None:
    file = tmp_path / "stores.yaml"
    file.write_text(SMALL + "  s1: {template: smal, address: h}\n  s2: {template: small}\n")
    said = ansible("ansible-inventory", "-i", file, "--list")
    assert said.returncode != 0
    words = " ".join(said.stderr.split())
    assert f"{file}:15:8: unknown template 'smal', did you mean small?" in words
    assert f"{file}:16:7: 'address' is missing" in words


def test_the_example_of_the_plugin_is_an_inventory() -> None:
    text = (ANSIBLE / "plugins" / "inventory" / "stores.py").read_text()
    example = text.split('EXAMPLES = r"""\n')[1].split('"""')[0]
    first, second = stores.read_text(example, "example")
    assert (first.id, first.ring) == ("store_0421", "canary")
    assert "contact: annex.di1\n    held_after: 2m\n" in second.devices_yaml
    assert "eas_front" not in second.devices_yaml
