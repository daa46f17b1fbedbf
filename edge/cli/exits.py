"""What a command returns to the shell, and how a person's mistake ends it."""

from __future__ import annotations

DONE = 0
NO = 1
"""The answer is no: problems found, a test failed, a device refused."""
USAGE = 2


class Failed(Exception):
    """The answer is no; the text goes to stderr."""


class WrongUsage(Exception):
    """The command can't be meant so; the text goes to stderr."""
