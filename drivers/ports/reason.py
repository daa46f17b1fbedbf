"""Why a connection could not be made, in the system's own words."""

from __future__ import annotations

import errno
import os
import re

REMEDY = " to this service: let it in with storewarden drop-in"
"""What to do about EPERM: only the unit's limits to devices and addresses answer so."""
_NUMBER = re.compile(r"\[Errno (\d+)\]")


def in_words(error: OSError) -> str:
    """Return `Connection refused`, without the names and numbers that libraries put around it.

    Of several addresses that were tried in vain, as with `localhost`, the first one's reason.
    """
    number = error.errno
    if number is None and (found := _NUMBER.search(str(error))):
        number = int(found[1])
    if number == errno.EPERM:
        return f"{os.strerror(number)}{REMEDY}"
    if number is not None and number > 0:
        return os.strerror(number)
    return error.strerror or str(error)
