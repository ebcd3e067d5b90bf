"""Blocks: a CRF over an image that is too large for one lattice, in bounded memory.

Each block is solved with a halo of pixels around it, and only the block itself is kept. Places and the classes that
take part are those of the whole image, so that all blocks speak of the same lattice. What a marginal depends on is
bounded: no filter reaches farther than six standard deviations, and inference is one filter an iteration and one
for the normalization. With a halo of all of them a block's result is that of the whole image.
"""

from dataclasses import replace

import numpy as np

from ..errors import refuse
from .engines import name_of, solve

# Votes fade long before they have travelled so far: beyond two reaches no label changes, and no marginal by more than
# the order of float32 sums changes it (docs/crf.md has the measurement). So the halo is two reaches.
REACHES = 2


def solve_by_blocks(problem, memory, *, engine="auto", out=None):
    """Solve a CRF block by block.

    Parameters
    ----------
    problem : Problem
        Its terms measure place, or place and colour.
    memory : int
        Bytes to work in.
    engine : str
    out : float32 array (H, W, C), optional

    Returns
    -------
    float32 array, shape (H, W, C)

    Raises
    ------
    InputError
        If a term measures other features, whose reach is unknown, or a block and its halo do not fit `memory`.

    Examples
    --------
    >>> from .mean_field import Problem
    >>> problem = Problem(np.ones((9, 8, 2), np.float32), present=[0, 1], terms=[])
    >>> solve_by_blocks(problem, memory=3_000).mean()
    np.float32(0.5)
    """
    shape = problem.probabilities.shape
    cost = bytes_a_pixel(problem, engine)
    halo_px = halo(problem)
    side_px = int(np.sqrt(memory / cost)) - 2 * halo_px
    if shape[0] * shape[1] * cost <= memory:
        side_px = max(shape[:2])  # one block
    elif side_px < max(1, halo_px // 4):  # narrower blocks would mostly solve halos
        refuse(
            "`memory` must hold one block and its halo",
            expected=f"at least {cost * (2 * halo_px + max(1, halo_px // 4)) ** 2} bytes",
            received=memory,
            remedy=f"give more or take smaller spreads: the halo is {halo_px} pixels wide",
        )
    marginals = np.empty(shape, np.float32) if out is None else out
    for top in range(0, shape[0], side_px):
        for left in range(0, shape[1], side_px):
            _solve_block(problem, engine, marginals, (top, left), side_px, halo_px)
    return marginals


def _solve_block(problem, engine, marginals, corner, side_px, halo_px):
    height, width = problem.probabilities.shape[:2]
    (top, left), (bottom, right) = corner, (min(corner[0] + side_px, height), min(corner[1] + side_px, width))
    rows = slice(max(0, top - halo_px), min(height, bottom + halo_px))
    cols = slice(max(0, left - halo_px), min(width, right + halo_px))
    block = replace(
        problem,
        probabilities=np.ascontiguousarray(problem.probabilities[rows, cols]),
        terms=[term.window(rows, cols) for term in problem.terms],
    )
    inner = slice(top - rows.start, bottom - rows.start), slice(left - cols.start, right - cols.start)
    marginals[top:bottom, left:right] = solve(block, engine)[inner]


def halo(problem, reaches=REACHES):
    """Return how many pixels around a block it is solved with.

    Examples
    --------
    >>> from .mean_field import Problem
    >>> from .terms import Term
    >>> evidence = np.ones((1, 1, 2), np.float32)
    >>> halo(Problem(evidence, [0, 1], [Term(1, (1, 1), 3)]))
    24
    """
    if any(term.given is not None for term in problem.terms):
        refuse(
            "`memory` needs terms over place and colour",
            expected="no `further` terms",
            received="one over other features, whose reach is unknown",
            remedy="leave `memory` out or the term",
        )
    farthest = max((reach(len(term.bounds()[0])) * term.spread_px for term in problem.terms), default=0)
    return int(np.ceil(min(reaches, problem.iterations + 1) * farthest))


def reach(dimension):
    """Return how far, in standard deviations, a d-dimensional lattice carries a value at most.

    From the point to a corner, one step along each axis either way, and from a corner to a point.

    Examples
    --------
    >>> float(reach(2)), round(float(reach(5)), 6)
    (4.0, 6.0)
    """
    order = dimension + 1
    step = np.sqrt(1.5 * dimension / order)  # of the blur, in standard deviations
    corner = np.sqrt((order // 2) * (order - order // 2) / dimension)  # in steps: a simplex' diameter
    blur = np.sqrt((order**2 - order % 2) / dimension)
    return step * (2 * corner + blur)


def bytes_a_pixel(problem, engine="auto"):
    """Return how many bytes an engine may need for a pixel, if no two pixels share a corner of the lattice.

    Examples
    --------
    >>> from .mean_field import Problem
    >>> bytes_a_pixel(Problem(np.ones((1, 1, 2), np.float32), [0, 1], []))
    48
    """
    maps = 4 * (problem.probabilities.shape[2] * 2 + len(problem.present) * 4)  # in and out, unary, scratch
    corners = sum(len(term.bounds()[0]) + 1 for term in problem.terms)
    # A corner's keys, links and chains while the lattice is built, and its row of values.
    links, rows = (120, 2) if name_of(engine, problem) == "native" else (480, 4)
    return maps + corners * (links + 4 * rows * len(problem.present))
