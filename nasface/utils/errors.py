"""The one exception that a user is meant to read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class UserError(Exception):
    """Something outside the program is wrong: a file, a setting, a full disk.

    The message is one line that names the thing and the mend. The command line prints it without a traceback and
    exits with code 2.
    """


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: "; did you mean X?", or nothing where none is like it."""
    by_letters = {one.lower(): one for one in known}
    near = difflib.get_close_matches(str(name).lower(), by_letters, n=1)
    return f"; did you mean {by_letters[near[0]]}?" if near else ""


def without_passwords(text: str) -> str:
    """A text with the passwords taken out of its URLs; a database's client finds them in PGPASSWORD or ~/.pgpass."""
    return re.sub(r"(\w://[^\s:/@]*):[^\s/]*@", r"\1@", text)
