"""Errors by source: own pixels, nearest pixels, unknown truth."""

import numpy as np

from hsn.reports.source_errors import SourceErrors, nearest_source


def test_pixels_belong_to_the_nearest_known_pixel(rng):
    source = np.where(rng.random((20, 30)) < 0.05, rng.integers(1, 4, (20, 30)), 0).astype(np.uint8)
    rows, cols = np.nonzero(source)
    grid = np.stack(np.meshgrid(np.arange(20), np.arange(30), indexing="ij"), axis=-1)[:, :, None]
    distances = np.linalg.norm(grid - np.stack([rows, cols], axis=1), axis=-1)  # (H, W, N)
    nearest = distances == distances.min(axis=2, keepdims=True)
    found = nearest_source(source)
    assert all(found[r, c] in source[rows, cols][nearest[r, c]] for r in range(20) for c in range(30))
    assert not nearest_source(np.zeros((3, 4), np.uint8)).any()


def test_errors_are_shares_of_the_pixels_with_a_known_truth(tmp_path):
    source = np.array([[1, 0, 0, 3], [1, 0, 0, 3]], np.uint8)
    wrong = np.array([[True, True, False, False], [False, False, False, True]])
    valid = np.array([[True] * 4, [True, True, True, False]])
    errors = SourceErrors({1: "mask", 3: "click"})
    errors.add(source, wrong, valid)
    mask, click = errors.rows()
    assert (mask["source"], mask["annotated_pixels"], mask["error"]) == ("mask", 2, 0.5)
    assert (click["source"], click["annotated_pixels"], click["error"]) == ("click", 1, 0.0)
    assert mask["nearest_pixels"] + click["nearest_pixels"] == 7
    assert errors.write(tmp_path)[0].read_text().startswith("source,annotated_pixels,error")
    assert "50.0 %" in str(errors)


def test_shapes_must_match(raises_code):
    with raises_code("shape-mismatch"):
        SourceErrors({}).add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), bool), np.ones((2, 3), bool))
