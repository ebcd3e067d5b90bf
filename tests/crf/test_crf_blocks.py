"""Large images: the same result for any block, in bounded memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hsn import _native
from hsn.crf.dense_crf import refine

ROOT = Path(__file__).parents[2]
ENGINES = [
    "scipy",
    pytest.param("native", marks=pytest.mark.skipif(not _native.kernel, reason="not compiled")),
]
NARROW = {"gaussian": (1, 3), "bilateral": (2, 20, 5)}  # halos of 24 px


@pytest.fixture
def maps(ihc):
    image = ihc[:200, :180]
    return np.stack([image[..., 0], image[..., 2], 255 - image[..., 1]], axis=2) / np.float32(255), image


@pytest.mark.parametrize("engine", ENGINES)
def test_the_result_does_not_depend_on_the_block(maps, engine):
    probabilities, image = maps
    whole = refine(probabilities, image, engine=engine, **NARROW)
    cost = {"scipy": 840, "native": 1400}  # any: it only sets the number of blocks
    for side_px in (80, 111, 140):
        memory = cost[engine] * 9 * side_px**2
        parts = refine(probabilities, image, engine=engine, memory=memory, **NARROW)
        assert (parts.argmax(2) == whole.argmax(2)).all()
        np.testing.assert_allclose(parts, whole, atol=2e-4)


def test_a_full_halo_changes_only_the_order_of_sums(maps):
    probabilities, image = maps
    whole = refine(probabilities, image, iterations=1, **NARROW)
    parts = refine(probabilities, image, iterations=1, memory=40_000_000, **NARROW)
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_all_blocks_use_the_present_classes_of_the_image(maps):
    probabilities, image = maps
    probabilities[:, 100:, 1] = 0  # absent from the blocks on the right, not from the image
    whole = refine(probabilities, image, **NARROW)
    np.testing.assert_allclose(refine(probabilities, image, memory=30_000_000, **NARROW), whole, atol=2e-4)


def test_blocks_are_written_to_a_file(maps, tmp_path):
    probabilities, image = maps
    out = np.lib.format.open_memmap(tmp_path / "marginals.npy", "w+", np.float32, probabilities.shape)
    refine(probabilities, image, memory=30_000_000, out=out, **NARROW)
    np.testing.assert_allclose(out, refine(probabilities, image, **NARROW), atol=2e-4)


def test_too_little_memory_raises(maps, raises_code):
    with raises_code("memory-too-small"):
        refine(*maps, memory=1000, **NARROW)
    with raises_code("memory-further-terms"):
        refine(*maps, memory=10**8, further=[(np.zeros((200, 180, 1)), 1)])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the peak memory of a process")
@pytest.mark.parametrize("engine", ENGINES)
def test_memory_is_bounded_on_the_worst_image(engine):
    """Noise: no two pixels share a corner of the lattice."""
    program = f"""
import pathlib, numpy as np, hsn
def most():
    status = pathlib.Path('/proc/self/status').read_text().split()
    return 1024 * int(status[status.index('VmHWM:') + 1])
rng = np.random.default_rng(0)
image = rng.integers(0, 255, (1500, 1500, 3), np.uint8)
probabilities = rng.random((1500, 1500, 3), np.float32)
out = np.zeros_like(probabilities)
hsn.refine(probabilities[:32, :32], image[:32, :32], engine="{engine}")
before = most()
hsn.refine(probabilities, image, gaussian=(1, 3), bilateral=(3, 4, 5), memory=400_000_000, out=out, engine="{engine}")
print(most() - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 400_000_000
