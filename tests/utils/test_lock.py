"""One holder at a time, in this process or another, and none that a kill leaves behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nasface.utils.errors import UserError
from nasface.utils.lock import hold
from tests.helpers.tiny import REPOSITORY

HOLDER = """
import sys, time
from pathlib import Path
from nasface.utils.lock import hold
with hold(Path(sys.argv[1]), "build", ""):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_holder_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "folder" / ".lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        message = f"another build is writing to {path}: wait for it, or choose another folder"
        with pytest.raises(UserError, match=message), hold(path, "build", "choose another folder"):
            pass
        holder.kill()
        holder.wait()
        assert path.exists()
        with hold(path, "build", "choose another folder") as lock:
            assert lock.alone
        assert not path.exists()


def test_who_waits_gets_a_lock_that_its_holder_has_removed(tmp_path: Path) -> None:
    """The third one must not lock a new file of the same name while the second one holds the removed one."""
    path, inside, most = tmp_path / ".lock", [], []

    def work() -> None:
        with hold(path, "build", "", wait=True):
            inside.append(1)
            most.append(len(inside))
            waited.wait(0.02)
            inside.pop()

    waited = threading.Event()
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 8 and not path.exists()


def test_a_shared_lock_opens_when_the_first_is_ready(tmp_path: Path) -> None:
    path = tmp_path / "journal.log"
    path.write_text("kept")
    with hold(path, "search", "", shared=True, remove=False) as first:
        assert first.alone
        first.share()
        with hold(path, "search", "", shared=True, remove=False) as second:
            assert not second.alone
        with pytest.raises(UserError, match="another search"), hold(path, "search", "", remove=False):
            pass
    assert path.read_text() == "kept"


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = r"cannot write .*file/\.lock: .*, or choose another folder"
    lock = hold(tmp_path / "file" / ".lock", "build", "choose another folder")
    with pytest.raises(UserError, match=message), lock:
        pass
