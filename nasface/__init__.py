"""nasface: search, train and compare neural networks for 3D face alignment."""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own takes a while, and the command shall be ready to be ended
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from nasface.inference import Detector, Face, FaceAligner

__version__ = "0.2.0"

__all__ = ["Face", "FaceAligner", "__version__", "load"]


def load(
    path: str | Path = "nasface-m",
    *,
    arch: str | None = None,
    model: str | None = None,
    detector: Detector | str | Path | None = None,
    threshold: float = 0.5,
    device: str = "cpu",
    flip_test: bool = False,
) -> FaceAligner:
    """A trained network, ready for photographs.

        >>> aligner = nasface.load()
        >>> for face in aligner.predict("photo.jpg"):
        ...     print(face.box, face.angles)

    Args:
        path: `nasface-s` or `nasface-m`, which come with the program; network.pt of `nasface retrain`, or its run's
            folder; an ONNX or TorchScript file of `nasface export`; or a published checkpoint of 3DDFA_V2.
        arch: `mobilenet_x05` or `mobilenet` of a published checkpoint, where the file does not show it.
        model: `embedded` or the folder of 3DDFA's files, where `path` does not say it; a published checkpoint's own
            folder by default.
        detector: an ONNX file of YuNet or CenterFace, or a function; by default the first that this machine has, and
            where it has none, whole images are faces.
        threshold: least score of a detected face.
        device: where the network computes: `cpu`, `cuda`, `cuda:1`, `mps`, ...
        flip_test: average what is found on each face and on its mirror image: a little better, twice the time.

    Raises:
        UserError: a file is absent, broken or of another kind, or this machine has no such device.
    """
    # Imported when asked for: torch takes seconds, and `nasface --help` needs none of it.
    from nasface.inference import load_aligner

    return load_aligner(
        path, arch=arch, model=model, detector=detector, threshold=threshold, device=device, flip_test=flip_test
    )


def __getattr__(name: str) -> Any:
    if name in ("Face", "FaceAligner"):
        from nasface import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'nasface' has no attribute {name!r}")
