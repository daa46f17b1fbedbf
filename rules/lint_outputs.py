"""Orders that harm: an output of the evacuation held for ever, a device that can't hear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from drivers.priorities import Priority
from rules.lint_ground import completing
from rules.lint_pairs import shape
from rules.load_actions import endless, holds
from rules.model import Action, EvacuationPlan, Fact, Rule, World
from rules.problems import Problems


def outputs(rules: Iterable[Rule], world: World, problems: Problems) -> None:
    """Say each order that keeps an output from those who need it, or that can't be heard."""
    every = list(rules)
    needed = _needed(every, world)
    for rule in every:
        for action in _actions(rule):
            _for_ever(rule, action, needed, world, problems)
        for action in rule.do:
            _unheard(rule, action, world, problems)
        if rule.until and any(endless(action) for action in rule.do):
            _ends_at_once(rule, problems)


def _actions(rule: Rule) -> tuple[Action, ...]:
    return (*rule.do, *(action for step in rule.escalate for action in step.do))


def devices(rule: Rule, action: Action, world: World) -> tuple[str, ...]:
    """Return whom an action can address, whoever fires the rule."""
    members = dict.fromkeys(m for t in rule.when for f in completing(t) for m in f.members)
    near = (d for m in members for d in world.devices[m].near.get(action.near or "", ()))
    return tuple(dict.fromkeys((*action.devices, *near)))


def _needed(rules: list[Rule], world: World) -> dict[str, str]:
    """Return each output that life safety needs, with who needs it."""
    found: dict[str, str] = {}
    for rule in rules:
        if rule.priority is Priority.life_safety:
            for action in _actions(rule):
                if holds(action):
                    found |= dict.fromkeys(devices(rule, action, world), f"rule {rule.id}")
    plan = world.evacuation or EvacuationPlan()
    return found | dict.fromkeys((*plan.release, *plan.silence, *plan.sound), "evacuation")


def _for_ever(
    rule: Rule, action: Action, needed: dict[str, str], world: World, problems: Problems
) -> None:
    """Say a lease of a lower rule that nothing ends, on an output that life safety needs."""
    if rule.priority is Priority.life_safety or not endless(action) or rule.until:
        return
    for device in devices(rule, action, world):
        word = action.command.kind
        if device in needed and word not in world.devices[device].limits:
            message = f"{word} {device} is held for ever, and the {needed[device]} needs it"
            hint = "it outlives every alarm: add for:, until:, or max_on: to the device"
            problems.error(action.mark, message, hint)


def _unheard(rule: Rule, action: Action, world: World, problems: Problems) -> None:
    """Warn of an order to the very device that can't be heard when the rule fires."""
    for fact in (f for trigger in rule.when for f in completing(trigger)):
        if fact.signal != "link.down" and (fact.state, fact.value) != ("link", "down"):
            continue
        deaf = sorted(set(fact.members) & set(devices(rule, action, world)))
        if deaf and (fact.group is None or len(fact.members) == 1):
            message = f"{deaf[0]} can't be heard when it is told to {action.command.kind}"
            problems.warning(action.mark, message, "tell another device, or open an incident")
            return


def _ends_at_once(rule: Rule, problems: Problems) -> None:
    """Warn of an `until:` that comes with the trigger itself."""
    begins = {shape(fact) for fact in _plain(rule.when)}
    for fact in _plain(rule.until):
        if shape(fact) in begins:
            message = "until: is the trigger itself: it ends at the next one, if ever"
            problems.warning(fact.mark, message, "write what ends it, like closed after open")


def _plain(triggers: Iterable[object]) -> Iterator[Fact]:
    return (trigger for trigger in triggers if isinstance(trigger, Fact))
