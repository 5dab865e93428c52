"""The looks of the synthetic domains: how often and how strongly each trait of a picture appears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Domain = Literal["studio", "wild"]


@dataclass(frozen=True)
class Look:
    """How pictures of one domain are taken; shares are probabilities.

    Attributes:
        backdrop: share of plain or graded backdrops; the others are rooms, outdoors and clutter.
        lamp: bounds of the lamp's share of the light; the rest comes from all sides.
        tint: standard deviation of the light's colour temperature (log ratio of red to blue).
        exposure: standard deviation of the log exposure.
        hat, glasses, mask, occluder: shares of faces that wear or are behind one.
        grey: share of grey pictures.
        contrast: mean log factor of contrast.
        cut: share of faces at the photograph's edge.
        blur, motion: shares of pictures out of focus and moved.
        coarse: share of pictures taken at a lower resolution and enlarged.
        noise: largest standard deviation of the sensor's noise.
        jpeg: share of compressed pictures.
        quality: bounds of their JPEG quality.
    """

    backdrop: float
    lamp: tuple[float, float]
    tint: float
    exposure: float
    hat: float
    glasses: float
    mask: float
    occluder: float
    grey: float
    contrast: float
    cut: float
    blur: float
    motion: float
    coarse: float
    noise: float
    jpeg: float
    quality: tuple[int, int]


LOOKS: dict[Domain, Look] = {
    "studio": Look(
        backdrop=0.35,
        lamp=(0.2, 0.95),
        tint=0.14,
        exposure=0.3,
        hat=0.1,
        glasses=0.15,
        mask=0.01,
        occluder=0.15,
        grey=0.15,
        contrast=0.22,
        cut=0.25,
        blur=0.25,
        motion=0.03,
        coarse=0.1,
        noise=0.03,
        jpeg=0.4,
        quality=(45, 95),
    ),
    "wild": Look(
        backdrop=0.05,
        lamp=(0.45, 0.95),
        tint=0.22,
        exposure=0.3,
        hat=0.2,
        glasses=0.3,
        mask=0.06,
        occluder=0.35,
        grey=0.15,
        contrast=0.0,
        cut=0.1,
        blur=0.45,
        motion=0.25,
        coarse=0.45,
        noise=0.07,
        jpeg=0.85,
        quality=(18, 70),
    ),
}
"""`studio`: even light, mostly clean pictures. `wild`: hard light, casts, small and compressed pictures, more worn and
in front of the face."""
