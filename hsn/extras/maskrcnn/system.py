"""The system: a net and its numbers, what it learns from, and what it finds."""

import keras
import numpy as np

from ...checks import as_image
from ...objects.overlaps import PlacedMask
from . import boxes as b
from . import losses, whole
from .anchors import anchors
from .detect import choose, paste
from .net import box_judge_of, check, joined, mask_judge_of, trunk_of
from .proposals import propose
from .targets import anchor_targets, roi_targets

CHUNK = 128  # regions that a head judges at once: bounds memory, and a compiled backend sees one shape


class MaskRCNN:
    """A Mask R-CNN that can learn and find.

    Parameters
    ----------
    net : keras.Model
        Of `build`, or loaded from a file of it.
    numbers : Numbers
        Those that it was built by; what is not the net's own (limits, thresholds) may differ.

    Attributes
    ----------
    net : keras.Model
        The plain net, which is saved.
    teaching : keras.Model
        The net as `hsn.training.loop.learn` takes it; shares its weights.
    """

    def __init__(self, net, numbers):
        self.net, self.numbers = check(net, numbers), numbers
        self.teaching = joined(net, numbers)
        self._trunk, self._box_judge, self._mask_judge = (
            _compiled(part)
            for part in (trunk_of(net), box_judge_of(net, numbers), mask_judge_of(net, numbers))
        )
        self._laid = {}

    def loss(self, target, prediction, weight, image):
        """The five terms; what is unknown is said by the targets themselves."""
        return losses.loss(target, prediction)

    def examples(self, images, instances, known, rng):
        """What a step learns from.

        The proposals are those of the net as it is now, so its trunk runs once more than a loop inside the graph would
        need; the objects' own boxes are regions as well, because a net that learns from nothing proposes none of
        them at first.

        Parameters
        ----------
        images : array, shape (N, px, px, 3)
            RGB, 0..255.
        instances : int array, shape (N, px, px)
            0 background, 1..n without gaps.
        known : bool array, shape (N, px, px)
            False where there may be objects that are not told: there is no background to learn.
        rng : numpy.random.Generator

        Returns
        -------
        (dict of arrays, dict of arrays, None)
            Inputs of `teaching`, and the target of `loss`.
        """
        numbers, shape = self.numbers, images.shape[1:3]
        pixels = self._normalised(images)
        seen = self._trunk.predict_on_batch(pixels)
        laid = self._anchors(shape)
        rows = []
        for logits, deltas, objects, unknown in zip(
            seen["anchor_logits"], seen["anchor_deltas"], instances, ~known, strict=True
        ):
            truth = b.around(objects)
            proposals, _ = propose(
                logits, deltas, laid, shape, spread=numbers.spread, candidates=numbers.candidates,
                overlap=numbers.rpn_overlap_learning, limit=numbers.proposals_learning,
            )  # fmt: skip
            proposals = np.concatenate([truth, proposals])
            regions, of_regions = roi_targets(proposals, objects, numbers, rng, unknown=unknown)
            of_anchors = anchor_targets(laid, truth, numbers, rng, unknown=unknown)
            rows.append((regions, of_anchors, of_regions))
        regions = np.stack([row[0] for row in rows])
        of_anchors, of_regions = (_stacked([row[k] for row in rows]) for k in (1, 2))
        inputs = {"image": pixels, **self._inputs(regions, shape)}
        inputs |= {f"mask_{k}": v[:, : numbers.positive_rois] for k, v in inputs.items() if k != "image"}
        target = of_anchors | {
            "classes": of_regions["classes"],
            "roi_known": of_regions["known"],
            "roi_deltas": of_regions["deltas"],
            "masks": of_regions["masks"],
        }
        return inputs, target, None

    def segment(self, image, *, least_px=1):
        """Find the objects of an image of any size, at the net's scale.

        Parameters
        ----------
        image : uint8 array, shape (H, W, 3)
        least_px : int
            Fewer pixels are no object.

        Returns
        -------
        whole.Report
            `scored.instances` and `scored.scores`; `said` names each limit that was reached.
        """
        numbers = self.numbers
        pixels = self._normalised(as_image(image))
        return whole.segment(
            self.find, pixels, tile_px=numbers.tile_px, margin_px=numbers.margin_px, least_px=least_px
        )

    def find(self, pixels):
        """Objects of one window of normalize pixels (px, px, 3): boxes, scores, pieces, and limits reached."""
        numbers, shape = self.numbers, pixels.shape[:2]
        seen = self._trunk.predict_on_batch(pixels[None])
        regions, said = propose(
            seen["anchor_logits"][0], seen["anchor_deltas"][0], self._anchors(shape), shape, spread=numbers.spread,
            candidates=numbers.candidates, overlap=numbers.rpn_overlap, limit=numbers.proposals,
        )  # fmt: skip
        pyramid = {f"p{k}": seen[f"p{k}"] for k in numbers.head_levels}
        judged = self._judged(self._box_judge, pyramid, regions, shape)
        found = choose(
            regions, judged["class_logits"], judged["box_deltas"], shape, spread=numbers.spread,
            least_score=numbers.least_score, overlap=numbers.overlap, limit=numbers.detections,
        )  # fmt: skip
        logits = self._judged(self._mask_judge, pyramid, found.boxes, shape)["mask_logits"]
        logits = logits[np.arange(len(logits)), :, :, found.classes]  # (n, 28, 28)
        masks = 1 / (1 + np.exp(-logits))
        pieces = [PlacedMask(*paste(mask, box, shape)) for mask, box in zip(masks, found.boxes, strict=True)]
        return found.boxes, found.scores, pieces, said + found.said

    def _normalised(self, pixels):
        numbers = self.numbers
        return (np.asarray(pixels, np.float32) - np.float32(numbers.mean)) / np.float32(numbers.std)

    def _inputs(self, regions, shape):
        """Regions (N, R, 4) in pixels as inputs of alignment."""
        flat = regions.reshape(-1, 4)
        return {
            "boxes": b.normalize(flat, shape).reshape(regions.shape),
            "places": b.places(flat, self.numbers.head_levels).reshape(regions.shape[:2]),
        }

    def _judged(self, judge, pyramid, regions, shape):
        """What a head says of regions (n, 4) of one image, chunk by chunk: dict of arrays of n rows."""
        count = len(regions)
        regions = np.pad(regions, ((0, -count % CHUNK or (0 if count else CHUNK)), (0, 0)))
        said = [
            judge.predict_on_batch(pyramid | self._inputs(regions[None, start : start + CHUNK], shape))
            for start in range(0, len(regions), CHUNK)
        ]
        return {name: np.concatenate([s[name] for s in said])[:count] for name in said[0]}

    def _anchors(self, shape):
        if shape not in self._laid:
            numbers = self.numbers
            self._laid[shape] = anchors(
                shape, levels=numbers.levels, sides_px=numbers.sides_px, ratios=numbers.ratios
            )
        return self._laid[shape]


def _compiled(part):
    """A part of the net whose passes are compiled: run layer by layer, a small net takes nine times as long."""
    # XLA takes a minute to compile a net of this size, and its convolutions on CPUs are slower.
    part.compile(jit_compile=False if keras.backend.backend() == "tensorflow" else "auto")
    return part


def _stacked(rows):
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}
