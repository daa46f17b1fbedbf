"""The SOAP of ONVIF cameras: whatever they answer, it is a value or an error of ours."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import WireError
from drivers.wire import onvif


def test_the_password_digest_is_that_of_the_username_token_profile() -> None:
    # the worked example of ONVIF's Application Programmer's Guide
    nonce = base64.b64decode("LKqI6G/AikKCQrN0zqZFlg==")
    assert onvif.password_digest(nonce, "2010-09-16T07:50:45Z", "userpassword") == (
        "tuOSpGlFlIXsozq4HFNeeGeFLEI="
    )


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300) | st.text(alphabet="<>/:?!&;ab \n\0[]", max_size=80).map(str.encode))
def test_whatever_a_camera_answers_it_is_a_body_a_fault_or_a_wire_error(data: bytes) -> None:
    with suppress(onvif.SoapFault, WireError):
        onvif.answer(data)


PIECES = st.recursive(
    st.sampled_from(["MOVING", "IDLE", "7", "", "http://x/y"]),
    lambda inner: st.tuples(
        st.sampled_from(
            [
                "UTCDateTime",
                "Year",
                "Hour",
                "Service",
                "XAddr",
                "Namespace",
                "Preset",
                "Name",
                "MoveStatus",
                "PanTilt",
                "Capabilities",
                "PTZConfiguration",
            ]
        ),
        st.lists(inner, max_size=3),
    ).map(lambda p: f'<{p[0]} token="t">{"".join(p[1])}</{p[0]}>'),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(PIECES)
def test_every_answer_can_be_read_as_any_other_without_an_error(inner: str) -> None:
    body = onvif.answer(f"<Envelope><Body><R>{inner}</R></Body></Envelope>".encode())
    onvif.camera_time(body)
    onvif.service_addresses(body)
    onvif.ptz_profile(body)
    onvif.preset_tokens(body)
    onvif.move_status(body)
    onvif.tells_move_status(body)


def test_an_answer_with_a_document_type_is_refused_before_it_is_parsed() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><Envelope><Body><a>&b;</a></Body></Envelope>'
    with pytest.raises(WireError, match="DTD"):
        onvif.answer(bomb)
