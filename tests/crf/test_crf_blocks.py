"""Large images: the same result for any block, in bounded memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hsn import InputError, _native
from hsn.crf import blocks
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
    evidence, image = maps
    whole = refine(evidence, image, engine=engine, **NARROW)
    cost = {"scipy": 840, "native": 1400}  # any: it only sets the number of blocks
    for side_px in (80, 111, 140):
        memory = cost[engine] * 9 * side_px**2
        parts = refine(evidence, image, engine=engine, memory=memory, **NARROW)
        assert (parts.argmax(2) == whole.argmax(2)).all()
        np.testing.assert_allclose(parts, whole, atol=2e-4)


def test_a_full_halo_leaves_only_the_order_of_sums(maps, monkeypatch):
    evidence, image = maps
    monkeypatch.setattr(blocks, "REACHES", 6)
    whole = refine(evidence, image, iterations=1, **NARROW)
    parts = refine(evidence, image, iterations=1, memory=40_000_000, **NARROW)
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_blocks_agree_on_the_classes_that_take_part(maps):
    evidence, image = maps
    evidence[:, 100:, 1] = 0  # absent from the blocks on the right, not from the image
    whole = refine(evidence, image, **NARROW)
    np.testing.assert_allclose(refine(evidence, image, memory=30_000_000, **NARROW), whole, atol=2e-4)


def test_blocks_are_written_to_a_file(maps, tmp_path):
    evidence, image = maps
    out = np.lib.format.open_memmap(tmp_path / "marginals.npy", "w+", np.float32, evidence.shape)
    refine(evidence, image, memory=30_000_000, out=out, **NARROW)
    np.testing.assert_allclose(out, refine(evidence, image, **NARROW), atol=2e-4)


def test_too_little_memory_is_told_with_what_would_do(maps):
    with pytest.raises(
        InputError, match=r"one block and its halo; expected at least \d+ bytes, received 1000.*24 pixels"
    ):
        refine(*maps, memory=1000, **NARROW)
    with pytest.raises(InputError, match="no `further` terms"):
        refine(*maps, memory=10**8, further=[(np.zeros((200, 180, 1)), 1)])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process' own peak")
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
evidence = rng.random((1500, 1500, 3), np.float32)
out = np.zeros_like(evidence)
hsn.refine(evidence[:32, :32], image[:32, :32], engine="{engine}")
before = most()
hsn.refine(evidence, image, gaussian=(1, 3), bilateral=(3, 4, 5), memory=400_000_000, out=out, engine="{engine}")
print(most() - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 400_000_000
