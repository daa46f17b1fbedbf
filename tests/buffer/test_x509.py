"""When certificates end, as openssl says it too."""

import ssl
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buffer import x509
from tests.certificates import Authority


def test_the_end_is_the_one_that_openssl_says(tmp_path: Path) -> None:
    authority = Authority(tmp_path, days=40_000)
    own, key = authority.sign("own", days=10)
    text = own.read_text() + key.read_text() + "a remark\n" + authority.pem.read_text()
    leaf, ca = x509.read_pem(text)

    for path, read in ((own, leaf), (authority.pem, ca)):
        asked = ["openssl", "x509", "-in", str(path), "-noout", "-enddate"]
        said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        assert read.ends == ssl.cert_time_to_seconds(said.strip().removeprefix("notAfter="))
    assert leaf.issuer == ca.subject == ca.issuer != leaf.subject
    assert leaf.ends == pytest.approx(time.time() + 10 * 86400, abs=300)
    assert ca.ends > ssl.cert_time_to_seconds("Jan  1 00:00:00 2050 GMT")


def test_the_systems_authorities_are_read() -> None:
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if not bundle.exists():
        pytest.skip("no bundle here")
    found = x509.read_pem(bundle.read_text())

    assert len(found) > 50
    assert all(one.ends > 0 for one in found)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        x509.read(data)


def test_a_damaged_certificate_is_read_or_refused(tmp_path: Path) -> None:
    der = ssl.PEM_cert_to_DER_cert(Authority(tmp_path).pem.read_text())
    refused = 0
    for place in range(len(der)):
        for damaged in (der[:place], der[:place] + bytes([der[place] ^ 0xFF]) + der[place + 1 :]):
            try:
                x509.read(damaged)
            except ValueError:
                refused += 1
    assert refused > len(der)
