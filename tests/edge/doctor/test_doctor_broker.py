"""The way to a real broker is looked at step by step, and the first that fails is named."""

import subprocess
from pathlib import Path

import pytest

from edge.doctor import broker
from edge.doctor.box import Box
from edge.doctor.finding import Finding
from tests.broker import Broker, free_port
from tests.certificates import Authority, mutual_tls
from tests.edge.doctor.looking import box, folder, look


def findings(at: Box) -> dict[str, Finding]:
    return {f.check: f for f in look(broker.SUBJECT, at)}


def configured(tmp_path: Path, mqtt: str, secret: str | None = None) -> Path:
    config = folder(tmp_path, site=f"site: s1\nmqtt: {{{mqtt}}}\n")
    if secret is not None:
        (config / "secrets").mkdir(mode=0o700)
        (config / "secrets/word").write_text(secret)
        (config / "secrets/word").chmod(0o600)
    return config


def now(at: Box) -> Box:
    from dataclasses import replace

    from edge.clock import wall

    return replace(at, now=wall)


def test_a_broker_that_lets_us_in_is_ok_and_no_session_is_taken_over(tmp_path: Path) -> None:
    with Broker(tmp_path) as real:
        config = configured(tmp_path, f'url: "{real.url}"')
        found = findings(box(tmp_path, config))
        assert {f.level for f in found.values()} == {"ok"}
        assert set(found) == {"broker.name", "broker.reached", "broker.accepted"}
        assert any(" as s1-doctor-" in line for line in real.log)
        assert not any(" as s1 " in line for line in real.log)


def test_a_wrong_password_is_named_as_the_broker_names_it_and_never_shown(tmp_path: Path) -> None:
    words = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(words), "till", "right"], check=True)
    with Broker(tmp_path, options=[f"password_file {words}"], anonymous=False) as real:
        mqtt = f'url: "{real.url}", username: till, password: !secret word'
        config = configured(tmp_path, mqtt, "not-the-right-one")
        found = findings(box(tmp_path, config))["broker.accepted"]
        assert found.level == "problem"
        assert "Not authorized" in found.seen
        assert "not-the-right-one" not in repr(found)
        (config / "secrets/word").unlink()
        assert findings(box(tmp_path, config))["broker.accepted"].level == "unknown"


def test_nobody_who_listens_there_is_a_problem_and_what_comes_after_is_not_said(
    tmp_path: Path,
) -> None:
    config = configured(tmp_path, f'url: "mqtt://127.0.0.1:{free_port()}"')
    found = findings(box(tmp_path, config))
    assert {c: f.level for c, f in found.items()} == {
        "broker.name": "ok",
        "broker.reached": "problem",
    }
    assert "Connection refused" in found["broker.reached"].seen


@pytest.mark.parametrize(("days", "level"), [(365, "ok"), (20, "warning"), (5, "problem")])
def test_certificates_are_told_by_their_days(tmp_path: Path, days: int, level: str) -> None:
    authority = Authority(tmp_path)
    options = mutual_tls(tmp_path, authority)
    authority.sign("server", days=days)
    cert, key = authority.sign("s1", days=days)
    with Broker(tmp_path, options=options, anonymous=False) as real:
        url = f"mqtts://localhost:{real.port}"
        mqtt = f'url: "{url}", ca: {authority.pem}, cert: {cert}, key: {key}'
        found = findings(now(box(tmp_path, configured(tmp_path, mqtt))))
    assert found["broker.accepted"].level == "ok"
    assert found["broker.certificate"].level == level
    assert found["broker.own"].level == level
    assert f"{days - 1} days left" in found["broker.own"].seen


def test_another_authority_a_key_that_does_not_fit_and_another_name_are_problems(
    tmp_path: Path,
) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    options = mutual_tls(tmp_path, authority)
    cert, _ = authority.sign("s1")
    _, stranger = authority.sign("s2")
    with Broker(tmp_path, options=options, anonymous=False) as real:
        mqtt = f'url: "mqtts://localhost:{real.port}", ca: {other.pem}'
        found = findings(now(box(tmp_path, configured(tmp_path, mqtt))))
        assert found["broker.certificate"].level == "problem"
        assert "certificate verify failed" in found["broker.certificate"].seen
        assert "broker.accepted" not in found
        (tmp_path / "config/site.yaml").write_text(
            f'site: s1\nmqtt: {{url: "mqtts://127.0.0.1:{real.port}", ca: {authority.pem},'
            f" cert: {cert}, key: {stranger}}}\n"
        )
        found = findings(now(box(tmp_path, tmp_path / "config")))
        assert found["broker.own"].level == "problem"
