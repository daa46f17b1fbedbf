"""Who holds which output, beside a naive model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.commands import Silence, Sound, SwitchOn
from drivers.priorities import Priority
from edge.leases import By, Claim, Leases, Limit


def claim(
    owner: str,
    priority: Priority = Priority.security,
    *,
    by: By = "rule",
    taken: float = 0.0,
    ends: float | None = None,
) -> Claim:
    return Claim(
        device="siren",
        command=Sound(),
        by=by,
        priority=priority,
        owner=owner,
        taken=taken,
        ends=ends,
    )


def shown(leases: Leases) -> str | None:
    found = leases.showing("siren")
    return found.owner if found else None


def test_the_higher_priority_wins_and_among_equals_the_later() -> None:
    leases = Leases()
    leases.take(claim("a"))
    leases.take(claim("b"))
    assert shown(leases) == "b"
    leases.take(claim("panic", Priority.personal_safety))
    leases.take(claim("c"))
    assert shown(leases) == "panic"
    leases.end("siren", "panic", "sound", 1)
    assert shown(leases) == "c"
    leases.take(claim("a"))
    assert shown(leases) == "a"


def test_evacuation_stands_above_life_safety() -> None:
    leases = Leases()
    leases.take(claim("evacuation", Priority.life_safety, by="evacuation"))
    leases.take(claim("later", Priority.life_safety))
    assert shown(leases) == "evacuation"
    assert [c.owner for c in leases.quell("siren", Silence.ends, Priority.life_safety, 1)] == [
        "later"
    ]
    assert shown(leases) == "evacuation"


def test_quelling_ends_what_is_not_above_it() -> None:
    leases = Leases()
    for owner, priority in (("p", Priority.personal_safety), ("s", Priority.security)):
        leases.take(claim(owner, priority))
    leases.take(claim("o", Priority.operations))
    ended = leases.quell("siren", Silence.ends, Priority.security, 1)
    assert sorted(c.owner for c in ended) == ["o", "s"]
    assert shown(leases) == "p"


def test_quelling_leaves_other_kinds_alone() -> None:
    leases = Leases()
    leases.take(claim("a"))
    assert leases.quell("siren", SwitchOn.ends, Priority.life_safety, 1) == []


def test_a_claim_ends_exactly_at_its_end() -> None:
    leases = Leases()
    leases.take(claim("a", ends=5.0))
    assert leases.next_deadline() == 5.0
    assert leases.advance(4.999) == []
    assert [c.owner for c in leases.advance(5.0)] == ["a"]
    assert leases.next_deadline() is None


def test_the_limit_of_an_hour_binds_all_but_life_safety() -> None:
    leases = Leases({"siren": Limit(in_an_hour=60)})
    leases.take(claim("fire", Priority.life_safety))
    leases.take(claim("a"))
    assert leases.next_deadline() == 60
    assert [c.owner for c in leases.advance(60)] == ["a"]
    assert leases.next_deadline() is None
    assert leases.refuses(claim("b"), 61) == "it was on for 61 s of 60 s in the last hour"
    assert leases.refuses(claim("b", Priority.life_safety), 61) == ""


def test_what_was_on_more_than_an_hour_ago_does_not_count() -> None:
    leases = Leases({"siren": Limit(in_an_hour=60)})
    leases.take(claim("a", taken=0.0))
    leases.advance(60)
    assert leases.refuses(claim("a"), 3600.0)
    assert leases.refuses(claim("a"), 3601.0) == ""


def test_saved_claims_and_times_come_back() -> None:
    leases = Leases({"siren": Limit(at_a_time=100, in_an_hour=150)})
    leases.take(claim("a", taken=0.0, ends=80))
    leases.advance(80)
    leases.take(claim("b", taken=90.0))
    again = Leases({"siren": Limit(at_a_time=100, in_an_hour=150)})
    again.restore(leases.save())
    assert again.save() == leases.save()
    assert again.next_deadline() == 160


def test_a_saved_claim_of_a_command_that_is_gone_is_left_out() -> None:
    leases = Leases()
    leases.take(claim("a"))
    saved = leases.save()
    saved["claims"][0]["command"] = "explode"
    again = Leases()
    again.restore(saved)
    assert again.claims() == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "end", "quell", "advance"]),
        st.sampled_from("abcd"),
        st.sampled_from(list(Priority)[:4]),
        st.one_of(st.none(), st.integers(1, 9)),
    ),
    max_size=40,
)


@given(STEPS)
def test_it_always_shows_the_highest_of_a_naive_model(
    steps: list[tuple[str, str, Priority, int | None]],
) -> None:
    leases = Leases()
    naive: list[Claim] = []
    for tick, (do, owner, priority, lasts) in enumerate(steps):
        if do == "take":
            by: By = "evacuation" if owner == "d" else "rule"
            ends = None if lasts is None else float(tick + lasts)
            made = claim(owner, priority, by=by, taken=float(tick), ends=ends)
            leases.take(made)
            naive = [c for c in naive if c.owner != owner] + [made]
        elif do == "end":
            leases.end("siren", owner, "sound", tick)
            naive = [c for c in naive if c.owner != owner]
        elif do == "quell":
            leases.quell("siren", {"sound"}, priority, tick)
            naive = [c for c in naive if c.by == "evacuation" or c.priority < priority]
        else:
            leases.advance(tick)
            naive = [c for c in naive if c.ends is None or c.ends > tick]
        ranks = [(-1 if c.by == "evacuation" else int(c.priority), -i) for i, c in enumerate(naive)]
        best = naive[ranks.index(min(ranks))] if naive else None
        assert leases.showing("siren") == best
        assert leases.claims() == naive
        again = Leases()
        again.restore(leases.save())
        assert again.showing("siren") == best
