"""Each wrong configuration in mistakes/ is refused with exactly the words that stand beside it."""

from pathlib import Path

import pytest

from edge.config.load import load
from rules.problems import ConfigurationRefused

MISTAKES = sorted((Path(__file__).parent / "mistakes").glob("*.txt"))
DEFAULTS = {"site.yaml": "site: store_0421\n", "devices.yaml": ""}
SAID = "said"


def parts(text: str) -> dict[str, str]:
    """Return the files of a case by name, and what is said of them under `said`."""
    found: dict[str, str] = {}
    for section in text.split("=== ")[1:]:
        name, _, body = section.partition("\n")
        found[name.strip()] = body
    return found


def refusal(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with pytest.raises(ConfigurationRefused) as refused:
        load(folder)
    return str(refused.value.problems)


@pytest.mark.parametrize("case", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_is_said_in_these_words(case: Path, tmp_path: Path) -> None:
    files = parts(case.read_text())
    said = files.pop(SAID)

    assert refusal(tmp_path, DEFAULTS | files) == said.rstrip("\n")


def test_there_are_at_least_forty_of_them() -> None:
    assert len(MISTAKES) >= 40
