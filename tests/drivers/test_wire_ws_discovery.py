"""WS-Discovery: what a camera answers is values or an error of ours, whatever it sends."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import WireError
from drivers.wire.own_words import printable
from drivers.wire.ws_discovery import Match, answer, asked, matches, probe

ID = "urn:uuid:0a6dc791-2be6-4991-9af1-454778a1917a"
AXIS = b"""<?xml version="1.0" encoding="UTF-8"?>
<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://www.w3.org/2003/05/soap-envelope"
 xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><SOAP-ENV:Header>
<wsa:MessageID>urn:uuid:5d4e</wsa:MessageID>
<wsa:RelatesTo>urn:uuid:0a6dc791-2be6-4991-9af1-454778a1917a</wsa:RelatesTo>
</SOAP-ENV:Header><SOAP-ENV:Body><d:ProbeMatches><d:ProbeMatch>
<wsa:EndpointReference><wsa:Address>urn:uuid:5f5a69c2</wsa:Address></wsa:EndpointReference>
<d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types>
<d:Scopes>onvif://www.onvif.org/Profile/Streaming onvif://www.onvif.org/name/AXIS%20P3245_V
 onvif://www.onvif.org/hardware/P3245-V onvif://www.onvif.org/location/till</d:Scopes>
<d:XAddrs>http://10.0.4.51/onvif/device_service http://[fe80::1]/onvif/device_service</d:XAddrs>
<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches>
</SOAP-ENV:Body></SOAP-ENV:Envelope>"""


def test_a_camera_s_answer_is_read() -> None:
    assert matches(AXIS, frozenset({ID})) == [
        Match(
            endpoint="urn:uuid:5f5a69c2",
            types=("NetworkVideoTransmitter", "Device"),
            addresses=(
                "http://10.0.4.51/onvif/device_service",
                "http://[fe80::1]/onvif/device_service",
            ),
            name="AXIS P3245_V",
            hardware="P3245-V",
            location="till",
        )
    ]


def test_an_answer_to_somebody_else_s_probe_names_nobody() -> None:
    assert matches(AXIS, frozenset({"urn:uuid:mine"})) == []


def test_an_answer_that_does_not_say_what_it_answers_counts() -> None:
    data = AXIS.replace(b"RelatesTo", b"Forgotten")

    assert [match.name for match in matches(data, frozenset({"urn:uuid:mine"}))] == ["AXIS P3245_V"]


def test_a_probe_asks_for_a_type_under_an_id() -> None:
    sent = probe(ID, "NetworkVideoTransmitter")

    assert asked(sent) == (ID, frozenset({"NetworkVideoTransmitter"}))
    assert b'xmlns:n="http://www.onvif.org/ver10/network/wsdl">n:NetworkVideo' in sent
    assert b"http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe<" in sent


def test_an_answer_with_entities_is_not_read() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'

    for data in (bomb, bomb.decode().encode("utf-16"), bomb.decode().encode("utf-16-le")):
        with pytest.raises(WireError, match="DTD"):
            matches(data, frozenset())
    small = AXIS.replace(b"?>\n", b'?><!DOCTYPE x [<!ENTITY a "P">]>', 1)
    with pytest.raises(WireError, match="DTD"):
        matches(small.replace(b"AXIS", b"&a;"), frozenset({ID}))


@pytest.mark.parametrize(
    "data", [b"<a>" * 21_000, b"<a>" * 9_000 + b"</a>" * 9_000, b"<a" * 30_000]
)
def test_an_answer_nested_without_end_is_refused_at_once(data: bytes) -> None:
    before = time.perf_counter()

    with pytest.raises(WireError):
        matches(data, frozenset())
    assert time.perf_counter() - before < 5


def test_what_a_device_says_of_itself_can_write_no_line_and_move_no_cursor() -> None:
    told = answer(
        ID,
        ID,
        [Match(endpoint="e", types=("Device",), name="a%0Ab%1b[2J%00c%E2%80%AEd" + "x" * 500)],
    )
    (match,) = matches(told, frozenset({ID}))

    assert match.name.startswith("a b [2J c d")
    assert len(match.name) == 100


@pytest.mark.parametrize(
    "address",
    ["ftp://10.0.4.51/", "http:///x", "http://10.0.4.51:99999/", "http://[::1", "//x", "http://é/"],
)
def test_an_address_that_is_none_is_left_out(address: str) -> None:
    data = AXIS.replace(b"http://10.0.4.51/onvif/device_service", address.encode())
    (match,) = matches(data, frozenset({ID}))

    assert match.addresses == ("http://[fe80::1]/onvif/device_service",)


PIECES = st.recursive(
    st.sampled_from(["http://x/y", "urn:uuid:1", "onvif://www.onvif.org/name/%ff%00", "", "a:b"]),
    lambda inner: st.tuples(
        st.sampled_from(
            ["ProbeMatches", "ProbeMatch", "Types", "Scopes", "XAddrs", "Address", "RelatesTo", "x"]
        ),
        st.lists(inner, max_size=3),
    ).map(lambda p: f"<{p[0]}>{''.join(p[1])}</{p[0]}>"),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=300)
    | st.text(alphabet="<>/:?!&;ab \n\0[]", max_size=80).map(str.encode)
    | PIECES.map(lambda inner: f"<E><ProbeMatches>{inner}</ProbeMatches></E>".encode())
)
def test_whatever_answers_it_is_matches_or_a_wire_error(data: bytes) -> None:
    with suppress(WireError):
        for match in matches(data, frozenset({"urn:uuid:1"})):
            texts = (match.endpoint, match.name, match.hardware, match.location, *match.addresses)
            assert all(text.isprintable() and len(text) <= 200 for text in texts)
    with suppress(WireError):
        asked(data)


WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_characters="%"))


@settings(max_examples=200, deadline=None)
@given(WORDS, WORDS)
def test_what_a_device_says_comes_over(name: str, hardware: str) -> None:
    told = Match(
        endpoint="urn:uuid:1",
        types=("NetworkVideoTransmitter",),
        addresses=("http://10.0.4.51/onvif/device_service",),
        name=printable(name),
        hardware=printable(hardware),
    )

    assert matches(answer(ID, "urn:x", [told]), frozenset({ID})) == [told]
