"""Statistics of training images: other stains, blur, blank images and another scale are departures."""

import dataclasses

import cv2
import numpy as np
import pytest

from hsn.data.synthetic import draw_tissue
from hsn.models import Card
from hsn.stains.domain import find_departures, fit_domain, is_scale_doubtful, measure


@pytest.fixture(scope="module")
def tissue():
    """Drawn images: 12 to learn from, 6 others."""
    return [draw_tissue(seed, (192, 192), mpp=0.5).image for seed in range(18)]


@pytest.fixture(scope="module")
def domain(tissue):
    return fit_domain(tissue[:12])


def share(images, domain, departure):
    return np.mean([departure in find_departures(image, domain) for image in images])


def test_most_images_of_the_same_kind_have_no_departure(tissue, domain):
    assert np.mean([bool(find_departures(image, domain)) for image in tissue[12:]]) <= 1 / 6


def test_inverted_images_have_another_stain(tissue, domain):
    assert share([255 - image for image in tissue[12:]], domain, "stain unlike the training images") == 1


def test_brown_images_have_another_stain(tissue, domain):
    brown = [cv2.transform(image, np.eye(3)[[2, 1, 0]]) for image in tissue[12:]]
    assert share(brown, domain, "stain unlike the training images") == 1


def test_blurred_images_are_out_of_focus(tissue, domain):
    blurred = [cv2.GaussianBlur(image, (0, 0), 3) for image in tissue[12:]]
    assert share(blurred, domain, "looks out of focus") == 1


def test_features_of_an_encoder_tell_the_scale(tissue):
    def encode(image):  # details at twelve scales
        gray = image.astype(float).mean(axis=2)
        details = [gray - cv2.GaussianBlur(gray, (0, 0), 0.5 * k) for k in range(1, 13)]
        return np.log([detail.std() / gray.std() for detail in details])

    domain = fit_domain(tissue[:12], encode)
    assert len(domain.scale_weights) == 12
    halves = [cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in tissue[12:]]
    departure = "scale unlike the training images"
    found = [
        np.mean([departure in find_departures(i, domain, encode) for i in each])
        for each in (halves, tissue[12:])
    ]
    assert found[0] >= 5 / 6
    assert found[1] <= 1 / 6
    assert departure not in find_departures(halves[0], domain), (
        "without the encoder the scale is not compared"
    )


def test_half_the_size_makes_the_scale_doubtful(tissue, domain):
    halves = [cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for image in tissue]
    doubtful = [
        [is_scale_doubtful(measure(image), domain) for image in images] for images in (halves, tissue)
    ]
    assert np.mean(doubtful[0][12:]) >= 5 / 6
    assert np.mean(doubtful[1]) <= 1 / 6
    older = dataclasses.replace(domain, doubtful_scale_score=None)
    assert not any(is_scale_doubtful(measure(image), older) for image in halves)


@pytest.mark.parametrize("level", [0, 255])
def test_a_flat_image_departs_without_an_arithmetic_error(domain, level):
    with np.errstate(all="raise", under="ignore"):
        assert find_departures(np.full((64, 64, 3), level, np.uint8), domain)


def test_a_white_image_is_nearly_blank(domain):
    assert find_departures(np.full((64, 64, 3), 250, np.uint8), domain) == ["nearly blank"]


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 3), (700, 600)])
def test_images_of_any_size_are_measured(domain, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert isinstance(find_departures(image, domain), list)


def test_stronger_stains_are_the_same_domain(tissue, domain):
    light = [np.rint(255 * (image / 255.0) ** 0.8).astype(np.uint8) for image in tissue[12:]]
    assert share(light, domain, "stain unlike the training images") <= 1 / 6


@pytest.mark.parametrize("count", [0, 7])
def test_few_images_have_no_statistics(tissue, count):
    assert fit_domain(tissue[:count]) is None


def test_a_card_stores_the_statistics(domain):
    card = Card(name="mine", method="tags", classes=("gland",), thresholds=(0.5,), mpp=0.5, taxonomies=("glas",),
                normalization={"mean": 190, "std": 50}, domain=domain)  # fmt: skip
    assert Card.parse(card.model_dump_json()).domain == domain
