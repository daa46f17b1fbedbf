"""`apply:` of site.yaml: limits as people write them, and every mistake at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.config.model import Apply
from edge.config.site_apply import percent
from rules.problems import ConfigurationRefused
from tests.edge.shop import SITE_YAML, shop


def test_without_a_word_the_documented_limits_hold(tmp_path: Path) -> None:
    assert shop(tmp_path).site.apply == Apply(
        watch=1800.0,
        backtest=2_592_000.0,
        alarms=0.2,
        siren=0.2,
        blind=1.0,
        order_failures=0.5,
        slack=3,
    )


def test_what_is_written_holds_and_the_rest_is_the_default(tmp_path: Path) -> None:
    text = "apply: {watch: 2h, backtest: 7d, alarms: +35%, siren: -10%, slack: 5}\n"
    found = shop(tmp_path, site=SITE_YAML + text).site.apply
    assert found == Apply(watch=7200.0, backtest=604_800.0, alarms=0.35, siren=-0.1, slack=5)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("+20%", 0.2),
        ("+12.5 %", 0.125),
        ("-100%", -1.0),
        ("+0%", 0.0),
        ("20%", None),
        ("+20", None),
        ("-101%", None),
        ("+inf%", None),
        ("", None),
    ],
)
def test_a_limit_is_a_sign_and_a_percentage(text: str, share: float | None) -> None:
    assert percent(text) == share


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("apply: {alarms: 35}", "site.yaml:13:17: '35' is not a limit"),
        ("apply: {watch: 8d}", "site.yaml:13:16: 'watch' is at most 7d"),
        ("apply: {watch: 0s}", "site.yaml:13:16: 'watch' is at least 1s"),
        ("apply: {backtest: 100ms}", "site.yaml:13:19: 'backtest' is at least 1s"),
        ("apply: {slack: -1}", "site.yaml:13:16: 'slack' is 0 to 1000"),
        ("apply: {alarm: +20%}", "site.yaml:13:9: unknown setting 'alarm'"),
    ],
)
def test_every_mistake_is_said_at_its_place(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        shop(tmp_path, site=f"{SITE_YAML}{text}\n")
    assert str(refused.value).startswith(problem)
