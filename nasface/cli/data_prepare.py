"""`nasface data prepare`."""

from __future__ import annotations

from typing import Literal

from jsonargparse.typing import NonNegativeFloat, NonNegativeInt

from nasface.cli.command import Command
from nasface.utils.errors import UserError


def prepare(
    dataset: Literal["300w-lp"],
    root: str | None = None,
    bfm: str | None = None,
    uv: str | None = None,
    output: str = "position_maps",
    flipped: bool = False,
    jitter: NonNegativeFloat = 0.1,
    seed: NonNegativeInt = 0,
    workers: NonNegativeInt = 0,
) -> None:
    """Make the UV position maps of 300W-LP.

    Args:
        dataset: 300w-lp, the only set with maps to make.
        root: folder of 300W-LP, 300W_LP as unpacked.
        bfm: BFM.mat in face3d's layout; its 3dmm.md says how to make it.
        uv: BFM_UV.mat; where empty, the one beside BFM.mat.
        output: folder to write crops and maps to, 0.8 MB per face.
        flipped: include the mirrored half of the set.
        jitter: largest random shift and scaling of a crop, relative to the face.
        seed: seed of the shifts and scalings.
        workers: number of processes, 0 for one per core; the files do not depend on it.
    """
    from nasface.data.position_maps import Moves, write_position_maps
    from nasface.faces.bfm import load_bfm_mesh
    from nasface.utils.progress import progress_for

    if root is None or bfm is None:
        raise UserError("where is the set, and where the model? give --root 300W_LP --bfm BFM.mat")
    moves, progress = Moves(float(jitter), int(seed)), progress_for("position maps")
    mesh = load_bfm_mesh(bfm, uv)
    faces, made = write_position_maps(
        root, mesh, output, moves, flipped=flipped, workers=int(workers), progress=progress
    )
    print(f"{faces} faces  {output}, {made} of them new")


COMMAND = Command(prepare)
