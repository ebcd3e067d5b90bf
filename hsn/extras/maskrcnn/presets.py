"""Presets: all numbers of the net, its training and its detections, with units and sources."""

from dataclasses import dataclass

from ...errors import InputError


@dataclass(frozen=True)
class MaskRCNNConfig:
    """Numbers of a Mask R-CNN. The defaults are those of Lou et al. for nuclei (`PAPER`).

    Attributes
    ----------
    classes : int
        Number of classes, including background.
    blocks, width : tuple of 4 int, int
        Bottleneck blocks of each ResNet stage, and channels of the stem. The stages end with 4, 8, 16 and 32 times as
        many.
    pyramid, rpn, box, mask, mask_layers : int
        Channels of the feature pyramid, the proposal net, the box head and the mask head; convolutions of the mask
        head.
    head_norm : bool
        Use batch normalization in the heads; useful with hundreds of regions in a step.
    levels : tuple of int
        Pyramid levels of the proposal net, 2 to 6. A cell of level k is 2^k px wide.
    sides_px : tuple of tuple of float
        Sides of the square anchors on each level.
    ratios : tuple of float
        Ratios of width to height of anchors, at constant area.
    head_levels : tuple of int
        Pyramid levels of the heads.
    mean, std : tuple of 3 float
        Mean and standard deviation of red, green and blue, 0..255.
    spread : tuple of 4 float
        Divisors of the deltas: shift down, shift right, log height, log width.
    rpn_negative, rpn_positive : float
        IoU with an object below which an anchor is negative, and from which it is positive.
    rpn_drawn : int
        Anchors of an image that the proposal net is trained on; at most half are positive.
    candidates : int
        Number of anchors with the highest scores that become candidates.
    rpn_overlap_learning, rpn_overlap : float
        IoU above which the proposal with the lower score is dropped, in training and in inference.
    proposals_learning, proposals : int
        Largest number of proposals of an image or tile, in training and in inference.
    rois : int
        Regions of an image that the heads are trained on.
    roi_positive : float
        IoU with an object from which a region is positive.
    roi_share : float
        Largest fraction of positive regions. Negative regions are drawn to match it.
    least_score : float
        Smallest score of a detection; see `detect.select_detections`.
    overlap : float
        IoU above which the detection with the lower score is dropped.
    detections : int
        Largest number of detections of a tile.
    box_px, mask_px : int
        Samples along a side of the inputs of the box head and the mask head. Masks have twice as many.
    tile_px, margin_px : int
        Side of the tiles of a large image, and margin around the core of a tile.
    """

    classes: int = 2
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    width: int = 64
    pyramid: int = 256
    rpn: int = 512
    box: int = 1024
    mask: int = 256
    mask_layers: int = 4
    head_norm: bool = True
    levels: tuple[int, ...] = (2, 3, 4, 5, 6)
    sides_px: tuple[tuple[float, ...], ...] = ((8,), (16,), (32,), (64,), (128,))
    ratios: tuple[float, ...] = (0.5, 1, 2)
    head_levels: tuple[int, ...] = (2, 3, 4, 5)
    # Means of fluorescence images, which the original code also uses for H&E, without a standard deviation.
    mean: tuple[float, float, float] = (47.49, 41.63, 51.28)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    spread: tuple[float, float, float, float] = (0.1, 0.1, 0.2, 0.2)
    rpn_negative: float = 0.3
    rpn_positive: float = 0.7
    rpn_drawn: int = 64
    candidates: int = 6000
    rpn_overlap_learning: float = 0.9
    rpn_overlap: float = 0.7
    proposals_learning: int = 1000
    proposals: int = 2000
    rois: int = 500
    roi_positive: float = 0.5
    roi_share: float = 0.33
    least_score: float = 0.5
    overlap: float = 0.3
    detections: int = 1000
    box_px: int = 7
    mask_px: int = 14
    tile_px: int = 256
    margin_px: int = 32

    def __post_init__(self):
        if len(self.levels) != len(self.sides_px) or not set(self.head_levels) <= {2, 3, 4, 5}:
            raise InputError(
                "maskrcnn-levels",
                "`sides_px` must have an entry for each level, and `head_levels` must be 2 to 5",
                got=f"levels {self.levels}, {len(self.sides_px)} groups of sides, heads {self.head_levels}",
                hint="start from LEAN or PAPER and change both together",
            )
        if self.tile_px % self.step_px or not 0 <= 2 * self.margin_px < self.tile_px:
            raise InputError(
                "maskrcnn-tile-size",
                f"`tile_px` must be a multiple of {self.step_px} and above twice `margin_px`",
                got=f"tiles of {self.tile_px} px, a margin of {self.margin_px}",
                hint="change `tile_px`",
            )

    @property
    def step_px(self):
        """Size divisor: the cell of the coarsest level in pixels, 32 or more.

        Examples
        --------
        >>> LEAN.step_px, PAPER.step_px
        (32, 64)
        """
        return 2 ** max(5, *self.levels)

    @property
    def anchors_a_cell(self):
        """Number of anchors in each cell; equal on all levels, which share the proposal net.

        Examples
        --------
        >>> PAPER.anchors_a_cell
        3
        """
        counts = {len(sides) * len(self.ratios) for sides in self.sides_px}
        if len(counts) > 1:
            raise InputError(
                "maskrcnn-anchor-sides",
                "`sides_px` must have the same number of sides on each level",
                got=self.sides_px,
                hint="all levels share one proposal net",
            )
        return counts.pop()

    @property
    def positive_rois(self):
        """Largest number of positive regions of an image.

        Examples
        --------
        >>> PAPER.positive_rois
        165
        """
        return int(self.rois * self.roi_share)


PAPER = MaskRCNNConfig()

# For nuclei at 0.25 um/px on two CPU cores. With these sides, 90 % of Kumar's training nuclei (half are 13 to 27 px
# wide) have an anchor of IoU 0.5. Objects below 80 px belong to level 2: the heads use only this level. Mean and
# standard deviation are those of Kumar's 12 training images. Two thirds of the training regions are background, which
# lowers the scores: on Kumar's validation images, AJI is best at a minimum score below 0.5.
LEAN = MaskRCNNConfig(
    blocks=(2, 2, 2, 2), width=16, pyramid=64, rpn=64, box=128, mask=32, mask_layers=2, head_norm=False,
    levels=(2, 3), sides_px=((11, 17), (26, 40)), head_levels=(2,),
    mean=(190.67, 139.16, 171.22), std=(40.31, 50.44, 38.49),
    rpn_drawn=256, candidates=2000, rpn_overlap_learning=0.7, proposals_learning=300, proposals=1000,
    rois=128, least_score=0.3,
)  # fmt: skip
