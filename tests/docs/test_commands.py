"""Every command that the documents tell people to type is one that the program takes."""

import re
import shlex
from pathlib import Path

import pytest

from edge.cli.main import parser
from edge.simulation import TYPES

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")],
    key=lambda path: path.name,
)
PLACES = {"DIR": "/etc/storewarden", "DEVICE": "siren_front", "COMMAND": "sound", "TYPE": TYPES[0]}


def typed(text: str) -> list[tuple[str, list[str]]]:
    """Return (program, arguments) of each `storewarden …` in code, prose left out."""
    code = "\n".join(re.findall(r"^```(?:sh|ini)\n(.*?)^```$", text, re.M | re.S))
    lines = [line.partition(" # ")[0] for line in code.splitlines()]
    spans = re.findall(r"`((?:\./)?(?:storewarden|dev) [^`]*)`", re.sub(r"```.*?```", "", text))
    found = []
    for line in [*lines, *spans]:
        for program in ("storewarden", "./dev"):
            match = re.search(rf"(?:^|[\s=/]){re.escape(program)} (\S.*)$", line)
            if match and "…" not in match[1]:
                words = [PLACES.get(word, word) for word in shlex.split(match[1].split(" > ")[0])]
                found.append((program, words))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_program_takes_what_the_page_says(page: Path) -> None:
    actions = dev()
    for program, arguments in typed(page.read_text()):
        if program == "./dev":
            assert arguments[0] in actions, arguments
        elif arguments != ["--version"]:
            parser().parse_args(arguments)


def dev() -> set[str]:
    """Return the commands of ./dev."""
    usage = (ROOT / "dev").read_text().partition("COMMAND [ARGUMENTS]\n")[2].partition("\tTEXT")[0]
    return {line.split()[0] for line in usage.splitlines()}


def test_the_pages_are_full_of_commands() -> None:
    programs = [program for page in PAGES for program, _ in typed(page.read_text())]

    assert programs.count("storewarden") > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_tree_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)$", found.read_text(), re.M)
            slugs = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in heads}
            assert anchor in slugs, target
