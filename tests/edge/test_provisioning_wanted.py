"""storewarden.yaml is read strictly: every mistake has its place, and no message the password."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.provisioning.wanted import Broker, Network, Wanted, read
from rules.problems import Problems

WHOLE = """\
site: store_0421            # printed on the box
timezone: Europe/London
serial: 10000000abcdef
replace: yes
network: {interface: eth0, address: 10.0.4.10/24, gateway: 10.0.4.1, dns: [10.0.4.1, 1.1.1.1]}
mqtt:
  url: mqtts://broker.example.com:8883
  username: store_0421
  password: "s3cret: #1"    # ours
"""


def mistakes(text: str) -> list[str]:
    problems = Problems()
    assert read(text, problems) is None
    return str(problems).splitlines()


def test_the_whole_of_a_file_is_read() -> None:
    found = read(WHOLE, Problems())

    assert found is not None
    assert found.wanted == Wanted(
        site="store_0421",
        timezone="Europe/London",
        serial="10000000abcdef",
        replace=True,
        network=Network(
            interface="eth0",
            address="10.0.4.10/24",
            gateway="10.0.4.1",
            dns=["10.0.4.1", "1.1.1.1"],
        ),
        mqtt=Broker(
            url="mqtts://broker.example.com:8883", username="store_0421", password="s3cret: #1"
        ),
    )
    assert "s3cret" not in repr(found.wanted)


def test_the_password_is_taken_out_and_nothing_else_changes() -> None:
    found = read(WHOLE, Problems())

    assert found is not None
    assert found.without_password == WHOLE.replace('"s3cret: #1"', "~")
    again = read(found.without_password, Problems())
    assert again is not None
    assert again.wanted.mqtt == Broker(url="mqtts://broker.example.com:8883", username="store_0421")
    assert again.without_password == again.text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "storewarden.yaml:1:1: the file is empty"),
        ("timezone: UTC\n", "storewarden.yaml:1:1: 'site' is missing"),
        ("site: Store 1\n", "storewarden.yaml:1:7: 'Store 1' is not a site's id"),
        ("site: s\nzone: UTC\n", "storewarden.yaml:2:1: unknown setting 'zone'"),
        ("site: s\ntimezone: Europe/Londn\n", "storewarden.yaml:2:11: unknown timezone"),
        ("site: s\ntimezone: ../../etc\n", "storewarden.yaml:2:11: unknown timezone"),
        ("site: s\nreplace: maybe\n", "storewarden.yaml:2:10: 'maybe' is neither yes nor no"),
        ("site: s\nnetwork: {dhcp: no}\n", "storewarden.yaml:2:10: 'address' is missing"),
        ("site: s\nnetwork: {dhcp: yes, address: 10.0.0.1/8}\n", "2:31: 'dhcp: yes' and 'address'"),
        ("site: s\nnetwork: {address: 10.0.0.1/8}\n", "2:20: 'interface' is missing"),
        ("site: s\nnetwork: {interface: e0, address: 10.0.0.1}\n", "2:35: 10.0.0.1 does not say"),
        ("site: s\nnetwork: {interface: e0, address: 10.0.4.0/24}\n", "10.0.4.0 is the network"),
        ("site: s\nnetwork: {interface: e0, address: 10.0.4.x/24}\n", "'10.0.4.x/24' is no addr"),
        ("site: s\nnetwork: {interface: a b, dhcp: yes}\n", "2:22: 'a b' is no interface"),
        ('site: s\nnetwork: {interface: "e\\nX=", dhcp: yes}\n', "is no interface"),
        (
            "site: s\nnetwork: {interface: e0, address: 10.0.4.9/24, gateway: 10.0.5.1}\n",
            "2:57: 10.0.5.1 can't be reached from 10.0.4.9/24",
        ),
        (
            "site: s\nnetwork: {interface: e0, address: 10.0.4.9/24, dns: [10.0.4.1, dns.local]}\n",
            "2:64: 'dns.local' is no address",
        ),
        (
            'site: s\nnetwork: {interface: e0, address: "fe80::2%x\\nDNS=1/64"}\n',
            "is no address",
        ),
        (
            'site: s\nnetwork: {interface: e0, address: fd00::2/9, gateway: "fe80::1%x\\nDNS=1"}\n',
            "is no address",
        ),
        ("site: s\nmqtt: {}\n", "2:7: 'mqtt' says nothing"),
        ("site: s\nmqtt: {url: http://x}\n", "2:13: 'http://x' is no broker's address"),
        ("site: s\nmqtt: {url: 'mqtt://a:b@x'}\n", "2:13: no user and no password in an address"),
        ("site: s\nmqtt: {uri: mqtt://x}\n", "2:8: this is no setting of mqtt:"),
        ("site: s\nsite: t\n", "2:1: 'site' stands here twice"),
        ("site: [s\n", "not YAML"),
    ],
)
def test_a_mistake_is_said_at_its_place(text: str, problem: str) -> None:
    assert problem in mistakes(text)[0]


@pytest.mark.parametrize(
    "password",
    [
        "[hunter2]",
        "{hunter2: x}",
        "|\n    hunter2",
        "!secret hunter2",
        "!var hunter2",
        '"hunter2\\a"',
    ],
)
def test_no_message_holds_a_password(password: str) -> None:
    said = "\n".join(mistakes(f"site: s\nmqtt:\n  url: mqtt://x\n  password: {password}\n"))

    assert said.startswith("storewarden.yaml:4:13: ")
    assert "hunter2" not in said


FORMS = st.text(alphabet="*&!?:,[]{}#\"'%@`|>-x \n\t\u201c\u201d", max_size=4)


@settings(max_examples=500, deadline=None)
@given(FORMS, FORMS, st.booleans())
def test_no_message_holds_a_password_however_it_is_misspelt(a: str, b: str, flow: bool) -> None:
    value = f"{a}hunter2{b}"
    written = f"mqtt: {{password: {value}}}" if flow else f"mqtt:\n  password: {value}"
    problems = Problems()
    read(f"site: s\n{written}\n", problems)

    assert "unter2" not in str(problems).replace("unknown setting 'hunter2", "")


SETTINGS = st.sampled_from(
    [
        "site: s", "site: S", "timezone: UTC", "timezone: []", "network:", "  dhcp: yes", "mqtt:",
        "  address: 10.0.0.2/24", "  interface: eth0", "  gateway: fe80::1", "  dns: 1.1.1.1",
        "  url: mqtt://x", "  password: hunter2", "  password: 'hunter2'", "  password: >",
        "    hunter2", "replace: yes", "serial: 1", "# x", "", "\tx", "mqtt: {password: hunter2}",
        "  dns: [x, [y]]", "network: &a {dhcp: yes}", "mqtt: *a",
        "mqtt: {url: mqtt://x, password: hunter2}",
        "  password: &p hunter2", "  username: *p", "mqtt: {password: \u2028hunter2}",
    ]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(SETTINGS, max_size=8).map("\n".join) | st.text(max_size=60))
def test_any_text_is_read_or_every_mistake_has_a_place(text: str) -> None:
    problems = Problems()
    found = read(text, problems)

    if found is None:
        assert problems.errors
        assert all(p.mark.file == "storewarden.yaml" and p.mark.line >= 1 for p in problems.errors)
    else:
        assert not problems.errors
        again = read(found.without_password, Problems())
        assert again is not None
        assert again.wanted.mqtt is None or again.wanted.mqtt.password is None
        if found.wanted.mqtt is not None and found.wanted.mqtt.password == "hunter2":
            assert "hunter2" not in found.without_password or "*p" in text


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20))
def test_any_password_in_quotes_is_taken_out_again(password: str) -> None:
    quoted = password.replace("'", "''")
    text = f"site: s\nmqtt: {{url: mqtt://x, password: '{quoted}', username: u}}\n"
    problems = Problems()
    found = read(text, problems)

    if found is None:
        assert password not in str(problems) or len(password) < 4
    else:
        assert found.wanted.mqtt is not None
        assert found.wanted.mqtt.password == password
        expected = "site: s\nmqtt: {url: mqtt://x, password: ~, username: u}\n"
        assert found.without_password == expected
