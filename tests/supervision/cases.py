"""The smallest run of every method, on drawn tissue."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from hsn import taxonomies
from hsn.annotations.sampling import points_from_instances
from hsn.data import synthetic
from hsn.nets import histonet, resunet, unet
from hsn.supervision import masks, points, selected, tags

MPP = 0.5
TRAIN = {"epochs": 2, "steps": 2, "batch_size": 2, "crop_px": 32, "validation": (0,), "seed": 3}


@dataclass
class Case:
    """A method with its smallest run."""

    method: Any
    build: Any
    images: list
    annotations: Any
    config: Any

    def fit(self, out, net=None, **changes):
        net = net or self.build()
        given = {"images": self.images, "annotations": self.annotations}
        given |= {name: changes.pop(name) for name in list(changes) if name in given}
        progress = changes.pop("progress", None)
        config = self.config.replace(**changes)
        return net, self.method.fit(net, *given.values(), config, out=out, progress=progress)


def _tissue():
    drawn = [synthetic.draw_tissue(seed, (48, 56), mpp=MPP) for seed in (0, 1, 5)]
    return [d.image for d in drawn], [d.instances for d in drawn]


def _masks():
    config = masks.preset("cpu").replace(mpp=MPP, image_mpp=MPP, tiling={"halo_px": 8}, train=TRAIN)
    return Case(masks, lambda: unet.build(3, depth=2, width=4, batch_norm=True, seed=1), *_tissue(), config)


def _selected():
    images, instances = _tissue()
    config = selected.preset("cpu").replace(
        mpp=MPP, image_mpp=MPP, tiling={"halo_px": 8}, synthetic=0, min_score=0.0, train=TRAIN
    )
    annotations = [*instances[:2], None]
    return Case(
        selected,
        lambda: unet.build(3, depth=2, width=4, batch_norm=True, seed=1),
        images,
        annotations,
        config,
    )


def _points():
    images, instances = _tissue()
    clicks = [points_from_instances(each, place="inside")[:6] for each in instances]
    config = points.preset("cpu").replace(
        image_mpp=MPP,
        tiling={"tile_px": 64, "halo_px": 16},
        rounds=0,
        detection_epochs=1,
        refinement_epochs=1,
        detection_batch_size=2,
        train=TRAIN,
    )
    return Case(points, lambda: resunet.build(2, depth=18, width=2, seed=1), images, clicks, config)


def _tags():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(6)]
    two = taxonomies.parse(
        {"name": "two", "classes": [{"name": "a", "color": [0, 0, 9]}, {"name": "b", "color": [9, 0, 0]}]}
    )
    config = tags.Config(
        classes=two.names,
        thresholds=(0.5, 0.5),
        taxonomies=(two,),
        mpp=MPP,
        image_mpp=MPP,
        window_px=32,
        cam_layers=("features", "logits"),
        train={"epochs": 2, "batch_size": 2, "validation": (0, 1), "seed": 3},
    )

    def build():
        net = histonet.build(((4,), (8,)), 2, input_px=32, seed=1)
        layers = histonet.feature_layer(net).name, histonet.logits_layer(net).name
        case.config = case.config.replace(cam_layers=layers)
        return net

    case = Case(tags, build, images, np.array([[1, 0], [0, 1]] * 3), config)
    return case


def _shares():
    case = _tags()
    shares = {"second": {"crop_px": 32, "min_confidence": 0.0}}
    case.build = lambda: unet.build(2, depth=2, width=4, batch_norm=True, seed=1)
    case.config = case.config.replace(cam_layers=None, shares=shares, thresholds=(0.0, 0.0))
    return case


CASES = {"masks": _masks, "points": _points, "selected": _selected, "tags": _tags, "shares": _shares}
