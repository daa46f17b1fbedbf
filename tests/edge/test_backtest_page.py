"""The page of a backtest: whole, self-contained, all escaped, and what Chromium makes of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import backtest_words as say
from edge.backtest_chart import Bar, chart, nice, weekly
from edge.backtest_page import lead, page
from rules.backtest_report import Alarm, Figures, Line, Played, Report

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
EVIL = "<script>alert('x')</script>&\""


def report(**over: Any) -> Report:
    before = Figures(alarms=412, siren_seconds=11_520.0, clips=30, incidents=12)
    after = Figures(alarms=367, siren_seconds=9_600.0, clips=28, incidents=12, shadow=2)
    total = Line(before=before, after=after, lost=61, gained=16)
    lost = Alarm(
        change="lost",
        rule="gate_alarm",
        member="",
        device="eas_front",
        signal="eas.alarm",
        cause="1",
        at=BEGAN,
    )
    values: dict[str, Any] = {
        "total": total,
        "rules": {"gate_alarm": total, "quiet_one": Line()},
        "days": {"2026-11-20": total},
        "devices": {"eas_front": total},
        "examples": [lost],
        "changed": {"gate_alarm": "changed", "hurry": "shadow"},
        "played": Played(events=2000, heard=1200, first=BEGAN, last=BEGAN + timedelta(days=2)),
        "zone": "Europe/London",
    }
    return Report(**(values | over))


class _Reader(HTMLParser):
    """What a browser sees: texts, tags, and what it would fetch."""

    VOID = frozenset({"meta", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_a_page_says_the_difference_and_fetches_nothing() -> None:
    reader = read(page(report(), "store_0421"))
    told = " ".join(reader.text)
    assert "New rules for store_0421" in told
    assert "412 → 367" in told
    assert "3 h 12 min → 2 h 40 min" in told
    assert "2026-11-20 12:00:00" in told
    assert "hurry is in shadow: counted is what it would do" in told
    assert reader.fetched == []
    assert "script" not in reader.tags
    assert "url(" not in page(report(), "x")
    assert "@import" not in page(report(), "x")


def test_names_are_escaped_wherever_they_stand() -> None:
    one = Alarm(
        change="gained",
        rule=EVIL,
        member=EVIL,
        device=EVIL,
        signal=EVIL,
        cause=EVIL,
        at=BEGAN,
        shadow=True,
    )
    line = Line(gained=1, after=Figures(alarms=1))
    played = Played(events=1, first=BEGAN, last=BEGAN)
    played.strangers[EVIL] = 3
    made = page(
        report(
            total=line,
            rules={EVIL: line},
            devices={EVIL: line},
            examples=[one],
            changed={EVIL: "shadow"},
            played=played,
        ),
        EVIL,
    )
    reader = read(made)
    assert "script" not in reader.tags
    assert "".join(reader.text).count(EVIL) >= 6


@settings(max_examples=50, deadline=None)
@given(st.text(), st.lists(st.integers(0, 10**6), max_size=8))
def test_any_text_and_any_number_make_a_page(text: str, numbers: list[int]) -> None:
    days = {
        (BEGAN + timedelta(days=n)).date().isoformat(): Line(before=Figures(alarms=number))
        for n, number in enumerate(numbers)
    }
    reader = read(page(report(rules={text: Line(lost=1)}, days=days), text))
    assert reader.fetched == []


def test_the_chart_draws_each_day_twice_to_scale() -> None:
    drawn = ElementTree.fromstring(chart([Bar("2026-11-20", 40, 10), Bar("2026-11-21", 0, 20)]))
    bars = [e for e in drawn.iter() if e.tag.endswith("rect")]
    assert [e.get("class") for e in bars] == ["old", "new", "old", "new"]
    heights = [float(e.get("height") or 0) for e in bars]
    assert [round(h / heights[0], 2) for h in heights] == [1.0, 0.25, 0.0, 0.5]
    titles = [e.text for e in drawn.iter() if e.tag.endswith("title")]
    assert titles[0] == "day 2026-11-20: 40 before, 10 after"


def test_many_days_are_drawn_as_weeks() -> None:
    days = [Bar(f"2026-{n:03}", 1, 2) for n in range(103)]
    bars, unit = weekly(days)
    assert (len(bars), unit) == (15, "week from")
    assert bars[0] == Bar("2026-000", 7, 14)
    assert bars[-1] == Bar("2026-098", 5, 10)


def test_the_scale_ends_at_a_round_number() -> None:
    assert [nice(n) for n in (0, 4, 5, 9, 21, 100, 118, 900)] == [4, 4, 8, 12, 28, 120, 120, 1200]


def test_the_lead_is_what_a_manager_asks_first() -> None:
    assert lead(report()) == (
        "The new rules would have raised 45 fewer alarms in 3 days (\u221211 %); the sirens would "
        "have sounded for 32 min less."
    )
    same = Line(before=Figures(alarms=3), after=Figures(alarms=3))
    assert lead(report(total=same)) == (
        "The new rules would have raised the same 3 alarms in 3 days; the sirens would have "
        "sounded just as long."
    )
    others = Line(before=Figures(alarms=3), after=Figures(alarms=3), lost=1, gained=1)
    assert "as many alarms in 3 days, 1 of them others" in lead(report(total=others))


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0 s"),
        (0.5, "0.5 s"),
        (9.99, "10 s"),
        (59.6, "1 min"),
        (245.0, "4 min 5 s"),
        (3600.0, "1 h"),
        (11_520.0, "3 h 12 min"),
        (5_000_000.0, "1,388 h 53 min"),
    ],
)
def test_lengths_are_told_as_people_do(seconds: float, told: str) -> None:
    assert say.length(seconds) == told


def test_percents_are_rounded_and_small_ones_said_so() -> None:
    assert say.percent(412, 367) == " (\u221211 %)"
    assert say.percent(1000, 1001) == " (+<1 %)"
    assert say.percent(0, 5) == ""


def test_the_notes_say_what_the_history_cannot_tell() -> None:
    played = Played(events=1, gaps=2, evicted=1203, unreadable=1, journal_begins=BEGAN)
    played.strangers["eas_old"] = 1203
    assert say.notes(report(played=played, changed={})) == [
        "the journal begins 2026-11-20 12:00:00; of the time before nothing is known",
        "at the beginning no state is known: each is unknown until its device says it",
        "2 gaps in the history: records that were lost are not played",
        "1,203 records went because of the journal's size",
        "1,203 events of eas_old are not in this configuration",
        "1 record can't be read",
    ]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_chromium_lays_the_page_out_without_a_complaint(tmp_path: Path) -> None:
    made = tmp_path / "report.html"
    made.write_text(page(report(), "store_0421"), encoding="utf-8")
    command = [
        *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", made.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "45 fewer alarms" in done.stdout
    assert not re.search(r"CONSOLE|ERR_", done.stderr)
