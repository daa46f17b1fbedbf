"""Ansible inventory plugin: one YAML file of stores and their templates."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError

from ansible.plugins.inventory import BaseFileInventoryPlugin

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plugin_utils"))

import fleet_stores
from fleet_yaml import StoresWrong

DOCUMENTATION = r"""
name: stores
short_description: Stores with templates, from one YAML file
description:
  - Reads a file whose name ends in C(stores.yaml) and makes a host of every store in it.
  - A store is its template with what differs laid over it. Mappings are merged key by key, the
    later one wins; anything else (a word, a list) is replaced whole; a key without a value (C(~))
    takes the key away.
  - The order is what C(extends) names, from left to right; then the template; then the store.
  - C(${NAME}) in a value stands for the store's value of that name, from C(values), or one of
    C(id), C(address), C(zone), C(ring).
  - Every mistake is said at once as C(FILE:LINE:COLUMN), and then there is no inventory at all.
  - Hosts come in the order of C(rings), within a ring as they stand in the file. A rollout takes
    them in this order. Groups are C(stores), C(ring_NAME), C(zone_NAME) and C(template_NAME).
options:
  plugin:
    description: May be written; is C(stores).
    type: str
    choices: [stores]
  rings:
    description: The rings of a rollout, in its order. A store that names none is in the last.
    type: list
    elements: str
    default: [all_stores]
  zones:
    description: The zones there are. Absent, a zone may have any name.
    type: list
    elements: str
  templates:
    description:
      - What stores have in common, by name. The keys are those of a store without C(template),
        C(address) and C(port), and C(extends), which is a template or a list of them.
    type: dict
    default: {}
  stores:
    description:
      - Every store by its id, which is also the host's name and C(site) of its site.yaml.
      - C(template) and C(address) are required. C(port) is that of ssh. C(ring), C(zone).
      - C(timezone), C(hours) and C(vars) stand in site.yaml, with all that is under C(site).
      - C(io), C(devices) and C(groups) make devices.yaml.
      - C(rules) names folders below C(rules/) beside the file, C(rules_local) one below
        C(rules.local/).
      - C(ansible) holds more variables for Ansible, C(values) what C(${NAME}) stands for.
    type: dict
    required: true
"""

EXAMPLES = r"""
# stores.yaml
rings: [canary, early, rest]
zones: [north, south]
templates:
  base:
    timezone: Europe/London
    site: {mqtt: {url: "mqtts://broker.example.com:8883"}}
  small:
    extends: base
    hours: {mon-sat: "09:00-21:00"}
    io: {annex: {type: modbus, url: "tcp://${net}.20:502", unit: 1, profile: moxa_e1214}}
    devices:
      door_front: {type: door, name: Front door, contact: annex.di1, held_after: 30s}
      eas_front: {type: eas_pedestal, name: Front gates, alarm: annex.di0}
stores:
  store_0421:
    {template: small, address: 10.4.21.10, zone: north, ring: canary, values: {net: 10.4.21}}
  store_0422:
    template: small
    address: 10.4.22.10
    zone: south
    values: {net: 10.4.22}
    hours: {sun: "10:00-18:00"}              # beside mon-sat of the template
    devices:
      door_front: {held_after: 2m}
      eas_front: ~                           # this store has no gates
"""


class InventoryModule(BaseFileInventoryPlugin):  # type: ignore[misc]
    """Gives Ansible each store as a host, with what the role needs as its variables."""

    NAME = "stores"

    def verify_file(self, path: str) -> bool:
        """Say whether the file is one of ours."""
        return super().verify_file(path) and Path(path).name.endswith(("stores.yaml", "stores.yml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:  # noqa: FBT001, FBT002
        """Fill `inventory` from the file, or say all that is wrong with it."""
        super().parse(inventory, loader, path, cache)
        try:
            stores = fleet_stores.read(Path(path))
        except StoresWrong as error:
            raise AnsibleParserError(f"stores.yaml has mistakes\n{error}") from None
        for group in ("stores", "unreached"):
            inventory.add_group(group)
        for store in stores:
            inventory.add_host(store.id, group="stores", port=int(store.port or 0) or None)
            for kind in ("ring", "zone", "template"):
                if value := getattr(store, kind):
                    group = f"{kind}_{value}".replace("-", "_")
                    inventory.add_group(group)
                    inventory.add_host(store.id, group=group)
            for name, value in variables(store).items():
                inventory.set_variable(store.id, name, value)


def variables(store: fleet_stores.Store) -> dict[str, Any]:
    """Return the host variables of a store."""
    return {
        "ansible_host": store.address,
        "store_id": store.id,
        "store_ring": store.ring,
        "store_zone": store.zone,
        "store_template": store.template,
        "store_secrets": list(store.secrets),
        "storewarden_site_yaml": store.site_yaml,
        "storewarden_devices_yaml": store.devices_yaml,
        "storewarden_rules_folders": list(store.rules),
        "storewarden_rules_local_folder": store.rules_local,
        **store.ansible,
    }
