"""A busy hour of the whole daemon in seconds: outages, a restart, eviction, and what it leaves."""

import asyncio
from dataclasses import replace

from bench.prove_soak import Found, Sample, judge, soak

MAX_SIZE = 1_000_000


def test_a_busy_hour_stays_in_its_bound_and_all_is_sent_in_the_end() -> None:
    found = asyncio.run(soak(1500, 600, "1MB", 7, leak=False, short=True))
    assert found.wrong == []
    assert 0 < found.largest <= MAX_SIZE
    assert found.evicted > 0
    assert found.outages > 0
    assert found.restarts == 1
    assert found.fired > 0


def lived(*memory: float) -> Found:
    """Return a life with these memories in turn, five samples of each, and nothing wrong."""
    one = Sample(memory=0.0, descriptors=16, threads=3, sequence=0)
    samples = [replace(one, memory=mb) for mb in memory for _ in range(5)]
    return Found(MAX_SIZE, samples=samples, largest=MAX_SIZE, fired=1)


def test_a_life_that_grows_is_found_out() -> None:
    assert judge(lived(60.0, 62.0, 62.5, 63.0)) == []
    assert judge(lived(60.0, 62.0, 64.0, 66.0)) == ["memory grew from 62.0 to 66.0 MB"]


def test_descriptors_and_threads_that_stay_open_are_found_out() -> None:
    found = lived(60.0, 60.0, 60.0, 60.0)
    found.samples[-5:] = [replace(one, descriptors=18, threads=5) for one in found.samples[-5:]]
    assert judge(found) == ["descriptors grew from 16 to 18", "threads grew from 3 to 5"]


def test_a_file_above_its_bound_and_a_lost_alarm_are_found_out() -> None:
    found = lived(60.0, 60.0, 60.0, 60.0)
    found.largest, found.dropped = MAX_SIZE + 1, {"security": 2, "telemetry": 90}
    assert judge(found) == [
        "1000001 bytes on disk, 1000000 are allowed",
        "2 unsent records of security were lost",
    ]
