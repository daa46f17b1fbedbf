"""Build the parts of the daemon for one configuration and connect them; no logic."""

from __future__ import annotations

from dataclasses import dataclass

from buffer.writer import Writer
from drivers.contract import Driver
from drivers.event import Event
from edge import gates
from edge.clock import Clock
from edge.cloud import Cloud
from edge.config.model import Configuration
from edge.decide import Decider
from edge.dispatch import Dispatch, Given
from edge.encode import Encoder
from edge.house import Wires
from edge.inbox import Inbox
from edge.metrics import Metrics
from edge.notify import Notify
from edge.past import Past, replay
from edge.pipeline import Pipeline
from edge.places import Places
from edge.site_clock import SiteClock
from edge.speaker import Speaker
from edge.turn import Word
from rules.calendar import Calendar, Diary


@dataclass(slots=True, kw_only=True, eq=False)
class Parts:
    """One running configuration. Its rules may be swapped; its devices and links stay."""

    configuration: Configuration
    """What runs now: the only field that changes."""
    places: Places
    drivers: dict[str, Driver]
    """I/O modules and devices by id."""
    writer: Writer
    clock: Clock
    inbox: Inbox
    speaker: Speaker
    decider: Decider
    dispatch: Dispatch
    pipeline: Pipeline
    cloud: Cloud
    site_clock: SiteClock
    diary: Diary
    metrics: Metrics
    notify: Notify
    unsaid: list[Word]
    """What the site was about to say when the run before was cut off."""


def assemble(
    configuration: Configuration,
    places: Places,
    writer: Writer,
    clock: Clock,
    past: Past,
    metrics: Metrics,
    notify: Notify,
) -> Parts:
    """Return the parts, brought to where the journal says that they were. Nothing runs yet."""
    site = configuration.site
    modules = {name: c.driver for name, c in configuration.io.items()}
    devices = {name: c.driver for name, c in configuration.devices.items()}
    wires = Wires(modules)
    for name, driver in devices.items():
        wires.lend(name, driver, places.devices)

    inbox = Inbox()
    speaker = Speaker(clock, inbox.put)
    decider = Decider(configuration)
    unsaid = replay(past, decider)
    root = site.mqtt.topic_root if site.mqtt else "storewarden"
    encoder = Encoder(root, site.site, configuration.hash)
    began = clock.tick()
    metrics.gates.update(gates.known(past.state, past.steps))

    def handed(given: Given, late: float) -> None:
        if given.tick >= began:  # what fell due while nobody was there is no reaction
            metrics.reacted(given.priority.name, late)

    dispatch = Dispatch(
        devices,
        speaker.say,
        clock.tick,
        handed=handed,
        confirmed=lambda given, took: metrics.order.labels(
            given.device, given.command.kind
        ).observe(took),
        failed=lambda given: metrics.failed.labels(given.device, given.command.kind).inc(),
    )
    cloud = Cloud(
        site,
        writer,
        encoder,
        speaker,
        clock,
        decider.engine.states,
        [*modules, *devices],
        past.corrections,
    )
    pipeline = Pipeline(
        inbox=inbox,
        decider=decider,
        clock=clock,
        speaker=speaker,
        dispatch=dispatch,
        encoder=encoder,
        keep=writer.keep,
        publish_state=cloud.publish_state,
        metrics=metrics,
        notify=notify,
    )
    calendar = Calendar(zone=site.timezone, hours=site.hours, schedules=site.schedules)
    diary = Diary(calendar=calendar, moments=configuration.rules.moments)
    if past.state is not None and "diary" in past.state:
        diary.restore(past.state["diary"])
    site_clock = SiteClock(clock, speaker, calendar, diary, past.corrections, cloud.corrected)
    if past.state is not None and "clock" in past.state:
        site_clock.restore(past.state["clock"])
    for step in past.steps:
        if isinstance(step, Event):
            site_clock.replayed(step)
    return Parts(
        configuration=configuration,
        places=places,
        drivers={**modules, **devices},
        writer=writer,
        clock=clock,
        inbox=inbox,
        speaker=speaker,
        decider=decider,
        dispatch=dispatch,
        pipeline=pipeline,
        cloud=cloud,
        site_clock=site_clock,
        diary=diary,
        metrics=metrics,
        notify=notify,
        unsaid=unsaid,
    )
