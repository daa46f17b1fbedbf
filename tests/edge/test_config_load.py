"""A folder becomes a Configuration: what was written is what the daemon gets."""

from pathlib import Path

import pytest

from drivers.priorities import Priority
from edge.config.files import names
from edge.config.load import load
from edge.config.model import Configuration
from rules.problems import ConfigurationRefused

EXAMPLE = Path(__file__).parents[2] / "examples" / "demo_store"

SITE = """\
site: store_0421
timezone: Europe/London
vars: {open_long: 45s}
evacuation:
  on: [fire_main]
  release: [exits]
  silence: siren_front
  sound: [beacon_back]
  record: all
mqtt: {url: mqtt://127.0.0.1, drain_rate: 200/s}
http: {listen: "[::1]:0"}
buffer: {path: /tmp/journal, max_size: 2GB, keep: 30d}
"""
DEVICES = """\
io:
  annex: {type: modbus, url: "tcp://127.0.0.1:1502", profile: moxa_e1214, poll: 20ms}
  corner: {type: modbus, url: "tcp://127.0.0.1:1503", profile: waveshare_io_8ch, poll: 50ms}
devices:
  door_front:
    type: door
    name: "Front door"
    contact: annex.di1
    request_to_exit: corner.di0
    held_after: !var open_long
    near: {siren: siren_front, all: [exits, beacon_back]}
    tags: [front, glass]
    priority: life_safety
  fire_main: {type: fire_panel, alarm: {line: annex.di3, active: off}}
  siren_front: {type: siren, output: annex.do0, max_on: 2m}
  beacon_back: {type: beacon, output: annex.do2}
  lock_exit: {type: lock, output: annex.do1}
groups:
  exits: [lock_exit]
  glass: {tags: glass}
  wires: annex
  nobody: []
"""


def write(folder: Path, more: dict[str, str] | None = None) -> Path:
    texts = {"site.yaml": SITE, "devices.yaml": DEVICES, **(more or {})}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    return load(write(tmp_path))


def test_the_demo_store_loads_without_a_warning() -> None:
    configuration = load(EXAMPLE)

    assert str(configuration.problems) == ""
    assert len(configuration.rules.rules) >= 6
    assert {test.file for test in configuration.rules.tests} == {
        f"rules/{name}.yaml" for name in ("doors", "gates", "links", "safety")
    }
    assert configuration.site.evacuation
    assert configuration.site.evacuation.on == ("fire_main", "fire_text")


def test_every_rule_of_the_demo_store_has_a_test() -> None:
    configuration = load(EXAMPLE)
    told = {str(step.get("rule")) for test in configuration.rules.tests for step in test.expect}

    assert {rule.id for rule in configuration.rules.rules} <= told


def test_a_device_has_its_settings_name_neighbours_tags_and_priority(
    configuration: Configuration,
) -> None:
    door = configuration.devices["door_front"]

    assert (door.type, door.name, door.tags) == ("door", "Front door", ("front", "glass"))
    assert door.near == {"siren": ("siren_front",), "all": ("lock_exit", "beacon_back")}
    assert door.raised is Priority.life_safety
    assert door.driver.held_after == 45.0  # type: ignore[attr-defined]
    assert (door.mark.file, door.mark.line) == ("devices.yaml", 6)


def test_a_device_without_a_name_is_called_by_its_id(configuration: Configuration) -> None:
    assert configuration.devices["lock_exit"].name == "lock_exit"


def test_groups_are_lists_words_or_tags(configuration: Configuration) -> None:
    assert configuration.groups == {
        "exits": ("lock_exit",),
        "glass": ("door_front",),
        "wires": ("annex",),
        "nobody": (),
    }


def test_the_evacuation_has_its_groups_resolved(configuration: Configuration) -> None:
    plan = configuration.site.evacuation

    assert plan is configuration.world.evacuation
    assert plan
    assert (plan.on, plan.release) == (("fire_main",), ("lock_exit",))
    assert (plan.silence, plan.sound, plan.record) == (("siren_front",), ("beacon_back",), ())
    assert plan.drill == {"release": False, "sound": True, "record": True}


def test_what_the_daemon_needs_is_typed(configuration: Configuration) -> None:
    site = configuration.site

    assert site.mqtt
    assert (site.mqtt.url, site.mqtt.drain_rate, site.mqtt.window) == (
        "mqtt://127.0.0.1",
        200.0,
        20,
    )
    assert (site.mqtt.keepalive, site.mqtt.expiry, site.mqtt.renewed) == (10.0, None, None)
    assert site.mqtt.drain_jitter == 5.0, "a rate spares a broker, and so does a spread"
    assert (site.http.host, site.http.port) == ("::1", 0)
    assert site.buffer.path == Path("/tmp/journal")
    assert (site.buffer.max_size, site.buffer.keep) == (2_000_000_000, 2_592_000.0)


def test_rules_may_name_devices_modules_and_the_site(configuration: Configuration) -> None:
    world = configuration.world

    assert set(world.devices) == {"site", *configuration.io, *configuration.devices}
    assert world.devices["door_front"].near["siren"] == ("siren_front",)
    assert world.devices["door_front"].poll == 0.05
    assert world.devices["siren_front"].limits == {"sound": 120.0}
    assert "module.restarted" in world.devices["annex"].says
    assert (world.zone, world.calendar.zone) == ("Europe/London", "Europe/London")


def test_rules_of_this_store_replace_those_of_the_fleet(tmp_path: Path) -> None:
    rule = "when: {door_front: open}\n    do: [{incident: open_door}]\n"
    files = {
        "rules/doors.yaml": f"rules:\n  door_open:\n    {rule}",
        "rules.local/mine.yaml": f"rules:\n  mine:\n    replaces: door_open\n    {rule}",
    }

    configuration = load(write(tmp_path, files))

    assert [found.id for found in configuration.rules.rules] == ["mine"]


def test_the_hash_follows_names_and_contents_and_not_the_folder(tmp_path: Path) -> None:
    hashes = [
        load(write(tmp_path / "one")).hash,
        load(write(tmp_path / "two")).hash,
        load(write(tmp_path / "three", {"rules/a.yaml": "rules: {}\n"})).hash,
        load(write(tmp_path / "four", {"rules/b.yaml": "rules: {}\n"})).hash,
        load(write(tmp_path / "five", {"rules/b.yaml": "rules: {} \n"})).hash,
    ]

    assert len(set(hashes)) == 4
    assert hashes[0] == hashes[1]
    assert {len(found) for found in hashes} == {12}


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    wanted = [f"rules/{letter}.yaml" for letter in "abcdefgh"]
    folder = write(tmp_path, dict.fromkeys(["devices.d/z.yaml", *reversed(wanted)], ""))

    assert names(folder) == ["site.yaml", "devices.yaml", "devices.d/z.yaml", *wanted]


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("mqtt://broker.example.com", ["the password crosses the network in the clear"]),
        ("mqtt://127.0.0.1:1883", []),
        ("mqtt://localhost", []),
        ("mqtts://broker.example.com", []),
    ],
)
def test_a_password_over_an_open_network_is_warned_of(
    tmp_path: Path, url: str, warned: list[str]
) -> None:
    site = f'site: s\nmqtt: {{url: "{url}", username: s, password: !secret broker}}\n'
    folder = write(tmp_path, {"site.yaml": site, "devices.yaml": "", "secrets/broker": "x"})
    (folder / "secrets" / "broker").chmod(0o600)

    assert [problem.message for problem in load(folder).problems.all] == warned


@pytest.mark.parametrize(
    ("written", "warned"),
    [
        (
            "{type: fire_panel, alarm: annex.di3}",
            ["devices.yaml:4:40: warning: a cut wire looks normal here"],
        ),
        ("{type: fire_panel, alarm: {line: annex.di3, active: off}}", []),
        ("{type: fire_panel, alarm: annex.di3, unsupervised: accepted}", []),
        ("{type: fire_panel, trouble: annex.di3}", []),
    ],
)
def test_a_fire_input_that_a_cut_wire_silences_is_warned_of(
    tmp_path: Path, written: str, warned: list[str]
) -> None:
    module = 'io:\n  annex: {type: modbus, url: "tcp://127.0.0.1:1502", profile: moxa_e1214}\n'
    folder = write(
        tmp_path,
        {
            "site.yaml": "site: s\nevacuation: {on: [fire_main]}\n",
            "devices.yaml": f"{module}devices:\n  fire_main: {written}\n",
        },
    )

    said = [str(problem).split("\n")[0] for problem in load(folder).problems.all]

    assert said == warned


def test_missing_files_are_said_at_their_beginning(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        load(tmp_path / "nowhere")

    assert str(refused.value.problems) == (
        "devices.yaml:1:1: cannot read it: No such file or directory\n"
        "site.yaml:1:1: cannot read it: No such file or directory"
    )


def test_warnings_of_rules_are_kept_where_nothing_is_refused(tmp_path: Path) -> None:
    rules = "rules: {a: {when: {door_front: open}, do: {sound: beacon_back}}}\n"
    found = load(write(tmp_path, {"rules/r.yaml": rules}))

    assert [p.message for p in found.problems.warnings if p.mark.file == "rules/r.yaml"] == [
        "nothing ends sound beacon_back"
    ]
