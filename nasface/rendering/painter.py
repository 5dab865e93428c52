"""Paints the embedded head: person, clothes, light, scenery and camera. Appearance only; it never touches the
geometry.

The head and what it wears are drawn at twice the image's size in linear light and averaged down over the background.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from nasface.faces.morphable import load_embedded_head, load_head_surface
from nasface.faces.rasterize import rasterize
from nasface.rendering.painting import film
from nasface.rendering.painting.dress import Glasses, draw_garment, draw_glasses
from nasface.rendering.painting.hair import Hair, grow_hair, hair_colour
from nasface.rendering.painting.light import Light, ambient_occlusion, draw_light, lit, vertex_normals
from nasface.rendering.painting.looks import LOOKS, Domain
from nasface.rendering.painting.meshes import join
from nasface.rendering.painting.noise import SIDE, bank
from nasface.rendering.painting.objects import draw_object
from nasface.rendering.painting.scenery import draw_background, muted
from nasface.rendering.painting.shading import (
    CLOTH,
    EYE,
    FRAME,
    IRIS,
    PATTERN,
    PLAIN,
    SKIN,
    TEETH,
    TONGUE,
    Finish,
    Lens,
    Solid,
    shade_glass,
    shade_hair,
    shade_solid,
)
from nasface.rendering.painting.skin import Person, canvas, paint_skin, skin_tone

SUPERSAMPLING = 2

_IRISES = np.array([[44, 28, 18], [70, 44, 26], [98, 70, 42], [98, 106, 70], [92, 120, 142], [116, 126, 132]]) / 255
_FLIP_Y = np.diag([1.0, -1.0, 1.0]).astype(np.float32)


@dataclass(frozen=True)
class _View:
    """From model coordinates to supersampled pixels, and to camera axes (y up)."""

    linear: np.ndarray  # (3, 3)
    offset: np.ndarray  # (3,)
    rotation: np.ndarray  # (3, 3)

    def pixels(self, vertices: np.ndarray) -> np.ndarray:
        return vertices @ self.linear.T + self.offset

    def turned(self, directions: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(directions @ self.rotation.T, np.float32)


@dataclass(frozen=True)
class _Scene:
    """What is before the camera: the head and what it wears, lit."""

    person: Person
    texture: np.ndarray  # of the skin
    hair: Hair | None
    glasses: Glasses | None
    solid: Solid  # model coordinates
    light: Light
    view: _View


def paint(
    rng: np.random.Generator,
    vertices: np.ndarray,
    pose: np.ndarray,
    size: int,
    domain: Domain = "studio",
    rough: bool = True,
) -> np.ndarray:
    """One image (size, size, 3) uint8 RGB of a posed head.

    Args:
        rng: source of everything that is not geometry.
        vertices: (V, 3) of the embedded head, model coordinates.
        pose: (3, 4) model to crop pixels.
        size: side of the image.
        domain: look of the picture.
        rough: degrade it as a camera would; without, the picture is clean and nothing covers the face.
    """
    look, view = LOOKS[domain], _view(pose)
    vertices = np.asarray(vertices, np.float32)
    anchors = vertices[load_head_surface().anchors]
    tone, age = skin_tone(rng), rng.beta(1.1, 1.3)
    masked = rng.random() < look.mask and rough
    person = Person(tone, hair_colour(rng, tone, age), age, _mask_colour(rng) if masked else None)
    texture = paint_skin(rng, person)
    light = draw_light(rng, look, tone)
    normals = vertex_normals(vertices, load_embedded_head().triangles)
    hair = grow_hair(rng, person, vertices, normals, cap=bool(rng.random() < look.hat))
    glasses = draw_glasses(rng, vertices, anchors) if rng.random() < look.glasses and rough else None
    solid = _solid(rng, vertices, normals, masked, hair, glasses, view)
    image = _draw(rng, _Scene(person, texture, hair, glasses, solid, light, view), size * SUPERSAMPLING)
    if rng.random() < look.occluder and rough:
        draw_object(rng, image, view.pixels(anchors)[:, :2], tone, light)
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    background = draw_background(rng, size, look)
    developed = film.develop(image[..., :3] + (1 - image[..., 3:]) * background**2)
    return film.take(rng, developed, look) if rough else film.to_bytes(developed)


def _view(pose: np.ndarray) -> _View:
    linear, offset = pose[:, :3].astype(np.float64), pose[:, 3].astype(np.float64)
    shift = np.array([0.5, 0.5, 0.0])
    rotation = _FLIP_Y @ linear / np.linalg.norm(linear[0])
    return _View(
        (SUPERSAMPLING * linear).astype(np.float32),
        (SUPERSAMPLING * (offset + shift) - shift).astype(np.float32),
        rotation.astype(np.float32),
    )


def _mask_colour(rng: np.random.Generator) -> np.ndarray:
    plain = np.array([[0.62, 0.8, 0.88], [0.92, 0.93, 0.94], [0.12, 0.12, 0.14]])[rng.integers(3)]
    return np.clip(plain * rng.normal(1, 0.05), 0, 1) if rng.random() < 0.8 else muted(rng)


def _solid(
    rng: np.random.Generator,
    vertices: np.ndarray,
    normals: np.ndarray,
    masked: bool,
    hair: Hair | None,
    glasses: Glasses | None,
    view: _View,
) -> Solid:
    head, surface = load_embedded_head(), load_head_surface()
    if masked:
        vertices = vertices + normals * (rng.uniform(0.03, 0.06) * _under_mask()[:, None])
        normals = vertex_normals(vertices, head.triangles)
    garment = draw_garment(rng, view.rotation)
    sky = ambient_occlusion() if hair is None else ambient_occlusion() * hair.shaded
    place = _head_place()
    materials = np.where(_below_collar(), np.uint8(CLOTH), surface.materials)
    parts = [(vertices, head.triangles, materials, normals, place, sky)]
    others = [(garment.vertices, garment.triangles, CLOTH, garment.place)]
    if glasses is not None:
        nowhere = np.zeros((len(glasses.vertices), 2), np.float32)
        others.append((glasses.vertices, glasses.triangles, FRAME, nowhere))
    for points, triangles, material, where in others:
        materials = np.full(len(triangles), material, np.uint8)
        parts.append(
            (points, triangles, materials, vertex_normals(points, triangles), where, np.ones(len(points), np.float32))
        )
    vertices, triangles, materials, normals, place, sky = join(parts)
    lit = np.ones(len(vertices), np.float32)
    return Solid(vertices, triangles.astype(np.int32), materials, normals, place, sky, lit)


@lru_cache(maxsize=1)
def _below_collar() -> np.ndarray:
    """(T,) bool: the lower rim of the head's neck, which is clothed where it comes out of the garment."""
    head = load_embedded_head()
    low = (head.mean[:, 1] < -1.15) | ((head.mean[:, 1] < -0.85) & (np.abs(head.mean[:, 0]) > 0.68))
    return low[head.triangles].any(axis=1)


@lru_cache(maxsize=1)
def _head_place() -> np.ndarray:
    """Texture coordinates of the head; teeth carry their own x and y instead, for the gaps between them."""
    head, surface = load_embedded_head(), load_head_surface()
    place = surface.texture_uv.copy()
    teeth = np.unique(head.triangles[surface.materials == TEETH])
    place[teeth] = head.mean[teeth, :2]
    return place


@lru_cache(maxsize=1)
def _under_mask() -> np.ndarray:
    """(V,) share in [0, 1] of a surgical mask's bulge."""
    surface = load_head_surface()
    cells = np.round(surface.texture_uv * (len(canvas().mask) - 1)).astype(int)
    cells = np.clip(cells, 0, len(canvas().mask) - 1)
    inside = canvas().mask[cells[:, 1], cells[:, 0]]
    worn = np.zeros(len(inside), np.float32)
    skin = np.unique(load_embedded_head().triangles[surface.materials == SKIN])
    worn[skin] = inside[skin]
    return worn


def _draw(rng: np.random.Generator, scene: _Scene, side: int) -> np.ndarray:
    """The head and what it wears, (side, side, 4) linear and premultiplied."""
    solid, view, hair = scene.solid, scene.view, scene.hair
    pixels = view.pixels(solid.vertices)
    raster = rasterize(pixels, solid.triangles, side)
    shown = None if hair is None else hair.triangles[_of_corners(np.maximum, hair.cover, hair.triangles) > -0.1]
    sun = _sunlit(scene, shown)
    image = np.zeros((side, side, 4), np.float32)
    colours, axes = _colours(rng, scene.person, scene.glasses), np.ascontiguousarray(view.rotation[:, :2].T)
    finish = Finish(scene.texture, colours, axes, _pattern(rng), bank())
    placed = solid._replace(
        vertices=pixels.astype(np.float64), normals=view.turned(solid.normals), lit=sun[: len(pixels)]
    )
    shade_solid(raster, placed, finish, scene.light, image)
    if hair is not None and shown is not None:
        _draw_hair(rng, scene, hair._replace(triangles=shown, lit=sun[len(pixels) :]), raster.depth, image)
    if scene.glasses is not None:
        _draw_lenses(rng, scene, scene.glasses, raster.depth, image)
    return image


def _draw_hair(rng: np.random.Generator, scene: _Scene, hair: Hair, behind: np.ndarray, image: np.ndarray) -> None:
    view, shown = scene.view, hair.triangles
    points, normals = view.pixels(hair.vertices), view.turned(hair.normals)
    shift = rng.integers(0, SIDE, 2)
    away = normals[shown, 2].mean(axis=1) < 0
    # What turns away first: thin hair lets it be seen through.
    for part in (shown[away], shown[~away]):
        placed = hair._replace(triangles=part, normals=normals, along=view.turned(hair.along))
        shade_hair(rasterize(points, part, len(image)), behind, placed, bank(), shift, scene.light, image)


def _draw_lenses(
    rng: np.random.Generator, scene: _Scene, glasses: Glasses, behind: np.ndarray, image: np.ndarray
) -> None:
    points, side = scene.view.pixels(glasses.lens_vertices), len(image)
    angle, wide = rng.uniform(0, 6.3), side * rng.uniform(0.03, 0.15)
    slope = np.array([np.cos(angle), np.sin(angle), 0]) / wide
    slope[2] = -slope[:2] @ points[rng.integers(len(points)), :2]
    bright = scene.light.ambient + scene.light.colour
    glare = (rng.uniform(0, 0.35) * rng.random() * bright).astype(np.float32)
    tint = (glasses.tint * bright).astype(np.float32)
    lens = Lens(tint, np.float32(glasses.opacity), glare, slope.astype(np.float32))
    shade_glass(rasterize(points, glasses.lens_triangles, side), behind, lens, image)


def _of_corners(reduce: np.ufunc, values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(T,) the greatest or least of the values (V,) at each triangle's corners."""
    return reduce(reduce(values[triangles[:, 0]], values[triangles[:, 1]]), values[triangles[:, 2]])


def _sunlit(scene: _Scene, shown: np.ndarray | None) -> np.ndarray:
    """(N + M,) the share of the lamp that each vertex of solid and hair sees; of the hair `shown` casts shadows."""
    points, triangles, hair = scene.solid.vertices, scene.solid.triangles, scene.hair
    if hair is not None and shown is not None:
        casting = shown[_of_corners(np.minimum, hair.cover, shown) > 0.0]
        triangles = np.concatenate([triangles, casting + len(points)])
        points = np.concatenate([points, hair.vertices])
    return lit(scene.view.turned(points), triangles, scene.light.lamp, 0.035, scene.light.size)


def _colours(rng: np.random.Generator, person: Person, glasses: Glasses | None) -> np.ndarray:
    """(9, 3) linear, by `shading`'s materials."""
    colours = np.zeros((9, 3), np.float32)
    colours[PLAIN] = np.clip(person.tone, 0.01, 1) ** 2
    colours[EYE] = (
        np.array([0.62, 0.58, 0.55]) * rng.uniform(0.4, 1.0) * [1, rng.uniform(0.92, 1), rng.uniform(0.85, 1)]
    )
    colours[TEETH] = np.array([0.85, 0.8, 0.7]) * rng.uniform(0.7, 1.15)
    colours[TONGUE] = [0.34, 0.1, 0.09]
    colours[CLOTH], colours[PATTERN] = muted(rng) ** 2, muted(rng) ** 2
    dark = person.tone.mean() < 0.5
    colours[IRIS] = (_IRISES[rng.integers(2 if dark else len(_IRISES))] * rng.uniform(0.8, 1.3)) ** 2
    if glasses is not None:
        colours[FRAME] = glasses.colour
    return colours


def _pattern(rng: np.random.Generator) -> np.ndarray:
    """Stripes of the cloth; most is plain."""
    if rng.random() < 0.6:
        return np.array([1, 1, 0, rng.uniform(0.05, 0.2)], np.float32)
    around, down = rng.choice([0.0, 1.0], 2)
    return np.array(
        [around * rng.integers(12, 60), down * rng.uniform(6, 30), rng.uniform(0.3, 1), rng.uniform(0.05, 0.2)],
        np.float32,
    )
