"""When a commit is due."""

from buffer.policy import CommitPolicy
from buffer.record import LIFE_SAFETY, OPERATIONS, PERSONAL_SAFETY, SECURITY, TELEMETRY


def busy() -> CommitPolicy:
    """A policy that has seen 49 records in the last half second."""
    policy = CommitPolicy(max_wait=0.1)
    for n in range(49):
        policy.arrived(n / 100, TELEMETRY)
    policy.committed()
    return policy


def test_nothing_is_due_while_nothing_waits() -> None:
    policy = CommitPolicy(max_wait=0.1)
    assert policy.due is None
    policy.arrived(1.0, TELEMETRY)
    policy.committed()
    assert policy.due is None


def test_a_lone_record_is_due_at_once_whatever_it_is() -> None:
    for priority in range(5):
        policy = CommitPolicy(max_wait=0.1)
        policy.arrived(7.0, priority)
        assert policy.due == 7.0


def test_from_fifty_a_second_on_telemetry_waits_for_others() -> None:
    policy = busy()
    policy.arrived(0.5, TELEMETRY)
    assert policy.due == 0.6
    policy.arrived(0.55, OPERATIONS)
    assert policy.due == 0.6


def test_below_fifty_a_second_it_does_not() -> None:
    policy = busy()
    policy.arrived(1.1, TELEMETRY)
    assert policy.due == 1.1


def test_what_matters_takes_along_all_that_waits() -> None:
    for priority in (LIFE_SAFETY, PERSONAL_SAFETY, SECURITY):
        policy = busy()
        policy.arrived(0.5, TELEMETRY)
        policy.arrived(0.52, priority)
        assert policy.due == 0.52


def test_what_matters_is_due_at_once_however_busy_it_is() -> None:
    for priority in (LIFE_SAFETY, PERSONAL_SAFETY, SECURITY):
        policy = busy()
        policy.arrived(0.5, priority)
        assert policy.due == 0.5


def test_what_comes_later_does_not_put_off_what_is_due() -> None:
    policy = busy()
    policy.arrived(0.5, SECURITY)
    policy.arrived(0.51, TELEMETRY)
    assert policy.due == 0.5
    policy = busy()
    policy.arrived(0.5, TELEMETRY)
    policy.arrived(0.59, TELEMETRY)
    assert policy.due == 0.6


def test_fifty_within_a_second_is_busy_and_fifty_in_a_whole_second_is_not() -> None:
    for last, due in ((0.99, 1.09), (1.0, 1.0)):
        policy = CommitPolicy(max_wait=0.1)
        for n in range(49):
            policy.arrived(n / 100, OPERATIONS)
        policy.committed()
        policy.arrived(last, OPERATIONS)
        assert policy.due == due


def test_when_the_busy_time_is_over_what_waits_goes_with_the_next() -> None:
    policy = CommitPolicy(max_wait=5.0)
    for n in range(50):
        policy.arrived(n / 100, TELEMETRY)
        if n < 49:
            policy.committed()
    assert policy.due == 5.49
    policy.arrived(2.0, TELEMETRY)
    assert policy.due == 2.0


def test_urgent_records_do_not_make_telemetry_wait() -> None:
    policy = CommitPolicy(max_wait=0.1)
    for n in range(100):
        policy.arrived(n / 1000, SECURITY)
        policy.committed()
    policy.arrived(0.2, TELEMETRY)
    assert policy.due == 0.2
