"""The networks that come with the program, and the other names by which weights are called."""

from __future__ import annotations

from pathlib import Path

from nasface.utils.errors import UserError, nearest

FOLDER = Path(__file__).with_name("weights")
PACKAGED = ("nasface-s", "nasface-m")
"""Found by search and trained on the embedded faces alone, CC0; weights/MODEL_CARD.md says how."""
DEFAULT = "nasface-m"


def find_weights(weights: str | Path) -> Path:
    """The file of weights that a name stands for: of a packaged network, a run's folder, or a file.

        >>> find_weights("nasface-s").name
        'nasface-s.safetensors'

    Raises:
        UserError: there is no such file, or no network in the folder.
    """
    if str(weights) in PACKAGED:
        path = FOLDER / f"{weights}.safetensors"
        if not path.is_file():
            raise UserError(f"{path} is absent: install nasface again, or train it by `make weights`")
        return path
    path = Path(weights)
    if not path.exists():
        raise UserError(
            f"{path} does not exist: give network.pt of `nasface retrain`, its run's folder, or"
            f" {' or '.join(PACKAGED)}{nearest(str(weights), PACKAGED)}"
        )
    if not path.is_dir():
        return path
    if not (path / "network.pt").is_file():
        raise UserError(
            f"{path} holds no network.pt: give the folder of a finished `nasface retrain`, or of a search by trainings"
        )
    return path / "network.pt"
