"""What devices say, stamped, and what changed while nobody listened."""

from __future__ import annotations

from datetime import UTC, datetime

from drivers.event import Event
from drivers.priorities import Priority
from drivers.signals import FireAlarm, LinkDown, OutputOff, OutputOn, Signal, StateKnown
from edge.clock import Clock
from edge.speaker import Speaker, compared, say_of
from tests.edge.plain import Plain

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Known:
    def __init__(self, **values: str) -> None:
        self.values = values

    def last_known(self, device: str, state: str) -> str | None:
        return self.values.get(state)


def speaker(put: list[Event], *, trusted: bool = True) -> Speaker:
    clock = Clock(
        seconds=lambda: 5.0, now=lambda: NOW, boot="b", follows_server=lambda: trusted,
        battery=lambda: trusted,
    )  # fmt: skip
    clock.offset = 10.0
    return Speaker(clock, put.append)


def heard(signal: Signal, raised: Priority | None = None, **known: str) -> list[Event]:
    events: list[Event] = []
    say_of(speaker(events), "siren", Plain(), raised, Known(**known))(signal)
    return events


def test_an_event_has_a_random_id_the_tick_the_time_and_the_trust() -> None:
    events: list[Event] = []
    speaker(events, trusted=False).say("siren", OutputOn(), Priority.operations)
    (event,) = events
    assert (event.device, event.kind, event.sets) == ("siren", "output.on", {"output": "on"})
    assert (event.tick, event.at, event.boot, event.trusted) == (15.0, NOW, "b", False)
    speaker(events).say("siren", OutputOn(), Priority.operations)
    assert len({e.id for e in events}) == 2
    assert len(event.id) == 32


def test_a_clock_that_was_set_is_read_again_after_that_was_said() -> None:
    events: list[Event] = []
    says = speaker(events)
    seen: list[float] = []

    def look(tick: float, _at: datetime) -> bool:
        seen.append(tick)
        says._clock.offset = 20.0
        return len(seen) == 1

    says.watch = look
    says.say("siren", OutputOn(), Priority.operations)
    assert seen == [15.0]
    assert events[0].tick == 25.0


def test_a_lost_link_makes_every_state_of_the_device_unknown() -> None:
    (event,) = heard(LinkDown(reason="gone"))
    assert event.sets == {"link": "down", "output": "unknown"}


def test_a_configuration_raises_a_priority_and_never_lowers_it() -> None:
    assert heard(OutputOn(), Priority.security)[0].priority is Priority.security
    assert heard(OutputOn(), Priority.telemetry)[0].priority is Priority.operations
    assert heard(FireAlarm(), Priority.security)[0].priority is Priority.life_safety


def test_a_state_found_as_it_was_is_only_known() -> None:
    found = StateKnown(values={"output": "on"})
    assert compared(Plain(), "siren", found, Known(output="on")) == [found]


def test_a_state_found_changed_is_said_as_the_ordinary_signal() -> None:
    found = StateKnown(values={"output": "off"})
    assert compared(Plain(), "siren", found, Known(output="on")) == [
        OutputOff(changed_while_down=True)
    ]
    (event,) = heard(found, output="on")
    assert (event.kind, event.fields) == ("output.off", {"changed_while_down": True})


def test_a_state_without_history_is_known_unless_it_is_an_alarm() -> None:
    found = StateKnown(values={"output": "on"})
    assert compared(Plain(), "siren", found, Known()) == [found]
    alarming = Plain(alarms=frozenset({("output", "on")}))
    assert compared(alarming, "siren", found, Known()) == [OutputOn(changed_while_down=True)]


def test_what_is_proven_and_what_changed_are_said_apart() -> None:
    found = StateKnown(values={"output": "on", "other": "x"})
    assert compared(Plain(), "siren", found, Known(output="off", other="x")) == [
        StateKnown(values={"other": "x"}),
        OutputOn(changed_while_down=True),
    ]
