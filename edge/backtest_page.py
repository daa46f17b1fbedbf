"""A backtest as one page that a manager can read and print: no script, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from html import escape
from zoneinfo import ZoneInfo

from edge import backtest_words as say
from edge.backtest_chart import Bar, chart
from rules.backtest_report import Alarm, Line, Report

EXAMPLES = 30
"""Lost and gained alarms that are shown, each."""
_DAY = timedelta(days=1)
_STATES = {"new": "new", "gone": "gone", "changed": "changed", "shadow": "in shadow"}
_STYLE = """
:root{color-scheme:light dark;--text:#1d2330;--dim:#5c6577;--page:#fff;--box:#f3f5f9;
--line:#d9dee8;--old:#9aa5b8;--new:#1f6fd6;--good:#0b7a4b;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--text:#e6eaf2;--dim:#9aa5b8;--page:#12161f;--box:#1b2130;
--line:#2e374a;--old:#66728a;--new:#5aa2ff;--good:#4cc38a;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:2rem 1.25rem;background:var(--page);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
p{margin:.4rem 0}.dim{color:var(--dim)}.lead{font-size:1.15rem;margin:1rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.75rem;
margin:1.25rem 0}
.tile{background:var(--box);border-radius:8px;padding:.7rem .9rem}
.tile b{display:block;font-size:1.2rem;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--line);
vertical-align:top}
th{color:var(--dim);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;
white-space:nowrap}
.tag{font-size:.78rem;border:1px solid var(--line);border-radius:4px;padding:0 .35rem;
color:var(--dim);white-space:nowrap}
.good{color:var(--good)}.bad{color:var(--bad)}
svg{width:100%;height:auto;display:block}.old{fill:var(--old)}.new{fill:var(--new)}
.grid{stroke:var(--line);stroke-width:1}.axis{fill:var(--dim);font-size:12px}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin:0 .35rem 0 1rem;
vertical-align:-1px}.key.old{background:var(--old);margin-left:0}.key.new{background:var(--new)}
ul{margin:.4rem 0;padding-left:1.2rem}
@media print{:root{--text:#000;--dim:#444;--page:#fff;--box:#fff;--line:#bbb;--old:#aaa;--new:#235;
--good:#000;--bad:#000}body{max-width:none;padding:0;font-size:11px}.tile{border:1px solid #bbb}
tr,.tile,svg{break-inside:avoid}h2{break-after:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


def page(report: Report, site: str) -> str:
    """Return the page. Whatever comes from names or events is escaped."""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>New rules for {escape(site)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>New rules for {escape(site)}</h1>",
        f'<p class="dim">Played over what happened here: {escape(say.over(report))}.</p>',
        f'<p class="lead">{escape(lead(report))}</p>',
        _tiles(report),
        "<h2>Alarms per day</h2>",
        '<p class="dim"><span class="key old"></span>rules as they run'
        '<span class="key new"></span>new rules</p>',
        chart(_days(report)),
        "<h2>Per rule</h2>",
        _table("Rule", report.rules, report, tagged=True),
        "<h2>Per device</h2>",
        _table("Device", report.devices, report),
        *_examples(report),
        "<h2>What to know</h2><ul>",
        *(f"<li>{escape(note)}</li>" for note in say.notes(report)),
        "<li>what cameras said and whether devices carried out an order is not played again: "
        "orders are taken as done</li></ul>",
        "</body></html>\n",
    ]
    return "".join(parts)


def lead(report: Report) -> str:
    """Return what a manager asks first, in a sentence or two."""
    old, new, days = report.alarms_before, report.alarms_after, len(_days(report))
    over = f"in {say.whole(days)} day{'' if days == 1 else 's'}"
    if old == new and not report.total.lost:
        first = f"The new rules would have raised the same {say.whole(new)} alarms {over}"
    elif old == new:
        changed = say.whole(report.total.lost)
        first = f"The new rules would have raised as many alarms {over}, {changed} of them others"
    else:
        word = "fewer" if new < old else "more"
        part = say.percent(old, new)
        many = say.whole(abs(new - old))
        first = f"The new rules would have raised {many} {word} alarms {over}{part}"
    seconds = report.siren_seconds_after - report.siren_seconds_before
    if abs(seconds) < 0.05:
        return f"{first}; the sirens would have sounded just as long."
    word = "less" if seconds < 0 else "more"
    return f"{first}; the sirens would have sounded for {say.length(abs(seconds))} {word}."


def _tiles(report: Report) -> str:
    total, old, new = report.total, report.total.before, report.total.after
    tiles = [
        ("Alarms", say.turned(say.whole(old.alarms), say.whole(new.alarms))),
        ("Alarms lost", say.whole(total.lost)),
        ("Alarms gained", say.whole(total.gained)),
        ("Siren", say.sirens(old, new)),
        ("Clips", say.turned(say.whole(old.clips), say.whole(new.clips))),
        ("Incidents", say.turned(say.whole(old.incidents), say.whole(new.incidents))),
    ]
    if new.shadow:
        tiles.append(("of these in shadow", say.whole(new.shadow)))
    shown = (f'<div class="tile">{escape(n)}<b>{escape(value)}</b></div>' for n, value in tiles)
    return f'<div class="tiles">{"".join(shown)}</div>'


def _days(report: Report) -> list[Bar]:
    """Return every day of the history, those without alarms too."""
    days = sorted(report.days)
    played, zone = report.played, ZoneInfo(report.zone)
    if played.first is not None and played.last is not None:
        days += [at.astimezone(zone).date().isoformat() for at in (played.first, played.last)]
    if not days:
        return []
    day, last = date.fromisoformat(min(days)), date.fromisoformat(max(days))
    found = []
    while day <= last:
        line = report.days.get(day.isoformat(), Line())
        found.append(Bar(day.isoformat(), line.before.alarms, line.after.alarms))
        day += _DAY
    return found


def _table(title: str, lines: Mapping[str, Line], report: Report, *, tagged: bool = False) -> str:
    head = ("Alarms", "Lost", "Gained", "Siren", "Clips", "Incidents")
    rows = [f"<tr><th>{title}</th>{''.join(f'<th class=n>{h}</th>' for h in head)}</tr>"]
    for name, line in sorted(lines.items()):
        old, new = line.before, line.after
        state = _STATES.get(say.state(report, name), "") if tagged else ""
        if not (line.differs or old.alarms or old.siren_seconds or state):
            continue
        tag = f' <span class="tag">{state}</span>' if state else ""
        cells = [
            say.turned(say.whole(old.alarms), say.whole(new.alarms))
            if old.alarms or new.alarms or tagged
            else "",
            say.whole(line.lost) if line.lost else "",
            say.whole(line.gained) if line.gained else "",
            say.sirens(old, new) if old.siren_seconds or new.siren_seconds else "",
            say.turned(say.whole(old.clips), say.whole(new.clips))
            if old.clips or new.clips
            else "",
            say.turned(say.whole(old.incidents), say.whole(new.incidents))
            if old.incidents or new.incidents
            else "",
        ]
        shown = "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
        rows.append(f"<tr><td>{escape(name)}{tag}</td>{shown}</tr>")
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def _examples(report: Report) -> Iterable[str]:
    for change, count, title in (
        ("lost", report.total.lost, "Alarms that would not have been raised"),
        ("gained", report.total.gained, "Alarms that would have been raised in addition"),
    ):
        some = [one for one in report.examples if one.change == change][:EXAMPLES]
        if not some:
            continue
        yield f"<h2>{title}</h2>"
        if len(some) < count:
            yield f'<p class="dim">The first {len(some)} of {say.whole(count)}.</p>'
        rows = "".join(_example(one, report.zone) for one in some)
        head = "<tr><th>When</th><th>Rule</th><th>Device</th><th>What it said</th></tr>"
        yield f'<div class="scroll"><table>{head}{rows}</table></div>'


def _example(one: Alarm, zone: str) -> str:
    tag = ' <span class="tag">in shadow</span>' if one.shadow else ""
    cells = (say.local(one.at, zone), one.rule, one.device, one.signal)
    when, rule, device, signal = map(escape, cells)
    return f"<tr><td>{when}</td><td>{rule}{tag}</td><td>{device}</td><td>{signal}</td></tr>"
