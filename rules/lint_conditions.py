"""Conditions that are never true, or always: by themselves, or whenever the rule asks them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from drivers.event import SITE
from drivers.signals import UNKNOWN
from rules.expressions import Compiled
from rules.lint_ground import Ground, at_this_site, event_fields, facts, grounds, held
from rules.lint_logic import OTHER, Given, Logic, Part
from rules.model import Answer, Fact, FieldWords, Rule, World
from rules.problems import Mark, Problems


def conditions(rules: Iterable[Rule], world: World, problems: Problems) -> None:
    """Say each `if:` and `while:` that can't be true (an error) or can't be false (a warning)."""
    for rule in rules:
        if isinstance(rule.condition, Compiled):
            _if(rule, rule.condition, world, problems)
        for fact in (f for trigger in (*rule.when, *rule.until) for f in facts(trigger)):
            if isinstance(fact.holding, Compiled):
                asked = _Asked(fact.holding, world, {"device": fact.members}, problems)
                given = held(fact, world)
                if not asked.say([(fact, given)], "while:"):
                    asked.never_here([at_this_site(given, world)], "while:")


def _if(
    rule: Rule,
    condition: Compiled,
    world: World,
    problems: Problems,
) -> None:
    found = list(grounds(rule, world))
    asked = _Asked(condition, world, event_fields(rule, world), problems)
    if not asked.say([(g.fact, g.given) for g in found], "if:"):
        asked.never_here([at_this_site(g.given, world) for g in found], "if:")


def fires(rule: Rule, ground: Ground, world: World) -> bool:
    """Return whether the rule can fire on this ground, as far as its condition says."""
    if rule.condition is None:
        return True
    logic = Logic(world, event_fields(rule, world))
    found = logic.outcomes(
        logic.read(rule.condition.source, rule.condition.variables), ground.given
    )
    return found is None or bool(found & accepted(rule))


def accepted(rule: Rule) -> set[Answer]:
    """Return the answers of its condition with which the rule fires."""
    return {"yes", "unknown"} if rule.if_unknown == "fire" else {"yes"}


class _Asked:
    """One condition and the places where it is asked."""

    def __init__(
        self,
        condition: Compiled,
        world: World,
        event: Mapping[str, FieldWords],
        problems: Problems,
    ) -> None:
        self._condition, self._problems = condition, problems
        self._logic = Logic(world, event)
        self._whole = self._logic.read(condition.source, condition.variables)

    def say(self, asked: Sequence[tuple[Fact, Given]], key: str) -> bool:
        """Return whether it is always the same when it is asked at these facts, after saying so."""
        every = [given for _, given in asked]
        if not every:
            return False
        answers = self._answers(self._whole, every)
        if answers is None:
            self._parts(self._whole, every)
            return False
        if "yes" not in answers:
            part = self._least(every)
            self._problems.error(
                self._place(part), f"{key} can never be true here", self._because(part, every)
            )
        elif "no" not in answers:
            hint = self._because(self._whole, every)
            if "unknown" in answers and not hint:
                hint = "it is true, or nobody knows: to ask for that write != 'unknown'"
            message = f"{key} is always true here"
            self._problems.warning(self._place(self._whole), message, hint or "leave it out")
        else:
            self._dead_triggers(asked, key)
            self._parts(self._whole, every)
            return False
        return True

    def never_here(self, every: Sequence[Given], key: str) -> None:
        """Warn where the hours of this site keep it from ever being true."""
        answers = self._answers(self._whole, every)
        if every and answers is not None and "yes" not in answers:
            part = self._least(every)
            because = self._because(part, every)
            self._problems.warning(
                self._place(part), f"{key} is never true by the hours of this site", because
            )

    def _dead_triggers(self, asked: Sequence[tuple[Fact, Given]], key: str) -> None:
        for fact, given in asked:
            some = [given]
            answers = self._answers(self._whole, some)
            if answers is not None and "yes" not in answers:
                message = f"this trigger never fires the rule: its {key} is never true then"
                self._problems.warning(fact.mark, message, self._because(self._whole, some))

    def _parts(self, part: Part, every: Sequence[Given]) -> None:
        """Warn of parts that are always the same, the largest of them."""
        for inner in part.parts:
            answers = self._answers(inner, every)
            if answers is not None and ("yes" not in answers or "no" not in answers):
                said = "always" if "yes" in answers else "never"
                message = f"this part is {said} true here"
                because = self._because(inner, every)
                self._problems.warning(self._place(inner), message, because or "leave it out")
            else:
                self._parts(inner, every)

    def _answers(self, part: Part, every: Sequence[Given]) -> set[Answer] | None:
        found: set[Answer] = set()
        for given in every:
            answers = self._logic.outcomes(part, given)
            if answers is None:
                return None
            found |= answers
        return found

    def _least(self, every: Sequence[Given]) -> Part:
        """Return the smallest part of a chain of `and` that is never true by itself."""
        part = self._whole
        while part.how == "and":
            inner = [p for p in part.parts if "yes" not in (self._answers(p, every) or {"yes"})]
            if not inner:
                break
            part = inner[0]
        return part

    def _because(self, part: Part, every: Sequence[Given]) -> str:
        """Return what is certain when the part is asked and makes it so; empty: it is by itself."""
        free = self._logic.outcomes(part, Given())
        if free is None or free != self._answers(part, every):
            said = [text for key in sorted(part.atoms) if (text := self._certain(key, every))]
            return f"when it is asked, {' and '.join(said)}" if said else ""
        if "yes" not in free and part.how == "and":
            return "its parts contradict each other"
        return ""

    def _certain(self, key: str, every: Sequence[Given]) -> str:
        """Return what a thing that is read always is there, in words; empty when it may differ."""
        atom = self._logic.atoms[key]
        values = {value for given in every for value in atom.domain(given)} - {OTHER}
        if values >= set(atom.domain(Given())):
            return ""
        if (atom.owner, atom.name) == (SITE, "open") and values == {UNKNOWN}:
            return "the site has no hours, and site.open is unknown"
        if atom.kind == "number" and atom.owner == "held":
            least = min(given.held[2] for given in every if given.held)
            return f"{key} is {'at least ' if least else ''}{least:g} s"
        if atom.kind == "number" and atom.owner in ("since", "count"):
            return f"{key} is {'0 s' if atom.owner == 'since' else '1 or more'}"
        words = {True: "yes", False: "no"}
        shown = sorted(words.get(v, str(v)) if isinstance(v, bool) else str(v) for v in values)
        return f"{key} is {' or '.join(shown)}"

    def _place(self, part: Part) -> Mark:
        mark, condition = self._condition.mark, self._condition
        if part is self._whole or not condition.exact:
            return mark
        at = part.at
        column = at.col_offset - 1  # behind the bracket that Logic.read puts before it
        text = condition.source.encode()[: max(column, 0)].decode(errors="replace")
        return Mark(mark.file, mark.line, mark.column + len(text))
