"""Alarms per day, old beside new, as an SVG drawing that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 12, 34
MOST = 100
"""Bars drawn; more days are drawn as weeks."""
LABELS = 12


class Bar(NamedTuple):
    """One day, or a week."""

    label: str
    before: int
    after: int


def weekly(days: Sequence[Bar]) -> tuple[list[Bar], str]:
    """Return what to draw, and what a bar stands for: days, or sums of 7 where there are many."""
    if len(days) <= MOST:
        return list(days), "day"
    found = []
    for start in range(0, len(days), 7):
        week = days[start : start + 7]
        found.append(Bar(week[0].label, sum(d.before for d in week), sum(d.after for d in week)))
    return found, "week from"


def chart(days: Sequence[Bar]) -> str:
    """Return an `<svg>`; labels are escaped."""
    bars, unit = weekly(days)
    top = nice(max((max(b.before, b.after) for b in bars), default=0))
    inner = HEIGHT - TOP - BOTTOM
    step = (WIDTH - LEFT - RIGHT) / max(len(bars), 1)
    thick = max(min(step * 0.38, 26.0), 1.0)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Alarms per day, before '
        'and after" xmlns="http://www.w3.org/2000/svg">'
    ]
    for number in range(5):
        value = top * number / 4
        y = TOP + inner * (1 - number / 4)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
        parts.append(
            f'<text class="axis" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    every = max(-(-len(bars) // LABELS), 1)
    for number, bar in enumerate(bars):
        middle = LEFT + step * (number + 0.5)
        told = f"{unit} {bar.label}: {bar.before} before, {bar.after} after"
        parts.append(f"<g><title>{escape(told)}</title>")
        for shape, value, x in (("old", bar.before, middle - thick), ("new", bar.after, middle)):
            high = inner * value / top
            y = TOP + inner - high
            parts.append(
                f'<rect class="{shape}" x="{x:.1f}" y="{y:.1f}" width="{thick:.1f}"'
                f' height="{high:.1f}"/>'
            )
        parts.append("</g>")
        if number % every == 0:
            parts.append(
                f'<text class="axis" x="{middle:.1f}" y="{HEIGHT - 12}" text-anchor="middle">'
                f"{escape(bar.label[5:])}</text>"
            )
    parts.append("</svg>")
    return "".join(parts)


def nice(most: int) -> int:
    """Return a number from `most` on that four steps divide well."""
    size = 1
    while True:
        for part in (4, 8, 12, 20, 28):
            if part * size >= most:
                return part * size
        size *= 10
