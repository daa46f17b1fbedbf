"""What the rules of a site may name: every device and I/O module, and the site itself."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.contract import Driver
from drivers.event import SITE
from drivers.settings import InputSetting
from edge.config.devices_file import Entries, Entry
from edge.config.model import Configured, Site
from edge.config.wiring import settings_of
from rules.calendar import Calendar
from rules.model import DeviceWords, World
from rules.words import device_words, site_words, words_of_driver


def world(
    site: Site,
    entries: Entries,
    devices: Mapping[str, Configured],
    groups: Mapping[str, tuple[str, ...]],
) -> World:
    """Return the words of all that is known; an entry that is refused keeps its type's."""
    words: dict[str, DeviceWords] = {SITE: site_words(site.schedules, site.modes)}
    for entry in (*entries.io.values(), *entries.devices.values()):
        configured = devices.get(entry.id, entry.configured)
        if configured is not None:
            words[entry.id] = words_of_driver(
                configured.driver,
                entry.id,
                entry.type,
                name=configured.name,
                near=configured.near,
                poll=_poll(configured.driver, entries),
            )
        elif entry.driver_class is not None:
            words[entry.id] = _words_of_type(entry, entry.driver_class)
    calendar = Calendar(zone=site.timezone, hours=site.hours, schedules=site.schedules)
    return World(
        devices=words,
        groups={group: tuple(m for m in of if m in words) for group, of in groups.items()},
        zone=site.timezone,
        evacuation=site.evacuation,
        calendar=calendar,
        modes=site.modes,
        site=site.site,
    )


def _words_of_type(entry: Entry, of: type[Driver]) -> DeviceWords:
    return device_words(
        entry.id,
        entry.type,
        says=of.says,
        states=of.has_states,
        accepts=of.accepts,
        near=entry.near,
    )


def _poll(driver: Driver, entries: Entries) -> float | None:
    """Return the slowest poll among the modules of its inputs."""
    polls = []
    for _setting, value in settings_of(driver):
        if isinstance(value, InputSetting):
            module = entries.io.get(value.line.partition(".")[0])
            of = module.configured.driver if module and module.configured else None
            poll = getattr(of, "poll", None)
            polls += [float(poll)] if isinstance(poll, float | int) else []
    return max(polls, default=None)
