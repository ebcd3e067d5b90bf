"""Embedding: rows match their patches, killed runs resume, changed images are embedded again."""

import numpy as np
import pytest

from hsn.data import embedding as room
from hsn.data.embedding import IMAGES, VECTORS, embed
from hsn.images.read import read, write
from hsn.selection.encoder import Encoder, texture_encoder
from hsn.selection.patches import cut_patches, split_quarters


class Killed(BaseException):
    """A run that ends here."""


class Means:
    """An encoder that counts what it sees: the mean of each channel, and the side."""

    def __init__(self, dies_after=None):
        self.seen, self._dies_after = 0, dies_after

    def describe(self, patches):
        if self._dies_after is not None and self.seen >= self._dies_after:
            raise Killed
        self.seen += len(patches)
        sides = np.full((len(patches), 1), patches.shape[1], np.float32)
        return np.hstack([patches.mean(axis=(1, 2), dtype=np.float64).astype(np.float32), sides])

    @property
    def encoder(self):
        return Encoder("means", self.describe, standardize=False)


@pytest.fixture
def pictures(tmp_path, rng):
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for k, path in enumerate(paths):
        write(path, rng.integers(60, 160, (40 + 8 * k, 56, 3), np.uint8))
    return paths


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch):
    monkeypatch.setattr(room, "_BATCH", 4)


OPTIONS = {"side_px": 16, "stride_px": 12}


def check(found, paths):
    """Every row is what its patch gives."""
    assert list(found.paths) == list(paths)
    for k, path in enumerate(paths):
        rows = np.flatnonzero(found.images == k)
        patches = cut_patches(read(path), found.corners[rows], 16)
        np.testing.assert_allclose(found.features[rows, :3], patches.mean(axis=(1, 2)), rtol=1e-5)
        parts = split_quarters(patches).mean(axis=(2, 3))
        np.testing.assert_allclose(found.quarters[rows][..., :3], parts, rtol=1e-5)
    assert (found.features[:, 3] == 16).all()
    assert (found.quarters[np.arange(len(found.images))][..., 3] == 8).all()


def test_rows_and_places_belong_together(pictures, tmp_path):
    told = []
    found = embed(pictures, Means().encoder, tmp_path / "e", **OPTIONS, progress=told.append)
    assert np.bincount(found.images).tolist() == [15, 20, 25]
    assert found.quarters.shape == (60, 4, 4)
    check(found, pictures)
    assert told == sorted(told)
    assert told[-1] == 3
    assert len(told) > 6


@pytest.mark.parametrize("after", [0, 1, 30, 80, 150, 260])
def test_a_killed_run_resumes(pictures, tmp_path, after):
    with pytest.raises(Killed):
        embed(pictures, Means(dies_after=after).encoder, tmp_path / "e", **OPTIONS)
    rest = Means()
    check(embed(pictures, rest.encoder, tmp_path / "e", **OPTIONS), pictures)
    assert rest.seen <= 5 * 60 - after + 5 * 4  # all but what was there; at most a batch twice
    again = Means()
    check(embed(pictures, again.encoder, tmp_path / "e", **OPTIONS), pictures)
    assert again.seen == 0


def test_half_written_rows_and_lines_are_written_again(pictures, tmp_path):
    with pytest.raises(Killed):
        embed(pictures, Means(dies_after=100).encoder, tmp_path / "e", **OPTIONS)
    for name, torn in ((VECTORS, b"\0" * 7), (IMAGES, b'{"key": "x", "cor')):
        with open(tmp_path / "e" / name, "ab") as file:
            file.write(torn)
    check(embed(pictures, Means().encoder, tmp_path / "e", **OPTIONS), pictures)
    check(embed(pictures, Means(dies_after=0).encoder, tmp_path / "e", **OPTIONS), pictures)


def test_images_may_come_go_and_change(pictures, tmp_path, rng):
    check(embed(pictures[:2], Means().encoder, tmp_path / "e", **OPTIONS), pictures[:2])
    more = Means()
    mixed = [pictures[2], pictures[0]]
    check(embed(mixed, more.encoder, tmp_path / "e", **OPTIONS), mixed)
    assert more.seen == 5 * 25
    write(pictures[0], rng.integers(60, 160, (48, 48, 3), np.uint8))
    check(embed(pictures, Means().encoder, tmp_path / "e", **OPTIONS), pictures)


def test_an_image_left_half_done_may_be_left_out(pictures, tmp_path):
    with pytest.raises(Killed):
        embed(pictures, Means(dies_after=100).encoder, tmp_path / "e", **OPTIONS)
    rest = [pictures[0], pictures[2]]
    check(embed(rest, Means().encoder, tmp_path / "e", **OPTIONS), rest)
    check(embed(pictures, Means().encoder, tmp_path / "e", **OPTIONS), pictures)


def test_glass_is_left_out_and_bad_images_are_named(pictures, tmp_path, raises_code):
    write(tmp_path / "glass.png", np.full((40, 40, 3), 243, np.uint8))
    write(tmp_path / "small.png", np.full((15, 40, 3), 100, np.uint8))
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    paths = [tmp_path / f"{name}.png" for name in ("glass", "bad", "small", "gone")] + pictures
    found = embed(paths, Means().encoder, tmp_path / "e", **OPTIONS)
    assert [name.rsplit("/")[-1] for name, _ in found.failures] == ["bad.png", "small.png", "gone.png"]
    assert len(found.images) == 60
    assert found.images.min() == 1  # none of the glass
    with raises_code("no-patches") as caught:
        embed(paths[:1], Means().encoder, tmp_path / "e", **OPTIONS)
    assert "glass" in str(caught.value)
    with raises_code("no-patches") as caught:
        embed(paths[1:3], Means().encoder, tmp_path / "e", **OPTIONS)
    assert "bad.png" in str(caught.value)


def test_other_settings_and_damage_are_errors(pictures, tmp_path, raises_code):
    embed(pictures, Means().encoder, tmp_path / "e", **OPTIONS)
    with raises_code("embedding-settings") as caught:
        embed(pictures, Means().encoder, tmp_path / "e", side_px=16, stride_px=10)
    assert "stride_px 12; got stride_px 10" in str(caught.value)
    other = Encoder("others", Means().describe, standardize=False)
    with raises_code("embedding-settings"):
        embed(pictures, other, tmp_path / "e", **OPTIONS)
    (tmp_path / "e" / IMAGES).write_text("[]\n")
    with raises_code("embedding-damaged"):
        embed(pictures, Means().encoder, tmp_path / "e", **OPTIONS)


def test_texture_needs_no_keras():
    import subprocess
    import sys

    code = "import sys, hsn.data.embedding, hsn.selection.encoder as e; e.texture_encoder();"
    code += " print('keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert texture_encoder().standardize
