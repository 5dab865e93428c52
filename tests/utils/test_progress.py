"""Progress where stderr is no terminal: whole lines, few of them, the last one with all that was done."""

from __future__ import annotations

import re
import sys

import pytest

from nasface.utils.progress import close_bars, progress_for, stage_bar


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    text = capsys.readouterr().err
    assert "\r" not in text and "\x1b" not in text
    return text.splitlines()


def counts(written: list[str]) -> list[str]:
    return [re.search(r"% (\d+/\d+) \[", line)[1] for line in written]  # type: ignore[index]


def test_a_fast_stage_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = progress_for("decoding")
    for done in range(1, 1001):
        progress(done, 1000)
    written = lines(capsys)
    assert counts(written) == ["0/1000", "1000/1000"] and written[-1].startswith("decoding ")


def test_a_slow_stage_is_a_line_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = stage_bar("training", 100)
    clock = bar.start_t
    monkeypatch.setattr(bar, "_time", lambda: clock)
    for _ in range(100):
        clock += 0.5
        bar.set_postfix_str("loss=1", refresh=False)
        bar.update(1)
    bar.close()
    assert counts(lines(capsys)) == ["0/100", "20/100", "40/100", "60/100", "80/100", "100/100"]


def test_a_message_between_is_a_line_and_repeats_none(capsys: pytest.CaptureFixture[str]) -> None:
    with stage_bar("outer", 2) as outer, stage_bar("inner", 3, 1) as inner:
        outer.write("said", file=sys.stderr)
        inner.update(2)
        outer.update(2)
    close_bars()
    written = lines(capsys)
    assert written[2] == "said" and counts([*written[:2], *written[3:]]) == ["0/2", "1/3", "3/3", "2/2"]
