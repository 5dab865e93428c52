"""Reading picture files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nasface.utils.errors import UserError


def decode_image(path: str | Path, upright: bool = False) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB, in the orientation in which its pixels are stored.

    A photograph that ends early is an error here, where OpenCV would return it with a grey remainder; an EXIF rotation
    is ignored, since annotations refer to the stored pixels.

    Args:
        upright: apply the EXIF rotation after all, as viewers do.

    Raises:
        UserError: the file is absent, truncated, or no image.
    """
    try:
        with Image.open(path) as image:
            return np.asarray((ImageOps.exif_transpose(image) if upright else image).convert("RGB"))
    except FileNotFoundError:
        raise UserError(f"image {path} does not exist: restore it or take it off the list") from None
    except UnidentifiedImageError:
        raise UserError(f"image {path} does not decode (no known image format): restore it from its source") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"image {path} does not decode ({error}): restore it from its source") from None
