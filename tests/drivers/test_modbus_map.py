"""Register maps: what a profile may say, and where its mistakes are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import SettingError
from drivers.lines import modbus_address, modbus_profile
from drivers.lines.modbus_address import ModbusAddress
from drivers.lines.modbus_map import CounterMap, InputMap, ModuleMap, OutputMap, joined
from drivers.lines.modbus_profile import ProfileError, UnknownProfile
from drivers.ports.address import NetAddress, SerialAddress


def test_the_known_modules() -> None:
    lines = {n: (len((m := modbus_profile.load(n)).inputs), len(m.outputs), m.failsafe)
             for n in modbus_profile.names()}  # fmt: skip
    assert lines == {
        "adam_6050": (12, 6, False),
        "moxa_e1214": (6, 6, False),
        "waveshare_io_8ch": (8, 8, False),
        "waveshare_relay_8ch": (8, 8, False),
    }


def test_an_unknown_module_is_said() -> None:
    with pytest.raises(UnknownProfile, match=r"unknown profile '\.\./fire/x'"):
        modbus_profile.load("../fire/x")


def test_a_profile_is_a_map() -> None:
    text = """
inputs: {di0: {holding: 48, bit: 2, counter: {holding: 4, order: low_first}}}
outputs: {do0: {coil: 16}}
failsafe: true
"""
    assert modbus_profile.parse(text) == ModuleMap(
        inputs={
            "di0": InputMap(
                holding=48, bit=2, counter=CounterMap(holding=4, words=2, order="low_first")
            )
        },
        outputs={"do0": OutputMap(coil=16)},
        failsafe=True,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "no YAML"),
        ("", "Expected `object`, got `null`"),
        ("lines: {}", "unknown key 'lines' - at `$`"),
        ("inputs: {di0: {discrete: 0, name: x}}", "unknown key 'name' - at `$.inputs.di0`"),
        (
            "inputs: {di0: {discrete: 0, counter: {input: 1, wrap: 2}}}",
            "unknown key 'wrap' - at `$.inputs.di0.counter`",
        ),
        ("inputs: {di0: {discrete: -1}}", "`discrete: -1`: addresses go from 0 to 65535"),
        ("inputs: {di0: {}}", "an input needs exactly one of discrete, coil, input, holding"),
        ("inputs: {di0: {coil: 1, input: 1}}", "an input needs exactly one of"),
        ("inputs: {di0: {input: 1}}", "an input in a register needs `bit: 0` to `bit: 15`"),
        ("inputs: {di0: {input: 1, bit: 16}}", "an input in a register needs `bit: 0`"),
        ("inputs: {di0: {discrete: 1, bit: 1}}", "`bit` belongs to a register, not to a discrete"),
        ("inputs: {di0: {discrete: 1, counter: {}}}", "a counter needs exactly one of"),
        (
            "inputs: {di0: {discrete: 1, counter: {input: 65535}}}",
            "a counter of 2 words at 65535 ends past 65535",
        ),
        ("inputs: {di0: {discrete: 1, counter: {input: 1, start: 70000}}}", "`start: 70000`"),
        ("outputs: {do0: {coil: 65536}}", "`coil: 65536`: addresses go from 0 to 65535"),
        ("outputs: {do0: {}}", "missing required field `coil`"),
    ],
)
def test_a_mistake_in_a_profile_is_said_at_its_place(text: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        modbus_profile.parse(text)
    assert message in str(caught.value)


YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["inputs", "outputs", "di0", "coil", "input", "bit", "counter"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(YAML | st.text(max_size=40))
def test_any_text_is_a_map_or_a_mistake(document: object) -> None:
    try:
        found = modbus_profile.parse(document if isinstance(document, str) else repr(document))
    except ProfileError:
        return
    assert isinstance(found, ModuleMap)


@given(st.integers(0, 0xFFFF_FFFF), st.sampled_from(["high_first", "low_first"]), st.booleans())
def test_a_count_is_read_as_it_was_kept(count: int, order: str, one_word: bool) -> None:
    words, span = (1, 0x1_0000) if one_word else (2, 0x1_0000_0000)
    text = f"inputs: {{a: {{coil: 1, counter: {{input: 7, words: {words}, order: {order}}}}}}}"
    counter = modbus_profile.parse(text).inputs["a"].counter
    assert counter is not None
    registers = counter.registers(count)
    assert sorted(registers) == [("input", 7 + n) for n in range(words)]
    assert joined(counter.high_first, registers) == count % span


def test_the_high_word_comes_first_on_a_moxa() -> None:
    counter = modbus_profile.load("moxa_e1214").inputs["di1"].counter
    assert counter is not None
    assert counter.registers(0x1234_5678) == {("input", 18): 0x1234, ("input", 19): 0x5678}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://10.0.4.20:502", (NetAddress(kind="tcp", host="10.0.4.20", port=502), False)),
        ("rtu+tcp://[::1]:4001", (NetAddress(kind="tcp", host="::1", port=4001), True)),
        (
            "rtu:/dev/serial/by-id/usb-FTDI-if00?baud=19200&parity=E",
            (SerialAddress(path="/dev/serial/by-id/usb-FTDI-if00", baud=19200, parity="E"), True),
        ),
    ],
)
def test_the_three_forms_of_url(url: str, expected: tuple[NetAddress, bool]) -> None:
    at, rtu = expected
    assert modbus_address.parse(url) == ModbusAddress(at=at, rtu=rtu)


@given(st.sampled_from(["", "tcp:", "tcp://", "rtu:", "rtu:/", "rtu+tcp://"]), st.text(max_size=20))
def test_any_url_is_an_address_or_a_mistake(start: str, rest: str) -> None:
    try:
        found = modbus_address.parse(start + rest)
    except SettingError:
        return
    assert found.rtu is not start.startswith("tcp")
