"""`storewarden completion`: completion of commands and options for a shell."""

from __future__ import annotations

import argparse
from typing import Any

from edge.cli import words
from edge.cli.exits import DONE


def add(commands: Any) -> None:
    completion = words.command(
        commands,
        "completion",
        "print a completion script for a shell",
        act,
        "storewarden completion bash > /etc/bash_completion.d/storewarden",
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def act(chosen: argparse.Namespace) -> int:
    import shtab

    from edge.cli.main import parser

    print(shtab.complete(parser(), shell=chosen.shell))
    return DONE
