"""Presets: every number of the net, of what it learns from and of what it reports, with its unit and source."""

from dataclasses import dataclass

from ...errors import refuse


@dataclass(frozen=True)
class Numbers:
    """The numbers of a Mask R-CNN; the defaults are those that Lou et al. used for nuclei (see `PAPER`).

    Attributes
    ----------
    classes : int
        Background and kinds of objects.
    blocks, width : tuple of 4 int, int
        Bottleneck blocks of each ResNet stage, and channels of the stem; a stage ends with 4, 8, 16, 32 times as many.
    pyramid, rpn, box, mask, mask_layers : int
        Channels of the feature pyramid, of the proposal net, the box head, the mask head; convolutions of the last.
    head_norm : bool
        Whether the heads normalize batches; of use where they see hundreds of regions a step.
    levels : tuple of int
        Levels of the pyramid that propose, 2 to 6; a cell of level k is 2^k px wide.
    sides_px : tuple of tuple of float
        Per level the sides of its square anchors.
    ratios : tuple of float
        Width over height of anchors, their area being kept.
    head_levels : tuple of int
        Levels that the heads look at.
    mean, std : tuple of 3 float
        Normalization of red, green and blue, for pixels 0..255.
    spread : tuple of 4 float
        What deltas are divided by: shift down, right, log of height, of width.
    rpn_negative, rpn_positive : float
        IoU with an object below which an anchor is background, and from which it is an object.
    rpn_drawn : int
        Anchors an image that the proposal net learns from, at most half of them positive.
    candidates : int
        Best anchors that are looked at.
    rpn_overlap_learning, rpn_overlap : float
        IoU above which the lower of two proposals goes, in learning and in use.
    proposals_learning, proposals : int
        Proposals an image or tile, at most, in learning and in use.
    rois : int
        Regions an image that the heads learn from.
    roi_positive : float
        IoU with an object from which a region is positive.
    roi_share : float
        Share of the regions that is positive, at most; as many negatives are drawn as keep it.
    least_score : float
        Score from which a detection counts; see `detect.choose`.
    overlap : float
        IoU above which the lower of two detections goes.
    detections : int
        Detections a tile, at most.
    box_px, mask_px : int
        Samples along a side of what the box and the mask head see; masks have twice as many.
    tile_px, margin_px : int
        Side of the tiles of a large image, and how far from its tile's core an object may reach.
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
    # Means of fluorescence images, which the original kept for H&E; they are not divided by anything.
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
            refuse("the levels of the pyramid do not fit", expected="`sides_px` per level, heads on 2 to 5",
                   received=f"levels {self.levels}, {len(self.sides_px)} groups of sides, heads {self.head_levels}",
                   remedy="start from LEAN or PAPER and change both together")  # fmt: skip
        if self.tile_px % self.step_px or not 0 <= 2 * self.margin_px < self.tile_px:
            refuse("tiles must fit the pyramid",
                   expected=f"a multiple of {self.step_px} px, more than twice the margin",
                   received=f"tiles of {self.tile_px} px, a margin of {self.margin_px}",
                   remedy="change `tile_px`")  # fmt: skip

    @property
    def step_px(self):
        """What sides of images must divide by, in pixels: the cell of the coarsest level, at least ResNet's 32.

        Examples
        --------
        >>> LEAN.step_px, PAPER.step_px
        (32, 64)
        """
        return 2 ** max(5, *self.levels)

    @property
    def anchors_a_cell(self):
        """How many anchors each cell has: one number, because the levels share the proposal net.

        Examples
        --------
        >>> PAPER.anchors_a_cell
        3
        """
        counts = {len(sides) * len(self.ratios) for sides in self.sides_px}
        if len(counts) > 1:
            refuse("all levels share one proposal net", expected="as many sides on each level",
                   received=self.sides_px, remedy="give each level the same number of sides")  # fmt: skip
        return counts.pop()

    @property
    def positive_rois(self):
        """Positive regions an image, at most.

        Examples
        --------
        >>> PAPER.positive_rois
        165
        """
        return int(self.rois * self.roi_share)


PAPER = Numbers()

# For nuclei at 0.25 um/px on two CPU cores. Sides are such that of Kumar's training nuclei (half are 13 to 27 px wide)
# nine in ten have an anchor of IoU 0.5. Below 80 px all objects belong to level 2, so the heads look at it alone; what
# is far reaches it through the pyramid. Means and spreads are those of Kumar's 12 training images. A head that sees two
# thirds background is rarely sure: on Kumar's validation images AJI is best below a score of a half.
LEAN = Numbers(
    blocks=(2, 2, 2, 2), width=16, pyramid=64, rpn=64, box=128, mask=32, mask_layers=2, head_norm=False,
    levels=(2, 3), sides_px=((11, 17), (26, 40)), head_levels=(2,),
    mean=(190.67, 139.16, 171.22), std=(40.31, 50.44, 38.49),
    rpn_drawn=256, candidates=2000, rpn_overlap_learning=0.7, proposals_learning=300, proposals=1000,
    rois=128, least_score=0.3,
)  # fmt: skip
