"""What systemd shows of a unit, and what it means for a release on trial."""

from __future__ import annotations

import pytest

from edge.upgrade.service import ended


@pytest.mark.parametrize(
    ("state", "sub", "job", "by_itself"),
    [
        ("active", "running", "", False),
        ("reloading", "reload", "", False),
        ("activating", "start", "412", False),
        ("activating", "start", "", False),
        ("deactivating", "stop-watchdog", "", True),
        ("deactivating", "stop-post", "", True),
        ("deactivating", "stop-post", "412", False),
        ("activating", "auto-restart", "", True),
        ("activating", "auto-restart-queued", "412", True),
        ("inactive", "dead", "", True),
        ("inactive", "dead", "0", True),
        ("inactive", "dead", "412", False),
        ("failed", "failed", "", True),
        ("failed", "failed", "412", False),
    ],
)
def test_only_what_nobody_asked_for_is_an_end_by_itself(
    state: str, sub: str, job: str, by_itself: bool
) -> None:
    shown = {"ActiveState": state, "SubState": sub, "Job": job}
    assert ended(shown) is by_itself
