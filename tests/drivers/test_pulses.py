"""Pulse merging: no pulse is lost, and the first alarm is never late."""

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.signals import Direction, EasAlarm, EasEnded, Signal
from drivers.wire.pulses import Merger

DIRECTIONS: tuple[Direction, ...] = ("in", "out", "unknown")
PULSES = st.lists(
    st.tuples(st.floats(0.05, 20), st.floats(0.01, 90), st.sampled_from(DIRECTIONS)),
    max_size=12,
)


@settings(max_examples=60)
@given(PULSES)
def test_no_pulse_is_lost_and_the_first_alarm_is_at_the_first_pulse(
    pulses: list[tuple[float, float, Direction]],
) -> None:
    merger, now = Merger(aisle=1, merge=8.0, stuck_after=60.0), 0.0
    said: list[tuple[float, Signal]] = []

    def until(moment: float) -> None:
        while (due := merger.deadline) is not None and due <= moment:
            said.extend((due, signal) for signal in merger.advance(due))

    starts: list[float] = []
    for gap, width, direction in pulses:
        for active, after in ((True, gap), (False, width)):
            now += after
            until(now)
            rises = 1 if active else 0
            starts += [now] * rises
            heard = merger.pulse("a", now, active=active, rises=rises, direction=direction)
            said.extend((now, signal) for signal in heard)
    until(now + 100)
    ended = [signal for _, signal in said if isinstance(signal, EasEnded)]
    alarms = [at for at, signal in said if isinstance(signal, EasAlarm)]
    assert sum(each.count for each in ended) == len(pulses)
    assert alarms[:1] == starts[:1]
    assert set(alarms) <= set(starts)
    assert len(alarms) >= len(ended)
    assert not merger.alarm
