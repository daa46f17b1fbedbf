"""The spans of what is unsent against a plain set."""

from hypothesis import given
from hypothesis import strategies as st

from buffer.unsent import SPARSE, Span, Unsent

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from([1, 1, 1, 2, SPARSE, SPARSE + 1])),
        st.tuples(st.just("remove"), st.integers(0, 100)),
        st.tuples(st.just("seal"), st.just(0)),
    ),
    max_size=40,
)


@given(STEPS)
def test_every_unsent_record_is_in_one_span_and_no_other(steps: list[tuple[str, int]]) -> None:
    unsent = Unsent()
    published: list[int] = []
    left: set[int] = set()
    for step, number in steps:
        if step == "add":
            published.append((published[-1] if published else 0) + number)
            unsent.add(published[-1])
            left.add(published[-1])
        elif step == "seal":
            unsent.seal()
        elif left:
            gone = sorted(left)[number % len(left)]
            left.remove(gone)
            place = published.index(gone)
            previous = published[place - 1] if place else None
            assert unsent.remove(
                gone, previous, lambda a, b: sum(a <= sequence <= b for sequence in published)
            )
            assert not unsent.remove(gone, previous, lambda _a, _b: 0)
        inside = [n for span in unsent.spans for n in published if span.first <= n <= span.last]
        assert inside == sorted(left)
        assert unsent.count == len(left)
        assert all(span.count > 0 for span in unsent.spans)


def test_a_span_goes_on_over_512_sequences_of_others_and_no_more() -> None:
    unsent = Unsent()
    unsent.extend([1, 513])
    assert unsent.spans == [Span(first=1, last=513, count=2)]
    unsent.extend([1026, 1027])
    assert unsent.spans == [Span(first=1, last=513, count=2), Span(first=1026, last=1027, count=2)]
    assert unsent.count == 4


def test_a_record_after_those_sent_does_not_join_those_before() -> None:
    unsent = Unsent()
    for sequence in (1, 2):
        unsent.add(sequence)
    unsent.seal()
    unsent.add(3)
    assert unsent.remove(3, 2, lambda _a, _b: 0)
    unsent.add(4)
    assert unsent.spans == [Span(first=1, last=2, count=2), Span(first=4, last=4, count=1)]
