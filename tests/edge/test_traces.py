"""What the journal keeps of why rules fired, and how dull near misses leave room for others."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.commands import Goto, OpenIncident, Sound
from drivers.priorities import Priority
from edge.dispatch import Given
from edge.traces import A_DAY, DAY, EVERY, KEYS, Note, Traces, firing_of
from edge.turn import Refusal, Turn
from rules.model import Fired, NotFired, Order
from rules.trace import Miss, Why
from tests.edge.shop import said

SECURITY, TELEMETRY = Priority.security, Priority.telemetry
ALARM = said(10.0, "eas_front", "eas.alarm", direction="out")


def order(device: str, command: Any, **more: Any) -> Order:
    return Order(device=device, command=command, priority=SECURITY, rule="gate_alarm", **more)


def fired(**more: Any) -> Fired:
    told: dict[str, Any] = {"rule": "gate_alarm", "member": "", "tick": 10.0}
    told |= {"event": ALARM, "orders": ()}
    return Fired(**told | more)


def missed(
    tick: float,
    rule: str = "propped",
    *,
    member: str = "door_back",
    miss: Miss = "hold",
    progress: float = 0.5,
) -> NotFired:
    return NotFired(
        rule=rule,
        member=member,
        tick=tick,
        event=None,
        reason=f"held {progress * 60:g} s of 60 s",
        miss=miss,
        progress=progress,
        why=Why(facts=(said(tick, "door_back", "door.closed"),), held=progress * 60, wanted=60.0),
        blind=miss == "blind",
    )


def traces() -> Traces:
    return Traces(lambda _rule: SECURITY)


def counts(notes: list[Note]) -> list[tuple[int, float]]:
    return [(n.data["count"], n.data["tick"]) for n in notes]


def test_a_firing_keeps_what_it_matched_read_and_ordered() -> None:
    why = Why(facts=(ALARM,), condition="site.open", answer="yes", read={"site.open": "yes"})
    orders = (
        order("siren_front", Sound(), lasts=10.0, holds=True),
        order("cam_exit", Goto(preset="gate")),
        order("site", OpenIncident(name="gate_activation")),
    )
    told = fired(orders=orders, why=why)
    assert traces().fired(told, Turn()) == Note(
        signal="rule.traced",
        priority=SECURITY,
        data={
            "firing": firing_of(told),
            "rule": "gate_alarm",
            "member": "",
            "cause": ALARM.id,
            "tick": 10.0,
            "why": {
                "trigger": 0,
                "facts": [
                    {
                        "id": ALARM.id,
                        "device": "eas_front",
                        "signal": "eas.alarm",
                        "at": "2026-11-20T12:00:10+00:00",
                        "tick": 10.0,
                        "fields": {"direction": "out"},
                    }
                ],
                "if": "site.open",
                "answer": "yes",
                "read": {"site.open": "yes"},
            },
            "orders": [
                {"device": "siren_front", "command": "sound", "is": "given", "for": 10.0},
                {
                    "device": "cam_exit",
                    "command": "goto",
                    "is": "given",
                    "parameters": {"preset": "gate"},
                },
                {
                    "device": "site",
                    "command": "incident",
                    "is": "given",
                    "parameters": {"name": "gate_activation"},
                },
            ],
        },
    )


def test_an_order_that_was_refused_or_moved_nothing_says_why() -> None:
    told = fired(orders=(order("siren_front", Sound()), order("siren_back", Sound())))

    def given_to(device: str, firing: str) -> Given:
        return Given(
            device=device, command=Sound(), by="rule", priority=SECURITY, firing=firing, tick=10.0
        )

    turn = Turn(
        refused=[
            Refusal(given=given_to("siren_front", firing_of(told)), reason="silenced"),
            Refusal(given=given_to("siren_back", "of another firing"), reason="never shown"),
        ],
        unmoved=[Refusal(given=given_to("siren_back", firing_of(told)), reason="it is so")],
    )
    assert [(o["is"], o["reason"]) for o in traces().fired(told, turn).data["orders"]] == [
        ("refused", "silenced"),
        ("unmoved", "it is so"),
    ]


def test_a_firing_in_shadow_or_late_is_marked() -> None:
    told = fired(late=True, shadow=True, orders=(order("siren_front", Sound(), shadow=True),))
    data = traces().fired(told, Turn()).data
    assert (data["late"], data["shadow"], data["orders"][0]["is"]) == (True, True, "shadow")
    assert "step" not in data


def test_the_id_of_a_firing_is_the_same_in_a_replay_and_in_its_escalation() -> None:
    first = firing_of(fired())
    assert first == firing_of(fired(orders=(order("siren_front", Sound()),), late=True))
    assert first == firing_of(fired(tick=70.0, began=10.0, step=1))
    others = (fired(tick=11.0), fired(rule="other"), fired(member="eas_front"))
    assert len({first, *map(firing_of, others)}) == 4
    assert len(first) == 32


def test_the_first_near_miss_is_journaled_at_once_with_its_trace() -> None:
    (note,) = traces().missed(missed(5.0, progress=58 / 60))
    assert (note.signal, note.priority) == ("rule.missed", TELEMETRY)
    assert note.data["why"]["held"] == 58.0
    del note.data["why"]
    assert note.data == {
        "rule": "propped",
        "member": "door_back",
        "miss": "hold",
        "reason": "held 58 s of 60 s",
        "progress": 0.9667,
        "count": 1,
        "tick": 5.0,
    }


def test_those_that_follow_are_one_record_each_ten_minutes_with_the_nearest() -> None:
    kept = traces()
    kept.missed(missed(0.0))
    for tick, progress in ((10.0, 0.2), (20.0, 0.9), (30.0, 0.1)):
        assert kept.missed(missed(tick, progress=progress)) == []
    assert kept.due(EVERY - 0.001) == []
    (note,) = kept.due(EVERY)
    found = {k: note.data[k] for k in ("count", "first", "last", "tick", "progress")}
    assert found == {"count": 3, "first": 10.0, "last": 30.0, "tick": 20.0, "progress": 0.9}
    assert kept.due(2 * EVERY) == []
    assert counts(kept.missed(missed(2 * EVERY + 1))) == [(1, 2 * EVERY + 1)]


def test_of_two_that_came_as_near_the_later_is_told() -> None:
    kept = traces()
    for tick in (0.0, 10.0, 20.0):
        kept.missed(missed(tick))
    assert counts(kept.due(EVERY)) == [(2, 20.0)]


def test_another_member_or_another_kind_of_miss_is_first_again() -> None:
    kept = traces()
    assert len(kept.missed(missed(0.0))) == 1
    assert len(kept.missed(missed(1.0, member="door_side"))) == 1
    assert len(kept.missed(missed(2.0, miss="if"))) == 1
    assert len(kept.missed(missed(3.0, rule="other"))) == 1
    assert kept.missed(missed(4.0)) == []


def test_one_that_nobody_could_know_is_as_urgent_as_its_rule() -> None:
    (note,) = traces().missed(missed(0.0, miss="blind"))
    assert note.priority == SECURITY


def test_a_stop_writes_what_waits_and_forgets_it() -> None:
    kept = traces()
    for tick in (0.0, 1.0, 2.0):
        kept.missed(missed(tick))
    kept.missed(missed(3.0, rule="other"))
    assert counts(kept.close()) == [(2, 2.0)]
    assert kept.close() == []
    assert kept.due(DAY) == []


def test_a_rule_writes_so_many_a_day_and_counts_the_rest_in_the_next() -> None:
    kept = traces()
    written, tick, made = [], 0.0, 0
    while tick < DAY:
        for door in range(4):
            written += kept.missed(missed(tick, member=f"door_{door}"))
            made += 1
        tick += 60.0
    assert len(written) == A_DAY
    assert len(kept.missed(missed(DAY - 1, rule="other"))) == 1
    assert kept.due(DAY - 0.001) == []
    written += kept.due(DAY) + kept.close()
    assert sum(n.data["count"] for n in written) == made


def test_what_was_heard_of_longest_ago_makes_room_and_is_written_first() -> None:
    kept = traces()
    kept.missed(missed(0.0, member="first"))
    kept.missed(missed(1.0, member="first", progress=0.9))
    found = []
    for number in range(KEYS):
        found += kept.missed(missed(2.0, rule=f"rule_{number % 10}", member=f"{number}"))
    pushed = [n for n in found if n.data["member"] == "first"]
    assert counts(pushed) == [(1, 1.0)]
    assert pushed[0].data["progress"] == 0.9


MISSED = st.builds(
    missed,
    st.floats(0, 3 * DAY),
    st.sampled_from(["one", "two"]),
    member=st.sampled_from(["", "a", "b"]),
    miss=st.sampled_from(["hold", "if", "cooldown"]),
    progress=st.floats(0, 1),
)


@settings(max_examples=50)
@given(st.lists(MISSED, max_size=60))
def test_none_is_counted_twice_or_lost_whatever_their_order(some: list[NotFired]) -> None:
    kept = traces()
    found = [note for one in some for note in kept.missed(one)]
    found += kept.due(4 * DAY) + kept.close()
    assert sum(n.data["count"] + n.data.get("unwritten", 0) for n in found) == len(some)
