"""The documents say what is: their examples load, their tables are those of the code."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.config.load import load
from edge.config.types_table import signals_table, site_table, types_table
from rules.modes import BUILT_IN, spelt

DOCS = Path(__file__).parents[2] / "docs"
SECRETS = ("mqtt_password", "cam_exit")
GENERATED: dict[str, tuple[str, Callable[[], str]]] = {
    "device-types.md": (
        "# Device types and their settings\n\n"
        "Generated from the drivers' source; `storewarden devices --types` prints it for the "
        "types installed.\n\n",
        types_table,
    ),
    "signals.md": (
        "# Signals and states\n\n"
        "Generated from the vocabulary in `drivers/signals.py` and the drivers.\n\n",
        signals_table,
    ),
}


def examples(text: str) -> dict[str, str]:
    """Return the YAML examples by the file name in their first line."""
    blocks = re.findall(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```$", text, re.M | re.S)
    return dict(blocks)


def test_the_examples_of_the_configuration_document_load_together(tmp_path: Path) -> None:
    for name, text in examples((DOCS / "configuration.md").read_text()).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "secrets").mkdir()
    for name in SECRETS:
        (tmp_path / "secrets" / name).write_text("x\n")
        (tmp_path / "secrets" / name).chmod(0o600)

    configuration = load(tmp_path)

    assert str(configuration.problems) == ""
    assert configuration.groups["back_doors"] == ("door_back", "door_stock")


def test_every_yaml_example_says_its_file() -> None:
    text = (DOCS / "configuration.md").read_text()

    assert text.count("```yaml") == len(examples(text)) == 4


def test_the_configuration_document_holds_the_settings_of_the_site() -> None:
    assert site_table() in (DOCS / "configuration.md").read_text()


def test_the_configuration_document_holds_the_modes_that_are_there() -> None:
    table = "| mode | longest |\n|---|---|\n"
    table += "".join(f"| `{mode}` | {spelt(longest)} |\n" for mode, longest in BUILT_IN.items())

    assert f"\n{table}\n" in (DOCS / "configuration.md").read_text()


@pytest.mark.parametrize("name", sorted(GENERATED))
def test_generated_documents_are_up_to_date(name: str) -> None:
    """Written anew with `STOREWARDEN_WRITE_DOCS=1 pytest tests/edge/test_config_docs.py`."""
    head, table = GENERATED[name]
    if os.environ.get("STOREWARDEN_WRITE_DOCS"):
        (DOCS / name).write_text(head + table())

    assert (DOCS / name).read_text() == head + table()
