"""From drafts to records: their places in the chain, and the numbers of new topics."""

from collections.abc import Iterable, Mapping, Sequence

from buffer.chain import body_hash
from buffer.chain import link as link_after
from buffer.record import Draft, Record


def chained(
    drafts: Iterable[Draft], sequence: int, link: bytes, published: Sequence[int | None]
) -> list[Record]:
    """Return `drafts` as the records after `sequence`, which has `link`.

    `published` is the last sequence with a topic, by priority.
    """
    records: list[Record] = []
    before = list(published)
    for draft in drafts:
        sequence += 1
        priority, topic, body = draft.priority, draft.topic, draft.body
        link = link_after(link, sequence, priority, body_hash(body))
        records.append(
            Record(
                sequence=sequence,
                id=draft.id,
                kind=draft.kind,
                priority=priority,
                topic=topic,
                body=body,
                link=link,
                previous=before[priority],
            )
        )
        if topic is not None:
            before[priority] = sequence
    return records


def new_topics(records: Iterable[Record], known: Mapping[str, int]) -> dict[str, int]:
    """Return numbers for the topics of `records` that are not among the `known`."""
    found: dict[str, int] = {}
    for record in records:
        topic = record.topic
        if topic is not None and topic not in known and topic not in found:
            found[topic] = len(known) + len(found) + 1
    return found
