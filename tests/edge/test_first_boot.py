"""A box becomes what storewarden.yaml says, all of it or nothing, and once."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from edge.config.load import load
from edge.provisioning.box import Box
from edge.provisioning.first_boot import NOTE, Outcome, examine, first_boot, pass_over

FILE = """\
site: store_0421
timezone: Europe/London
mqtt:
  url: mqtts://broker.example.com:8883
  username: store_0421
  password: hunter2   # printed on the sheet
"""
EXAMPLE = Path(__file__).parents[2] / "examples/rtu_counter"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    root = tmp_path / "box"
    (root / "etc").mkdir(parents=True)
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    serial = root / "sys/firmware/devicetree/base"
    serial.mkdir(parents=True)
    (serial / "serial-number").write_bytes(b"10000000ABCDEF\0")
    return Box(root=root)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    (folder / "storewarden.yaml").write_text(FILE)
    return folder


def with_tree(stick: Path) -> Path:
    """Put a whole configuration on the stick."""
    shutil.copytree(EXAMPLE, stick / "config")
    return stick / "config"


def say(stick: Path, text: str) -> None:
    (stick / "storewarden.yaml").write_text(text)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(stick: Path, box: Box) -> str:
    """Apply what is refused; return what is said. Nothing of the box may change."""
    before = content(box.root)
    outcome = first_boot(stick, box)
    assert outcome.result == "refused"
    assert outcome.said[-1] == "nothing was changed"
    assert content(box.root) == before
    return "\n".join(outcome.said[:-1])


def test_a_new_box_gets_a_configuration_of_its_own(box: Box, stick: Path) -> None:
    outcome = first_boot(stick, box)
    configuration = load(box.configuration)

    assert outcome == Outcome(
        result="applied",
        said=(
            "this box is the site store_0421",
            "its local time is that of Europe/London",
            "broker: mqtts://broker.example.com:8883",
            "the broker's password is in its secrets",
        ),
        without_password=FILE.replace("hunter2", "~"),
    )
    assert configuration.site.site == "store_0421"
    assert configuration.site.mqtt is not None
    assert configuration.site.mqtt.password is not None
    assert configuration.site.mqtt.password.reveal() == "hunter2"
    secret = box.configuration / "secrets/mqtt_password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((box.configuration / "site.yaml").stat().st_mode) == 0o640
    assert stat.S_IMODE(box.configuration.stat().st_mode) == 0o750
    assert stat.S_IMODE((box.configuration / NOTE).stat().st_mode) == 0o600
    everything_else = {k: v for k, v in content(box.root).items() if "secrets" not in k}
    assert not any(b"hunter2" in each for each in everything_else.values())


def test_the_same_file_again_changes_nothing_nor_does_it_without_its_password(
    box: Box, stick: Path
) -> None:
    outcome = first_boot(stick, box)
    before = content(box.root)

    assert first_boot(stick, box).result == "unchanged"
    assert outcome.without_password is not None
    say(stick, outcome.without_password)
    again = first_boot(stick, box)
    assert (again.result, again.without_password) == ("unchanged", None)
    assert content(box.root) == before


def test_what_was_changed_on_the_box_since_stays(box: Box, stick: Path) -> None:
    first_boot(stick, box)
    devices = box.configuration / "devices.yaml"
    devices.write_text("groups: {}\n")
    shutil.rmtree(box.configuration / "rules")

    assert first_boot(stick, box).result == "unchanged"
    say(stick, FILE.replace("broker.example.com", "other.example.com"))
    assert first_boot(stick, box).result == "applied"
    assert devices.read_text() == "groups: {}\n"
    assert "other.example.com" in (box.configuration / "site.yaml").read_text()


def test_a_whole_configuration_beside_it_is_taken(box: Box, stick: Path) -> None:
    tree = with_tree(stick)
    (tree / "secrets").mkdir()
    (tree / "secrets/cam_exit").write_text("c4m\n")
    (tree / "tls").mkdir()
    (tree / "tls/ca.pem").write_text("PEM\n")
    (tree / "tls/own.key").write_text("PEM\n")
    (tree / "README.md").write_text("not taken")

    outcome = first_boot(stick, box)

    configuration = load(box.configuration)
    assert outcome.said[1] == "its configuration is that of config/: 6 files"
    assert configuration.site.site == "store_0421"
    assert "panic_counter" in configuration.devices
    assert not (box.configuration / "README.md").exists()
    assert (box.configuration / "tls/ca.pem").read_text() == "PEM\n"
    assert stat.S_IMODE((box.configuration / "tls/ca.pem").stat().st_mode) == 0o644
    assert stat.S_IMODE((box.configuration / "tls/own.key").stat().st_mode) == 0o640
    assert stat.S_IMODE((box.configuration / "tls").stat().st_mode) == 0o755
    mode = (box.configuration / "secrets/cam_exit").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_the_service_may_open_what_the_new_configuration_names(box: Box, stick: Path) -> None:
    with_tree(stick)
    drop_ins = box.root / "etc/systemd/system/storewarden.service.d"
    first_boot(stick, box)

    assert "DeviceAllow=char-ttyUSB" in (drop_ins / "20-devices.conf").read_text()
    assert not (drop_ins / "30-addresses.conf").exists()


def test_the_addresses_that_the_service_may_reach_follow_where_they_were_named(
    box: Box, stick: Path
) -> None:
    drop_ins = box.root / "etc/systemd/system/storewarden.service.d"
    drop_ins.mkdir(parents=True)
    (drop_ins / "30-addresses.conf").write_text("old")
    say(stick, "site: s\nmqtt: {url: mqtt://10.0.0.9}\n")
    first_boot(stick, box)
    assert "10.0.0.9" in (drop_ins / "30-addresses.conf").read_text()

    say(stick, "site: s\nmqtt: {url: mqtts://broker.example.com}\n")
    outcome = first_boot(stick, box)
    assert outcome.said[-1].startswith("30-addresses.conf was taken away")
    assert not (drop_ins / "30-addresses.conf").exists()


@pytest.mark.parametrize("line", ["serial: '9999'", "machine: ffffffffffffffffffffffffffffffff"])
def test_a_file_for_another_box_is_left_alone(box: Box, stick: Path, line: str) -> None:
    say(stick, f"{FILE}{line}\n")
    outcome = first_boot(stick, box)

    assert outcome.result == "another box"
    assert outcome.without_password is None
    assert not box.configuration.exists()


@pytest.mark.parametrize(
    "line", ["serial: 10000000abcdef", "machine: 0123456789abcdef0123456789abcdef"]
)
def test_a_file_for_this_box_is_taken(box: Box, stick: Path, line: str) -> None:
    say(stick, f"{FILE}{line}\n")

    assert first_boot(stick, box).result == "applied"


def test_a_box_stays_the_site_that_it_is_unless_it_shall_be_replaced(box: Box, stick: Path) -> None:
    first_boot(stick, box)
    say(stick, FILE.replace("store_0421", "store_0422"))

    assert refused(stick, box) == (
        "storewarden.yaml: this box is the site 'store_0421', not 'store_0422'\n"
        "    write replace: yes if it shall become that one"
    )
    say(stick, FILE.replace("store_0421", "store_0422") + "replace: yes\n")
    assert first_boot(stick, box).result == "applied"
    assert load(box.configuration).site.site == "store_0422"


def test_a_box_with_a_configuration_takes_no_other_one_unless_it_shall(
    box: Box, stick: Path
) -> None:
    first_boot(stick, box)
    (box.configuration / "secrets/cam_exit").write_text("c4m\n")
    (box.configuration / "devices.d").mkdir()
    (box.configuration / "devices.d/x.yaml").write_text("groups: {x: []}\n")
    (box.configuration / "release-signers").write_text("key\n")
    with_tree(stick)

    assert refused(stick, box).startswith(
        "storewarden.yaml: this box has a configuration already, and config/ is another"
    )
    say(stick, f"{FILE}replace: yes\n")
    assert first_boot(stick, box).result == "applied"
    assert "panic_counter" in load(box.configuration).devices
    assert not (box.configuration / "devices.d").exists()
    assert (box.configuration / "secrets/cam_exit").read_text() == "c4m\n"
    assert (box.configuration / "release-signers").read_text() == "key\n"


def test_a_mistake_in_the_file_changes_nothing(box: Box, stick: Path) -> None:
    say(stick, FILE + "zone: x\n")

    assert refused(stick, box).startswith("storewarden.yaml:7:1: unknown setting 'zone'")


def test_a_mistake_in_the_configuration_is_said_at_its_place(box: Box, stick: Path) -> None:
    tree = with_tree(stick)
    (tree / "devices.yaml").write_text("devices: {x: {type: dor}}\n")

    assert "config/devices.yaml:1:21: unknown device type 'dor'" in refused(stick, box)


def test_rules_whose_tests_fail_are_not_taken(box: Box, stick: Path) -> None:
    rules = with_tree(stick) / "rules/counter.yaml"
    rules.write_text(
        rules.read_text().replace(
            "switch_on: lamp_office, for: 5m", "switch_on: lamp_office, for: 4m"
        )
    )

    assert refused(stick, box) == "config/rules/counter.yaml:34: the test fails: panic is quiet"


def test_a_broker_without_an_address_is_refused(box: Box, stick: Path) -> None:
    say(stick, "site: s\nmqtt: {username: u}\n")

    assert "'url' is missing" in refused(stick, box)


def test_a_network_that_nobody_would_set_up_is_refused_and_nothing_written(
    box: Box, stick: Path
) -> None:
    say(stick, FILE + "network: {dhcp: yes}\n")

    assert "neither NetworkManager nor systemd-networkd" in refused(stick, box)


@pytest.mark.parametrize("name", ["site.yaml", "rules", "secrets/x"])
def test_a_link_on_the_stick_leads_nowhere(box: Box, stick: Path, name: str) -> None:
    tree = with_tree(stick)
    shutil.rmtree(tree / "rules")
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).unlink(missing_ok=True)
    (tree / name).symlink_to("/etc")

    assert refused(stick, box) == f"config/{name} is no plain file"


def test_a_pipe_or_too_much_on_the_stick_is_refused(box: Box, stick: Path) -> None:
    tree = with_tree(stick)
    os.mkfifo(tree / "rules/x.yaml")
    assert refused(stick, box) == "config/rules/x.yaml is no plain file"

    (tree / "rules/x.yaml").unlink()
    (tree / "rules/x.yaml").write_bytes(b"#" * 4_000_001)
    assert refused(stick, box) == "config/rules/x.yaml: more than a configuration has"


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"\0", b"#" * 100_001, b"- a\n"])
def test_a_file_that_is_none_is_refused(box: Box, stick: Path, data: bytes) -> None:
    (stick / "storewarden.yaml").write_bytes(data)

    assert refused(stick, box).startswith("storewarden.yaml:1:1: ")


def test_an_editor_s_byte_order_mark_hurts_nobody(box: Box, stick: Path) -> None:
    (stick / "storewarden.yaml").write_bytes(b"\xef\xbb\xbf" + FILE.replace("\n", "\r\n").encode())

    assert first_boot(stick, box).result == "applied"


def test_a_stick_is_examined_without_a_box(stick: Path, tmp_path: Path) -> None:
    with_tree(stick)
    say(stick, FILE + "network: {interface: eth7, dhcp: yes}\nserial: '1'\n")
    (tmp_path / "scratch").mkdir()

    outcome = examine(stick, tmp_path / "scratch")

    assert outcome.result == "applied"
    assert "network: by DHCP on eth7" in outcome.said


@pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")
def test_owners_and_modes_of_what_was_there_stay(box: Box, stick: Path) -> None:
    first_boot(stick, box)
    rules = box.configuration / "rules"
    for path in (rules, rules / "box.yaml", box.configuration):
        os.chown(path, 0, 4321)
    rules.chmod(0o2750)
    say(stick, FILE.replace("broker.", "other."))

    assert first_boot(stick, box).result == "applied"
    assert {p.stat().st_gid for p in (rules, rules / "box.yaml", box.configuration)} == {4321}
    assert stat.S_IMODE(rules.stat().st_mode) == 0o2750


CUT = """
import json, os, shutil, sys
from pathlib import Path
from edge.config.load import load
from edge.provisioning import staged
from edge.provisioning.box import Box
from edge.provisioning.first_boot import first_boot

stick, root, copy = map(Path, sys.argv[1:])
WRITING = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.chown",
           "ctypes.call_function"}

def cut_at(left):
    def cut(event, arguments):
        nonlocal left
        if event in WRITING and (event != "open" or str(arguments[0]).startswith(str(copy))):
            left -= 1
            if left < 0:
                os._exit(9)
    sys.addaudithook(cut)

found = []
for cut in range(0, 100_000, 3):
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy)
    child = os.fork()
    if child == 0:
        cut_at(cut)
        first_boot(stick, Box(root=copy))
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    box = Box(root=copy)
    staged.recover(box.configuration)
    after = load(box.configuration)
    again = first_boot(stick, box).result
    left = sorted(path.name for path in (copy / "etc").iterdir())
    found.append([code, after.site.site, list(after.groups), again,
                  load(box.configuration).site.site, left])
    if code == 0:
        break
print(json.dumps(found))
"""


def test_a_power_cut_at_any_step_leaves_one_or_the_other_and_the_next_boot_ends_it(
    box: Box, stick: Path, tmp_path: Path
) -> None:
    first_boot(stick, box)
    say(stick, FILE.replace("store_0421", "store_0422") + "replace: yes\n")
    (stick / "config").mkdir()
    (stick / "config/site.yaml").write_text("site: x\n")
    (stick / "config/devices.yaml").write_text("groups: {new: []}\n")

    arguments = [sys.executable, "-c", CUT, str(stick), str(box.root), str(tmp_path / "copy")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.stderr == ""
    found = json.loads(done.stdout)

    pairs = [(site, groups) for _, site, groups, *_ in found]
    assert len(found) > 15
    assert [code for code, *_ in found] == [9] * (len(found) - 1) + [0]
    assert [pair for n, pair in enumerate(pairs) if pair not in pairs[:n]] == [
        ("store_0421", ["watched"]), ("store_0422", ["new"]),
    ]  # fmt: skip
    assert {again for _, _, _, again, *_ in found} == {"applied", "unchanged"}
    assert {site for *_, site, _ in found} == {"store_0422"}
    assert all(set(left) <= {"machine-id", "storewarden", ".storewarden.new", "systemd"}
               for *_, left in found)  # fmt: skip
    assert found[-1][-1] == ["machine-id", "storewarden", "systemd"]


def test_a_file_that_stays_in_boot_does_not_undo_what_a_stick_has_brought_since(
    box: Box, stick: Path, tmp_path: Path
) -> None:
    boot = tmp_path / "boot"
    shutil.copytree(stick, boot)
    say(stick, FILE.replace("broker.example.com", "other.example.com"))

    def broker() -> str:
        mqtt = load(box.configuration).site.mqtt
        assert mqtt is not None
        return mqtt.url

    assert first_boot(boot, box).result == "applied"
    assert first_boot(stick, box).result == "applied"
    assert first_boot(boot, box).result == "unchanged"
    assert broker() == "mqtts://other.example.com:8883"

    say(stick, FILE)
    assert first_boot(stick, box).result == "applied"
    assert first_boot(stick, box).result == "unchanged"
    assert broker() == "mqtts://broker.example.com:8883"


def test_the_same_file_at_another_place_is_the_same_file_for_ever(
    box: Box, stick: Path, tmp_path: Path
) -> None:
    boot = tmp_path / "boot"
    shutil.copytree(stick, boot)

    assert first_boot(stick, box).result == "applied"
    assert first_boot(boot, box).result == "unchanged"
    say(stick, FILE.replace("broker.example.com", "other.example.com"))
    assert first_boot(stick, box).result == "applied"
    assert first_boot(boot, box).result == "unchanged"


def test_a_file_that_was_passed_over_is_not_applied_when_the_stick_is_gone(
    box: Box, stick: Path, tmp_path: Path
) -> None:
    boot = tmp_path / "boot"
    shutil.copytree(stick, boot)
    say(boot, FILE.replace("broker.example.com", "old.example.com"))

    first_boot(stick, box, place="stick")
    pass_over(boot, box, place=str(boot))

    assert first_boot(boot, box).result == "unchanged"
    assert stat.S_IMODE((box.configuration / NOTE).stat().st_mode) == 0o600
    say(boot, FILE.replace("broker.example.com", "newer.example.com"))
    assert first_boot(boot, box).result == "applied"
