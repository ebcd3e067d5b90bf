"""A drawn slide with known truth, and a net that finds its nuclei by their color."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Return a drawn slide of 3,000 x 2,500 px."""
    from hsn.data.synthetic_slide import draw_slide

    return draw_slide(tmp_path_factory.mktemp("slides") / "drawn.svs", (2500, 3000), seed=1, side=1024)


@pytest.fixture(scope="session")
def color_model(tmp_path_factory):
    """Return a function that makes the folder of a net: dark pixels, after a blur, are inside of an object."""
    return lambda **changes: _color_model(tmp_path_factory.mktemp("nets") / "color", **changes)


def _color_model(folder, *, limit=155.0, channel=0, **changes):
    import keras
    from keras import layers

    # Blur, then a softmax of background and inside; the contour is the transition.
    image = keras.Input((None, None, 3))
    level = layers.Conv2D(1, 3, padding="same", use_bias=False, name="blur")(image)
    net = keras.Model(image, layers.Conv2D(3, 1, activation="softmax", name="classes")(level), name="color")
    kernel = np.zeros((3, 3, 3, 1), np.float32)
    kernel[:, :, channel, 0] = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    weights = np.array([[[[0.3, -0.3, 0.0]]]], np.float32)
    net.set_weights([kernel, weights, np.array([-0.3 * limit, 0.3 * limit, 0.5], np.float32)])
    config = _config(**changes)
    return _save(folder, net, config, "masks", thresholds=(0.5,) * 3)


def _config(**changes):
    import json
    from dataclasses import replace

    from hsn.config import Normalization, PostProcess, Tiling
    from hsn.files import PRETRAINED
    from hsn.supervision import masks

    config = masks.Config.from_dict(json.loads((PRETRAINED / "nuclei-masks" / "config.json").read_text()))
    postprocess = PostProcess(
        foreground_threshold=0.5,
        separation="marker_watershed",
        grow_um=0.25,
        h_um=0.5,
        min_area_um2=2.0,
        fill_holes=True,
    )
    fixed = {"normalization": Normalization(mean=(0, 0, 0), std=(1, 1, 1)), "postprocess": postprocess}
    return replace(config, tiling=Tiling(tile_px=512, halo_px=None), **(fixed | changes))


@pytest.fixture(scope="session")
def small_slide(tmp_path_factory):
    """Return a drawn slide of 900 x 700 px."""
    from hsn.data.synthetic_slide import draw_slide

    return draw_slide(tmp_path_factory.mktemp("slides") / "small.svs", (700, 900), side=256).path


@pytest.fixture(scope="session")
def tags_model(tmp_path_factory):
    """Return the folder of a net of tags with one output per pixel: dark pixels are glands."""
    from hsn import taxonomies
    from hsn.config import Normalization
    from hsn.supervision import tags

    config = tags.Config(
        classes=("G.O",),
        thresholds=(0.3,),
        taxonomies=(taxonomies.GLAS,),
        mpp=0.25,
        image_mpp=0.25,
        window_px=96,
        normalization=Normalization(mean=(0, 0, 0), std=(1, 1, 1)),
        cam_layers=None,
        windows="overlapped",
        crf={"glas": tags.CRFConfig(iterations=2)},
    )
    net = _dark_pixels(channels=1, activation="sigmoid", limit=160.0)
    return _save(tmp_path_factory.mktemp("nets") / "tags", net, config, "tags", thresholds=config.thresholds)


@pytest.fixture(scope="session")
def mixed_model(tmp_path_factory):
    """Return the folder of a net of two heads: dark pixels are inside of objects, and of the class Dark."""
    from hsn.config import Normalization
    from hsn.supervision import mixed
    from hsn.taxonomies import NUCLEI, Taxonomy, TissueClass

    tissue = Taxonomy("tissue", (TissueClass("Other", (0, 0, 0)), TissueClass("Dark", (0, 90, 200))))
    config = mixed.Config(
        classes=("background", "inside", "contour", "Other", "Dark"),
        taxonomies=(NUCLEI, tissue),
        normalization=Normalization(mean=(0, 0, 0), std=(1, 1, 1)),
    )
    net = _dark_pixels(channels=5, activation="softmax", limit=155.0)
    return _save(tmp_path_factory.mktemp("nets") / "mixed", net, config, "mixed", thresholds=(0.5,) * 5)


def _dark_pixels(*, channels, activation, limit):
    """Return a net whose outputs say how far a pixel is below a level of red, after a blur."""
    import keras
    from keras import layers

    image = keras.Input((None, None, 3))
    level = layers.Conv2D(1, 3, padding="same", use_bias=False, name="blur")(image)
    net = keras.Model(image, layers.Conv2D(channels, 1, activation=activation, name="classes")(level))
    kernel = np.zeros((3, 3, 3, 1), np.float32)
    kernel[:, :, 0, 0] = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    slope = np.array([-0.15] if channels == 1 else [0.03, -0.03, 0, 0.02, -0.02], np.float32)
    net.set_weights([kernel, slope.reshape(1, 1, 1, channels), -slope * limit])
    return net


def _save(folder, net, config, method, *, thresholds):
    from hsn import models

    card = models.Card(
        name=folder.name,
        method=method,
        classes=config.classes,
        thresholds=thresholds,
        mpp=config.mpp,
        taxonomies=tuple(taxonomy.name for taxonomy in config.taxonomies),
        normalization=models.Normalization(mean=config.normalization.mean, std=config.normalization.std),
        source="a test",
    )
    models.save(folder, net, card, config.to_dict())
    return str(folder)
