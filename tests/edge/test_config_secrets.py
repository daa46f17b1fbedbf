"""Secrets are found where they are kept, and are never shown."""

from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.model import Configuration
from edge.config.secret_files import AnySecret
from rules.problems import ConfigurationRefused

VALUE = "correct horse battery staple"
DEVICES = """\
devices:
  cam: {type: onvif_camera, host: 10.0.0.1, username: warden, password: !secret cam_exit}
"""
SITE = """\
site: store_0421
mqtt: {url: "mqtts://broker.example.com", username: store, password: !secret mqtt_password}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "site.yaml").write_text(SITE)
    (folder / "devices.yaml").write_text(DEVICES)
    write(folder / "secrets", "cam_exit", VALUE)
    write(folder / "secrets", "mqtt_password", VALUE)
    return folder


def write(folder: Path, name: str, value: str, mode: int = 0o600) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(value)
    (folder / name).chmod(mode)


def password(configuration: Configuration) -> str:
    found: str = configuration.devices["cam"].driver.password.reveal()  # type: ignore[attr-defined]
    return found


def said(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationRefused) as refused:
        load(folder)
    return [str(problem) for problem in refused.value.problems.all]


def test_a_secret_is_the_file_without_its_last_newline(folder: Path) -> None:
    write(folder / "secrets", "cam_exit", "two\nlines \n")

    assert password(load(folder)) == "two\nlines "


def test_the_credentials_directory_goes_first(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "credentials", "cam_exit", "from systemd\n", 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))

    configuration = load(folder)

    assert password(configuration) == "from systemd"
    assert configuration.site.mqtt
    assert configuration.site.mqtt.password
    assert configuration.site.mqtt.password.reveal() == VALUE


def test_a_secret_that_others_can_read_is_refused(folder: Path) -> None:
    (folder / "secrets" / "cam_exit").chmod(0o640)

    assert said(folder) == [
        "devices.yaml:2:73: the secret 'cam_exit' can be read by others: mode 0640\n"
        "    chmod 600 secrets/cam_exit"
    ]


def test_a_missing_secret_says_where_it_was_looked_for(folder: Path) -> None:
    (folder / "secrets" / "cam_exit").unlink()

    assert said(folder) == [
        "devices.yaml:2:73: there is no secret 'cam_exit'\n"
        "    looked in $CREDENTIALS_DIRECTORY/cam_exit and secrets/cam_exit"
    ]


def test_an_empty_secret_is_refused(folder: Path) -> None:
    write(folder / "secrets", "cam_exit", "\n")

    assert said(folder)[0].startswith("devices.yaml:2:73: the secret 'cam_exit' is empty")


def test_a_secret_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "secrets" / "cam_exit").write_bytes(b"\xff\xfe")

    assert said(folder) == [
        "devices.yaml:2:73: the secret 'cam_exit' is not UTF-8 text\n"
        "    it is one line in a file of its own"
    ]


@pytest.mark.parametrize("name", ["../site.yaml", "a/b", ".hidden", "''"])
def test_a_secret_is_looked_up_in_its_folder_only(folder: Path, name: str) -> None:
    (folder / "devices.yaml").write_text(DEVICES.replace("!secret cam_exit", f'!secret "{name}"'))

    assert any("is not a secret's name" in problem for problem in said(folder))


def test_no_secret_shows_in_the_repr_of_a_configuration(folder: Path) -> None:
    configuration = load(folder)

    assert VALUE not in repr(configuration)
    assert VALUE not in str(configuration.devices)
    assert "***" in repr(configuration.site)


def test_the_hash_does_not_depend_on_secrets(folder: Path) -> None:
    before = load(folder).hash
    write(folder / "secrets", "cam_exit", "another")

    assert load(folder).hash == before


def test_a_password_written_in_place_is_refused_and_not_repeated(folder: Path) -> None:
    (folder / "devices.yaml").write_text(DEVICES.replace("!secret cam_exit", VALUE))
    (folder / "site.yaml").write_text(
        f'site: store_0421\nmqtt: {{url: "mqtts://store:{VALUE}@broker.example.com"}}\n'
    )

    problems = said(folder)

    assert len(problems) == 2
    assert not any(VALUE in problem for problem in problems)


def test_a_secret_in_the_place_of_a_word_is_not_shown(folder: Path) -> None:
    (folder / "devices.yaml").write_text(DEVICES.replace("warden", "!secret cam_exit"))

    assert said(folder) == ["devices.yaml:2:55: a word is wanted here, not a secret"]


def test_a_type_of_somebody_else_can_show_no_secret_in_its_refusal(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_lamp.py").write_text(
        "from dataclasses import dataclass\n"
        "from drivers.contract import Driver, SettingError\n"
        "from drivers.settings import Secret\n"
        "@dataclass(slots=True, kw_only=True, eq=False)\n"
        "class Lamp(Driver):\n"
        "    token: Secret\n"
        "    def __post_init__(self):\n"
        "        value = self.token.reveal()\n"
        "        raise SettingError('token', f'{value} is no token', f'not {value}')\n"
        "    async def run(self, emit):\n"
        "        pass\n"
    )
    info = tmp_path / "shop_lamp-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-lamp\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[storewarden.devices]\nlamp = shop_lamp:Lamp\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (folder / "devices.yaml").write_text(
        "devices:\n  lamp_1: {type: lamp, token: !secret cam_exit}\n"
    )

    assert said(folder) == ["devices.yaml:2:31: *** is no token\n    not ***"]


def test_the_password_of_the_broker_can_be_read_again(folder: Path) -> None:
    mqtt = load(folder).site.mqtt
    assert mqtt is not None
    assert mqtt.renewed is not None
    assert mqtt.renewed() == VALUE
    write(folder / "secrets", "mqtt_password", "another")
    assert mqtt.renewed() == "another"
    assert VALUE not in repr(mqtt)
    assert "another" not in repr(mqtt)


def test_the_files_of_a_folder_that_systemd_passes_are_found_by_their_names(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "credentials", "secrets_cam_exit", "from the folder\n", 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))

    assert password(load(folder)) == "from the folder"

    write(tmp_path / "credentials", "cam_exit", "from its own\n", 0o440)

    assert password(load(folder)) == "from its own"


KEY = """\
site: store_0421
mqtt: {url: "mqtts://broker.example.com", cert: /tls/cert.pem, key: !secret mqtt_key}
"""


def test_the_key_of_the_broker_may_be_a_secret_whose_path_is_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "site.yaml").write_text(KEY)
    write(folder / "secrets", "mqtt_key", VALUE)

    assert (mqtt := load(folder).site.mqtt)
    assert mqtt.key == folder / "secrets" / "mqtt_key"

    write(tmp_path / "credentials", "secrets_mqtt_key", VALUE, 0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))

    assert (mqtt := load(folder).site.mqtt)
    assert mqtt.key == tmp_path / "credentials" / "secrets_mqtt_key"
    assert VALUE not in repr(mqtt)


def test_a_key_that_is_no_fit_secret_is_refused_at_its_place(folder: Path) -> None:
    (folder / "site.yaml").write_text(KEY)

    assert said(folder) == [
        "site.yaml:2:69: there is no secret 'mqtt_key'\n"
        "    looked in $CREDENTIALS_DIRECTORY/mqtt_key and secrets/mqtt_key"
    ]

    write(folder / "secrets", "mqtt_key", VALUE, 0o644)

    assert said(folder) == [
        "site.yaml:2:69: the secret 'mqtt_key' can be read by others: mode 0644\n"
        "    chmod 600 secrets/mqtt_key"
    ]


def test_what_needs_no_secret_goes_without_one_that_can_t_be_read(folder: Path) -> None:
    (folder / "secrets" / "cam_exit").unlink()

    assert password(load(folder, secrets=AnySecret(folder))) == "cam_exit"

    write(folder / "secrets", "cam_exit", VALUE)

    assert password(load(folder, secrets=AnySecret(folder))) == VALUE
