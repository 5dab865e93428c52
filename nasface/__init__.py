"""nasface: search, train and compare neural networks for 3D face alignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasface.inference.aligner import Face, FaceAligner

__version__ = "0.2.0"

__all__ = ["Face", "FaceAligner", "__version__", "load"]


def load(path: Any, **settings: Any) -> FaceAligner:
    """A trained network, ready for photographs: `nasface.load("network.pt").predict("photo.jpg")`.

    Args:
        path: network.pt of `nasface retrain`, or a published checkpoint that `arch` names.
        settings: arch, model, detector, threshold: see `nasface.inference.load.load_aligner`.

    Raises:
        UserError: a file is absent, broken or of another kind.
    """
    # Imported when asked for: torch takes seconds, and `nasface --help` needs none of it.
    from nasface.inference import load_aligner

    return load_aligner(path, **settings)


def __getattr__(name: str) -> Any:
    if name in ("Face", "FaceAligner"):
        from nasface import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'nasface' has no attribute {name!r}")
