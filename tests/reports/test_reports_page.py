"""The summary page: panels show the given arrays; legend and scale bar show the right numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsn import InputError
from hsn.images.read import read
from hsn.reports.figures import write
from hsn.reports.page import draw_summary, scale_bar_um
from hsn.taxonomies import ADP_FUNC, GLAS


@pytest.fixture
def drawn(rng):
    image = rng.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    truth = np.zeros((120, 180), int)
    truth[:, 90:] = 2
    labels = np.zeros((60, 90), int)
    labels[:, 30:] = 2
    return image, labels, truth


def panels(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes}


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_panels_are_in_reading_order(drawn, tmp_path):
    image, labels, truth = drawn
    probabilities = np.zeros((60, 90, 5), np.float32)
    probabilities[..., 2], probabilities[..., 0], probabilities[..., 4] = 0.5, 0.25, 0.1
    figure = draw_summary(image, {"before CRF": labels, "after CRF": labels}, ADP_FUNC, truth=truth,
                     probabilities=probabilities, mpp=1.0, title="a")  # fmt: skip
    titles = [t for t in panels(figure) if t]
    assert titles == [
        "image",
        "truth",
        "probability: G.O",
        "probability: Background",
        "before CRF",
        "after CRF",
    ]
    np.testing.assert_array_equal(panels(figure)["image"].images[0].get_array(), image)
    np.testing.assert_array_equal(
        panels(figure)["probability: G.O"].images[0].get_array(), probabilities[..., 2]
    )
    write(figure, tmp_path / "s.png", dpi=60)
    assert read(tmp_path / "s.png").std() > 10


def test_the_legend_lists_area_fractions_of_the_last_stage_and_of_the_truth(drawn):
    image, labels, truth = drawn
    figure = draw_summary(image, {"first": labels * 0, "last": labels}, ADP_FUNC, truth=truth)
    words = texts(figure.axes[-1])
    assert words == [
        "Background", "33.3 %   (truth 50.0 %)", "bare glass (not drawn)",
        "G.O", "66.7 %   (truth 50.0 %)", "exocrine gland",
    ]  # fmt: skip
    colors = [patch.get_facecolor()[:3] for patch in figure.axes[-1].patches]
    np.testing.assert_allclose(colors, np.array([(255, 255, 255), (0, 0, 128)]) / 255)


def test_masked_truth_shows_the_image_and_is_not_counted(drawn):
    image, labels, truth = drawn
    valid_mask = np.zeros(truth.shape, bool)
    valid_mask[:, :90] = True
    figure = draw_summary(image, {"p": labels}, ADP_FUNC, truth=truth, valid_mask=valid_mask)
    shown = panels(figure)["truth"].images[0].get_array()
    np.testing.assert_array_equal(shown[:, 45:], image[:, 45:])
    assert {"33.3 %   (truth 100.0 %)", "66.7 %   (truth 0.0 %)"} <= set(texts(figure.axes[-1]))
    assert texts(panels(figure)["truth"]) == ["Background"]


def test_names_are_written_into_large_classes(drawn):
    image, labels, _ = drawn
    labels[0, 0] = 4
    figure = draw_summary(image, {"p": labels}, ADP_FUNC)
    assert texts(panels(figure)["p"]) == ["Background", "G.O"]
    for text in panels(figure)["p"].texts:
        column, row = text.get_position()
        assert ADP_FUNC.names[labels[row, round(column)]] == text.get_text()


def test_the_scale_bar_has_its_length(drawn):
    image, labels, _ = drawn
    axes = panels(draw_summary(image, {"p": labels}, ADP_FUNC, mpp=0.5))["image"]
    assert texts(axes) == ["10 µm"]
    assert axes.patches[0].get_width() * 90 * 0.5 == pytest.approx(10)
    assert not panels(draw_summary(image, {"p": labels}, ADP_FUNC))["image"].patches


@given(st.floats(0.01, 1e6))
def test_scale_bars_have_round_lengths_and_fit(width):
    length = scale_bar_um(width)
    assert width / 10.1 < length <= width / 4
    assert f"{length:e}"[0] in "125"


def test_an_image_of_one_pixel_can_be_drawn(tmp_path):
    image = np.full((1, 1, 3), 250, np.uint8)
    probabilities = np.zeros((1, 1, 2), np.float32)
    figure = draw_summary(image, {"p": np.zeros((1, 1), int)}, GLAS, probabilities=probabilities)
    assert list(panels(figure)) == ["image", "p", ""]
    write(figure, tmp_path / "s.png", dpi=40)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"stages": {}}, "stages-empty"),
        ({"probabilities": np.zeros((60, 90, 4))}, "probabilities-shape"),
        ({"stages": {"CRF": np.zeros((60, 91), int)}}, "shape-mismatch"),
        ({"truth": np.zeros((4, 4), int), "valid_mask": np.ones((4, 5), bool)}, "valid-mask-mismatch"),
        ({"truth": np.zeros((4, 4), int), "valid_mask": np.ones((4, 4), int)}, "valid-mask-mismatch"),
    ],
)
def test_arrays_must_fit_the_image(drawn, change, code, raises_code):
    image, labels, _ = drawn
    with raises_code(code):
        draw_summary(image, taxonomy=ADP_FUNC, **({"stages": {"CRF": labels}} | change))


@pytest.mark.parametrize("change", [{"stages": {"CRF": np.full((60, 90), 5)}}, {"truth": np.full((4, 4), 9)}])
def test_labels_must_be_classes_of_the_taxonomy(drawn, change):
    image, labels, _ = drawn
    with pytest.raises(InputError):
        draw_summary(image, taxonomy=ADP_FUNC, **({"stages": {"CRF": labels}} | change))


def test_objects_are_outlined_and_counted():
    picture = np.full((40, 60, 3), 200, np.uint8)
    instances = np.zeros((40, 60), int)
    instances[5:15, 5:15], instances[5:15, 15:25] = 1, 2  # two that touch
    figure = draw_summary(picture, {"prediction": (instances > 0).astype(int)}, GLAS, truth=(instances > 0).astype(int),
                     instances=instances, true_instances=np.where(instances, 7, 0))  # fmt: skip
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == [
        "image", "truth: 1 object", "prediction: 2 objects"]  # fmt: skip
    truth, prediction = (axes.images[0].get_array() for axes in figure.axes[1:3])
    assert (truth[:, 40:] == 200).all()  # the surroundings of objects show the image
    assert not np.array_equal(truth[10, 14:16], prediction[10, 14:16])  # the line between the two
    assert (prediction[10, 14] == prediction[5, 10]).all()
