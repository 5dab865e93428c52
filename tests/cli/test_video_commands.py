"""The commands that make short videos: the contact sheet, and a training that measures stability on them."""

from __future__ import annotations

import json

import cv2

from tests.helpers.tiny import Command


def test_a_contact_sheet_of_rows_and_frames(nasface: Command) -> None:
    result = nasface("data", "video-preview", "--rows", "2", "--frames", "3", "--size", "32")
    assert result.code == 0 and result.output == "video.png\n"
    sheet = cv2.imread(str(nasface.folder / "video.png"))
    assert sheet.shape == (2 * 2 * 192, 3 * 192, 3) and sheet.std() > 20


def test_a_single_frame_is_no_video(nasface: Command) -> None:
    result = nasface("data", "video-preview", "--frames", "1")
    assert result.code == 2 and "2 frames or more" in result.line


def test_a_training_on_videos_prints_its_stability(nasface: Command) -> None:
    arguments = ["--experiment", "smoke", "--arch", "mobilenet_x05", "--scale", "0.25", "--run", "one"]
    arguments += ["--parameters.objective", "vdc", "--parameters.video.frames", "2", "--retrain.videos", "3"]
    result = nasface.tiny("retrain", *arguments)
    assert result.code == 0, result.errors
    row = json.loads((nasface.folder / "runs" / "one" / "summary.json").read_text())["result"]
    assert row["stability"] > 0
    assert f"{row['stability']:.2f}" in result.output and " stability " in result.output
