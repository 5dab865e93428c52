"""The skin's texture: albedo, gloss and relief, on the head's own texture coordinates.

Colours are sRGB in [0, 1] while they are mixed; the finished texture's albedo is linear (gamma 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numba import njit

from nasface.faces.landmarks import GROUPS
from nasface.faces.morphable import load_head_surface
from nasface.rendering.painting.noise import BLOTCHES, MOTTLE, PORES, SIDE, STRANDS, bank

TEXTURE = 256
"""Side of the texture; the face covers 0.7 of it."""
CHANNELS = 6
"""Red, green, blue (linear albedo), gloss (0 to 1), and the relief's slope along u and v."""

TONES = np.array([[244, 214, 196], [233, 190, 164], [208, 158, 126], [164, 114, 82], [116, 76, 55], [78, 51, 40]]) / 255
"""Human skin, sRGB, from the lightest to the darkest."""

_UNIT = TEXTURE / 256  # lengths below are in texels of a texture of 256


class Canvas(NamedTuple):
    """Masks in [0, 1], (TEXTURE, TEXTURE) float32, and where the anchors lie (68, 2), in texels."""

    anchors: np.ndarray
    window: np.ndarray
    """1 on the face, falling to 0 at the texture's rim, beyond which the skin is plain."""
    lips: np.ndarray
    beard: np.ndarray
    moustache: np.ndarray
    cheeks: np.ndarray
    nose: np.ndarray
    sockets: np.ndarray
    lids: np.ndarray
    shine: np.ndarray
    mask: np.ndarray
    """What a surgical mask covers."""


@dataclass(frozen=True)
class Person:
    """Traits that several parts of a picture share.

    Attributes:
        tone: sRGB of the skin.
        hair: sRGB of the hair.
        age: 0 (young) to 1 (old).
        mask: sRGB of a surgical mask, or None.
    """

    tone: np.ndarray
    hair: np.ndarray
    age: float
    mask: np.ndarray | None


@lru_cache(maxsize=1)
def canvas() -> Canvas:
    """The masks, which are the same for every face."""
    surface = load_head_surface()
    points = surface.texture_uv[surface.anchors].astype(np.float64) * (TEXTURE - 1)
    lips = _polygon(points[list(GROUPS["outer_lip"])])
    brow_line = points[[17, 18, 19, 20, 21]], points[[22, 23, 24, 25, 26]]
    lids = _polygon(np.concatenate([brow_line[0], points[[39, 38, 37, 36]]]))
    lids = np.maximum(lids, _polygon(np.concatenate([brow_line[1], points[[45, 44, 43, 42]]])))
    ramp = np.clip(np.minimum(np.arange(TEXTURE), np.arange(TEXTURE)[::-1]) / (0.11 * TEXTURE), 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    beard, moustache = _beard(points)
    clear = 1 - _soft(lips, 1)
    return Canvas(
        anchors=points,
        window=(ramp[:, None] * ramp).astype(np.float32),
        lips=_soft(lips, 1.6),
        beard=beard * clear,
        moustache=moustache * clear,
        cheeks=_blobs([points[[1, 31, 48]].mean(axis=0), points[[15, 35, 54]].mean(axis=0)], 17),
        nose=_blobs([points[30], points[33]], 9),
        sockets=_blobs([points[36:42].mean(axis=0) + [0, 9], points[42:48].mean(axis=0) + [0, 9]], 12),
        lids=_soft(lids, 4),
        shine=_blobs([points[28], points[30], points[27] - [0, 34], points[8] - [0, 14]], 12)
        + 0.6 * _blobs([points[[1, 36]].mean(axis=0) + [12, 0], points[[15, 45]].mean(axis=0) - [12, 0]], 12),
        mask=_soft(_polygon(np.concatenate([points[1:16] + _outward(points[1:16]), points[[15, 28, 1]]])), 1.0),
    )


def _outward(jaw: np.ndarray) -> np.ndarray:
    """A little beyond the jaw's line, away from its middle."""
    return (jaw - jaw.mean(axis=0)) * 0.06


def _polygon(points: np.ndarray) -> np.ndarray:
    return cv2.fillPoly(np.zeros((TEXTURE, TEXTURE), np.float32), [np.round(points).astype(np.int32)], 1.0)


def _soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(mask, (0, 0), sigma * _UNIT)


def _blobs(centres: list[np.ndarray], sigma: float) -> np.ndarray:
    row, column = np.mgrid[:TEXTURE, :TEXTURE]
    parts = [np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * (sigma * _UNIT) ** 2)) for x, y in centres]
    return np.sum(parts, axis=0).astype(np.float32)


def _beard(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Jaw with chin, and upper lip."""
    jaw, below = points[2:15], points[2:15] + [0, 60]
    low = _polygon(np.concatenate([jaw[1:-1], below[::-1]]))
    chin = _polygon(np.concatenate([points[[3, 48, 59, 58, 57, 56, 55, 54, 13]], points[4:13][::-1]]))
    under = points[[31, 33, 35]] + [[-6, 7], [0, 6], [6, 7]]
    lip = _polygon(np.concatenate([under, points[[54, 53, 52, 51, 50, 49, 48]]]))
    return _soft(np.maximum(low, chin), 8.0), _soft(lip, 3.0)


def skin_tone(rng: np.random.Generator) -> np.ndarray:
    """One sRGB tone of the human range."""
    position = rng.beta(1.0, 1.7) * (len(TONES) - 1)
    low = min(int(position), len(TONES) - 2)
    tone = TONES[low] + (position - low) * (TONES[low + 1] - TONES[low])
    warmth = rng.normal(0, 0.025)
    return np.clip(tone * rng.normal(1, 0.04) * (1 + np.array([warmth, 0, -1.5 * warmth])), 0.03, 0.97)


def paint_skin(rng: np.random.Generator, person: Person) -> np.ndarray:
    """The texture (TEXTURE, TEXTURE, CHANNELS) float32 of one face."""
    place = canvas()
    texture = np.empty((TEXTURE, TEXTURE, CHANNELS), np.float32)
    relief = np.empty((TEXTURE, TEXTURE), np.float32)
    rough, old = rng.uniform(0.05, 0.8), person.age
    amounts = np.array(
        [
            rng.uniform(0.01, 0.05),  # blotches
            rng.uniform(0.005, 0.03),  # mottle
            rng.uniform(0.005, 0.03) * rough,  # pores, in the colour
            rng.uniform(0, 0.12),  # red of the cheeks
            rng.uniform(0, 0.1),  # red of the nose
            rng.uniform(0, 0.04),  # red in patches
            rng.uniform(0, 0.2) + 0.12 * old,  # shade under the eyes
            rng.uniform(0.015, 0.06) * rough,  # pores, in the relief
            rng.uniform(0, 0.06) * (0.3 + old),  # unevenness of the relief
            rng.uniform(0.1, 0.8),  # gloss
            rng.uniform(0, 0.9),  # gloss of nose and forehead
        ],
        np.float32,
    )
    shifts = rng.integers(0, SIDE, (3, 2))
    tone = person.tone.astype(np.float32)
    _base(texture, relief, bank(), shifts, amounts, tone, place)
    if old > 0.3:
        _wrinkle(rng, texture, relief, place, old)
    if rng.random() < 0.25:
        _freckle(rng, texture, place, person)
    _make_up(rng, texture, place, person)
    _grow_beard(rng, texture, relief, place, person)
    _paint_brows(rng, texture, relief, place, person)
    _paint_lashes(rng, texture, place)
    if person.mask is not None:
        _put_on_mask(rng, texture, relief, place, person.mask)
    _finish(texture, relief)
    return texture


@njit(cache=True, nogil=True)
def _base(
    texture: np.ndarray,
    relief: np.ndarray,
    fields: np.ndarray,
    shifts: np.ndarray,
    amounts: np.ndarray,
    tone: np.ndarray,
    place: Canvas,
) -> None:
    wrap, one = SIDE - 1, np.float32(1.0)
    for row in range(TEXTURE):
        for column in range(TEXTURE):
            blotch = fields[BLOTCHES, (row + shifts[0, 0]) & wrap, (column + shifts[0, 1]) & wrap]
            mottle = fields[MOTTLE, (row + shifts[1, 0]) & wrap, (column + shifts[1, 1]) & wrap]
            pore = fields[PORES, (row + shifts[2, 0]) & wrap, (column + shifts[2, 1]) & wrap]
            inside = place.window[row, column]
            shade = one + inside * (amounts[0] * blotch + amounts[1] * mottle + amounts[2] * pore)
            shade *= one - amounts[6] * place.sockets[row, column]
            red = amounts[3] * place.cheeks[row, column] + amounts[4] * place.nose[row, column]
            red = inside * (red + amounts[5] * max(mottle - np.float32(0.3) * blotch, np.float32(0.0)))
            texture[row, column, 0] = tone[0] * shade * (one - np.float32(0.1) * red)
            texture[row, column, 1] = tone[1] * shade * (one - red)
            texture[row, column, 2] = tone[2] * shade * (one - np.float32(0.9) * red)
            texture[row, column, 3] = amounts[9] * (
                np.float32(0.7) + np.float32(0.15) * blotch + amounts[10] * place.shine[row, column]
            )
            relief[row, column] = inside * (amounts[7] * pore + amounts[8] * mottle)


@njit(cache=True, nogil=True)
def _finish(texture: np.ndarray, relief: np.ndarray) -> None:
    """To linear light; the relief's slopes."""
    last = TEXTURE - 1
    for row in range(TEXTURE):
        for column in range(TEXTURE):
            for k in range(3):
                texture[row, column, k] = min(max(texture[row, column, k], np.float32(0.01)), np.float32(1.0)) ** 2
            texture[row, column, 3] = min(max(texture[row, column, 3], np.float32(0.0)), np.float32(1.0))
            texture[row, column, 4] = relief[row, min(column + 1, last)] - relief[row, max(column - 1, 0)]
            texture[row, column, 5] = relief[min(row + 1, last), column] - relief[max(row - 1, 0), column]


@njit(cache=True, nogil=True)
def _blend(texture: np.ndarray, mask: np.ndarray, colour: np.ndarray, amount: np.float32) -> None:
    """Mix a colour into the albedo where the mask is."""
    for row in range(mask.shape[0]):
        for column in range(mask.shape[1]):
            weight = mask[row, column] * amount
            if weight > 0:
                for k in range(3):
                    texture[row, column, k] += weight * (colour[k] - texture[row, column, k])


def _mix(texture: np.ndarray, mask: np.ndarray, colour: np.ndarray, amount: float) -> None:
    _blend(texture, mask, np.asarray(colour, np.float32), np.float32(amount))


def _lines(curves: list[np.ndarray] | np.ndarray, width: int = 1) -> np.ndarray:
    """Curves (n, 2) in texels, drawn smoothly: (TEXTURE, TEXTURE) float32 in [0, 1]."""
    mask = np.zeros((TEXTURE, TEXTURE), np.uint8)
    lines = [(curve * 16 + 0.5).astype(np.int32) for curve in curves]
    cv2.polylines(mask, lines, False, 255, width, cv2.LINE_AA, 4)
    return mask * np.float32(1 / 255)


def _wrinkle(rng: np.random.Generator, texture: np.ndarray, relief: np.ndarray, place: Canvas, age: float) -> None:
    points, curves = place.anchors, []
    jitter = rng.normal(0, 1.5, 2)
    middle = points[27] + jitter
    for line in range(int(rng.integers(2, 5))):
        x = np.linspace(-34, 34, 9) * rng.uniform(0.6, 1.1)
        y = -30 - 9 * line - 0.004 * x**2 + rng.normal(0, 0.8, 9)
        curves.append(middle + np.stack([x, y], axis=1) * _UNIT)
    for wing, corner, side in ((31, 48, -1), (35, 54, 1)):
        start, end = points[wing] + [4 * side, -4], points[corner] + [9 * side, 4]
        t = np.linspace(0, 1, 7)[:, None]
        curves.append(start + t * (end - start) + np.sin(np.pi * t) * [5 * side, -2])
    for corner, side in ((36, -1), (45, 1)):
        for rise in (-5, 1, 7):
            curves.append(
                points[corner] + np.array([[7 * side, 0.3 * rise], [13 * side, rise], [18 * side, 1.3 * rise]])
            )
    deep = cv2.GaussianBlur(_lines(curves, 2), (0, 0), 1.2 * _UNIT) * np.float32(age * rng.uniform(0.5, 1.2))
    relief -= deep * np.float32(0.5)
    _blend(texture, deep, np.zeros(3, np.float32), np.float32(0.16))


def _freckle(rng: np.random.Generator, texture: np.ndarray, place: Canvas, person: Person) -> None:
    mask = np.zeros((TEXTURE, TEXTURE), np.uint8)
    count = int(rng.choice([rng.integers(1, 10), rng.integers(30, 90)], p=[0.7, 0.3]))
    centre, spread = place.anchors[29], np.array([34, 22]) if count >= 30 else np.array([45, 50])
    for x, y in centre + rng.normal(0, 1, (count, 2)) * spread * _UNIT:
        radius = 10 if count >= 30 else int(rng.integers(10, 34))
        cv2.circle(mask, (int(x * 16), int(y * 16)), radius, 255, -1, cv2.LINE_AA, 4)
    _mix(
        texture,
        mask * place.window / 255,
        person.tone * rng.uniform(0.5, 0.8) * [1, 0.85, 0.75],
        rng.uniform(0.15, 0.5) if count >= 30 else rng.uniform(0.4, 0.9),
    )


def _make_up(rng: np.random.Generator, texture: np.ndarray, place: Canvas, person: Person) -> None:
    painted = rng.random() < 0.25
    if painted:
        lips = np.array([rng.uniform(0.4, 0.8), rng.uniform(0.05, 0.3), rng.uniform(0.12, 0.38)])
        if rng.random() < 0.8:
            shadow = (
                np.array([rng.uniform(0.2, 0.6), rng.uniform(0.15, 0.45), rng.uniform(0.2, 0.5)]) * person.tone.max()
            )
            _mix(texture, place.lids, shadow, rng.uniform(0.05, 0.5))
        _mix(texture, place.cheeks, person.tone * [1.0, 0.72, 0.72], rng.uniform(0, 0.5))
    else:
        lips = person.tone * np.array([rng.uniform(0.84, 0.98), rng.uniform(0.58, 0.78), rng.uniform(0.6, 0.8)])
    _mix(texture, place.lips, lips, rng.uniform(0.5, 0.95) if painted else rng.uniform(0.35, 0.85))
    texture[..., 3] += place.lips * np.float32(rng.uniform(0, 0.5) if painted else rng.uniform(0, 0.2))


def _grow_beard(
    rng: np.random.Generator, texture: np.ndarray, relief: np.ndarray, place: Canvas, person: Person
) -> None:
    kind = rng.choice(
        ["none", "shadow", "stubble", "moustache", "goatee", "full"], p=[0.55, 0.13, 0.12, 0.04, 0.05, 0.11]
    )
    if kind == "none":
        return
    row, column = rng.integers(0, SIDE, 2)
    hairs = np.roll(bank()[STRANDS], (row, column), (0, 1))[:TEXTURE, :TEXTURE]
    pores = np.roll(bank()[PORES], (column, row), (0, 1))[:TEXTURE, :TEXTURE]
    both = np.maximum(place.beard, place.moustache)
    if kind == "shadow":
        _mix(texture, both, 0.5 * person.tone + 0.5 * person.hair * [0.9, 1.0, 1.1], rng.uniform(0.1, 0.3))
        return
    if kind == "stubble":
        mask = both * np.clip(0.5 + 0.28 * pores + 0.12 * hairs, 0, 1)
        _mix(texture, mask, person.hair * 0.9, rng.uniform(0.3, 0.75))
        return
    if kind == "moustache":
        both = place.moustache
    elif kind == "goatee":
        columns = np.abs(np.arange(TEXTURE) - place.anchors[8, 0]) < 30 * _UNIT
        both = np.maximum(both * columns.astype(np.float32), place.moustache)
        both = cv2.GaussianBlur(both, (0, 0), 2.0 * _UNIT)
    rim = np.clip(1.5 * both - 0.2 + (0.3 * pores + 0.3 * hairs) * (both > 0.02) * (1 - both), 0, 1)
    _mix(texture, rim, person.hair * 0.85, rng.uniform(0.75, 0.97))
    _blend(texture, rim * np.clip(hairs, 0, 2), np.float32(1.5) * person.hair.astype(np.float32), np.float32(0.15))
    relief += rim * (0.12 * hairs + 0.08 * pores)
    texture[..., 3] *= 1 - 0.7 * rim


def _paint_brows(
    rng: np.random.Generator, texture: np.ndarray, relief: np.ndarray, place: Canvas, person: Person
) -> None:
    """Many short hairs along each brow, over a soft ground."""
    thick, lift, count = rng.uniform(2.0, 6.0), rng.uniform(-2.5, 1.5), int(rng.integers(40, 100))
    colour = (
        person.hair * rng.uniform(0.55, 0.9) if person.hair.mean() < 0.5 or rng.random() < 0.5 else person.tone * 0.5
    )
    strokes, rise = [], rng.uniform(0, 5)
    for name, order, side in (("left_brow", -1, -1), ("right_brow", 1, 1)):
        points = place.anchors[list(GROUPS[name])][::order] + [0, lift]  # from the nose outwards
        points = points - [[0, rise], [0, 0.4 * rise], [0, 0], [0, 0], [0, 0]]
        t = np.sort(rng.random(count)) ** 1.15 * 4
        along = np.stack([np.interp(t, range(5), points[:, k]) for k in (0, 1)], axis=1)
        width = thick * np.interp(t, [0, 0.6, 2.4, 4], [0.7, 1.0, 0.75, 0.2])
        along[:, 1] += rng.uniform(-0.5, 0.5, count) * width
        lean = np.deg2rad(np.interp(t, [0, 1, 4], [75, 32, -14]) + rng.normal(0, 10, count))
        length = rng.uniform(3.0, 6.5, count) * np.interp(t, [0, 4], [1.0, 0.75])
        step = np.stack([side * np.cos(lean), -np.sin(lean)], axis=1) * length[:, None]
        strokes.append(np.stack([along - step / 2, along + step / 2], axis=1))
    hairs = _lines(np.concatenate(strokes))
    soft = cv2.GaussianBlur(hairs, (0, 0), 1.3 * _UNIT)
    strength = rng.uniform(0.45, 1.0)
    _mix(texture, np.minimum(1.4 * soft, 1.0), colour * 0.55 + person.tone * 0.35, 0.5 * strength)
    _mix(texture, hairs, colour, 0.85 * strength)
    relief += 0.15 * hairs


def _paint_lashes(rng: np.random.Generator, texture: np.ndarray, place: Canvas) -> None:
    made_up, points = rng.random() < 0.25, place.anchors
    upper = [points[[36, 37, 38, 39]], points[[42, 43, 44, 45]]]
    lower = [points[[39, 40, 41, 36]], points[[45, 46, 47, 42]]]
    dark = np.array([0.09, 0.06, 0.05])
    _mix(texture, _soft(_lines(upper, 5 if made_up else 3), 1.0), dark, rng.uniform(0.5, 1.0))
    _mix(texture, _soft(_lines(lower, 2), 1.0), dark, rng.uniform(0.1, 0.5))
    # The crease above the lid, and the moist rim below.
    crease = [line - [0, rng.uniform(4, 8)] for line in upper]
    _mix(texture, _soft(_lines(crease, 2), 1.2), np.array([0.2, 0.1, 0.08]), rng.uniform(0.0, 0.45))


def _put_on_mask(
    rng: np.random.Generator, texture: np.ndarray, relief: np.ndarray, place: Canvas, colour: np.ndarray
) -> None:
    cover = np.clip(4 * place.mask - 1.5, 0, 1)
    straps = [place.anchors[[1, 0]] + [[0, 4], [-30, 0]], place.anchors[[15, 16]] + [[0, 4], [30, 0]]]
    _mix(texture, np.maximum(cover, _lines(straps, 3)), colour, 1.0)
    rows = np.arange(TEXTURE)[:, None] - place.anchors[30, 1]
    folds = np.exp(-((((rows + 8) % 16) - 8) ** 2) / 3.0) * (rows > 4) * (rows < 60)
    relief *= 1 - cover
    relief -= cover * (0.5 * folds * rng.uniform(0.3, 1)).astype(np.float32)
    texture[..., 3] *= 1 - 0.85 * cover
