"""Whatever stands in the files: a configuration, or a refusal with places; never anything else."""

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.config.load import load
from edge.config.model import Configuration
from rules.problems import ConfigurationRefused

GOOD = {
    "site.yaml": "site: store_0421\nevacuation: {on: []}\n",
    "devices.yaml": """\
io:
  gate: {type: text, url: "tcp://127.0.0.1:4055"}
devices:
  tills: {type: eas_pedestal, port: gate, profile: text_generic}
  cam: {type: onvif_camera, host: 10.0.0.1, username: warden, password: !secret cam}
""",
    "rules/all.yaml": "rules: {}\n",
}
PLACE = re.compile(r"[a-z./]+:\d+:\d+: .")
SECRET = "correct horse battery staple"
KEYS = """
    site timezone hours schedules vars evacuation mqtt http buffer holidays mon mon-sat delivery
    on release silence sound goto record drill url username password ca drain_rate listen path
    max_size keep io devices groups type name near tags priority alarm contact output port profile
    patterns pattern signal fields inputs outputs discrete coil counter line active debounce unit
    poll chip kind unsupervised host at_stop rules tests when if do until for while cooldown
    requires sequence within count of after before without daily days incident given timeline
    expect at now down tills gate cam eas_front door_front modes longest stock_take mode templates
    template with parameters rule quiet 12-25 12-24..12-26 2026-12-24..2026-12-31
""".split()  # noqa: SIM905
WORDS = """
    store_0421 Europe/London 09:00-21:00 closed 2026-12-25 2m 5s 200/s 512MB mqtts://b.example.com
    127.0.0.1:9464 all yes no on off text modbus gpio eas_pedestal door siren lock fire_panel button
    onvif_camera recorder beacon switch contact gate.di0 gate annex.di0 tills cam eas.alarm open
    link.down site.open security life_safety panic call_point tcp://127.0.0.1:1502 serial:/dev/null
    moxa_e1214 text_generic eas_front 0 1 65536 -1 1e400 00:00-24:00 opening-15m
""".split()  # noqa: SIM905
TAGGED = ["!secret cam", "!secret nobody", "!secret ../x", "!var a", "!var b", "!env X"]
SCALARS = st.one_of(st.sampled_from(WORDS), st.none(), st.text(max_size=5))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=15,
)


def documents() -> st.SearchStrategy[str]:
    dumped = st.dictionaries(st.sampled_from(KEYS), TREES, max_size=6).map(yaml.safe_dump)
    with_tags = st.tuples(dumped, st.sampled_from(WORDS), st.sampled_from(TAGGED)).map(
        lambda parts: parts[0].replace(parts[1], parts[2])
    )
    return st.one_of(dumped, with_tags, st.text(max_size=40))


@st.composite
def devices(draw: st.DrawFn) -> str:
    """Return a devices.yaml whose entries have the type that their settings might fit."""
    entries = st.dictionaries(st.sampled_from(KEYS), TREES, max_size=5)
    types = ["text", "door", "siren", "lock", "fire_panel", "button", "eas_pedestal", "modbus"]
    each: Any = st.tuples(st.sampled_from(types), entries).map(lambda e: {**e[1], "type": e[0]})
    named = st.dictionaries(st.sampled_from(["a", "b", "gate"]), each, max_size=3)
    found = draw(st.fixed_dictionaries({"io": named, "devices": named, "groups": TREES}))
    return yaml.safe_dump(found)


def outcome(files: dict[str, str | bytes]) -> Configuration | list[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
            (folder / file).write_bytes(data)
        (folder / "secrets").mkdir()
        (folder / "secrets" / "cam").write_text(SECRET)
        (folder / "secrets" / "cam").chmod(0o600)
        try:
            return load(folder)
        except ConfigurationRefused as refused:
            return [str(problem) for problem in refused.problems.errors]


def check(files: dict[str, str | bytes]) -> None:
    found = outcome(files)
    assert found
    assert isinstance(found, Configuration) or all(PLACE.match(problem) for problem in found)
    assert SECRET not in repr(found)


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_the_files_to_start_from_are_good() -> None:
    assert isinstance(outcome(dict(GOOD)), Configuration)


@pytest.mark.parametrize("file", sorted(GOOD))
@QUICK
@given(text=documents())
def test_any_text_in_a_file_is_read_or_refused(file: str, text: str) -> None:
    check({**GOOD, file: text})


@QUICK
@given(text=devices())
def test_any_settings_of_any_device_are_read_or_refused(text: str) -> None:
    check({**GOOD, "devices.yaml": text})


@pytest.mark.parametrize("file", sorted(GOOD))
@QUICK
@given(data=st.binary(max_size=60))
def test_any_bytes_in_a_file_are_read_or_refused(file: str, data: bytes) -> None:
    check({**GOOD, file: data})
