"""Where on a Modbus module its inputs and outputs are: zero-based addresses, one map a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from drivers.settings import Seconds

Table = Literal["coil", "discrete", "input", "holding"]
"""The four tables of Modbus: FC 1, FC 2 (bits), FC 4, FC 3 (registers of 16 bits)."""

Place = tuple[Table, int]
"""One bit or register."""

LAST_ADDRESS = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterMap:
    """Where a module counts the rising edges of an input."""

    input: int | None = None
    """Input register (FC 4), zero-based; this or `holding`."""
    holding: int | None = None
    """Holding register (FC 3), zero-based; this or `input`."""
    words: Literal[1, 2] = 2
    """Registers of the counter: it starts again at 0 after 65,535 or 4,294,967,295."""
    order: Literal["high_first", "low_first"] = "high_first"
    """Which half of a counter of two registers has the lower address."""
    start: int | None = None
    """Coil that starts the counting; written once at each connection."""

    def __post_init__(self) -> None:
        _one_of("a counter", {"input": self.input, "holding": self.holding})
        _address("start", self.start)
        if self.first[1] + self.words - 1 > LAST_ADDRESS:
            raise ValueError(f"a counter of {self.words} words at {self.first[1]} ends past 65535")

    @property
    def first(self) -> Place:
        """The register with the lower address."""
        return _one_of("a counter", {"input": self.input, "holding": self.holding})

    @property
    def places(self) -> tuple[Place, ...]:
        table, address = self.first
        return tuple((table, address + n) for n in range(self.words))

    @property
    def high_first(self) -> tuple[Place, ...]:
        """Its registers, the high half first."""
        return self.places[::-1] if self.order == "low_first" else self.places

    def registers(self, count: int) -> dict[Place, int]:
        """Return what the registers hold when the counter stands at `count`."""
        words = [count >> 16 * n & 0xFFFF for n in reversed(range(self.words))]
        return dict(zip(self.high_first, words, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class InputMap:
    """Where an input is read: one of `discrete`, `coil`, or a bit of `input` or `holding`."""

    discrete: int | None = None
    """Discrete input (FC 2), zero-based."""
    coil: int | None = None
    """Coil (FC 1), zero-based: some modules keep their inputs there."""
    input: int | None = None
    """Input register (FC 4), zero-based; `bit` says which bit of it."""
    holding: int | None = None
    """Holding register (FC 3), zero-based; `bit` says which bit of it."""
    bit: int | None = None
    """Bit of the register, 0 is the lowest."""
    counter: CounterMap | None = None
    """Where the module counts its rising edges, if it does."""
    debounce: Seconds = Seconds(0)
    """For devices that set none of their own."""

    def __post_init__(self) -> None:
        table, _ = self.place
        if table in ("input", "holding"):
            if self.bit is None or not 0 <= self.bit <= 15:
                raise ValueError(f"an input in a register needs `bit: 0` to `bit: 15` ({table})")
        elif self.bit is not None:
            raise ValueError(f"`bit` belongs to a register, not to a {table}")

    @property
    def place(self) -> Place:
        places: dict[Table, int | None] = {
            "discrete": self.discrete,
            "coil": self.coil,
            "input": self.input,
            "holding": self.holding,
        }
        return _one_of("an input", places)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputMap:
    """Where an output is written, and read back."""

    coil: int
    """Coil (FC 5, read by FC 1), zero-based."""

    def __post_init__(self) -> None:
        _address("coil", self.coil)

    @property
    def place(self) -> Place:
        return ("coil", self.coil)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleMap:
    """Every line of a module."""

    inputs: Mapping[str, InputMap] = field(default_factory=dict)
    outputs: Mapping[str, OutputMap] = field(default_factory=dict)
    failsafe: bool = False
    """Whether the module itself puts its outputs to safety when nobody talks to it."""

    def places(self) -> frozenset[Place]:
        """Return everything that one poll reads."""
        found = {i.place for i in self.inputs.values()} | {o.place for o in self.outputs.values()}
        counters = (i.counter for i in self.inputs.values() if i.counter is not None)
        return frozenset(found.union(*(c.places for c in counters)))


def joined(words: Iterable[Place], values: Mapping[Place, int]) -> int:
    """Return the number that registers hold, the high half first; 0 of none."""
    total = 0
    for word in words:
        total = total << 16 | values[word]
    return total


def _address(name: str, address: int | None) -> None:
    if address is not None and not 0 <= address <= LAST_ADDRESS:
        raise ValueError(f"`{name}: {address}`: addresses go from 0 to 65535")


def _one_of(what: str, places: Mapping[Table, int | None]) -> Place:
    given: list[Place] = [(t, a) for t, a in places.items() if a is not None]
    if len(given) != 1:
        raise ValueError(f"{what} needs exactly one of {', '.join(places)}")
    _address(*given[0])
    return given[0]
