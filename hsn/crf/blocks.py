"""Solve a CRF block by block, for images that are too large for one lattice.

Each block is solved with a halo of pixels around it; only the block itself is kept. All blocks use the coordinates and
the present classes of the whole image. The influence of a pixel is bounded: a filter does not reach farther than six
standard deviations, and inference applies one filter per iteration plus one for the normalization. With a halo of that
size the result equals the result of the whole image.
"""

from dataclasses import replace

import numpy as np

from ..errors import InputError
from .engines import resolve_engine, solve
from .mean_field import Problem

# Two filter radii: beyond them labels do not change, and marginals change less than by the order of float32 sums
# (measured in docs/results/crf.md).
HALO_RADII = 2


def solve_by_blocks(
    problem: Problem, memory: int, *, engine: str = "auto", out: np.ndarray | None = None
) -> np.ndarray:
    """Solve a CRF block by block.

    Parameters
    ----------
    problem : Problem
        Its terms use position, or position and color.
    memory : int
        Working memory in bytes.
    engine : str
        See `hsn.crf.engines.solve`.
    out : float32 array (H, W, C), optional
        Array for the result.

    Returns
    -------
    float32 array, shape (H, W, C)

    Raises
    ------
    InputError
        "memory-further-terms" if a term uses other features; "memory-too-small" if a block and its halo do not fit.

    Examples
    --------
    >>> problem = Problem(np.ones((9, 8, 2), np.float32), present=[0, 1], terms=[])
    >>> solve_by_blocks(problem, memory=3_000).mean()
    np.float32(0.5)
    """
    shape = problem.probabilities.shape
    cost = bytes_per_pixel(problem, engine)
    halo = halo_px(problem)
    side_px = int(np.sqrt(memory / cost)) - 2 * halo
    if shape[0] * shape[1] * cost <= memory:
        side_px = max(shape[:2])  # one block
    elif side_px < max(1, halo // 4):  # narrower blocks would mostly solve halos
        raise InputError(
            "memory-too-small",
            f"`memory` must be at least {cost * (2 * halo + max(1, halo // 4)) ** 2} bytes, for one block and its halo",
            got=memory,
            hint=f"give more or use smaller spreads: the halo is {halo} pixels wide",
        )
    marginals = np.empty(shape, np.float32) if out is None else out
    for top in range(0, shape[0], side_px):
        for left in range(0, shape[1], side_px):
            _solve_block(problem, engine, marginals, (top, left), side_px, halo)
    return marginals


def _solve_block(
    problem: Problem, engine: str, marginals: np.ndarray, corner: tuple[int, int], side_px: int, halo: int
) -> None:
    height, width = problem.probabilities.shape[:2]
    (top, left), (bottom, right) = corner, (min(corner[0] + side_px, height), min(corner[1] + side_px, width))
    rows = slice(max(0, top - halo), min(height, bottom + halo))
    cols = slice(max(0, left - halo), min(width, right + halo))
    block = replace(
        problem,
        probabilities=np.ascontiguousarray(problem.probabilities[rows, cols]),
        terms=[term.window(rows, cols) for term in problem.terms],
    )
    inner = slice(top - rows.start, bottom - rows.start), slice(left - cols.start, right - cols.start)
    marginals[top:bottom, left:right] = solve(block, engine)[inner]


def halo_px(problem: Problem) -> int:
    """Return the width of the halo around a block, in pixels.

    Examples
    --------
    >>> from .terms import Term
    >>> halo_px(Problem(np.ones((1, 1, 2), np.float32), [0, 1], [Term(1, (1, 1), 3)]))
    24
    """
    if any(term.given is not None for term in problem.terms):
        raise InputError(
            "memory-further-terms",
            "`further` must be empty if `memory` is given: the radius of other features is unknown",
            got="a term over other features",
            hint="leave out `memory` or the term",
        )
    radius_px = max(
        (filter_radius(len(term.bounds()[0])) * term.spread_px for term in problem.terms), default=0
    )
    return int(np.ceil(min(HALO_RADII, problem.iterations + 1) * radius_px))


def filter_radius(dimension: int) -> float:
    """Return the largest distance over which a d-dimensional lattice carries a value, in standard deviations.

    The path goes from the point to a corner, one step along each axis in both directions, and from a corner to a point.

    Examples
    --------
    >>> float(filter_radius(2)), round(float(filter_radius(5)), 6)
    (4.0, 6.0)
    """
    order = dimension + 1
    step = np.sqrt(1.5 * dimension / order)  # of the blur, in standard deviations
    corner = np.sqrt((order // 2) * (order - order // 2) / dimension)  # diameter of a simplex, in steps
    blur = np.sqrt((order**2 - order % 2) / dimension)
    return step * (2 * corner + blur)


def bytes_per_pixel(problem: Problem, engine: str = "auto") -> int:
    """Return the largest number of bytes that an engine needs per pixel, if no two pixels share a lattice corner.

    Examples
    --------
    >>> bytes_per_pixel(Problem(np.ones((1, 1, 2), np.float32), [0, 1], []))
    48
    """
    maps = 4 * (problem.probabilities.shape[2] * 2 + len(problem.present) * 4)  # in and out, unary, scratch
    corners = sum(len(term.bounds()[0]) + 1 for term in problem.terms)
    # Keys, links and chains of a corner while the lattice is built, and its row of values.
    links, rows = (120, 2) if resolve_engine(engine, problem) == "native" else (480, 4)
    return maps + corners * (links + 4 * rows * len(problem.present))
