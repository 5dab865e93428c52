"""The one exception that a user is meant to read."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable


class UserError(Exception):
    """Something outside the program is wrong: a file, a setting, a full disk.

    The message is one line that names the thing and the mend. The command line prints it without a traceback and
    exits with code 2.
    """


def reason_of(error: Exception) -> str:
    """Why something failed, in one line, as a record of it says."""
    return without_passwords(
        str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {first_line(error)}"
    )


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or its type."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


_FREE = "free space or choose another folder"
_MENDS = {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EACCES: "choose a place where you may write",
    errno.EPERM: "choose a place where you may write",
    errno.EROFS: "choose a place where you may write",
    errno.EEXIST: "a file has the name of its folder: choose another",
    errno.ENOTDIR: "a file has the name of its folder: choose another",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "its folder is not there, or was removed: choose another",
}
OF_THE_SYSTEM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO})
"""What no file is to blame for."""


def os_reason(error: OSError) -> str:
    """What the system says, and what to do."""
    return f"{error.strerror or error}; {_MENDS.get(error.errno or 0, _FREE)}"


_NO_MEMORY = re.compile(
    r"can't allocate memory|[Ii]nsufficient memory|bad_alloc|[Oo]ut of memory|can't start new thread|"
    r"Cannot allocate memory|failed to map segment|not enough memory|Unable to allocate"
)


def lacks_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that it came from, is for want of memory: libraries have many words for it."""
    while error is not None:
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def nearest(name: object, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: "; did you mean X?", or nothing where none is like it."""
    import difflib  # at hand when a program ends as it begins

    by_letters = {one.lower(): one for one in known}
    near = difflib.get_close_matches(str(name).lower(), by_letters, n=1)
    return f"; did you mean {by_letters[near[0]]}?" if near else ""


def without_passwords(text: str) -> str:
    """A text with the passwords taken out of its URLs, from before the host and from the options behind it, as
    SQLAlchemy reads them; a database's client finds them in PGPASSWORD or ~/.pgpass."""
    text = re.sub(r"(\w://[^\s:/@]*):[^\s/]*@", r"\1@", text)
    text = re.sub(r"((?<!http)(?<!https)(?<!grpc)://[^\s:/@]*):[^\s@]*@", r"\1@", text)
    return re.sub(r"""([?&](?:ssl)?(?:passwor|passw|pw)d=)(?!\*\*\*(?!\w))[^\s&"']+""", r"\1***", text)
