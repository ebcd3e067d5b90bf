"""RoI align: sample the feature pyramid inside of boxes to a fixed size.

Each bin has one bilinear sample, gathered from a flat table of all levels. The operations exist in all backends. On one
level the result equals TensorFlow's `crop_and_resize`.
"""

from keras import layers, ops


def crop_and_resize(features, boxes, size):
    """Sample the features inside of boxes.

    Parameters
    ----------
    features : float tensor, shape (N, h, w, C)
    boxes : float tensor, shape (N, R, 4)
        (top, left, bottom, right), relative to the centers of the first cell (0) and the last cell (1).
    size : int
        Samples along each side, 2 or more. The first and the last lie on the ends of the box.

    Returns
    -------
    float tensor, shape (N, R, size, size, C)
        0 where a sample lies outside of the map.

    Examples
    --------
    >>> row = ops.reshape([0.0, 10.0, 20.0], (1, 1, 3, 1))
    >>> crops = crop_and_resize(row, ops.convert_to_tensor([[[0.0, 0.25, 0.0, 1.25]]]), 3)
    >>> ops.convert_to_numpy(crops)[0, 0, 0, :, 0].tolist()
    [5.0, 15.0, 0.0]
    """
    return sample([features], boxes, ops.zeros(ops.shape(boxes)[:2], "int32"), size)


def sample(pyramid, boxes, places, size):
    """Sample each box from its level of a pyramid.

    Parameters
    ----------
    pyramid : list of float tensors, shapes (N, h_k, w_k, C)
    boxes : float tensor, shape (N, R, 4)
        As in `crop_and_resize`. They get no gradient.
    places : int tensor, shape (N, R)
        Index into `pyramid`.
    size : int

    Returns
    -------
    float tensor, shape (N, R, size, size, C)
    """
    boxes = ops.stop_gradient(boxes)
    count, channels = ops.shape(pyramid[0])[0], pyramid[0].shape[-1]
    table = ops.concatenate([ops.reshape(level, (count, -1, channels)) for level in pyramid], axis=1)
    cells = ops.shape(table)[1]
    heights, widths, starts = (ops.take(x, places)[..., None] for x in _layout(pyramid))  # (N, R, 1) each
    steps = ops.cast(ops.arange(size), "float32") / (size - 1)  # (S,)
    top, bottom, above, inside_rows = _taps(
        boxes[..., 0:1], boxes[..., 2:3], steps, heights
    )  # (N, R, S) each
    left, right, before, inside_columns = _taps(boxes[..., 1:2], boxes[..., 3:4], steps, widths)
    first = starts + ops.reshape(ops.arange(count), (-1, 1, 1)) * cells  # (N, R, 1)
    table = ops.reshape(table, (-1, channels))

    def at(row, column):
        rows = (first + row * widths)[..., :, None]  # (N, R, S, 1)
        return ops.take(table, rows + column[..., None, :], axis=0)  # (N, R, S, S, C)

    before, above = before[..., None, :, None], above[..., :, None, None]
    upper = at(top, left) * (1 - before) + at(top, right) * before
    lower = at(bottom, left) * (1 - before) + at(bottom, right) * before
    inside = inside_rows[..., :, None, None] & inside_columns[..., None, :, None]
    return (upper * (1 - above) + lower * above) * ops.cast(inside, "float32")


def _layout(pyramid):
    """Return height, width and first row in the flat table of each level, int32 (levels,) each."""
    sides = [[ops.cast(ops.shape(level)[axis], "int32") for level in pyramid] for axis in (1, 2)]
    heights, widths = (ops.stack(side) for side in sides)
    ends = ops.cumsum(heights * widths)
    return heights, widths, ends - heights * widths


def _taps(start, end, steps, cells):
    """Return the cells before and after each sample along an axis, the weight of the second, and an inside mask."""
    last = ops.cast(cells - 1, "float32")  # (N, R, 1)
    position = (start + (end - start) * steps) * last  # (N, R, S)
    inside = (position >= 0) & (position <= last)
    position = ops.minimum(ops.maximum(position, 0.0), last)
    low = ops.floor(position)
    return (
        ops.cast(low, "int32"),
        ops.minimum(ops.cast(low, "int32") + 1, cells - 1),
        position - low,
        inside,
    )


class Align(layers.Layer):
    """`sample` as a layer: [boxes, places, *pyramid] -> (N R, size, size, C), the input of a head.

    It has no weights and is not part of saved nets.
    """

    def __init__(self, size, **options):
        super().__init__(**options)
        self.size = size

    def call(self, inputs):
        boxes, places, *pyramid = inputs
        crops = sample(pyramid, boxes, places, self.size)
        return ops.reshape(crops, (-1, self.size, self.size, pyramid[0].shape[-1]))

    def compute_output_shape(self, input_shape):
        return (None, self.size, self.size, input_shape[2][-1])
