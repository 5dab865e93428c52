"""`nasface predict`."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from time import perf_counter

from jsonargparse.typing import ClosedUnitInterval, NonNegativeInt

from nasface.cli.command import Command
from nasface.utils.errors import UserError, first_line


def predict(
    input: list[str],
    weights: str = "nasface-m",
    output: str = "predictions",
    arch: str | None = None,
    model: str | None = None,
    detector: str | None = None,
    threshold: ClosedUnitInterval = 0.5,
    box: str | None = None,
    overlay: bool = True,
    obj: bool = True,
    ply: bool = False,
    dense: bool = False,
    aligned: NonNegativeInt = 0,
    smooth: ClosedUnitInterval = 0.0,
    beside: bool = False,
    device: str = "cpu",
    flip_test: bool = False,
) -> None:
    """Align the faces of images, of videos, or of folders of them.

    Args:
        input: images, videos, or folders of them.
        weights: a packaged network, nasface-s (fast) or nasface-m; network.pt of a retraining, or its run's folder;
            an exported file; or a published checkpoint (see arch).
        output: folder to write to.
        arch: mobilenet_x05 or mobilenet, where the weights are 3DDFA_V2's published ones.
        model: morphable model: embedded, or the folder of 3DDFA's files; as the weights say where empty.
        detector: ONNX file of YuNet or CenterFace; the installed one where empty.
        threshold: lowest score of a face detection that is kept.
        box: x,y,width,height of the face in pixels instead of detection, or image.
        overlay: write image or video with landmarks, dense shape and axes drawn on it.
        obj: write a textured mesh of each face (of images).
        ply: write the mesh as PLY, with a colour at each vertex.
        dense: also write the UV position map into the JSON.
        aligned: size of face crops aligned by five points, such as 112; 0 for none.
        smooth: weight of the previous frame in smoothing a video, which starts anew at a cut; 0 is off, 0.6 is calm.
        beside: write image or video side by side with its overlay.
        device: where the network computes: cpu, cuda, mps.
        flip_test: average what is found on each face and on its mirror image: a little better, and slower.
    """
    import torch

    from nasface.inference.aligner import Boxes, parse_box
    from nasface.inference.detection import NO_DETECTOR
    from nasface.inference.load import load_aligner
    from nasface.inference.media import VIDEOS, Wanted, find_inputs, predict_image, predict_video
    from nasface.utils.files import kept
    from nasface.utils.progress import progress_for, stage_bar

    sources = find_inputs(*input)
    boxes: Boxes = "image" if box == "image" else None if box is None else [parse_box(box)]
    if 0 < aligned < 16:
        raise UserError(f"--aligned {aligned} is too small for a face: give 112, or 0 for none")
    aligner = load_aligner(
        weights, arch=arch, model=model, detector=detector, threshold=threshold, device=device, flip_test=flip_test
    )
    if boxes is None and aligner.detector is None:
        print(NO_DETECTOR)
        boxes = "image"
    depth, shape = aligner.outputs()
    if not (depth and shape):
        lacks = "no dense shape, so no mesh is written" if depth else "neither depth nor a dense shape: 68 points x, y"
        print(f"this network finds {lacks}")
    if weights == "nasface-s":  # its passes are too short to be shared among threads
        torch.set_num_threads(1)
    wanted = Wanted(overlay, obj, ply, int(aligned), dense, float(smooth), beside)
    count, frames, seconds, failed, faceless = 0, 0, 0.0, [], []
    bars = stage_bar("aligning", len(sources)) if len(sources) > 1 else nullcontext()
    with kept(sources), bars as bar:
        for source in sources:
            video = source.suffix.lower() in VIDEOS
            watch = {"progress": progress_for(f"aligning {source.name}")} if video else {}
            work = predict_video if video else predict_image
            try:
                start = perf_counter()
                faces, length = work(aligner, source, Path(output), wanted, boxes, **watch)
                faceless += [] if faces else [source.name]
                count, frames, seconds = count + faces, frames + length, seconds + video * (perf_counter() - start)
            except Exception as error:  # one file never ends a folder
                if bar is None:
                    raise
                failed.append(source.name)
                said = str(error) if isinstance(error, UserError) else f"{source}: {first_line(error)}"
                bar.write(said, file=sys.stderr)
            if bar is not None:
                bar.update()
    done = len(sources) - len(failed)
    print(f"faces    {count} in {done} file{'s' if done != 1 else ''}")
    if faceless:
        names = ", ".join(faceless[:5]) + (f" and {len(faceless) - 5} more" if len(faceless) > 5 else "")
        print(f"no face  {names}: give --box x,y,width,height, or --box image, or a lower --threshold")
    look = f": open {Path(output, sources[0].name)}.overlay.{'mp4' if frames else 'png'}" if len(sources) == 1 else ""
    print(f"written  {output}{look if overlay and count else ''}")
    if frames:
        print(f"rate     {frames / seconds:.1f} frames/s, from reading to writing")
    if failed:
        raise UserError(f"{len(failed)} of {len(sources)} files were left out, see above: {', '.join(failed)}")


COMMAND = Command(predict)
