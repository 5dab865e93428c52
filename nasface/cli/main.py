"""The `nasface` command. It can be ended from its first lines on; what takes time is imported within."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command.

    Raises:
        SystemExit: it failed; see `nasface.utils.ending` for the codes.
    """
    try:
        _run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if arguments is None and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own end would answer Ctrl-C by a traceback


def _run(words: list[str]) -> None:
    from nasface.utils.ending import one_line
    from nasface.utils.parent_death import follow_parent

    with one_line("nasface", lambda: _goes_on(words)):
        follow_parent()
        from nasface.cli.run_command import run_command

        run_command(words)


def _goes_on(words: list[str]) -> str:
    module = sys.modules.get("nasface.cli.run_command")  # not there before it is whole: nothing has begun
    return module.how_to_go_on(words) if module else ""
