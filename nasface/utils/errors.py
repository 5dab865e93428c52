"""The one exception that a user is meant to read."""

from __future__ import annotations


class UserError(Exception):
    """Something outside the program is wrong: a file, a setting, a full disk.

    The message is one line that names the thing and the mend. The command line prints it without a traceback and
    exits with code 2.
    """
