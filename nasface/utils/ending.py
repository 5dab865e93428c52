"""How a program ends: its exit code, and the one line that says why and how to go on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from nasface.utils.errors import UserError, first_line, lacks_memory, os_reason, without_passwords
from nasface.utils.signals import Terminated, terminable


@contextmanager
def one_line(program: str, goes_on: Callable[[], str] = str) -> Iterator[None]:
    """End the program where the block fails: 2 the user can mend it, and a line says how; 1 a mistake of ours, whose
    traceback is kept in a file; 130, 143, 129 and 141 ended by Ctrl-C, SIGTERM, SIGHUP, or for want of a reader of the
    output.

    Args:
        program: its name, in front of the line.
        goes_on: says how to go on with what has ended in the middle; empty where it cannot.

    Raises:
        SystemExit: the block failed.
    """

    def rest() -> str:
        return f"; {text}" if (text := goes_on()) else ""

    with terminable():
        try:
            yield
            print(end="", flush=True)
        except UserError as error:
            _end(program, str(error), 2)
        except KeyboardInterrupt:
            _end(program, f"interrupted{rest()}", 130)
        except Terminated as end:
            _end(program, f"terminated{rest()}", end.code)
        except BrokenPipeError:  # the reader of our output has gone
            _drop_output()
            sys.exit(128 + signal.SIGPIPE)
        except Exception as error:
            if lacks_memory(error):
                spare = "; close other programs, or take fewer workers or smaller sizes"
                _end(program, f"there is too little memory{rest() or spare}", 2)
            if isinstance(error, OSError) and error.errno is not None:
                _end(program, f"{error.filename or 'the output'}: {os_reason(error)}{rest()}", 2)
            _end(program, f"{type(error).__name__}: {first_line(error)}{_traceback()}", 1)


def _end(program: str, message: str, code: int) -> None:
    with suppress(OSError, ValueError):
        if "nasface.utils.progress" in sys.modules:  # not imported for this: a program may end as it begins
            sys.modules["nasface.utils.progress"].close_bars()
        print(f"{program}: {without_passwords(' '.join(message.split()))}", file=sys.stderr)
    _drop_output()
    sys.exit(code)


def _drop_output() -> None:
    """What is still to be written cannot be: Python would complain again when it flushes at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # closed, or none at all
            with suppress(OSError, ValueError, AttributeError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _traceback() -> str:
    """Where the traceback of an error of ours is written, for the message."""
    import traceback
    from tempfile import NamedTemporaryFile

    try:
        with NamedTemporaryFile("w", prefix="nasface-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(without_passwords(traceback.format_exc()))
    except OSError:
        return ""
    return f"; this is a mistake of nasface, please report it with {file.name}"
