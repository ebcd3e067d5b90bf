"""Training images: decoded when needed, kept up to a limit of bytes."""

import numpy as np
import pytest

from hsn.images.read import write
from hsn.training.images import ImageCache, TrainingImage, training_images


def test_a_cache_keeps_the_last_used_records_up_to_its_limit():
    made = []

    def record(k):
        def make():
            made.append(k)
            return (np.full(10, k, np.uint8), None)

        return make

    cache = ImageCache(max_bytes=25)
    for k in (0, 1, 0, 2, 0, 1):
        assert cache.get(k, record(k))[0][0] == k
    assert made == [0, 1, 2, 1]  # 1 was used longest ago when 2 came
    assert len(cache) == 2


def test_one_record_may_be_larger_than_the_cache():
    cache = ImageCache(max_bytes=1)
    assert cache.get("a", lambda: (np.zeros(10),))[0].size == 10
    assert len(cache) == 1


def test_many_images_need_no_more_memory_than_the_limit(tmp_path):
    paths = []
    for k in range(12):
        paths.append(write(tmp_path / f"{k}.png", np.full((50, 50, 3), k, np.uint8)) or tmp_path / f"{k}.png")
    alive = []

    def prepare(name, image, annotation):
        alive.append(image.copy())
        return (alive[-1],)

    images = training_images(paths, [None] * 12, prepare, max_bytes=3 * 7500)
    cache = images[0]._cache
    assert len(cache) == 3
    assert [image.load()[0][0, 0, 0] for image in images] == list(range(12))
    assert len(cache) == 3


def test_names_are_numbers_and_stems(tmp_path):
    write(tmp_path / "a b.png", np.zeros((20, 20, 3), np.uint8))
    images = training_images(
        [np.zeros((20, 20, 3), np.uint8), tmp_path / "a b.png"], [0, 1], lambda *a: a[1:2]
    )
    assert [image.name for image in images] == ["0000", "0001-a b"]
    assert [image.annotation for image in images] == [0, 1]


def test_errors_come_up_before_training_and_progress_is_reported(raises_code):
    images, events = [np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8)], []
    with raises_code("image-dtype"):
        training_images(images, [0, 0], lambda *a: a[1:2], progress=events.append)
    assert [event.done for event in events] == [0, 1]
    with raises_code("length-mismatch"):
        training_images(images, [0], lambda *a: a)


def test_an_image_may_take_the_pixels_of_another():
    cache = ImageCache()
    first = TrainingImage("a", np.full((20, 20, 3), 7, np.uint8), None, lambda n, i, a: (i // 7,), cache)
    second = TrainingImage("b", first, "labels", lambda n, i, a: (i, a), cache)
    assert second.load()[0].max() == 1
    assert second.load()[1] == "labels"


@pytest.mark.parametrize("order", [(0, 1, 2, 0, 1, 2)])
def test_a_record_is_made_once_while_it_is_kept(order):
    calls = []
    images = training_images(
        [np.zeros((20, 20, 3), np.uint8)] * 3, [0, 1, 2], lambda n, i, a: calls.append(a) or (i,)
    )
    for k in order:
        images[k].load()
    assert calls == [0, 1, 2]
