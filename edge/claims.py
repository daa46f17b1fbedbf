"""Claims on outputs as rules and the latch make them, and the name that the engine has for them."""

from __future__ import annotations

from typing import Literal

from drivers.commands import Command
from drivers.priorities import Priority
from edge.leases import Claim
from edge.outputs import owner_of
from rules.model import Order

EVACUATION: Literal["evacuation"] = "evacuation"
LIFE_SAFETY = Priority.life_safety


def of_rule(order: Order, firing: str | None, tick: float) -> Claim:
    """Return the claim of a rule's order."""
    return Claim(
        device=order.device,
        command=order.command,
        by="rule",
        priority=order.priority,
        owner=owner_of(order.rule, order.member),
        rule=order.rule,
        firing=firing,
        taken=tick,
    )


def of_latch(device: str, command: Command, tick: float) -> Claim:
    """Return the claim of the evacuation latch: above every other."""
    return Claim(
        device=device,
        command=command,
        by=EVACUATION,
        priority=LIFE_SAFETY,
        owner=EVACUATION,
        taken=tick,
    )


def lease_of(claim: Claim) -> tuple[str, str, str, str]:
    """Return the lease as the engine names it: rule, member, device, command."""
    rule, own = claim.rule or "", claim.owner
    return rule, own.removeprefix(owner_of(rule, "")), claim.device, claim.command.kind
