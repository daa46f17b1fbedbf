"""What Home Assistant is told of the devices, its templates rendered as it renders them."""

import json
from typing import Any

import jinja2.sandbox

from edge.home_assistant import Shown, discovery

DOOR = Shown(
    id="door_front",
    type="door",
    name="Front door",
    states={"contact": ("open", "closed"), "held": ("no", "warning", "held")},
    says=("door.opened", "door.closed"),
)


def told(*devices: Shown) -> dict[str, Any]:
    made = discovery("homeassistant", "storewarden", "store_0421", "1.0", devices)
    return {topic: json.loads(payload) for topic, payload in made.items()}


def rendered(template: str, payload: dict[str, Any]) -> str:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment()
    return environment.from_string(template).render(value_json=payload)


def entity(component: str, name: str, device: Shown = DOOR) -> dict[str, Any]:
    found: dict[str, Any] = told(device)[
        f"homeassistant/{component}/storewarden_store_0421/{device.id}_{name}/config"
    ]
    return found


def test_each_state_becomes_an_entity_and_nothing_can_be_told_to_it() -> None:
    made = told(DOOR)
    assert sorted(made) == [
        "homeassistant/binary_sensor/storewarden_store_0421/door_front_contact/config",
        "homeassistant/binary_sensor/storewarden_store_0421/door_front_link/config",
        "homeassistant/event/storewarden_store_0421/door_front_says/config",
        "homeassistant/sensor/storewarden_store_0421/door_front_held/config",
    ]
    assert not [key for one in made.values() for key in one if "command" in key]


def test_ids_are_unique_over_sites_and_devices() -> None:
    made = told(DOOR, Shown(id="door_back", type="door", name="Back", states=dict(DOOR.states)))
    ids = [one["unique_id"] for one in made.values()]
    assert len(ids) == len(set(ids)) == 7
    assert entity("sensor", "held")["unique_id"] == "storewarden_store_0421_door_front_held"


def test_a_door_is_on_when_open_off_when_closed_and_unknown_when_unknown() -> None:
    contact = entity("binary_sensor", "contact")
    assert contact["state_topic"] == "storewarden/store_0421/state/door_front"
    assert contact["device_class"] == "door"
    answers = {
        value: rendered(contact["value_template"], {"contact": {"value": value, "since": "…"}})
        for value in ("open", "closed", "unknown")
    }
    assert answers == {"open": "ON", "closed": "OFF", "unknown": "None"}
    assert rendered(contact["value_template"], {}) == "None"


def test_a_lock_is_on_when_released_as_home_assistant_means_it() -> None:
    lock = Shown(id="lock_exit", type="lock", name="Exit", states={"lock": ("locked", "released")})
    made = entity("binary_sensor", "lock", lock)
    assert made["device_class"] == "lock"
    assert rendered(made["value_template"], {"lock": {"value": "released"}}) == "ON"
    assert rendered(made["value_template"], {"lock": {"value": "locked"}}) == "OFF"


def test_a_state_of_more_than_two_values_is_a_sensor_with_its_words() -> None:
    held = entity("sensor", "held")
    assert held["options"] == ["no", "warning", "held"]
    assert rendered(held["value_template"], {"held": {"value": "warning"}}) == "warning"


def test_all_are_unavailable_while_the_site_is_offline() -> None:
    link = entity("binary_sensor", "link")
    assert link["availability_topic"] == "storewarden/store_0421/status"
    assert rendered(link["availability_template"], {"state": "offline"}) == "offline"


def test_what_a_device_says_is_an_event_and_what_comes_late_is_not() -> None:
    says = entity("event", "says")
    assert says["event_types"] == ["door.closed", "door.opened"]
    assert says["state_topic"] == "storewarden/store_0421/event/door_front/+"
    said: dict[str, Any] = {
        "type": "storewarden.door.opened",
        "time": "2026-11-20T12:00:00Z",
        "data": {"quote": '"\\'},
        "replayed": False,
    }
    assert json.loads(rendered(says["value_template"], said)) == {
        "event_type": "door.opened",
        "data": {"quote": '"\\'},
        "time": "2026-11-20T12:00:00Z",
    }
    assert rendered(says["value_template"], said | {"replayed": True}) == ""


def test_the_site_itself_has_no_link_and_any_word_for_a_state() -> None:
    site = Shown(id="site", type="site", name="store_0421", states={"mode": ()})
    assert sorted(told(site)) == ["homeassistant/sensor/storewarden_store_0421/site_mode/config"]
    mode = entity("sensor", "mode", site)
    assert "options" not in mode
    assert rendered(mode["value_template"], {"mode": {"value": "inventory"}}) == "inventory"
