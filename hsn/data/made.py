"""Tissue drawn by program, with its truth: for tests, demos and timing where no real tissue may be shipped.

It shows what H&E of a glandular organ shows - glands with lumen, a ring of epithelium with basal nuclei and goblet
cells, collagen fibres with spindle nuclei, clusters of lymphocytes, vessels with red cells, fat, bare glass - in the
sizes of the real ones, but it is no substitute for them: a net that does well here has learned the drawing.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .. import taxonomies
from ..errors import refuse
from ..instances import renumber
from .drawing import at, ellipses, noise, scatter, stained, streaks
from .ground import CODE, MATERIALS, lay_out

_OPTICS_UM = 0.30  # sigma of a 20x objective's blur

# What each material is, in three taxonomies, and how much of each dye it takes up: by name, in the order of
# `ground.MATERIALS`: ADP morphology, ADP function, GlaS, haematoxylin, eosin.
_MATERIALS = {
    "glass": ("Background", "Background", "Other", 0.00, 0.01),
    "dense": ("C.D.I", "Other", "Other", 0.13, 0.72),
    "loose": ("C.L", "Other", "Other", 0.11, 0.50),
    "lymphoid": ("H.Y", "Other", "Other", 0.18, 0.42),
    "fat": ("A.W", "Other", "Other", 0.00, 0.02),
    "fat wall": ("A.W", "Other", "Other", 0.06, 0.45),
    "epithelium": ("E.M.O", "G.O", "G.O", 0.28, 0.60),
    "lumen": ("Background", "G.O", "G.O", 0.02, 0.04),
    "vessel wall": ("M.M", "T", "Other", 0.14, 0.72),
    "blood": ("H.E", "T", "Other", 0.02, 0.10),
}


@dataclass(frozen=True)
class Made:
    """A drawn image and everything that is known about it.

    Attributes
    ----------
    image : uint8 (H, W, 3)
    labels : dict of int32 (H, W)
        Truth by name of taxonomy: "glas", "adp-morph", "adp-func".
    instances : int32 (H, W)
        Nuclei, 1..n without gaps.
    glands : int32 (H, W)
        Glands, 1..n without gaps, each with its lumen.
    mpp : float
        Micrometres per pixel.
    """

    image: np.ndarray
    labels: dict[str, np.ndarray]
    instances: np.ndarray
    glands: np.ndarray
    mpp: float


def tissue(seed, shape=(512, 512), *, mpp=0.62):
    """Draw a field of tissue.

    Parameters
    ----------
    seed : int or numpy.random.Generator
        The same seed, shape and mpp give the same tissue.
    shape : (int, int)
        Height and width in pixels, each at least 16.
    mpp : float
        Micrometres per pixel, 0.1 to 4. 0.62 is GlaS, 1.2143 ADP as HistoSegNet takes it.

    Returns
    -------
    Made

    Raises
    ------
    InputError
        If the shape or the scale is out of range.

    Examples
    --------
    >>> made = tissue(1, (64, 96))
    >>> made.image.shape, sorted(made.labels)
    ((64, 96, 3), ['adp-func', 'adp-morph', 'glas'])
    """
    shape = tuple(int(side) for side in shape)
    if len(shape) != 2 or min(shape) < 16:
        refuse("the drawing is too small to hold tissue", expected="height and width of at least 16 pixels",
               received=shape, remedy="draw larger and crop")  # fmt: skip
    if not 0.1 <= mpp <= 4:
        refuse("tissue cannot be drawn at this scale", expected="0.1 to 4 micrometres per pixel", received=mpp,
               remedy="draw at another scale and resize")  # fmt: skip
    rng = np.random.default_rng(seed)
    ground = lay_out(rng, shape, mpp)
    nuclei, darkness = _nuclei(rng, ground, mpp)
    dyes = _dyes(rng, ground, mpp)
    dyes = _with_nuclei(rng, dyes, nuclei, darkness, mpp)
    image = stained(rng, *dyes, blur_px=_OPTICS_UM / mpp)
    return Made(image, _labels(ground.material), renumber(nuclei)[0], renumber(ground.glands)[0], mpp)


def _labels(material):
    """Truth in each taxonomy."""
    truth = {}
    for column, name in enumerate(("adp-morph", "adp-func", "glas")):
        taxonomy = taxonomies.get(name)
        table = [taxonomy.index(_MATERIALS[m][column]) for m in MATERIALS]
        truth[name] = np.array(table, np.int32)[material]
    return truth


def _nuclei(rng, ground, mpp):
    """Scatter nuclei of each kind where it lives: their numbers (H, W), and how dark each is, by number."""
    groups = []

    def grow(where, *, spacing_um, share, long_um, short_um, along, spread, dark):
        points = scatter(rng, ground.material.shape, spacing_um / mpp)
        points = points[at(where, points) & (rng.random(len(points)) < share)]
        semi = np.stack([rng.uniform(*long_um, len(points)), rng.uniform(*short_um, len(points))], axis=1)
        angle = at(along, points) + rng.normal(0, spread, len(points))
        groups.append((points, semi / mpp, angle, rng.uniform(*dark, len(points))))

    def is_(*names):
        return np.isin(ground.material, [CODE[name] for name in names])

    basal = is_("epithelium") & (ground.height > 0.12)
    row_height = rng.uniform(0.42, 0.75)  # one row of nuclei, or several as in adenoma
    grow(basal & (ground.height < row_height), spacing_um=6.2, share=0.92, long_um=(3.6, 5.0),
         short_um=(1.9, 2.7), along=ground.inward, spread=0.25, dark=(0.60, 1.0))  # fmt: skip
    spindle = {"long_um": (4.0, 7.5), "along": ground.fibres, "dark": (0.75, 1.1)}
    grow(is_("dense"), spacing_um=13, share=0.75, short_um=(1.0, 1.7), spread=0.2, **spindle)
    grow(is_("loose"), spacing_um=13, share=0.5, short_um=(1.1, 2.0), spread=0.6, **spindle)
    grow(is_("vessel wall"), spacing_um=8, share=0.6, short_um=(0.9, 1.4), spread=0.1, **spindle)
    grow(is_("fat wall"), spacing_um=12, share=0.12, short_um=(0.8, 1.2), spread=0.3, **spindle)
    round_ = {"long_um": (2.5, 3.2), "short_um": (2.2, 2.8), "along": ground.fibres, "spread": 1.5}
    grow(is_("lymphoid"), spacing_um=6.4, share=0.85, dark=(0.95, 1.25), **round_)
    grow(is_("loose"), spacing_um=15, share=0.35, dark=(0.95, 1.25), **round_)
    points, semi, angle, dark = (np.concatenate(parts) for parts in zip(*groups, strict=True))
    return ellipses(ground.material.shape, points, semi, angle), np.append(0, dark).astype(np.float32)


def _dyes(rng, ground, mpp):
    """Haematoxylin and eosin of everything but nuclei: two float32 (H, W)."""
    shape = ground.material.shape
    amounts = np.array([_MATERIALS[m][3:] for m in MATERIALS], np.float32)[ground.material]  # (H, W, 2)
    amounts = _with_fibres(rng, amounts, ground, mpp)

    ring = ground.material == CODE["epithelium"]
    grain = 1 + 0.10 * noise(rng, shape, 1.6 / mpp) + 0.12 * noise(rng, shape, 25 / mpp)
    amounts[ring] *= (grain * (0.8 + 0.4 * ground.height))[ring, None]
    goblets = scatter(rng, shape, rng.uniform(9, 16) / mpp)
    goblets = goblets[(at(ground.height, goblets) > 0.5) & (at(ground.height, goblets) < 0.85)]
    goblets = goblets[rng.random(len(goblets)) < rng.choice([0.05, 0.75])]  # tumours have hardly any
    size = rng.uniform((3.5, 2.5), (5.5, 3.8), (len(goblets), 2)) / mpp
    mucin = ellipses(shape, goblets, size, at(ground.inward, goblets)) > 0
    amounts[mucin & ring] = (0.16, 0.10)

    secretion = np.clip(noise(rng, shape, 9 / mpp) + 0.6 * noise(rng, shape, 3 / mpp) - 1.5, 0, 1)
    amounts[..., 1] += 0.5 * secretion * (ground.material == CODE["lumen"])
    cells = scatter(rng, shape, 6.5 / mpp)
    cells = cells[at(ground.material, cells) == CODE["blood"]]
    red = ellipses(shape, cells, np.full((len(cells), 2), 2.9 / mpp), np.zeros(len(cells))) > 0
    amounts[red & (ground.material == CODE["blood"]), 1] = 1.0
    return np.ascontiguousarray(amounts[..., 0]), np.ascontiguousarray(amounts[..., 1])


def _with_fibres(rng, amounts, ground, mpp):
    """Lay fibres through stroma: in fine clefts where it is dense, with wide gaps where it is loose."""
    shape = ground.material.shape
    stroma = np.isin(ground.material, [CODE[m] for m in ("dense", "loose", "lymphoid", "vessel wall")])
    weight = cv2.GaussianBlur(stroma.astype(np.float32), (0, 0), 5 / mpp)[..., None] + 1e-6
    # One kind of stroma passes into the next without a line.
    even = cv2.GaussianBlur(amounts * stroma[..., None], (0, 0), 5 / mpp) / weight  # (H, W, 2)
    loose = cv2.GaussianBlur((ground.material == CODE["loose"]).astype(np.float32), (0, 0), 5 / mpp)
    lines = streaks(rng, ground.fibres + 0.25 * noise(rng, shape, 7 / mpp), 7 / mpp)
    lines = 0.75 * cv2.GaussianBlur(lines, (0, 0), 0.6) + 0.55 * noise(rng, shape, 3 / mpp)
    cleft = -1.5 + 1.1 * loose + 0.5 * noise(rng, shape, 25 / mpp)
    fibre = (1 + 0.20 * lines) * (0.25 + 0.75 / (1 + np.exp(-3 * (lines - cleft))))
    return np.where(stroma[..., None], even * np.clip(fibre, 0, 2)[..., None], amounts).astype(np.float32)


def _with_nuclei(rng, dyes, nuclei, darkness, mpp):
    """Lay nuclei over the rest: chromatin in grains, and a rim that takes more dye."""
    haematoxylin, eosin = dyes
    inside = nuclei > 0
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    numbers = nuclei.astype(np.float32)
    rim = inside & (cv2.erode(numbers, kernel) != cv2.dilate(numbers, kernel))
    chromatin = 1 + 0.22 * noise(rng, nuclei.shape, max(1.0, 1.1 / mpp)) + 0.2 * rim
    haematoxylin = np.where(inside, darkness[nuclei] * chromatin, haematoxylin)
    eosin = np.where(inside, 0.30 + 0.3 * eosin, eosin)
    return haematoxylin.astype(np.float32), eosin.astype(np.float32)
