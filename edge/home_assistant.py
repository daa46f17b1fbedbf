"""Home Assistant's MQTT discovery: every device of the site appears there by itself, to be read.

Off unless `mqtt.home_assistant` names the discovery prefix. Nothing can be told to a device this
way: no entity has a command topic.

Source: https://www.home-assistant.io/integrations/mqtt/ (MQTT discovery; sensor, binary_sensor and
event entities; a template that renders `None` makes an entity unknown, an empty one says nothing).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.event import SITE

LINK = "link"
_CLASSES: Mapping[tuple[str, str], str] = {
    ("*", LINK): "connectivity",
    ("door", "contact"): "door",
    ("door", "forced"): "tamper",
    ("door", "request_to_exit"): "motion",
    ("eas_pedestal", "alarm"): "safety",
    ("fire_panel", "alarm"): "smoke",
    ("fire_panel", "trouble"): "problem",
    ("fire_panel", "supervisory"): "problem",
    ("lock", "lock"): "lock",
    ("pos", "drawer"): "opening",
}
"""Device type and state to Home Assistant's device class; others have none."""
_ON = frozenset({"active", "open", "up", "yes", "on", "released", "stuck"})
"""The value that Home Assistant calls on, in states of two values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A device as Home Assistant is to show it."""

    id: str
    type: str
    name: str
    states: Mapping[str, tuple[str, ...]]
    """Each with its values, beside `unknown`; none where any word may stand."""
    says: tuple[str, ...] = ()
    """Every kind of signal that may appear under its topic."""


def discovery(
    prefix: str, root: str, site: str, version: str, devices: Iterable[Shown]
) -> dict[str, bytes]:
    """Return the retained configuration messages: topic to payload.

    `prefix` is Home Assistant's discovery prefix, `root` and `site` are those of our own topics.
    """
    made: dict[str, bytes] = {}
    for device in devices:
        for component, name, entity in _entities(device, f"{root}/{site}"):
            own = f"storewarden_{site}_{device.id}_{name}"
            told = entity | {
                "name": name.replace("_", " ").capitalize(),
                "unique_id": own,
                "availability_topic": f"{root}/{site}/status",
                "availability_template": "{{ value_json.state }}",
                "device": {
                    "identifiers": [f"storewarden_{site}_{device.id}"],
                    "name": device.name,
                    "model": device.type,
                    "manufacturer": "Storewarden",
                    "suggested_area": site,
                },
                "origin": {"name": "Storewarden", "sw_version": version},
            }
            made[f"{prefix}/{component}/storewarden_{site}/{device.id}_{name}/config"] = json.dumps(
                told, ensure_ascii=False
            ).encode()
    return made


def _entities(device: Shown, base: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield component, name and settings of each entity of `device`."""
    link = {} if device.id == SITE else {LINK: ("up", "down")}
    for state, values in {**link, **device.states}.items():
        value = f"value_json['{state}'].value"
        told: dict[str, Any] = {"state_topic": f"{base}/state/{device.id}"}
        known = f"{{% if '{state}' in value_json and {value} != 'unknown' %}}"
        on = [one for one in values if one in _ON]
        if len(values) == 2 and len(on) == 1:
            answer = f"{{{{ 'ON' if {value} == '{on[0]}' else 'OFF' }}}}"
            component = "binary_sensor"
            found = _CLASSES.get((device.type, state)) or _CLASSES.get(("*", state))
            if found is not None:
                told["device_class"] = found
        else:
            answer = f"{{{{ {value} }}}}"
            component = "sensor"
            if values:
                told |= {"device_class": "enum", "options": list(values)}
        told["value_template"] = f"{known}{answer}{{% else %}}None{{% endif %}}"
        yield component, state, told
    if device.says:
        # What comes late from the backlog is no event of now.
        live = (
            "{% if not value_json.replayed %}"
            "{{ {'event_type': value_json.type | replace('storewarden.', '', 1),"
            " 'data': value_json.data, 'time': value_json.time} | tojson }}{% endif %}"
        )
        yield (
            "event",
            "says",
            {
                "state_topic": f"{base}/event/{device.id}/+",
                "event_types": sorted(device.says),
                "value_template": live,
            },
        )
