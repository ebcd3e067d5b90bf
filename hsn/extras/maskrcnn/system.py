"""Mask R-CNN as a system: training examples and detections."""

import keras
import numpy as np

from ...checks import as_image
from ...objects.overlaps import PlacedMask
from . import boxes as b
from . import losses, tiles
from .anchors import make_anchors
from .detect import paste, select_detections
from .net import check_net, make_backbone, make_box_head, make_mask_head, make_training_model
from .proposals import propose
from .targets import anchor_targets, roi_targets

CHUNK = 128  # regions per pass of a head; bounds the memory and gives compiled backends one shape


class MaskRCNN:
    """A Mask R-CNN for training and detection.

    Parameters
    ----------
    net : keras.Model
        From `build`, or loaded from a file.
    numbers : MaskRCNNConfig
        The numbers of `build`. Limits and thresholds can differ.

    Attributes
    ----------
    net : keras.Model
        The net that is saved.
    training_model : keras.Model
        The model for training; it shares the weights.
    """

    def __init__(self, net, numbers):
        self.net, self.numbers = check_net(net, numbers), numbers
        self.training_model = make_training_model(net, numbers)
        parts = make_backbone(net), make_box_head(net, numbers), make_mask_head(net, numbers)
        self._backbone, self._box_head, self._mask_head = map(_compiled, parts)
        self._anchors_of = {}

    def loss(self, target, prediction, weight, image):
        """Return the sum of the five terms; the targets hold the weights."""
        return losses.loss(target, prediction)

    def examples(self, images, instances, known, rng):
        """Make the inputs and targets of a training step.

        The proposals are those of the current net, which needs an additional pass of the backbone. The true boxes are
        added to the regions: an untrained net proposes none of them.

        Parameters
        ----------
        images : array, shape (N, px, px, 3)
            RGB, 0..255.
        instances : int array, shape (N, px, px)
            0 background, 1..n without gaps.
        known : bool array, shape (N, px, px)
            False where objects may lack annotation; there are no negative targets.
        rng : numpy.random.Generator

        Returns
        -------
        (dict of arrays, dict of arrays, None)
            Inputs of `training_model`, and the target of `loss`.
        """
        numbers, shape = self.numbers, images.shape[1:3]
        pixels = self._normalize(images)
        outputs = self._backbone.predict_on_batch(pixels)
        anchors = self._anchors(shape)
        rows = []
        for logits, deltas, objects, unknown in zip(
            outputs["anchor_logits"], outputs["anchor_deltas"], instances, ~known, strict=True
        ):
            truth = b.bounding_boxes(objects)
            proposals, _ = propose(
                logits, deltas, anchors, shape, spread=numbers.spread, candidates=numbers.candidates,
                overlap=numbers.rpn_overlap_learning, limit=numbers.proposals_learning,
            )  # fmt: skip
            proposals = np.concatenate([truth, proposals])
            regions, of_regions = roi_targets(proposals, objects, numbers, rng, unknown=unknown)
            of_anchors = anchor_targets(anchors, truth, numbers, rng, unknown=unknown)
            rows.append((regions, of_anchors, of_regions))
        regions = np.stack([row[0] for row in rows])
        of_anchors, of_regions = (_stack([row[k] for row in rows]) for k in (1, 2))
        inputs = {"image": pixels, **self._inputs(regions, shape)}
        inputs |= {f"mask_{k}": v[:, : numbers.positive_rois] for k, v in inputs.items() if k != "image"}
        target = of_anchors | {
            "classes": of_regions["classes"],
            "roi_known": of_regions["known"],
            "roi_deltas": of_regions["deltas"],
            "masks": of_regions["masks"],
        }
        return inputs, target, None

    def segment(self, image, *, min_area_px=1):
        """Detect the objects of an image of any size, at the scale of the net.

        Parameters
        ----------
        image : uint8 array, shape (H, W, 3)
        min_area_px : int
            Smallest area of an object, in pixels. Default: 1.

        Returns
        -------
        tiles.DetectionReport
            `scored.instances` and `scored.scores`; `warnings` holds a sentence for each limit that was reached.
        """
        numbers = self.numbers
        pixels = self._normalize(as_image(image))
        return tiles.segment_tiled(
            self.find, pixels, tile_px=numbers.tile_px, margin_px=numbers.margin_px, min_area_px=min_area_px
        )

    def find(self, pixels):
        """Return boxes, scores, masks and warnings for one tile of normalized pixels (px, px, 3)."""
        numbers, shape = self.numbers, pixels.shape[:2]
        outputs = self._backbone.predict_on_batch(pixels[None])
        regions, warnings = propose(
            outputs["anchor_logits"][0],
            outputs["anchor_deltas"][0],
            self._anchors(shape),
            shape,
            spread=numbers.spread,
            candidates=numbers.candidates,
            overlap=numbers.rpn_overlap,
            limit=numbers.proposals,
        )
        pyramid = {f"p{k}": outputs[f"p{k}"] for k in numbers.head_levels}
        heads = self._run_head(self._box_head, pyramid, regions, shape)
        found = select_detections(
            regions, heads["class_logits"], heads["box_deltas"], shape, spread=numbers.spread,
            min_score=numbers.least_score, overlap=numbers.overlap, limit=numbers.detections,
        )  # fmt: skip
        logits = self._run_head(self._mask_head, pyramid, found.boxes, shape)["mask_logits"]
        logits = logits[np.arange(len(logits)), :, :, found.classes]  # (n, 28, 28)
        probabilities = 1 / (1 + np.exp(-logits))
        masks = [
            PlacedMask(*paste(mask, box, shape)) for mask, box in zip(probabilities, found.boxes, strict=True)
        ]
        return found.boxes, found.scores, masks, warnings + found.warnings

    def _normalize(self, pixels):
        numbers = self.numbers
        return (np.asarray(pixels, np.float32) - np.float32(numbers.mean)) / np.float32(numbers.std)

    def _inputs(self, regions, shape):
        """Return the inputs of the alignment for regions (N, R, 4) in pixels."""
        flat = regions.reshape(-1, 4)
        return {
            "boxes": b.normalize(flat, shape).reshape(regions.shape),
            "places": b.pyramid_levels(flat, self.numbers.head_levels).reshape(regions.shape[:2]),
        }

    def _run_head(self, head, pyramid, regions, shape):
        """Return the outputs of a head for regions (n, 4) of one image, in chunks: dict of arrays with n rows."""
        count = len(regions)
        regions = np.pad(regions, ((0, -count % CHUNK or (0 if count else CHUNK)), (0, 0)))
        outputs = [
            head.predict_on_batch(pyramid | self._inputs(regions[None, start : start + CHUNK], shape))
            for start in range(0, len(regions), CHUNK)
        ]
        return {name: np.concatenate([o[name] for o in outputs])[:count] for name in outputs[0]}

    def _anchors(self, shape):
        if shape not in self._anchors_of:
            numbers = self.numbers
            self._anchors_of[shape] = make_anchors(
                shape, levels=numbers.levels, sides_px=numbers.sides_px, ratios=numbers.ratios
            )
        return self._anchors_of[shape]


def _compiled(part):
    """Compile a part of the net: a small net is nine times slower without."""
    # XLA needs a minute to compile a net of this size, and its convolutions are slower on CPUs.
    part.compile(jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
    return part


def _stack(rows):
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
