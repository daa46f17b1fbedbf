"""Values are set in the text of a site.yaml, and nothing else of it changes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.provisioning.site_edit import CannotEdit, with_values


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("site: a  # the store\nvars: {x: 1m}\n", 'site: "s"  # the store\nvars: {x: 1m}\n'),
        ("# kept\nsite: 'a'\n", '# kept\nsite: "s"\n'),
        ("vars: {x: 1m}", 'vars: {x: 1m}\nsite: "s"\n'),
        ("", 'site: "s"\n'),
        ("# nothing yet\n", '# nothing yet\nsite: "s"\n'),
        ("site:\nvars: {}\n", 'site: "s"\nvars: {}\n'),
        ("site: ~\n", 'site: "s"\n'),
    ],
)
def test_a_value_is_set_where_it_stands_or_added(before: str, after: str) -> None:
    assert with_values(before, {("site",): "s"}, {}) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "mqtt:\n  # ours\n  url: mqtt://a  # old\n  ca: /x.pem\n",
            'mqtt:\n  # ours\n  password: !secret p\n  url: "mqtts://b"  # old\n  ca: /x.pem\n',
        ),
        (
            "mqtt: {url: mqtt://a, password: !secret old, window: 5}\n",
            'mqtt: {url: "mqtts://b", password: !secret p, window: 5}\n',
        ),
        ("mqtt:\n", 'mqtt: {password: !secret p, url: "mqtts://b"}\n'),
        ("site: s\n", 'site: s\nmqtt:\n  password: !secret p\n  url: "mqtts://b"\n'),
    ],
)
def test_the_broker_is_set_among_its_other_settings(before: str, after: str) -> None:
    assert with_values(before, {("mqtt", "url"): "mqtts://b"}, {("mqtt", "password"): "p"}) == after


@pytest.mark.parametrize(
    "text",
    [
        "- a\n",
        "word",
        "{site: a, vars: {x: 1}}\n{",
        "site: |\n  a\n",
        "site: !var x\n y\n",
        "a: [\n",
    ],
)
def test_a_text_that_can_t_be_changed_safely_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        with_values(text, {("site",): "s"}, {})


WORD = st.text(max_size=12) | st.sampled_from(['"', "a: b", "# x", "\n", "\u2028", "é", "'"])
TEXT = st.lists(
    st.sampled_from(
        [
            "site: a", "site: 'a'", 'site: "a" # x', "site:", "site: |", "  folded", "mqtt:",
            "  url: mqtt://a", "  url: >-", "  password: !secret x", "mqtt: {url: a}", "mqtt: {}",
            "vars: {site: 1}", "# site: b", "", "...", "---", "mqtt: ~", "mqtt: {", "  ca: /x}",
            "x: &a {url: b}", "mqtt: *a", "\tx", "mqtt: [1]", "site: &b c", "site: 'a", "   b'",
            "&a",
        ]
    ),
    max_size=6,
).map("\n".join)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(TEXT | st.text(max_size=30), WORD, WORD)
def test_any_text_is_changed_as_wanted_or_refused(text: str, site: str, url: str) -> None:
    with suppress(CannotEdit):
        once = with_values(
            text, {("site",): site, ("mqtt", "url"): url}, {("mqtt", "password"): "p"}
        )
        again = with_values(
            once, {("site",): site, ("mqtt", "url"): url}, {("mqtt", "password"): "p"}
        )
        assert again == once
