"""Reading and writing picture files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nasface.utils.errors import UserError
from nasface.utils.reading import reading

MAX_PIXELS = 178_956_970
"""Larger pictures are refused before they are decoded, as Pillow does; it warns of half as many."""
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def decode_image(path: str | Path, upright: bool = False) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB, in the orientation in which its pixels are stored.

    A photograph that ends early is an error here, where OpenCV would return it with a grey remainder; an EXIF rotation
    is ignored, since annotations refer to the stored pixels.

    Args:
        upright: apply the EXIF rotation after all, as viewers do.

    Raises:
        UserError: the file is absent, truncated, or no image.
    """
    with reading(path, "does not decode", "restore it from its source", "restore it or take it off the list"):
        try:
            with Image.open(path) as image:
                return np.asarray(_rgb(ImageOps.exif_transpose(image) if upright else image))
        except UnidentifiedImageError:
            raise ValueError("no known image format") from None
        except Image.DecompressionBombError:
            raise UserError(f"{path} has more than {MAX_PIXELS / 1e6:.0f} million pixels: make it smaller") from None


def _rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel, black and white as they are. Pillow's own conversion cuts greater depths off at white."""
    if image.mode.startswith("I;16") or image.mode == "I" and image.format in ("PNG", "PPM"):  # which fill 16 bits
        return Image.fromarray((np.asarray(image).clip(0, 65535) / 257 + 0.5).astype(np.uint8)).convert("RGB")
    if image.mode not in ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"):
        raise ValueError(f"its pixels are of the kind {image.mode}, whose white is not known: 8 or 16 bits are read")
    return image.convert("RGB")


def encode_jpeg(picture: np.ndarray, quality: int) -> bytes:
    """A picture (H, W, 3) uint8 RGB as the bytes of a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="jpeg", quality=quality, subsampling=0)
    return stream.getvalue()


def decode_thumbnail(content: bytes, most: int = 512) -> np.ndarray | None:
    """A small JPEG as (H, W, 3) uint8 RGB; None where it is none, or larger than `most` pixels a side."""
    try:
        with Image.open(io.BytesIO(content), formats=["jpeg"]) as image:
            return np.array(image.convert("RGB")) if max(image.size) <= most else None
    except (OSError, ValueError, SyntaxError):
        return None
