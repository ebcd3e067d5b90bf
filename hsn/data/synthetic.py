"""Synthetic tissue with truth, for tests, demos and timing.

The images show H&E of a glandular organ with realistic sizes: glands with lumen, epithelium with basal nuclei and
goblet cells, collagen fibers with spindle nuclei, lymphocytes, vessels with red blood cells, fat and glass. They do not
replace real tissue: a good score on them says little about real images.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .. import taxonomies
from ..errors import InputError
from ..instances import renumber
from .drawing import ellipses, noise, scatter, stained, streaks, values_at
from .layout import CODE, MATERIALS, TissueLayout, draw_layout

_OPTICS_UM = 0.30  # sigma of a 20x objective's blur

# Class of each material in three taxonomies, and its stain amounts, in the order of `layout.MATERIALS`: ADP morphology,
# ADP function, GlaS, hematoxylin, eosin.
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
class SyntheticTissue:
    """A synthetic image and its truth.

    Attributes
    ----------
    image : uint8 (H, W, 3)
    labels : dict of int32 (H, W)
        Truth by taxonomy name: "glas", "adp-morph", "adp-func".
    instances : int32 (H, W)
        Nuclei, 1..n without gaps.
    glands : int32 (H, W)
        Glands with their lumen, 1..n without gaps.
    mpp : float
        Micrometers per pixel.
    """

    image: np.ndarray
    labels: dict[str, np.ndarray]
    instances: np.ndarray
    glands: np.ndarray
    mpp: float


def draw_tissue(
    seed: int | np.random.Generator, shape: tuple[int, int] = (512, 512), *, mpp: float = 0.62
) -> SyntheticTissue:
    """Draw a field of synthetic tissue.

    Parameters
    ----------
    seed : int or numpy.random.Generator
        Same seed, shape and mpp give the same tissue.
    shape : (int, int)
        Height and width in pixels, each at least 16. Default: (512, 512).
    mpp : float
        Micrometers per pixel, 0.1 to 4. Default: 0.62 as in GlaS. HistoSegNet uses ADP at 1.2143.

    Returns
    -------
    SyntheticTissue

    Raises
    ------
    InputError
        "shape-too-small" or "mpp-range".

    Examples
    --------
    >>> field = draw_tissue(1, (64, 96))
    >>> field.image.shape, sorted(field.labels)
    ((64, 96, 3), ['adp-func', 'adp-morph', 'glas'])
    """
    if len(shape) != 2 or min(shape) < 16:
        raise InputError(
            "shape-too-small",
            "`shape` must be a height and width of at least 16 pixels",
            got=shape,
            hint="draw a larger image and crop it",
        )
    if not 0.1 <= mpp <= 4:
        raise InputError(
            "mpp-range",
            "`mpp` must be 0.1 to 4 micrometers per pixel",
            got=mpp,
            hint="draw at another scale and resize the image",
        )
    shape = (int(shape[0]), int(shape[1]))
    rng = np.random.default_rng(seed)
    layout = draw_layout(rng, shape, mpp)
    nuclei, darkness = _draw_nuclei(rng, layout, mpp)
    stains = _draw_stains(rng, layout, mpp)
    stains = _add_nuclei(rng, stains, nuclei, darkness, mpp)
    image = stained(rng, *stains, blur_px=_OPTICS_UM / mpp)
    return SyntheticTissue(
        image, _labels(layout.material), renumber(nuclei)[0], renumber(layout.glands)[0], mpp
    )


def _labels(material: np.ndarray) -> dict[str, np.ndarray]:
    """Return the truth in each taxonomy."""
    truth = {}
    for column, name in enumerate(("adp-morph", "adp-func", "glas")):
        taxonomy = taxonomies.get(name)
        table = [taxonomy.index(str(_MATERIALS[m][column])) for m in MATERIALS]
        truth[name] = np.array(table, np.int32)[material]
    return truth


def _draw_nuclei(rng: np.random.Generator, layout: TissueLayout, mpp: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw the nuclei of each material: return their numbers (H, W), and the stain amount by number."""
    groups: list[tuple[np.ndarray, ...]] = []

    def grow(
        where: np.ndarray,
        *,
        spacing_um: float,
        share: float,
        long_um: tuple[float, float],
        short_um: tuple[float, float],
        along: np.ndarray,
        spread: float,
        dark: tuple[float, float],
    ) -> None:
        points = scatter(rng, layout.material.shape, spacing_um / mpp)
        points = points[values_at(where, points) & (rng.random(len(points)) < share)]
        semi = np.stack([rng.uniform(*long_um, len(points)), rng.uniform(*short_um, len(points))], axis=1)
        angle = values_at(along, points) + rng.normal(0, spread, len(points))
        groups.append((points, semi / mpp, angle, rng.uniform(*dark, len(points))))

    def is_(*names: str) -> np.ndarray:
        return np.isin(layout.material, [CODE[name] for name in names])

    basal = is_("epithelium") & (layout.height > 0.12)
    row_height = rng.uniform(0.42, 0.75)  # one row of nuclei, or several as in adenoma
    grow(basal & (layout.height < row_height), spacing_um=6.2, share=0.92, long_um=(3.6, 5.0),
         short_um=(1.9, 2.7), along=layout.inward, spread=0.25, dark=(0.60, 1.0))  # fmt: skip
    spindle: dict[str, Any] = {"long_um": (4.0, 7.5), "along": layout.fibers, "dark": (0.75, 1.1)}
    grow(is_("dense"), spacing_um=13, share=0.75, short_um=(1.0, 1.7), spread=0.2, **spindle)
    grow(is_("loose"), spacing_um=13, share=0.5, short_um=(1.1, 2.0), spread=0.6, **spindle)
    grow(is_("vessel wall"), spacing_um=8, share=0.6, short_um=(0.9, 1.4), spread=0.1, **spindle)
    grow(is_("fat wall"), spacing_um=12, share=0.12, short_um=(0.8, 1.2), spread=0.3, **spindle)
    round_: dict[str, Any] = {
        "long_um": (2.5, 3.2),
        "short_um": (2.2, 2.8),
        "along": layout.fibers,
        "spread": 1.5,
    }
    grow(is_("lymphoid"), spacing_um=6.4, share=0.85, dark=(0.95, 1.25), **round_)
    grow(is_("loose"), spacing_um=15, share=0.35, dark=(0.95, 1.25), **round_)
    points, semi, angle, dark = (np.concatenate(parts) for parts in zip(*groups, strict=True))
    return ellipses(layout.material.shape, points, semi, angle), np.append(0, dark).astype(np.float32)


def _draw_stains(rng: np.random.Generator, layout: TissueLayout, mpp: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw hematoxylin and eosin of everything except nuclei: two float32 (H, W)."""
    shape = layout.material.shape
    amounts = np.array([_MATERIALS[m][3:] for m in MATERIALS], np.float32)[layout.material]  # (H, W, 2)
    amounts = _add_fibers(rng, amounts, layout, mpp)

    ring = layout.material == CODE["epithelium"]
    grain = 1 + 0.10 * noise(rng, shape, 1.6 / mpp) + 0.12 * noise(rng, shape, 25 / mpp)
    amounts[ring] *= (grain * (0.8 + 0.4 * layout.height))[ring, None]
    goblets = scatter(rng, shape, rng.uniform(9, 16) / mpp)
    goblets = goblets[(values_at(layout.height, goblets) > 0.5) & (values_at(layout.height, goblets) < 0.85)]
    goblets = goblets[rng.random(len(goblets)) < rng.choice([0.05, 0.75])]  # tumors have hardly any
    size = rng.uniform((3.5, 2.5), (5.5, 3.8), (len(goblets), 2)) / mpp
    mucin = ellipses(shape, goblets, size, values_at(layout.inward, goblets)) > 0
    amounts[mucin & ring] = (0.16, 0.10)

    secretion = np.clip(noise(rng, shape, 9 / mpp) + 0.6 * noise(rng, shape, 3 / mpp) - 1.5, 0, 1)
    amounts[..., 1] += 0.5 * secretion * (layout.material == CODE["lumen"])
    cells = scatter(rng, shape, 6.5 / mpp)
    cells = cells[values_at(layout.material, cells) == CODE["blood"]]
    red = ellipses(shape, cells, np.full((len(cells), 2), 2.9 / mpp), np.zeros(len(cells))) > 0
    amounts[red & (layout.material == CODE["blood"]), 1] = 1.0
    return np.ascontiguousarray(amounts[..., 0]), np.ascontiguousarray(amounts[..., 1])


def _add_fibers(
    rng: np.random.Generator, amounts: np.ndarray, layout: TissueLayout, mpp: float
) -> np.ndarray:
    """Add fibers to stroma, with narrow clefts in dense and wide gaps in loose stroma."""
    shape = layout.material.shape
    stroma = np.isin(layout.material, [CODE[m] for m in ("dense", "loose", "lymphoid", "vessel wall")])
    weight = cv2.GaussianBlur(stroma.astype(np.float32), (0, 0), 5 / mpp)[..., None] + 1e-6
    # Blur the transitions between kinds of stroma.
    even = cv2.GaussianBlur(amounts * stroma[..., None], (0, 0), 5 / mpp) / weight  # (H, W, 2)
    loose = cv2.GaussianBlur((layout.material == CODE["loose"]).astype(np.float32), (0, 0), 5 / mpp)
    lines = streaks(rng, layout.fibers + 0.25 * noise(rng, shape, 7 / mpp), 7 / mpp)
    lines = 0.75 * cv2.GaussianBlur(lines, (0, 0), 0.6) + 0.55 * noise(rng, shape, 3 / mpp)
    cleft = -1.5 + 1.1 * loose + 0.5 * noise(rng, shape, 25 / mpp)
    fiber = (1 + 0.20 * lines) * (0.25 + 0.75 / (1 + np.exp(-3 * (lines - cleft))))
    return np.where(stroma[..., None], even * np.clip(fiber, 0, 2)[..., None], amounts).astype(np.float32)


def _add_nuclei(
    rng: np.random.Generator,
    stains: tuple[np.ndarray, np.ndarray],
    nuclei: np.ndarray,
    darkness: np.ndarray,
    mpp: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Add nuclei with granular chromatin and a darker membrane."""
    hematoxylin, eosin = stains
    inside = nuclei > 0
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    numbers = nuclei.astype(np.float32)
    membrane = inside & (cv2.erode(numbers, kernel) != cv2.dilate(numbers, kernel))
    chromatin = 1 + 0.22 * noise(rng, nuclei.shape, max(1.0, 1.1 / mpp)) + 0.2 * membrane
    hematoxylin = np.where(inside, darkness[nuclei] * chromatin, hematoxylin)
    eosin = np.where(inside, 0.30 + 0.3 * eosin, eosin)
    return hematoxylin.astype(np.float32), eosin.astype(np.float32)
