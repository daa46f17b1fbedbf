"""The signal and data under which a decision of the rules is journaled and shown."""

from __future__ import annotations

from typing import Any

from edge.traces import firing_of
from rules.model import Decision, Ended, Fired, NotFired, Repeated


def described(decision: Decision) -> tuple[str, dict[str, Any]] | None:
    """Return signal and data of a decision; None: it is not journaled."""
    if isinstance(decision, Fired):
        data: dict[str, Any] = {
            "rule": decision.rule,
            "member": decision.member,
            "cause": decision.event.id,
            "firing": firing_of(decision),
        }
        marks = {"late": decision.late, "shadow": decision.shadow, "step": decision.step}
        return "rule.fired", data | {k: v for k, v in marks.items() if v}
    if isinstance(decision, Ended):
        return "rule.ended", {
            "rule": decision.rule,
            "member": decision.member,
            "target": decision.device,
            "command": decision.command,
            "because": decision.because,
        }
    if isinstance(decision, Repeated):
        return "rule.repeated", {
            "rule": decision.rule,
            "member": decision.member,
            "count": decision.count,
            "because": decision.because,
        }
    assert isinstance(decision, NotFired)  # noqa: S101 - there is no fifth kind
    if not decision.blind:
        return None
    data = {"rule": decision.rule, "member": decision.member, "reason": decision.reason}
    return "rule.blind", data
